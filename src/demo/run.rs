//! The replay itself.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tocsin_channels::ChannelKind;

use super::map::{self, Shade};
use super::report::Report;
use super::scenario::Scenario;
use super::stage::{Folder, Sinks, app, bureau, config};
use crate::app::App;
use crate::cap::{self, Alert, Colour};
use crate::config::BureauConfig;
use crate::intake::{Format, Receipt};
use crate::regions::RegionCode;
use crate::residents::{Simulation, simulate};
use crate::rules::{Audience, Decision};
use crate::show::{Failure, number, state_table};

/// Show the main job: sinks on this machine, made-up residents, typhoon Muifa replayed as a drill.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many residents are made up.
    #[arg(long, default_value_t = 100_000)]
    residents: u64,
    /// Hours of 2022 that pass in a second; with --once each warning follows as soon as the last one is sent.
    #[arg(long, default_value_t = 6.0)]
    speed: f64,
    /// Replay once, as fast as it goes, and end.
    #[arg(long)]
    once: bool,
    /// Draw the map to this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the demo; false when its numbers and the sinks' do not agree.
///
/// # Errors
/// When it cannot be set up.
pub async fn run(args: Args, json: bool) -> Result<bool, Failure> {
    let show = Show::new(!json);
    let (folder, sinks) = (Folder::make()?, Sinks::start().await?);
    let config = config(&folder, &sinks)?;
    let app = app(&config).await?;
    let push_service = format!("http://{}/push", sinks.push.addr);
    let simulation = Simulation { people: args.residents, seed: 2_212, audience: Audience::Drill, push_service };
    show.say(&format!("EXERCISE 演练: {} made-up residents, sinks on this machine", number(args.residents)));
    let bar = show.bar("residents", Some(args.residents));
    simulate(&app.store, &app.policy.load().map, &simulation, app.clock.now(), |n| bar.set_position(n)).await?;
    bar.finish_and_clear();

    let well = tokio::select! {
        well = perform(&args, json, &app, &sinks, &show) => well?,
        _ = tokio::signal::ctrl_c() => true,
    };
    app.stop().await;
    Ok(well)
}

