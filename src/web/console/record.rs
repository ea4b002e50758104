//! Who did what, when.

mod said;
mod values;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::app::App;
use crate::officers::Role;
pub(super) use crate::record::harmless;
use crate::record::{Chain, Line};
use crate::staff::Session;
use crate::store::{RecordFilter, StoreError};
use crate::web::page::{Fault, Frame, clock, page};
use crate::web::session::SignedIn;
use crate::web::site::Site;
use crate::world::Live;

/// Lines of a page.
const PAGE: usize = 100;
/// Letters of a fact; the export has all.
const MOST: usize = 400;
/// Lines that a page walks to see whether the chain is whole; `tocsin audit verify` walks them all.
const WALK: i64 = 2_000;

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    kind: String,
    before: Option<i64>,
}

struct Row {
    seq: i64,
    at: String,
    actor: String,
    /// In words; empty for what an older program wrote.
    what: &'static str,
    kind: String,
    subject: String,
    /// Each with its name.
    facts: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    frame: Frame,
    subject: String,
    actor: String,
    kind: String,
    /// All of it is given to this reader's own tools.
    may_export: bool,
    /// Others' lines are hidden from this reader.
    own_only: bool,
    rows: Vec<Row>,
    older: i64,
    lines: i64,
    /// What is broken; empty when nothing is.
    whole: String,
}

pub(super) async fn show(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Query(wanted): Query<Wanted>,
) -> Response {
    let frame = Frame::of::<Live>(&session, "record");
    let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    // Auditors of everywhere read everything; others what concerns an alert, or themselves.
    let grants = &session.officer.grants;
    let auditor = grants.everywhere(Role::Auditor) || grants.everywhere(Role::Administrator);
    let mut filter = RecordFilter {
        subject: some(&wanted.subject),
        actor: some(&wanted.actor),
        kind: some(&wanted.kind),
        before: wanted.before,
    };
    let of_alert = match &filter.subject {
        Some(subject) => site.app.store.alert(subject).await.is_ok_and(|found| found.is_some()),
        None => false,
    };
    let own_only = !auditor && !of_alert;
    if own_only {
        filter.actor = Some(session.officer.login.to_string());
    }
    let app = &site.app;
    let found = async {
        let whole = broken(app).await?.map(|why| {
            let (zh, en) = why.split_once(" / ").unwrap_or((&why, &why));
            frame.t.pick(zh, en).to_owned()
        });
        Ok::<_, StoreError>((
            app.store.record_lines(&filter, PAGE as i64).await?,
            app.store.record_count().await?,
            whole,
        ))
    };
    match found.await {
        Ok((found, lines, whole)) => {
            let now = app.clock.now();
            let older = found.get(PAGE - 1).map_or(0, |line| line.seq);
            let policy = app.policy.load();
            let reader = said::Reader { map: &policy.map, now, t: frame.t };
            let rows = found.into_iter().map(|line| {
                let detail = serde_json::from_str(&line.detail).unwrap_or_default();
                let mut facts = reader.facts(&detail);
                facts.iter_mut().for_each(|(_, text)| *text = text.chars().take(MOST).collect());
                Row {
                    seq: line.seq,
                    at: clock(line.at, now),
                    actor: line.actor,
                    what: said::done(&line.kind, &detail, frame.t).unwrap_or(""),
                    kind: line.kind,
                    subject: line.subject,
                    facts,
                }
            });
            let (subject, actor, kind) = (wanted.subject, wanted.actor, wanted.kind);
            page(&RecordPage {
                rows: rows.collect(),
                subject,
                actor,
                kind,
                may_export: may_export(&session),
                own_only,
                older,
                lines,
                whole: whole.unwrap_or_default(),
                frame,
            })
        }
        Err(error) => Fault::from(error).show(&frame),
    }
}

/// What is broken in the newest part of the chain.
async fn broken(app: &App) -> Result<Option<String>, StoreError> {
    let written = app.store.record_count().await?;
    let from = (written - WALK).max(1);
    let lines = app.store.record_from(from, WALK + 1).await?;
    let mut chain = match (from, lines.first()) {
        (1, _) => Chain::new(None),
        (_, Some(first)) => Chain::after(first),
        (_, None) => return Ok(Some(crate::record::Broken::Missing(from).to_string())),
    };
    let skip = usize::from(from > 1);
    let walked = lines.iter().skip(skip).try_for_each(|line| chain.follow(line));
    // Lines may have been added since the count was read.
    Ok(walked.and_then(|()| chain.end_at_least(written)).err().map(|why| why.to_string()))
}

/// The whole record goes to auditors of everywhere alone.
fn may_export(session: &Session) -> bool {
    session.officer.grants.everywhere(Role::Auditor)
}

/// Everything, for an auditor's own tools.
pub(super) async fn export(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    let frame = Frame::of::<Live>(&session, "record");
    if !may_export(&session) {
        return Fault::NotYours.show(&frame);
    }
    let store = &site.app.store;
    let mut out = csv::Writer::from_writer(Vec::new());
    // A Vec takes every line.
    let _ = out.write_record(Line::HEAD);
    let mut next = 1;
    loop {
        match store.record_from(next, 5_000).await {
            Ok(lines) if lines.is_empty() => break,
            Ok(lines) => {
                next = lines.last().map_or(next, |line| line.seq + 1);
                lines.iter().for_each(|line| drop(out.write_record(line.cells())));
            }
            Err(error) => return Fault::from(error).show(&frame),
        }
    }
    let body = out.into_inner().unwrap_or_default();
    let name = "attachment; filename=\"tocsin-record.csv\"";
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)], body).into_response()
}
