//! Organisations: schools, ports, ships, hauliers. Their contacts are residents with a duty: places, wishes, ladders and leaving
//! are theirs as everybody's. Their webhooks and their account at the broker are bounded by their regions.

mod import;
mod kinds;
mod register;
mod slug;
mod table;

pub use import::{COLUMNS, Imported};
pub use kinds::{Organisation, OrganisationKind};
pub use register::Organisations;
pub(crate) use register::{actor, counties, may};
pub use slug::{BadSlug, Slug};
pub(crate) use table::{Row, Table};

use crate::seal::SecretError;
use crate::store::StoreError;

/// Why something about organisations or devices is not done.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// No such organisation, contact, webhook or device.
    #[error("没有此项 / there is no such thing")]
    Unknown,
    /// Not theirs to do.
    #[error("您没有这项权限 / you may not do this")]
    NotYours,
    /// Something that was written; the text says what, in both languages.
    #[error("{0}")]
    Input(String),
    /// A secret cannot be made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeepError {
    pub(crate) fn input(text: impl std::fmt::Display) -> Self {
        Self::Input(text.to_string())
    }
}
