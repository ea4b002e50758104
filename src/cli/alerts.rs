//! `tocsin submit`, `status`.

use std::path::PathBuf;

use serde_json::json;

use super::Context;
use super::check::{format_of, which};
use super::client::{Answer, Server};
use crate::cap::AlertId;
use crate::intake::Format;
use crate::rules::Withheld;
use crate::show::Failure;
use crate::show::{beijing, cut, state_table, table};
use crate::store::{AlertRow, AlertState};

/// Submit an alert to a running server.
#[derive(clap::Args)]
pub(crate) struct SubmitArgs {
    /// The alert: CAP XML, or JSON, also a list of several.
    file: PathBuf,
    #[command(flatten)]
    server: Server,
}

pub(crate) async fn submit(context: &Context, args: SubmitArgs) -> Result<bool, Failure> {
    let body = std::fs::read(&args.file).map_err(|e| format!("cannot read {}: {e}", args.file.display()))?;
    let kind = if format_of(&args.file, &body) == Format::Json { "application/json" } else { "application/cap+xml" };
    let answer = args.server.post(context, "/api/v1/alerts", kind, body).await?;
    // A list has an answer for each.
    let each = answer.body.get("alerts").and_then(|list| list.as_array());
    let answers: Vec<Answer> =
        each.map_or_else(|| vec![answer.clone()], |list| list.iter().map(Answer::part).collect());
    if context.json {
        println!("{}", answer.body);
    } else {
        for (n, one) in (1..).zip(&answers) {
            if each.is_some() {
                println!("{}", which(n, one.body.get("identifier").and_then(|name| name.as_str())));
            }
            tell(one);
        }
    }
    Ok(answers.iter().all(|answer| answer.well))
}

/// Says what became of an alert.
fn tell(answer: &Answer) {
    if answer.well {
        let repeat = if answer.body.get("repeat") == Some(&true.into()) { " (it was on record already)" } else { "" };
        println!("{} {}: {}{repeat}", answer.text("id"), answer.text("verdict"), answer.text("state"));
        let why = answer.body.get("withheld").and_then(|why| Some((why.get(0)?.as_str()?, why.get(1)?.as_str()?)));
        if let Some((zh, en)) = why {
            println!("{}", to_nobody(zh, en));
        }
    } else {
        println!("{}", answer.refusal());
    }
    for finding in answer.body.get("findings").and_then(|list| list.as_array()).into_iter().flatten() {
        let part = |name: &str| finding.get(name).and_then(|value| value.as_str()).unwrap_or_default();
        println!("  {} {}\n        {}\n        {}", part("code"), part("path"), part("zh"), part("en"));
    }
}

/// List alerts, or show what became of one.
#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// One alert; a list of the newest where left out.
    id: Option<AlertId>,
    /// How many of the newest.
    #[arg(long, short, default_value_t = 20)]
    n: u16,
}

/// Why an alert goes to nobody.
fn to_nobody(zh: &str, en: &str) -> String {
    format!("goes to nobody: {zh} / {en}")
}

/// Why nothing of an alert has gone out, or not all of it; None where there is nothing to say.
fn standstill(alert: &AlertRow) -> Option<String> {
    let queue = if alert.status == "Exercise" { "tocsin queue --exercise" } else { "tocsin queue" };
    match alert.state {
        AlertState::Withheld => {
            let why: Withheld = serde_json::from_value(alert.decision.get("withheld")?.clone()).ok()?;
            Some(to_nobody(why.zh(), why.en()))
        }
        AlertState::Waiting => Some(format!("waits for officers: see `{queue}`")),
        AlertState::Partly => Some(format!("parts of it wait for officers: see `{queue}`")),
        AlertState::Released | AlertState::Closed => None,
    }
}

/// What stands before everything of an exercise.
fn drill(status: &str) -> &'static str {
    if status == "Exercise" { "演练 EXERCISE " } else { "" }
}

pub(crate) async fn status(context: &Context, args: StatusArgs) -> Result<bool, Failure> {
    let store = context.standing_store().await?;
    if let Some(id) = args.id {
        let alert = store.alert(id.as_str()).await?.ok_or_else(|| format!("there is no alert {id}"))?;
        let channels = store.states(id.as_str()).await?;
        let planned = store.is_planned(id.as_str()).await?;
        let held = store.is_held(id.as_str()).await?;
        if context.json {
            println!("{}", json!({"alert": alert, "planned": planned, "held": held, "channels": channels}));
            return Ok(true);
        }
        println!("{} {} {}: {}{}", alert.id, alert.status, alert.msg_type, drill(&alert.status), alert.headline);
        let stopped = if held { ", stopped: what was still to come waits" } else { "" };
        println!("{}{stopped}{}", alert.state.as_str(), if planned { "" } else { ", audience not all planned" });
        if let Some(why) = standstill(&alert) {
            println!("{why}");
        }
        if let Some(newer) = &alert.superseded_by {
            println!("replaced by {newer}");
        }
        print!("\n{}", state_table(&channels));
        return Ok(true);
    }
    let alerts = store.alerts(None, args.n).await?;
    if context.json {
        println!("{}", json!({"alerts": alerts}));
        return Ok(true);
    }
    if alerts.is_empty() {
        println!("no alerts yet");
        return Ok(true);
    }
    let mut rows = vec![["id", "received +08", "state", "type", "headline"].map(str::to_owned).to_vec()];
    for alert in alerts {
        let state = match alert.superseded_by {
            Some(_) => "replaced",
            None if store.is_held(&alert.id).await? => "stopped",
            None => alert.state.as_str(),
        };
        let headline = format!("{}{}", drill(&alert.status), alert.headline);
        let received = beijing(alert.received_at).format("%m-%d %H:%M:%S").to_string();
        rows.push(vec![alert.id, received, state.into(), alert.msg_type, cut(&headline, 34)]);
    }
    print!("{}", table(&rows));
    Ok(true)
}
