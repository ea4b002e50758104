//! Where: the map of regions, and an alert's areas turned into counties. Knows no clock, store or network.

mod codes;
mod files;
mod geometry;
mod locate;
mod map;
mod region;

pub use files::{MapFiles, Properties};
pub use locate::{How, LocateOptions, Located, Match};
pub use map::{RegionError, RegionMap};
pub use region::{BadRegionCode, Region, RegionCode, RegionKind};
