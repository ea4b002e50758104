//! What residents and everybody see, walked by a real browser: signing up, choosing, being told, leaving; and what arrives at their
//! phones and mailboxes meanwhile. Pictures of the way are kept in `target/screenshots/portal`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod fit;
mod journeys;
mod routes;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod tongues;
mod weight;

use support::{browser, mail};
