//! The officers' office, asked over HTTP and at its desk: whose a decision is, what becomes of it, and what the pages tell of that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/bench.rs"]
mod bench;
mod duty;
mod ends;
mod levels;
mod pages;
mod people;
mod refused;
mod stages;
mod stop;
#[path = "../support/mod.rs"]
mod support;
mod terminal;

use chrono::{DateTime, FixedOffset, Utc};
use support::crew::Browser;

const SHIPPED: &str = include_str!("../../rules/delta.toml");

/// Geocodes of several counties, as `Cma` takes them.
fn codes(counties: &[&str]) -> String {
    counties.join("</value></geocode><geocode><valueName>GB/T 2260</valueName><value>")
}

/// A time as forms take it.
fn typed(at: DateTime<Utc>) -> String {
    let beijing = FixedOffset::east_opt(8 * 3_600).unwrap();
    at.with_timezone(&beijing).format("%Y-%m-%dT%H:%M:%S").to_string()
}

async fn posted(browser: &Browser, path: &str, form: &[(&str, &str)]) {
    let (status, page) = browser.post(path, form).await;
    assert_eq!(status, 303, "{path}: {page}");
}
