//! Who sends to us, and is it healthy?

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::sources::Health;
use crate::store::SourceCount;
use crate::web::page::{Fault, Frame, Moment, clock, page};
use crate::web::session::SignedIn;
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::Live;

struct Row {
    name: String,
    seen: Option<Moment>,
    taken: u64,
    remarks: u64,
    refused: u64,
    regions: String,
}

/// A source that we go to ourselves.
struct Fetched {
    name: String,
    bureau: String,
    kind: &'static str,
    condition: &'static str,
    good: String,
    next: String,
    why: String,
}

struct Refused {
    at: String,
    bureau: String,
    code: String,
    why: String,
}

/// What went out and is not published.
struct Unpublished {
    alert: String,
    since: String,
    next: String,
    tries: i64,
    why: String,
}

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    frame: Frame,
    rows: Vec<Row>,
    fetched: Vec<Fetched>,
    refusals: Vec<Refused>,
    unpublished: Vec<Unpublished>,
    unsigned: Vec<String>,
}

pub(super) async fn show(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    let frame = Frame::of::<Live>(&session, "sources");
    let app = &site.app;
    let now = app.clock.now();
    let (counts, refusals) = match (app.store.sources().await, app.store.refusals(20).await) {
        (Ok(counts), Ok(refusals)) => (counts, refusals),
        (Err(error), _) | (_, Err(error)) => return Fault::from(error).show(&frame),
    };
    let health = match Health::all(&app.sources, &app.store, now).await {
        Ok(health) => health,
        Err(error) => return Fault::from(error).show(&frame),
    };
    let unpublished = match app.store.unpublished(None).await {
        Ok(all) => all.into_iter().map(|one| not_published(one, now)).collect(),
        Err(error) => return Fault::from(error).show(&frame),
    };
    let shown = app.press.shown();
    let unsigned = shown.board.in_force().into_iter().filter(|entry| entry.publication.unsigned);
    let unsigned = unsigned.map(|entry| entry.publication.alert.to_string()).collect();
    let language = frame.t.pick("zh", "en");
    let fetched = health.iter().map(|source| fetched(source, language, now)).collect();
    let policy = app.policy.load();
    let mut rows: Vec<Row> = policy
        .bureaus
        .iter()
        .map(|bureau| {
            let own = |code: &crate::regions::RegionCode| {
                policy
                    .map
                    .get(code)
                    .map_or_else(|| code.to_string(), |region| region.name_in(frame.t.language).to_owned())
            };
            let regions: Vec<_> = bureau.regions.iter().map(own).collect();
            let count = counts.iter().find(|count| count.bureau == bureau.name);
            row(&bureau.name, count, regions.join("、"), now, frame.t)
        })
        .collect();
    // Officers' own alerts, and bureaus that are no longer configured.
    let strange = counts.iter().filter(|count| !policy.bureaus.iter().any(|bureau| bureau.name == count.bureau));
    rows.extend(strange.map(|count| row(&count.bureau, Some(count), String::new(), now, frame.t)));
    let refusals = refusals
        .into_iter()
        .map(|(at, bureau, code, findings)| {
            let first = findings.get(0).and_then(|f| f.get(frame.t.pick("zh", "en"))).and_then(|text| text.as_str());
            Refused { at: clock(at, now), bureau, code, why: first.unwrap_or_default().to_owned() }
        })
        .collect();
    page(&SourcesPage { frame, rows, fetched, refusals, unpublished, unsigned })
}

fn fetched(source: &Health, language: &str, now: chrono::DateTime<chrono::Utc>) -> Fetched {
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| at.map_or_else(|| "—".to_owned(), |at| clock(at, now));
    let row = source.row.as_ref();
    Fetched {
        name: source.name.clone(),
        bureau: source.bureau.clone(),
        kind: source.kind,
        condition: source.condition.as_str(),
        good: time(row.and_then(|row| row.good_at)),
        next: time(row.and_then(|row| row.next_at)),
        why: source.why(language).unwrap_or_default(),
    }
}

fn not_published(one: crate::store::Unpublished, now: chrono::DateTime<chrono::Utc>) -> Unpublished {
    let (since, next) = (clock(one.since, now), clock(one.next_at, now));
    Unpublished { alert: one.alert, since, next, tries: one.tries, why: one.why }
}

fn row(name: &str, count: Option<&SourceCount>, regions: String, now: chrono::DateTime<chrono::Utc>, t: Words) -> Row {
    Row {
        name: name.to_owned(),
        seen: count.and_then(|count| count.seen).map(|at| Moment::new(at, now, t)),
        taken: count.map_or(0, |count| count.taken),
        remarks: count.map_or(0, |count| count.remarks),
        refused: count.map_or(0, |count| count.refused),
        regions,
    }
}
