//! Accounts at the MQTT broker. Tocsin is no broker: it keeps mosquitto's password and ACL files as its own store says, hashes
//! only. Why files: `docs/adr/0006-broker-accounts-in-files.md`.

mod files;
mod hash;
mod keep;
mod rights;

pub use files::{Written, write};
pub(crate) use hash::hash;
pub(crate) use keep::keep;
pub use keep::{BrokerError, account_files};
pub(crate) use rights::{device_account, organisation_account};
