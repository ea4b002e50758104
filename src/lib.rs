//! Tocsin: a multi-channel early-warning alert broadcaster.
//!
//! The data walks one way: intake → regions → rules → approval → dispatch → channels → the world.
//! `ARCHITECTURE.md` is the map.
#![forbid(unsafe_code)]

pub mod cap;
pub mod clock;
pub mod delivery;
pub mod demo;
pub mod dispatch;
pub mod messages;
pub mod regions;
pub mod residents;
pub mod rules;
pub mod store;
