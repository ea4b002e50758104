//! Who is told of what is published: webhooks and WIS2.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/mod.rs"]
mod support;
mod webhooks;
mod wis2;
