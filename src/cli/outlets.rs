//! `tocsin webhooks`.

use serde_json::json;

use super::Context;
use crate::show::{Failure, cut, table};

/// Show how webhooks and WIS2 do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log of one, by its name; all of them where left out. `wis2` is WIS2.
    name: Option<String>,
    /// How many of its newest lines.
    #[arg(long, short, default_value_t = 20)]
    n: u16,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<bool, Failure> {
    let store = context.standing_store().await?;
    let outlets = store.outlets().await?;
    let Some(name) = args.name else {
        if context.json {
            println!("{}", json!({"outlets": outlets}));
            return Ok(true);
        }
        if outlets.is_empty() {
            println!("no webhook has run yet: [[webhook]] in config.toml names them");
            return Ok(true);
        }
        let mut rows = vec![["outlet", "waiting", "done", "given up"].map(str::to_owned).to_vec()];
        let row = |one: &crate::store::OutletCount| {
            vec![one.outlet.clone(), one.waiting.to_string(), one.done.to_string(), one.given_up.to_string()]
        };
        rows.extend(outlets.iter().map(row));
        print!("{}", table(&rows));
        return Ok(true);
    };
    let full = if name == "wis2" { name.clone() } else { format!("webhook/{name}") };
    if !outlets.iter().any(|one| one.outlet == full) {
        return Err(format!("no webhook `{name}` has run here; `tocsin webhooks` lists them").into());
    }
    let log = store.errands(&full, i64::from(args.n)).await?;
    if context.json {
        println!("{}", json!({"outlet": full, "log": log}));
        return Ok(true);
    }
    let mut rows = vec![["release", "state", "tries", "last (UTC)", "what it said"].map(str::to_owned).to_vec()];
    for errand in log {
        let said = errand.detail.unwrap_or_default();
        let at = errand.changed.format("%m-%d %H:%M:%S").to_string();
        rows.push(vec![errand.release.to_string(), errand.state, errand.attempts.to_string(), at, cut(&said, 40)]);
    }
    print!("{}", table(&rows));
    Ok(true)
}
