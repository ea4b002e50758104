//! Residents, devices and organisations: their addresses, in and out of the store.

mod address;
mod import;
mod simulate;

pub use address::{Address, AddressError, mask};
pub use import::{BadRow, ImportError, ImportReport, export, import};
pub use simulate::{Simulation, simulate};
