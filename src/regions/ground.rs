//! Who in an alert's counties is meant: everyone, or those inside its own shape.

use std::collections::{BTreeMap, BTreeSet};

use crate::cap::{Area, Point};

use super::footprint::Footprint;
use super::locate::Grounds;
use super::map::{Place, RegionMap};
use super::overlap::overlap;
use super::region::{RegionCode, RegionKind};
use super::{How, Located};

/// An alert's exact shape, the counties on its edge, and those that it hardly touches.
///
/// A county that a code names, or that is taken in as coast or neighbour, is meant whole. So is one that the shape covers whole. In
/// the others a place with a point of its own is meant if the shape holds the point; **on the edge counts as inside**. A place of
/// which only the county is known is meant with its county.
///
/// A county that the shape touches too little to match it ([`RegionMap::locate`]) is not meant; a point in it that the shape holds is
/// all the same, and goes with a county that the shape does match, of its own province and beside it where there is one.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    footprints: Vec<Footprint>,
    edges: BTreeSet<RegionCode>,
    /// Counties that are hardly touched, each with the one that its points go with.
    grazed: BTreeMap<RegionCode, RegionCode>,
}

/// Who of a county is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// Everybody.
    All,
    /// Those at a point inside the shape, and those of whom only the county is known.
    NotOutside,
    /// Those at a point inside the shape, and nobody else.
    Inside,
}

impl Ground {
    /// What an alert's areas mean, given the counties that they were found to match.
    pub fn of(map: &RegionMap, areas: &[Area], located: &Located) -> Self {
        let footprints = Grounds::of(areas).drawn();
        if footprints.is_empty() {
            return Self::default();
        }
        // A line or a point means the counties that it touches: nobody's point would lie on it.
        if footprints.iter().flat_map(Footprint::shapes).any(|shape| shape.is_pointlike()) {
            return Self::default();
        }
        let partly = |code: &RegionCode| {
            let bounds = map.bounds(code);
            !bounds.is_some_and(|bounds| footprints.iter().any(|footprint| footprint.covers_all(&bounds)))
        };
        let edges =
            located.counties.iter().filter(|found| found.how.iter().all(How::is_drawn)).map(|found| &found.region);
        let edges = edges.filter(|code| partly(code)).cloned().collect();
        Self { edges, grazed: grazed(map, &footprints, located), footprints }
    }

    /// Whether points in this county must be looked at.
    pub fn is_edge(&self, county: &RegionCode) -> bool {
        self.edges.contains(county)
    }

    /// Whether somebody at this place is meant; on the edge counts as inside.
    pub fn covers(&self, place: Point) -> bool {
        self.footprints.iter().any(|footprint| footprint.covers(place))
    }

    /// The counties that are hardly touched, each with the one that its points go with.
    pub fn grazed(&self) -> impl Iterator<Item = (&RegionCode, &RegionCode)> {
        self.grazed.iter()
    }

    /// These counties are told whole, whatever the shape touches of them.
    pub(crate) fn take_whole(&mut self, counties: &[RegionCode]) {
        self.grazed.retain(|county, _| !counties.contains(county));
    }

    /// Nobody is told with a county that is not theirs.
    pub(crate) fn graze_none(&mut self) {
        self.grazed.clear();
    }

    /// The counties where somebody is meant when these regions (sorted) are told: with which of them, and who.
    pub fn counties<'a>(&'a self, regions: &'a [RegionCode]) -> impl Iterator<Item = (u16, &'a RegionCode, Meant)> {
        let told = (0_u16..).zip(regions).map(move |(index, region)| {
            (index, region, if self.is_edge(region) { Meant::NotOutside } else { Meant::All })
        });
        let at = move |region: &RegionCode| regions.binary_search(region).ok().and_then(|at| u16::try_from(at).ok());
        let grazed = self.grazed.iter().filter(move |(county, _)| at(county).is_none());
        told.chain(grazed.filter_map(move |(county, with)| Some((at(with)?, county, Meant::Inside))))
    }

    /// Whether a place is among those of its county who are meant.
    pub fn means(&self, who: Meant, point: Option<Point>) -> bool {
        match who {
            Meant::All => true,
            Meant::NotOutside => point.is_none_or(|point| self.covers(point)),
            Meant::Inside => point.is_some_and(|point| self.covers(point)),
        }
    }
}

/// The counties that shapes may touch and do not match. Where none is matched by its shape, shapes were not what counted. One that would be
/// matched by the map of today was not hardly touched when the map was another: its people are not a few on a border.
fn grazed(map: &RegionMap, footprints: &[Footprint], located: &Located) -> BTreeMap<RegionCode, RegionCode> {
    let drawn = located.counties.iter().filter(|found| found.how.iter().any(How::is_drawn));
    let drawn: Vec<&RegionCode> = drawn.map(|found| &found.region).collect();
    if drawn.is_empty() {
        return BTreeMap::new();
    }
    let matched: BTreeSet<&RegionCode> = located.counties.iter().map(|found| &found.region).collect();
    let mut touched: BTreeMap<&RegionCode, &Place> = BTreeMap::new();
    for shape in footprints.iter().flat_map(Footprint::shapes) {
        let others = map.places_in(shape.bounds()).filter(|place| place.kind == RegionKind::County);
        let new = others.filter(|place| !matched.contains(&place.code) && !touched.contains_key(&place.code));
        let new: Vec<&Place> = new.filter(|place| shape.may_touch(&place.outline)).collect();
        touched.extend(new.into_iter().map(|place| (&place.code, place)));
    }
    touched.retain(|_, place| overlap(place, footprints).is_none());
    touched.into_keys().filter_map(|code| Some((code.clone(), goes_with(map, code, &drawn)?))).collect()
}

/// Which of the matched counties the points of another one go with.
fn goes_with(map: &RegionMap, county: &RegionCode, matched: &[&RegionCode]) -> Option<RegionCode> {
    let province = |code: &RegionCode| map.province_of(code).map(|province| &province.code);
    let (own, beside): (_, BTreeSet<_>) = (province(county), map.neighbours(county).map(|other| &other.code).collect());
    matched.iter().min_by_key(|other| (province(other) != own, !beside.contains(*other))).map(|other| (*other).clone())
}
