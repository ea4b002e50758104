//! How officers come in and stay in, and what of the configuration waits for an administrator.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod house;
mod links;
mod organisation;
mod sessions;
mod settings;
#[path = "../support/mod.rs"]
mod support;
