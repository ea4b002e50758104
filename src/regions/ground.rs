//! Who in a matched county is meant: everyone, or those inside an alert's own shape.

use std::collections::BTreeSet;

use crate::cap::{Area, Point};

use super::footprint::Footprint;
use super::map::RegionMap;
use super::region::RegionCode;
use super::{How, Located};

/// An alert's exact shape, and the counties on its edge.
///
/// A county that a code names, or that is taken in as coast or neighbour, is meant whole. So is one that the shape covers whole. In
/// the others a place with a point of its own is meant if the shape holds the point; **on the edge counts as inside**. A place of
/// which only the county is known is meant with its county.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    footprints: Vec<Footprint>,
    edges: BTreeSet<RegionCode>,
}

impl Ground {
    /// What an alert's areas mean, given the counties that they were found to match.
    pub fn of(map: &RegionMap, areas: &[Area], located: &Located) -> Self {
        let footprints: Vec<Footprint> = areas.iter().map(Footprint::of).filter(|shape| !shape.is_empty()).collect();
        if footprints.is_empty() {
            return Self::default();
        }
        // A line or a point means the counties that it touches: nobody's point would lie on it.
        if footprints.iter().flat_map(Footprint::shapes).any(|shape| shape.is_pointlike()) {
            return Self::default();
        }
        let by_shape = |how: &How| matches!(how, How::Polygon | How::Circle);
        let partly = |code: &RegionCode| {
            let bounds = map.bounds(code);
            !bounds.is_some_and(|bounds| footprints.iter().any(|footprint| footprint.covers_all(&bounds)))
        };
        let edges = located.counties.iter().filter(|found| found.how.iter().all(by_shape)).map(|found| &found.region);
        Self { edges: edges.filter(|code| partly(code)).cloned().collect(), footprints }
    }

    /// Whether points in this county must be looked at.
    pub fn is_edge(&self, county: &RegionCode) -> bool {
        self.edges.contains(county)
    }

    /// Whether somebody at this place is meant; on the edge counts as inside.
    pub fn covers(&self, place: Point) -> bool {
        self.footprints.iter().any(|footprint| footprint.covers(place))
    }
}
