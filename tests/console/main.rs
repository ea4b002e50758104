//! The officers' console, walked by a real browser: what officers see and do, and what then comes out at the other end.
//! Pictures of the way are kept in `target/screenshots/console`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod journeys;
mod officers;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use support::browser;
