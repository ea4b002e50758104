//! The main job, shown: sinks, made-up residents, and a typhoon of 2022 replayed as a drill.

mod map;
mod report;
mod run;
mod scenario;
mod stage;

pub use map::{Shade, svg, terminal};
pub use run::{Args, run};
pub use scenario::Scenario;
