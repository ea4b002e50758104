//! Where: the map of regions, and an alert's areas turned into counties. Knows no clock, store or network.
//!
//! [`RegionMap`] knows the regions of one map; [`RegionMap::locate`] says which of them an alert means.

mod codes;
mod cover;
mod disc;
mod error;
mod files;
mod footprint;
mod geojson;
mod ground;
mod load;
mod locate;
mod map;
mod names;
mod outline;
mod overlap;
mod region;
mod ring;
mod spans;
mod tables;

pub use codes::{CodeList, Codes, Reading};
pub use error::{FeatureFault, RegionError};
pub use files::{MapFiles, Properties};
pub use footprint::Footprint;
pub use ground::{Ground, Meant};
pub use locate::{LocateOptions, TooMuch};
pub use map::RegionMap;
pub use region::{BadRegionCode, Region, RegionCode, RegionKind};

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

impl How {
    /// Whether a shape matched it.
    fn is_drawn(&self) -> bool {
        matches!(self, Self::Polygon | Self::Circle)
    }
}

/// One matched region.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Match {
    /// The region.
    pub region: RegionCode,
    /// Every way in which it was matched.
    pub how: Vec<How>,
    /// Share of its surface that the alert's areas cover, 0 to 1; 1 for a code (that of a township too, whose own share
    /// is not known), 0 for coast, neighbours and shapes without surface.
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

impl Located {
    /// Whether a shape matched any county.
    pub(crate) fn is_drawn(&self) -> bool {
        self.counties.iter().any(|found| found.how.iter().any(How::is_drawn))
    }
}
