//! Who reads along: webhooks and WIS2, how far behind each is, and what it said last. Only to look at: config.toml names them.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};

use crate::store::OutletCount;
use crate::web::page::{Fault, Frame, clock, page, span};
use crate::web::session::SignedIn;
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::Live;

struct Row {
    name: String,
    address: String,
    waiting: i64,
    done: i64,
    given_up: i64,
    behind: String,
    failed: String,
}

#[derive(Template)]
#[template(path = "outlets.html")]
struct OutletsPage {
    frame: Frame,
    rows: Vec<Row>,
}

pub(super) async fn show(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    let frame = Frame::of::<Live>(&session, "outlets");
    let app = &site.app;
    let counts = match app.store.outlets().await {
        Ok(counts) => counts,
        Err(error) => return Fault::from(error).show(&frame),
    };
    let now = app.clock.now();
    let address = |outlet: &str| app.receivers.iter().find(|(name, _)| name == outlet).map(|(_, url)| masked(url));
    let mut rows: Vec<Row> = counts
        .iter()
        .map(|count| {
            let gone = || frame.t.s("no longer set up").to_owned();
            row(count, address(&count.outlet).unwrap_or_else(gone), frame.t, now)
        })
        .collect();
    // Nothing was published yet since these are set up.
    let fresh = app.receivers.iter().filter(|(name, _)| !counts.iter().any(|count| count.outlet == *name));
    rows.extend(fresh.map(|(name, url)| {
        let none = OutletCount { outlet: name.clone(), waiting: 0, done: 0, given_up: 0, oldest: None, failed: None };
        row(&none, masked(url), frame.t, now)
    }));
    page(&OutletsPage { rows, frame })
}

fn row(count: &OutletCount, address: String, words: Words, now: DateTime<Utc>) -> Row {
    Row {
        name: count.outlet.strip_prefix("webhook/").unwrap_or(&count.outlet).to_owned(),
        address,
        waiting: count.waiting,
        done: count.done,
        given_up: count.given_up,
        behind: count.oldest.map_or_else(|| "—".to_owned(), |at| span((now - at).num_seconds(), words)),
        failed: count
            .failed
            .as_ref()
            .map_or_else(|| "—".to_owned(), |(at, said)| format!("{} {said}", clock(*at, now))),
    }
}

/// An address without what may be a secret in it: who it is, not where exactly.
fn masked(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = place.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/…")
        }
        None => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let shown = masked("https://user:word@hooks.example:8443/services/T0/B1?key=abc#x");
        assert_eq!(shown, "https://hooks.example:8443/…");
        assert_eq!(masked("https://hooks.example?key=abc"), "https://hooks.example/…");
        assert_eq!(masked("nonsense"), "…");
    }
}
