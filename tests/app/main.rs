//! The residents' app in real browsers: Firefox gets its pushes from a push service that speaks the browser's own protocol; chromium
//! installs the app and opens it without a network. Pictures of the way are kept in `target/screenshots/app`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod delivery;
mod doors;
mod drill;
mod firefox;
mod keyboard;
mod offline;
mod stage;
mod subscription;
#[path = "../support/mod.rs"]
mod support;
mod worker;
