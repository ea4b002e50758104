use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;

use crate::cap::{Area, Point};

use super::codes::{CodeList, Meaning, meaning};
use super::footprint::Footprint;
use super::map::{Place, RegionMap};
use super::overlap::overlap;
use super::region::{RegionCode, RegionKind};
use super::ring;
use super::{How, Located, Match};

/// How an alert's areas are read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocateOptions {
    /// Whether a sea area takes in the counties on its coast. A sea area that a code names always does; one that a
    /// polygon or circle touches does if the alert touches no land by itself, or covers at least a tenth of that sea
    /// area: a rainstorm's polygon that hangs a little over the shore means the land it covers, not a whole coast.
    pub coast: bool,
    /// Whether the counties around the matched ones are taken in too, across provinces as well. Counties matched only
    /// as a coast take in nobody.
    pub neighbours: bool,
    /// Whether an area's polygons and circles overrule its codes (Australia's and Canada's profiles), instead of being
    /// added to them (CAP 1.2 section 3.2.4).
    pub geometry_is_truth: bool,
    /// How to read code lists beside the known ones (`CPEAS Geographic Code`, `GB/T 2260`, `TOCSIN Region`, `TOCSIN Sea Area`),
    /// by `valueName`.
    pub code_lists: BTreeMap<String, CodeList>,
}

impl Default for LocateOptions {
    fn default() -> Self {
        Self { coast: true, neighbours: false, geometry_is_truth: false, code_lists: BTreeMap::new() }
    }
}

/// So many shapes may each lie over the whole map.
const OVER_ALL: usize = 128;
/// On a small map, shapes may meet regions so often all the same.
const MOST_WORK: usize = 40_000;

/// How often shapes may meet regions on a map of so many places.
fn most_work(places: usize) -> usize {
    MOST_WORK.max(OVER_ALL * places)
}

/// Shapes lie over so many regions that nobody measures them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("shapes over regions: {met}")]
pub struct TooMuch {
    /// How often a shape meets a region.
    met: usize,
    /// What the codes alone mean.
    pub by_codes: Located,
}

/// Share of a sea area that geometry must cover to warn its coast when it covers land as well.
const COAST_SHARE: f64 = 0.1;

impl RegionMap {
    /// The counties and sea areas that an alert's areas mean: the union of all areas, with every way each was matched.
    ///
    /// A polygon or circle matches a region if it covers 0.5 % or 1 km² of it, or if at least 5 % of the shape lies in it,
    /// so that a village's polygon counts however large its county, and a border drawn a little off does not. A shape without
    /// surface (a circle of radius 0) matches the regions of its points.
    ///
    /// Where shapes lie over so many regions that measuring them would take seconds, the codes alone count.
    pub fn locate(&self, areas: &[Area], options: &LocateOptions) -> Located {
        self.try_locate(areas, options).unwrap_or_else(|error| error.by_codes)
    }

    /// The same for areas of anybody.
    ///
    /// # Errors
    /// When their shapes lie over so many regions that measuring them would take seconds; with what the codes mean.
    pub fn try_locate(&self, areas: &[Area], options: &LocateOptions) -> Result<Located, TooMuch> {
        let grounds = Grounds::of(areas);
        let met = grounds.footprints.iter().map(|footprint| self.work(footprint)).sum();
        if met > most_work(self.count_places()) {
            return Err(TooMuch { met, by_codes: self.located(areas, &Grounds::default(), options) });
        }
        Ok(self.located(areas, &grounds, options))
    }

    /// How often a shape of these meets a region's box; each is measured row by row, and the holes of its area with it.
    fn work(&self, footprint: &Footprint) -> usize {
        let met: usize = footprint.shapes().iter().map(|shape| self.places_in(shape.bounds()).count()).sum();
        met * (1 + footprint.count_holes() / 4)
    }

    fn located(&self, areas: &[Area], grounds: &Grounds, options: &LocateOptions) -> Located {
        let mut found = Found { map: self, matches: BTreeMap::new(), unknown: BTreeSet::new() };
        found.geometry(&grounds.footprints);
        let by_geometry = found.kind(RegionKind::County).next().is_some();
        for (n, area) in areas.iter().enumerate() {
            found.codes(area, options, options.geometry_is_truth && grounds.is_drawn(n));
        }
        let direct: Vec<RegionCode> = found.kind(RegionKind::County).map(|found| found.region.clone()).collect();
        if options.coast {
            found.coasts(by_geometry);
        }
        if options.neighbours {
            found.neighbours(&direct);
        }
        found.located()
    }
}

/// The ground of each area, the same one once: a message in two languages names every area twice.
#[derive(Default)]
pub(super) struct Grounds {
    footprints: Vec<Footprint>,
    /// Which of them is each area's.
    of: Vec<usize>,
}

impl Grounds {
    pub(super) fn of(areas: &[Area]) -> Self {
        let (mut footprints, mut seen) = (Vec::new(), HashMap::new());
        let mut place = |area| {
            *seen.entry(drawn(area)).or_insert_with(|| {
                footprints.push(Footprint::of(area));
                footprints.len() - 1
            })
        };
        let of = areas.iter().map(&mut place).collect();
        Self { footprints, of }
    }

