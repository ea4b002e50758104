use std::fmt;

use serde::{Deserialize, Serialize};

/// A region's code: GB/T 2260 (`310118`) on this map, whatever the GeoJSON file uses on another. At most 32 ASCII
/// letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegionCode(String);

/// A text that cannot be a region's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be a region code: use 1 to 32 ASCII letters, digits, `-`, `_` or `.`")]
pub struct BadRegionCode(String);

impl RegionCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RegionCode {
    type Error = BadRegionCode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if (1..=32).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text))
        } else {
            Err(BadRegionCode(text.chars().take(40).collect()))
        }
    }
}

impl std::str::FromStr for RegionCode {
    type Err = BadRegionCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<RegionCode> for String {
    fn from(code: RegionCode) -> Self {
        code.0
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What sort of region it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegionKind {
    /// The unit that audiences are counted in.
    County,
    /// A group of counties.
    Prefecture,
    /// A province or a municipality.
    Province,
    /// A piece of sea.
    Sea,
}

/// A piece of the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its code.
    pub code: RegionCode,
    /// Its name in the local language.
    pub name: String,
    /// Its name in English.
    pub name_en: String,
    /// What sort it is.
    pub kind: RegionKind,
    /// The region it belongs to.
    pub parent: Option<RegionCode>,
}
