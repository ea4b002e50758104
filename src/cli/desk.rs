//! What officers do without a browser: the same rights, the same proofs, the same record.

use chrono::{DateTime, FixedOffset};
use serde_json::{Value, json};

use super::Context;
use super::client::{Answer, Server};
use crate::cap::AlertId;
use crate::regions::RegionCode;
use crate::show::{Failure, beijing, cut, table};

/// An escalation as somebody saw it: `7` as it came, `7.2` after two changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    id: i64,
    revision: u32,
}

impl std::str::FromStr for Seen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, revision) = text.split_once('.').unwrap_or((text, "0"));
        match (id.parse(), revision.parse()) {
            (Ok(id), Ok(revision)) => Ok(Self { id, revision }),
            _ => Err("an ID as `tocsin queue` shows it: 7, or 7.2 after two changes".into()),
        }
    }
}

/// Where, as whom, in which world.
#[derive(clap::Args)]
pub(crate) struct At {
    /// In the exercise, not the live world.
    #[arg(long)]
    exercise: bool,
    #[command(flatten)]
    server: Server,
}

impl At {
    async fn post(&self, context: &Context, path: &str, body: &Value) -> Result<Answer, Failure> {
        let world = if self.exercise { "?exercise=true" } else { "" };
        let body = body.to_string().into_bytes();
        self.server.post(context, &format!("/api/v1/{path}{world}"), "application/json", body).await
    }
}

/// Show what waits for officers, most urgent first.
#[derive(clap::Args)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    at: At,
}

/// Say yes to what waits.
#[derive(clap::Args)]
pub(crate) struct ApproveArgs {
    /// As the queue shows it: 7, or 7.2 after two changes.
    id: Seen,
    /// What is still missing where left out.
    #[arg(long, value_parser = ["review", "sign"])]
    stage: Option<String>,
    /// The jurisdiction's name, in Chinese or English; 演练 in an exercise.
    #[arg(long, value_name = "WORD")]
    confirm: String,
    /// The code of your authenticator, now.
    #[arg(long)]
    code: String,
    #[command(flatten)]
    at: At,
}

/// Say that you look at it: its step lasts once more.
#[derive(clap::Args)]
pub(crate) struct TakeArgs {
    /// As the queue shows it.
    id: Seen,
    #[command(flatten)]
    at: At,
}

/// Give it back, refuse it, or take it back.
#[derive(clap::Args)]
pub(crate) struct JudgeArgs {
    /// As the queue shows it.
    id: Seen,
    /// Why; it goes on record.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    at: At,
}