    /// Those that are drawn.
    pub(super) fn drawn(self) -> Vec<Footprint> {
        self.footprints.into_iter().filter(|footprint| !footprint.is_empty()).collect()
    }

    /// Whether this area is drawn.
    fn is_drawn(&self, n: usize) -> bool {
        self.of.get(n).and_then(|at| self.footprints.get(*at)).is_some_and(|footprint| !footprint.is_empty())
    }
}

/// Rings, discs and holes, to the bit.
type Drawn<'a> = (Vec<Vec<[u64; 2]>>, Vec<[u64; 3]>, Vec<&'a str>);

/// All that an area's ground depends on.
fn drawn(area: &Area) -> Drawn<'_> {
    let bits = |point: &Point| [point.lat.to_bits(), point.lon.to_bits()];
    let rings = area.polygons.iter().map(|polygon| polygon.ring.iter().map(bits).collect());
    let discs = area.circles.iter().map(|circle| {
        let [lat, lon] = bits(&circle.center);
        [lat, lon, circle.radius_km.to_bits()]
    });
    let holes = area.geocodes.iter().filter(|code| ring::is_hole(code)).map(|code| code.value.as_str());
    (rings.collect(), discs.collect(), holes.collect())
}

/// What has been matched so far.
struct Found<'a> {
    map: &'a RegionMap,
    matches: BTreeMap<RegionCode, (RegionKind, Match)>,
    unknown: BTreeSet<(String, String)>,
}

impl Found<'_> {
    fn add(&mut self, region: &RegionCode, kind: RegionKind, how: How, covered: f64) {
        let empty = || (kind, Match { region: region.clone(), how: Vec::new(), covered: 0.0 });
        let (_, found) = self.matches.entry(region.clone()).or_insert_with(empty);
        found.covered = found.covered.max(covered);
        if !found.how.contains(&how) {
            found.how.push(how);
        }
    }

    fn kind(&self, wanted: RegionKind) -> impl Iterator<Item = &Match> {
        self.matches.values().filter(move |(kind, _)| *kind == wanted).map(|(_, found)| found)
    }

    fn geometry(&mut self, footprints: &[Footprint]) {
        let map = self.map;
        let boxes = footprints.iter().flat_map(Footprint::shapes).map(|shape| shape.bounds());
        let near: BTreeMap<&RegionCode, &Place> =
            boxes.flat_map(|bounds| map.places_in(bounds)).map(|place| (&place.code, place)).collect();
        for (code, place) in near {
            if let Some(overlap) = overlap(place, footprints) {
                for how in overlap.how {
                    self.add(code, place.kind, how, overlap.share);
                }
            }
        }
    }

    fn codes(&mut self, area: &Area, options: &LocateOptions, overruled: bool) {
        for code in &area.geocodes {
            let pair = || (code.name.trim().to_owned(), code.value.trim().to_owned());
            if ring::is_hole(code) {
                if ring::parse(&code.value).is_none() {
                    self.unknown.insert(pair());
                }
                continue;
            }
            if overruled {
                continue;
            }
            match meaning(self.map, &options.code_lists, code) {
                Meaning::Foreign => {}
                Meaning::Unknown => {
                    self.unknown.insert(pair());
                }
                Meaning::Regions(regions) => {
                    for region in regions {
                        let (name, value) = pair();
                        self.add(&region.code, region.kind, How::Geocode { name, value }, 1.0);
                    }
                }
            }
        }
    }

    fn coasts(&mut self, by_geometry: bool) {
        let map = self.map;
        let by_code = |found: &Match| found.how.iter().any(|how| matches!(how, How::Geocode { .. }));
        let warns = |found: &&Match| by_code(found) || !by_geometry || found.covered >= COAST_SHARE;
        let seas: Vec<RegionCode> =
            self.kind(RegionKind::Sea).filter(warns).map(|found| found.region.clone()).collect();
        for sea in seas {
            for county in map.coast_of(&sea) {
                self.add(&county.code, RegionKind::County, How::Coast { sea: sea.clone() }, 0.0);
            }
        }
    }

    fn neighbours(&mut self, direct: &[RegionCode]) {
        let map = self.map;
        for of in direct {
            for county in map.neighbours(of).filter(|county| direct.binary_search(&county.code).is_err()) {
                self.add(&county.code, RegionKind::County, How::Neighbour { of: of.clone() }, 0.0);
            }
        }
    }

    fn located(self) -> Located {
        let (sea, land) = self.matches.into_values().partition::<Vec<_>, _>(|(kind, _)| *kind == RegionKind::Sea);
        let matches = |list: Vec<(RegionKind, Match)>| list.into_iter().map(|(_, found)| found).collect();
        Located { counties: matches(land), sea_areas: matches(sea), unknown: self.unknown.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_map_takes_as_many_shapes_over_all_of_it() {
        assert_eq!(most_work(10), MOST_WORK);
        assert_eq!(most_work(2_900) / 2_900, OVER_ALL);
    }
}