/// Replays until it is enough; false when the numbers do not agree.
async fn perform(args: &Args, json: bool, app: &App, sinks: &Sinks, show: &Show) -> Result<bool, Failure> {
    let mut well = true;
    loop {
        let started = Instant::now();
        let told = replay(app, args, show).await?;
        let channels = app.store.states_of_all().await?;
        let report =
            Report::new((told.alerts, args.residents, started.elapsed().as_secs_f64()), &channels, &sinks.counts());
        let complaints = report.complaints();
        if json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            tell(app, &report, &told.shade, show.colour)?;
        }
        if let Some(path) = &args.svg {
            let drawn = map::svg(&app.policy.load().map, &told.shade);
            std::fs::write(path, drawn).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        complaints.iter().for_each(|complaint| eprintln!("does not hold: {complaint}"));
        well &= complaints.is_empty();
        if args.once || !well {
            return Ok(well);
        }
        show.say("again in 10 seconds; Ctrl-C ends it");
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// What a replay told.
struct Told {
    alerts: u64,
    shade: BTreeMap<RegionCode, Shade>,
}

async fn replay(app: &App, args: &Args, show: &Show) -> Result<Told, Failure> {
    let scenario = Scenario::muifa()?;
    show.say(&scenario.name);
    let bureau = bureau(&app.policy.load().map);
    let bars = show.channels();
    let started = Instant::now();
    let mut made: Vec<Alert> = Vec::new();
    let mut told = Told { alerts: 0, shade: BTreeMap::new() };
    for nth in 0..scenario.len() {
        let hours = scenario.after(nth).num_minutes() as f64 / 60.0;
        let due = started + Duration::from_secs_f64(hours / args.speed.max(0.01));
        while if args.once { app.store.open_work().await? } else { Instant::now() < due } {
            progress(app, &bars).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let Some(alert) = scenario.alert(nth, &app.policy.load().map, app.clock.now(), &made) else { continue };
        let receipt = submit(app, &bureau, &alert).await?;
        let row = app.store.alert(receipt.id.as_str()).await?;
        let decision: Option<Decision> = row.and_then(|row| serde_json::from_value(row.decision).ok());
        if let (Some(decision), Some(colour)) = (&decision, Colour::of_alert(&alert)) {
            for region in &decision.regions {
                let shown = told.shade.entry(region.clone()).or_insert(Shade { level: Some(colour), share_told: 1.0 });
                shown.level = shown.level.min(Some(colour));
            }
        }
        let headline = alert.info_in("zh-CN").and_then(|info| info.headline.clone()).unwrap_or_default();
        let counties = decision.map_or(0, |decision| decision.regions.len());
        show.say(&format!(
            "{:>5.1} h  {} {headline} → {} ({counties} counties)",
            hours,
            alert.msg_type,
            receipt.state.as_str()
        ));
        told.alerts += 1;
        made.push(alert);
    }
    while app.store.open_work().await? {
        progress(app, &bars).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    progress(app, &bars).await?;
    bars.iter().for_each(|(_, bar)| bar.finish());
    Ok(told)
}

/// Submits an alert as a bureau would: as CAP, through the front door.
async fn submit(app: &App, bureau: &BureauConfig, alert: &Alert) -> Result<Receipt, Failure> {
    let receipt = app.intake.accept(bureau, cap::write(alert)?.as_bytes(), Format::Xml).await?;
    app.engine.wake();
    Ok(receipt)
}

async fn progress(app: &App, bars: &[(ChannelKind, ProgressBar)]) -> Result<(), Failure> {
    let totals = app.store.chunk_totals().await?;
    for (kind, bar) in bars {
        if let Some((planned, done)) = totals.get(kind) {
            bar.set_length(*planned);
            bar.set_position(*done);
        }
    }
    Ok(())
}

fn tell(app: &App, report: &Report, shade: &BTreeMap<RegionCode, Shade>, colour: bool) -> Result<(), Failure> {
    println!("\n{}", map::terminal(&app.policy.load().map, shade, 76, colour));
    let states = report.channels.iter().map(|(kind, channel)| (kind.to_string(), channel.states)).collect();
    print!("{}", state_table(&states));
    let sinks: Vec<_> =
        report.sinks.iter().map(|(name, counts)| format!("{name} {}", number(counts.messages))).collect();
    println!("\nthe sinks counted: {}", sinks.join(", "));
    let rate = report.messages as f64 / report.seconds.max(0.001);
    println!(
        "{} alerts, {} messages in {:.1} s: {rate:.0} a second",
        report.alerts,
        number(report.messages),
        report.seconds
    );
    Ok(())
}

/// What is shown while it runs.
struct Show {
    loud: bool,
    colour: bool,
    bars: MultiProgress,
}

impl Show {
    fn new(loud: bool) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { loud, colour, bars: MultiProgress::new() }
    }

    fn say(&self, line: &str) {
        if !self.loud {
            return;
        }
        if std::io::stderr().is_terminal() {
            // Bars are redrawn below the line; a terminal that is gone reads nothing.
            let _ = self.bars.println(line);
        } else {
            println!("{line}");
        }
    }

    fn bar(&self, what: &'static str, total: Option<u64>) -> ProgressBar {
        if !self.loud {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{msg:9} {bar:30} {human_pos}/{human_len} {per_sec}");
        let bar = self.bars.add(ProgressBar::new(total.unwrap_or(0))).with_message(what);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn channels(&self) -> Vec<(ChannelKind, ProgressBar)> {
        ChannelKind::ALL.into_iter().map(|kind| (kind, self.bar(kind.as_str(), None))).collect()
    }
}
