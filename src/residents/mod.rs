//! Residents, devices and organisations, in and out of the store.

mod import;
mod simulate;

pub use import::{BadRow, ImportError, ImportReport, export, import};
pub use simulate::{Simulation, simulate};
