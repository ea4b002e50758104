//! Tocsin: a multi-channel early-warning alert broadcaster.
//!
//! The data walks one way: intake → regions → rules → approval → dispatch → channels → the world. `ARCHITECTURE.md` is the map.
#![forbid(unsafe_code)]

pub mod app;
pub mod approval;
pub mod broker;
pub mod cap;
pub mod chains;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod demo;
pub mod devices;
pub mod dispatch;
pub mod grave;
mod housekeeping;
pub mod intake;
mod lines;
pub mod messages;
pub mod officers;
pub mod oidc;
pub mod organisations;
pub mod outlet;
#[cfg(feature = "passkeys")]
pub mod passkeys;
pub mod policy;
pub mod publish;
pub mod record;
pub mod regions;
pub mod residents;
pub mod rules;
pub mod seal;
mod show;
pub mod sources;
pub mod staff;
pub mod store;
mod tongues;
pub mod web;
pub mod world;

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
