//! Sirens, loudspeakers and signs at a real broker: who may read and say what, what they are told, and what they say of themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod rights;
mod site;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod told;
mod watched;
