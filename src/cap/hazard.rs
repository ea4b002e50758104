//! What China's dialect says beside CAP: the hazard's kind and the level's colour.

use serde::{Deserialize, Serialize};

/// The level's colour, gravest first. GB/T 35965: I red to IV blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Level I, Extreme.
    Red,
    /// Level II, Severe.
    Orange,
    /// Level III, Moderate.
    Yellow,
    /// Level IV, Minor.
    Blue,
}

/// A kind of danger, known by its slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hazard {
    /// 台风
    Typhoon,
    /// Anything that no list here names.
    Other,
}