/// Change its end, its area or its words; approval begins anew.
#[derive(clap::Args)]
pub(crate) struct AmendArgs {
    /// As the queue shows it.
    id: Seen,
    /// Why; it goes on record.
    #[arg(long)]
    reason: String,
    /// Another end, not after the alert's own: 2026-07-01T20:00:00+08:00.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<FixedOffset>>,
    /// The counties that stay; all where left out.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    keep: Vec<RegionCode>,
    /// The language of the words that follow.
    #[arg(long, value_parser = ["zh-CN", "en"], default_value = "zh-CN")]
    language: String,
    /// Another headline.
    #[arg(long)]
    headline: Option<String>,
    /// Another description.
    #[arg(long)]
    description: Option<String>,
    /// Other advice.
    #[arg(long)]
    instruction: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Let some counties be decided apart.
#[derive(clap::Args)]
pub(crate) struct SplitArgs {
    /// As the queue shows it.
    id: Seen,
    /// The counties to take out: 310118,310120.
    #[arg(required = true, value_name = "CODES", value_delimiter = ',')]
    regions: Vec<RegionCode>,
    #[command(flatten)]
    at: At,
}

/// Stop what waits of an alert that goes out.
#[derive(clap::Args)]
pub(crate) struct StopArgs {
    /// The alert.
    alert: AlertId,
    /// Why; it goes on record.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    at: At,
}

/// Let a stopped alert go on.
#[derive(clap::Args)]
pub(crate) struct ResumeArgs {
    /// The alert.
    alert: AlertId,
    /// Why; it goes on record.
    #[arg(long)]
    reason: String,
    /// The code of your authenticator, now.
    #[arg(long)]
    code: String,
    #[command(flatten)]
    at: At,
}

/// Tell those who were told that it was wrong, and stop the rest for good.
#[derive(clap::Args)]
pub(crate) struct CorrectArgs {
    /// The alert.
    alert: AlertId,
    /// What to say, in Chinese.
    #[arg(long)]
    zh: String,
    /// What to say, in English.
    #[arg(long)]
    en: String,
    /// 更正 or CORRECT; 演练 in an exercise.
    #[arg(long, value_name = "WORD")]
    confirm: String,
    /// The code of your authenticator, now.
    #[arg(long)]
    code: String,
    #[command(flatten)]
    at: At,
}

pub(crate) async fn queue(context: &Context, args: QueueArgs) -> Result<bool, Failure> {
    let world = if args.at.exercise { "?exercise=true" } else { "" };
    let answer = args.at.server.get(context, &format!("/api/v1/queue{world}")).await?;
    if context.json || !answer.well {
        return Ok(told(context, &answer, String::new));
    }
    match answer.body.get("queue").and_then(Value::as_array).map(Vec::as_slice) {
        None | Some([]) => println!("nothing waits"),
        Some(items) => print!("{}", listed(items)),
    }
    Ok(true)
}

/// The queue: a line of the table for each, and one below it with where and what; 80 columns at most.
fn listed(items: &[Value]) -> String {
    let head = ["id", "level", "for", "waits for", "due +08", "alert"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(items.iter().map(row)).collect();
    let below = std::iter::once(String::new()).chain(items.iter().map(|item| format!("    {}\n", what(item))));
    table(&rows).lines().zip(below).map(|(line, below)| format!("{line}\n{below}")).collect()
}

/// Some of its counties, and its headline.
fn what(item: &Value) -> String {
    let first: Vec<_> = (item.get("first_counties").and_then(Value::as_array).into_iter().flatten())
        .filter_map(|county| county.get("name")?.as_str())
        .collect();
    let all = item.get("counties").and_then(Value::as_u64).unwrap_or_default();
    let more = match all.saturating_sub(first.len() as u64) {
        0 => String::new(),
        more => format!(" +{more}"),
    };
    let headline = item.get("headline").and_then(Value::as_str).unwrap_or_default();
    // An end of something has no counties of its own.
    let gap = if all > 0 { " · " } else { "" };
    cut(&format!("{}{more}{gap}{headline}", first.join("、")), 74)
}

/// A line of the table.
fn row(item: &Value) -> Vec<String> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| item.get(name).and_then(Value::as_i64).unwrap_or_default();
    let id = match number("revision") {
        0 => number("id").to_string(),
        revision => format!("{}.{revision}", number("id")),
    };
    let missing: Vec<_> =
        item.get("missing").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let waits = if text("state") == "waiting" { missing.join("+") } else { text("state").to_owned() };
    let due = match (item.get("overdue"), chrono::DateTime::parse_from_rfc3339(text("due"))) {
        (Some(Value::Bool(true)), _) => "overdue".to_owned(),
        (_, Ok(due)) => beijing(due.to_utc()).format("%H:%M:%S").to_string(),
        _ => "-".to_owned(),
    };
    let level = match text("msg_type") {
        "Cancel" => "all clear".to_owned(),
        _ => format!("{} {}", text("severity"), text("colour")),
    };
    vec![id, level, cut(text("place"), 10), waits, due, text("alert").to_owned()]
}

pub(crate) async fn approve(context: &Context, args: ApproveArgs) -> Result<bool, Failure> {
    let said = json!({"seen": args.id.revision, "stage": args.stage, "confirm": args.confirm, "code": args.code});
    act(context, &args.at, args.id, "approve", &said).await
}

pub(crate) async fn take(context: &Context, args: TakeArgs) -> Result<bool, Failure> {
    act(context, &args.at, args.id, "take", &json!({"seen": args.id.revision})).await
}

/// `what`: return, reject or withdraw.
pub(crate) async fn judge(context: &Context, args: JudgeArgs, what: &'static str) -> Result<bool, Failure> {
    act(context, &args.at, args.id, what, &json!({"seen": args.id.revision, "reason": args.reason})).await
}

pub(crate) async fn amend(context: &Context, args: AmendArgs) -> Result<bool, Failure> {
    let AmendArgs { id, reason, until, keep, language, headline, description, instruction, at } = args;
    let mut said = json!({"seen": id.revision, "reason": reason, "expires": until, "regions": keep});
    if headline.is_some() || description.is_some() || instruction.is_some() {
        let words = json!({"headline": headline, "description": description, "instruction": instruction});
        said["words"] = json!({language: words});
    }
    act(context, &at, id, "amend", &said).await
}

pub(crate) async fn split(context: &Context, args: SplitArgs) -> Result<bool, Failure> {
    let said = json!({"seen": args.id.revision, "regions": args.regions});
    act(context, &args.at, args.id, "split", &said).await
}

async fn act(context: &Context, at: &At, seen: Seen, what: &str, said: &Value) -> Result<bool, Failure> {
    let answer = at.post(context, &format!("escalations/{}/{what}", seen.id), said).await?;
    Ok(told(context, &answer, || {
        let missing = answer.body.get("missing").and_then(Value::as_array).into_iter().flatten();
        let missing: Vec<_> = missing.filter_map(Value::as_str).collect();
        let waits = answer.text("state") == "waiting";
        let missing = if waits { format!(" for: {}", missing.join(", ")) } else { String::new() };
        let part = answer
            .body
            .get("new")
            .map_or_else(String::new, |new| format!("; taken out as {new}.{}", seen.revision + 1));
        format!("{} of alert {}: {}{missing}{part}", seen.id, answer.text("alert"), answer.text("state"))
    }))
}

pub(crate) async fn stop(context: &Context, args: StopArgs) -> Result<bool, Failure> {
    let answer = args.at.post(context, &format!("alerts/{}/stop", args.alert), &json!({"reason": args.reason})).await?;
    Ok(told(context, &answer, || format!("{} stopped; releases: {}", args.alert, answer.body["stopped"])))
}

pub(crate) async fn resume(context: &Context, args: ResumeArgs) -> Result<bool, Failure> {
    let said = json!({"reason": args.reason, "code": args.code});
    let answer = args.at.post(context, &format!("alerts/{}/resume", args.alert), &said).await?;
    Ok(told(context, &answer, || format!("{} goes on; releases: {}", args.alert, answer.body["resumed"])))
}

pub(crate) async fn correct(context: &Context, args: CorrectArgs) -> Result<bool, Failure> {
    let said = json!({"zh": args.zh, "en": args.en, "confirm": args.confirm, "code": args.code});
    let answer = args.at.post(context, &format!("alerts/{}/correct", args.alert), &said).await?;
    Ok(told(context, &answer, || format!("{} corrected by {}", args.alert, answer.text("correction"))))
}

/// Shows an answer; whether it was a yes.
fn told(context: &Context, answer: &Answer, done: impl FnOnce() -> String) -> bool {
    match (context.json, answer.well) {
        (true, _) => println!("{}", answer.body),
        (false, true) => println!("{}", done()),
        (false, false) => println!("{}", answer.refusal()),
    }
    answer.well
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_which_words_were_seen() {
        assert_eq!("7".parse(), Ok(Seen { id: 7, revision: 0 }));
        assert_eq!("7.2".parse(), Ok(Seen { id: 7, revision: 2 }));
        for bad in ["", "a", "7.", ".2", "7.-1", "7.2.3"] {
            assert!(bad.parse::<Seen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_queue_fits_a_terminal_of_80_columns() {
        let names = ["积石山保安族东乡族撒拉族自治县", "奉贤区", "嘉善县"].map(|name| json!({"name": name}));
        let wide = json!({
            "id": 1234, "revision": 12, "alert": "iiy2dbmbn4goujde", "msg_type": "Update", "severity": "Moderate",
            "colour": "yellow", "place": "浙江省嘉兴市嘉善县", "state": "waiting", "missing": ["review", "sign"],
            "due": "2026-07-01T00:00:00Z", "overdue": false, "counties": 12, "first_counties": names,
            "headline": "上海中心气象台发布台风红色预警信号，请注意防范，远离江河湖海",
        });
        let end = json!({
            "id": 7, "revision": 0, "alert": "aaaabbbbccccdddd", "msg_type": "Cancel", "severity": "Extreme",
            "colour": "red", "place": "上海市", "state": "returned", "missing": [], "overdue": true, "counties": 0,
            "first_counties": [], "headline": "台风红色预警解除",
        });
        let shown = listed(&[wide, end]);
        for line in shown.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
        }
        let expected = [
            "     id  level            for          waits for    due +08   alert",
            "1234.12  Moderate yellow  浙江省嘉兴…  review+sign  08:00:00  iiy2dbmbn4goujde",
            "    积石山保安族东乡族撒拉族自治县、奉贤区、嘉善县 +9 · 上海中心气象台发布台风…",
            "      7  all clear        上海市       returned     overdue   aaaabbbbccccdddd",
            "    台风红色预警解除",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    }
}
