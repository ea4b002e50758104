use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Slug;
use crate::cap::Colour;
use crate::regions::RegionCode;

/// What sort of organisation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrganisationKind {
    /// A school or kindergarten.
    School,
    /// A port or terminal.
    Port,
    /// A ship, or somebody's ships.
    Ship,
    /// Lorries, coaches, trains.
    Haulier,
    /// A hospital or home.
    Hospital,
    /// Anything else.
    Other,
}

impl OrganisationKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::School, Self::Port, Self::Ship, Self::Haulier, Self::Hospital, Self::Other];

    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::Port => "port",
            Self::Ship => "ship",
            Self::Haulier => "haulier",
            Self::Hospital => "hospital",
            Self::Other => "other",
        }
    }

    /// The kind of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Organisation {
    /// Its code: `yangshan-port`.
    pub code: Slug,
    /// Its name.
    pub name: String,
    /// What sort it is.
    pub kind: OrganisationKind,
    /// Where it is: counties, prefectures, provinces, sea areas.
    pub regions: Vec<RegionCode>,
    /// The lowest level that it wants to hear of.
    pub lowest: Colour,
    /// Since when it is on record.
    pub created_at: DateTime<Utc>,
}
