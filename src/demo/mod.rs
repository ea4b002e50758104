//! The main job, shown: sinks, made-up residents, and a typhoon of 2022 replayed as a drill.

mod scenario;

pub use scenario::Scenario;
