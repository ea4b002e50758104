//! Every stage of an alert with its time: written, received, called, taken, reviewed, signed, released, first and last message, and
//! what officers did about it then.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

use crate::app::App;
use crate::record::Line;
use crate::store::StoreError;
use crate::web::page::{Fault, Frame, beijing, clock, span};
use crate::web::session::SignedIn;
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::World;

/// One stage, as the chart shows it.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) who: String,
    pub(super) at: String,
    pub(super) after: String,
    pub(super) begin: i64,
    pub(super) width: i64,
}

/// A stage's moment.
struct Moment {
    what: String,
    who: String,
    at: DateTime<Utc>,
}

async fn moments(app: &App, alert: &str, words: Words) -> Result<Vec<Moment>, StoreError> {
    let (mut found, mut drafts) = (Vec::new(), Vec::new());
    let about_alert = |line: Line| {
        drafts.extend((line.kind == "draft.submit").then(|| draft(&line)));
        found.extend(moment(app, &line, words).map(|moment| (line.seq, moment)));
    };
    app.store.record_about(alert, about_alert).await?;
    // What was written here began as a draft, which has lines of its own.
    for subject in drafts {
        let about_draft = |line: Line| found.extend(moment(app, &line, words).map(|moment| (line.seq, moment)));
        app.store.record_about(&subject, about_draft).await?;
    }
    // In the order of the record, also where two lines are of one millisecond.
    found.sort_by_key(|(seq, _)| *seq);
    let mut found: Vec<Moment> = found.into_iter().map(|(_, moment)| moment).collect();
    for (jurisdiction, first, last) in app.store.send_times(alert).await? {
        let who = place(app, jurisdiction.as_deref(), words);
        found.push(Moment { what: words.s("first message").to_owned(), who: who.clone(), at: first });
        found.push(Moment { what: words.s("last message so far").to_owned(), who, at: last });
    }
    found.sort_by_key(|moment| moment.at);
    Ok(found)
}

/// The draft that was submitted, as lines name it.
fn draft(line: &Line) -> String {
    let detail: serde_json::Value = serde_json::from_str(&line.detail).unwrap_or_default();
    detail["draft"].as_str().unwrap_or_default().to_owned()
}

fn moment(app: &App, line: &Line, words: Words) -> Option<Moment> {
    let detail: serde_json::Value = serde_json::from_str(&line.detail).unwrap_or_default();
    let what = stage(&line.kind, &detail, words)?;
    let place = place(app, detail["jurisdiction"].as_str(), words);
    let who = if line.actor == "tocsin" { place } else { format!("{} {place}", line.actor).trim().to_owned() };
    Some(Moment { what: what.to_owned(), who, at: line.at })
}

/// A line's stage in words; None for what is no step of the alert, such as a look at who was missed.
pub(super) fn stage(kind: &str, detail: &serde_json::Value, words: Words) -> Option<&'static str> {
    Some(match kind {
        "draft.save" => words.s("draft saved"),
        "draft.submit" => words.s("submitted"),
        "alert.accept" => words.s("received, decided on"),
        "escalation.begin" => words.s("escalated"),
        "page" => words.s("officers called"),
        "escalation.take" => words.s("taken"),
        "escalation.approve" if detail["said"]["stage"] == "review" => words.s("reviewed"),
        "escalation.approve" => words.s("signed"),
        "escalation.return" => words.s("returned"),
        "escalation.amend" => words.s("changed"),
        "escalation.split" => words.s("split"),
        "escalation.reject" => words.s("rejected"),
        "escalation.withdraw" => words.s("withdrawn"),
        "escalation.replaced" => words.s("replaced"),
        "escalation.deadline" => words.s("deadline passed"),
        "release" => words.s("released"),
        "release.failed" => words.s("approved, and its messages could not be made"),
        "release.stop" => words.s("stopped"),
        "release.resume" => words.s("let go on"),
        "release.resend" => words.s("sent again to those missed"),
        "release.correct" => words.s("corrected"),
        _ => return None,
    })
}

