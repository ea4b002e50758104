//! Durable fan-out: a release becomes chunks, workers send them window by window, and every recipient ends in one state.
//!
//! [`Engine`] starts everything: two planners (urgent lanes, the rest), one feeder per provider with its workers, and the
//! janitor that ends what can no longer be sent. They meet in the store; wake-ups only save waiting.

mod breaker;
mod elsewhere;
mod engine;
mod feeder;
mod janitor;
mod ladder;
mod pace;
mod plan;
mod residents;
mod worker;

#[cfg(test)]
mod gone_tests;
#[cfg(test)]
mod grazed_tests;
#[cfg(test)]
mod ladder_tests;
#[cfg(test)]
mod resident_tests;
#[cfg(test)]
mod resumed_tests;
#[cfg(test)]
mod test_world;
#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineOptions, Lamp, Provider, WaysOut};
pub use pace::Rate;
