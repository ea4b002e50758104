//! Devices: sirens, loudspeakers, signs. Each is a subscriber with one place, told by MQTT as people are told by their channels; here
//! is what it says of itself: that it lives, and what it has played.

mod hear;
mod import;
mod kinds;
mod listener;
mod presence;
mod registry;
mod said;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use import::point;
pub use import::{COLUMNS, Imported};
pub use kinds::{Device, DeviceKind};
pub(crate) use listener::{Counts, listen};
pub use presence::{Presence, PresenceRule};
pub use registry::Devices;
pub(crate) use watch::watch;