fn place(app: &App, code: Option<&str>, words: Words) -> String {
    let policy = app.policy.load();
    let region = code.and_then(|code| code.parse().ok()).and_then(|code| policy.map.get(&code).cloned());
    region.map(|region| region.name_in(words.language).to_owned()).unwrap_or_default()
}

/// The rows of the chart.
pub(super) async fn rows(app: &App, alert: &str, words: Words) -> Result<Vec<Row>, StoreError> {
    let moments = moments(app, alert, words).await?;
    let now = app.clock.now();
    let (Some(first), Some(last)) = (moments.first().map(|m| m.at), moments.last().map(|m| m.at)) else {
        return Ok(Vec::new());
    };
    let whole = (last - first).num_milliseconds().max(1);
    let mut before = first;
    let mut rows = Vec::with_capacity(moments.len());
    for moment in moments {
        let begin = (before - first).num_milliseconds() * 100 / whole;
        let end = (moment.at - first).num_milliseconds() * 100 / whole;
        rows.push(Row {
            what: moment.what,
            who: moment.who,
            at: clock(moment.at, now),
            after: span((moment.at - first).num_seconds(), words),
            begin,
            width: (end - begin).max(1),
        });
        before = moment.at;
    }
    Ok(rows)
}

/// The same for a spreadsheet, in milliseconds.
pub(super) async fn csv<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Path(id): Path<String>,
) -> Response {
    let frame = Frame::of::<W>(&session, "");
    let known = match site.app.store.alert(&id).await {
        Ok(row) => row.is_some_and(|row| row.status == W::STATUS.as_str()),
        Err(error) => return Fault::from(error).show(&frame),
    };
    if !known {
        return Fault::Unknown.show(&frame);
    }
    match moments(&site.app, &id, frame.t).await {
        Ok(moments) => {
            let mut out = csv::Writer::from_writer(Vec::new());
            let mut lines = vec![["stage".to_owned(), "who".into(), "at".into(), "after_ms".into()]];
            let first = moments.first().map(|moment| moment.at);
            lines.extend(moments.into_iter().map(|m| {
                let after = first.map_or(0, |first| (m.at - first).num_milliseconds());
                [m.what, super::record::harmless(&m.who), beijing(m.at).to_rfc3339(), after.to_string()]
            }));
            for line in lines {
                // A Vec takes every line.
                let _ = out.write_record(line);
            }
            let body = out.into_inner().unwrap_or_default();
            ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], body).into_response()
        }
        Err(error) => Fault::from(error).show(&frame),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::messages::Language;

    /// Every kind of line that the sources of these rooms write.
    fn recorded() -> BTreeSet<String> {
        fn read(path: &Path, all: &mut String) {
            if path.is_dir() {
                std::fs::read_dir(path).unwrap().for_each(|entry| read(&entry.unwrap().path(), all));
            } else {
                all.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
        let mut all = String::new();
        for room in ["approval", "intake", "store/escalations.rs", "web/console/compose.rs"] {
            read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room), &mut all);
        }
        let begins = ["draft.", "alert.accept", "escalation.", "release."];
        let of_alerts = |text: &&str| {
            begins.iter().any(|begin| text.starts_with(begin))
                && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'.')
        };
        all.split('"').filter(of_alerts).chain(["release", "page"]).map(str::to_owned).collect()
    }

    #[test]
    fn every_kind_of_line_about_an_alert_has_a_stage() {
        // To oneself, about no alert yet.
        let apart = ["draft.mail"];
        let kinds = recorded();
        assert!(kinds.len() >= 18, "{kinds:?}");
        for kind in kinds.iter().filter(|kind| !apart.contains(&kind.as_str())) {
            for language in [Language::Chinese, Language::English] {
                assert!(stage(kind, &serde_json::Value::Null, Words::from(language)).is_some(), "{kind} has no row");
            }
        }
        assert_eq!(stage("person.view", &serde_json::Value::Null, Words::from(Language::English)), None);
    }
}
