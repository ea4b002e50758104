//! Where: the map of regions, and an alert's areas turned into counties. Knows no clock, store or network.

mod region;

pub use region::{Region, RegionCode, RegionKind};

/// How a region came to be matched.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum How {
    /// A polygon covers it, whole or in part.
    Polygon,
    /// A circle covers it, whole or in part.
    Circle,
    /// A code names it, or a region above or below it.
    Geocode {
        /// The list's name as the alert wrote it.
        name: String,
        /// The code as the alert wrote it.
        value: String,
    },
    /// It lies on the coast of a sea area that is warned.
    Coast {
        /// The sea area.
        sea: RegionCode,
    },
    /// It borders a matched county, and the option to take neighbours in is on.
    Neighbour {
        /// The matched county.
        of: RegionCode,
    },
}

/// One matched region.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Match {
    /// The region.
    pub region: RegionCode,
    /// Every way in which it was matched.
    pub how: Vec<How>,
    /// Share of its surface that the alert's areas cover, 0 to 1; 1 for a code that names it or a region above it, 0 for
    /// coast and neighbours.
    pub covered: f64,
}

/// What an alert's areas turned into. Lists are sorted by code.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Located {
    /// Matched counties.
    pub counties: Vec<Match>,
    /// Matched sea areas.
    pub sea_areas: Vec<Match>,
    /// Codes of a list that is known here which name no region of the map, as `(list, code)`.
    pub unknown: Vec<(String, String)>,
}
