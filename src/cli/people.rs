//! `tocsin subscribers` and `simulate`.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, export_to, is_screen};
use crate::policy::Policy;
use crate::residents::{self, Simulation};
use crate::rules::Audience;
use crate::show::Failure;
use crate::show::{bar, number, table};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Add subscribers from CSV: region,language,audience,phone,email,push,device
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Write all subscribers as CSV
    Export {
        /// The file; it must not be there yet, and its owner alone can read it. `-` is standard output.
        file: PathBuf,
    },
    /// Count addresses by list, channel and language
    Count,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<bool, Failure> {
    match command {
        Command::Import { file } => import(context, &file).await,
        Command::Export { file } => export(context, &file).await,
        Command::Count => count(context).await,
    }
}

async fn import(context: &Context, path: &std::path::Path) -> Result<bool, Failure> {
    let policy = Policy::build(&context.config()?)?;
    let store = context.store().await?;
    let file = File::open(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let bar = bar(None, "importing");
    let reader = BufReader::with_capacity(1 << 20, file);
    let report =
        residents::import(&store, &policy.map, reader, chrono::Utc::now(), |rows| bar.set_position(rows)).await?;
    bar.finish_and_clear();
    if context.json {
        println!("{}", json!(report));
        return Ok(report.bad == 0);
    }
    println!(
        "{} rows: {} subscribers with {} addresses added, {} addresses were on record, {} left out",
        number(report.rows),
        number(report.subscribers),
        number(report.addresses),
        number(report.repeated),
        number(report.bad)
    );
    for bad in report.bad_rows.iter().take(20) {
        println!("  line {}, {}: {}", bad.line, bad.column, bad.why);
    }
    if report.bad > 20 {
        println!("  ... and {} more (--json lists the first 1,000)", number(report.bad - 20));
    }
    // What was in order is taken; a script learns by the exit code that somebody should look at the rest.
    Ok(report.bad == 0)
}

async fn export(context: &Context, path: &Path) -> Result<bool, Failure> {
    let store = context.standing_store().await?;
    let out = export_to(path)?;
    let bar = bar(None, "exporting");
    let written = residents::export(&store, BufWriter::new(out), chrono::Utc::now(), |n| bar.set_position(n)).await?;
    bar.finish_and_clear();
    match (is_screen(path), context.json) {
        (true, _) => {}
        (false, true) => println!("{}", json!({"subscribers": written})),
        (false, false) => println!("{} subscribers written to {}", number(written), path.display()),
    }
    Ok(true)
}

async fn count(context: &Context) -> Result<bool, Failure> {
    let counts = context.standing_store().await?.address_counts().await?;
    if context.json {
        println!("{}", json!({"addresses": counts}));
        return Ok(true);
    }
    let mut rows = vec![["list", "channel", "language", "addresses"].map(str::to_owned).to_vec()];
    let mut all = 0;
    for count in counts {
        all += count.addresses;
        rows.push(vec![count.audience, count.channel.to_string(), count.language, number(count.addresses)]);
    }
    rows.push(vec!["all".into(), String::new(), String::new(), number(all)]);
    print!("{}", table(&rows));
    Ok(true)
}

/// Add made-up people to the drill's list.
#[derive(clap::Args)]
pub(crate) struct SimulateArgs {
    /// How many people.
    #[arg(default_value_t = 100_000)]
    people: u64,
    /// The same seed makes the same people.
    #[arg(long, default_value_t = 2212)]
    seed: u64,
    /// Where their pushes go.
    #[arg(long, default_value = "http://127.0.0.1:9000/push")]
    push_service: String,
}

pub(crate) async fn simulate(context: &Context, args: SimulateArgs) -> Result<bool, Failure> {
    let policy = Policy::build(&context.config()?)?;
    let store = context.store().await?;
    let bar = bar(Some(args.people), "making people up");
    let simulation =
        Simulation { people: args.people, seed: args.seed, audience: Audience::Drill, push_service: args.push_service };
    let addresses =
        residents::simulate(&store, &policy.map, &simulation, chrono::Utc::now(), |n| bar.set_position(n)).await?;
    bar.finish_and_clear();
    if context.json {
        println!("{}", json!({"people": args.people, "addresses": addresses}));
    } else {
        println!("{} people with {} addresses on the drill's list", number(args.people), number(addresses));
    }
    Ok(true)
}
