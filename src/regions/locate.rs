//! An alert's areas turned into counties and sea areas, each with how it was matched and how much of it is covered.

use std::collections::BTreeMap;

use geo::{BoundingRect as _, MultiPolygon};
use serde::{Deserialize, Serialize};

use super::codes::{Meaning, meaning};
use super::geometry::{overlap_km2, shape_of};
use super::map::{Layer, Place, RegionMap, square_km};
use super::region::RegionCode;
use crate::cap::Area;

/// How a region came to be matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum How {
    /// A polygon or circle covers it, whole or in part.
    Shape,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The region.
    pub region: RegionCode,
    /// Every way in which it was matched.
    pub how: Vec<How>,
    /// Share of its surface that the alert's areas cover, 0 to 1; 1 for a code, 0 for a point, coast and neighbours.
    pub covered: f64,
}

/// What an alert's areas turned into. Lists are sorted by code.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Located {
    /// Matched counties.
    pub counties: Vec<Match>,
    /// Matched sea areas.
    pub sea_areas: Vec<Match>,
    /// Codes of a list that is known here which name no region of the map, as `(list, code)`.
    pub unknown: Vec<(String, String)>,
}

/// How areas are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocateOptions {
    /// A warned sea area warns the counties on its coast.
    pub coast: bool,
    /// Counties that border a matched one are taken in, across provinces too.
    pub neighbours: bool,
    /// Where an area has a polygon or circle, its codes are a rough copy and are not read (the Australian and Canadian
    /// profiles); otherwise all of them add up (CAP 1.2).
    pub geometry_is_truth: bool,
    /// More names of lists whose values are codes of this map.
    pub division_lists: Vec<String>,
    /// Lists of other codes: by list, by code, the regions it stands for.
    pub code_lists: BTreeMap<String, BTreeMap<String, Vec<RegionCode>>>,
}

impl Default for LocateOptions {
    fn default() -> Self {
        Self {
            coast: true,
            neighbours: false,
            geometry_is_truth: false,
            division_lists: Vec::new(),
            code_lists: BTreeMap::new(),
        }
    }
}

/// A border drawn a little off must not warn the county behind it: a shape matches a county from half a percent of its
/// surface, or from one square kilometre, or when a tenth of the shape itself lies there (a small one, such as a works).
const LEAST_SHARE: f64 = 0.005;
const LEAST_KM2: f64 = 1.0;
const LEAST_OF_SHAPE: f64 = 0.1;

impl RegionMap {
    /// Turns areas into regions.
    pub fn locate(&self, areas: &[Area], options: &LocateOptions) -> Located {
        let mut found = Found { counties: BTreeMap::new(), seas: BTreeMap::new(), unknown: Vec::new() };
        self.by_shape(areas, options, &mut found);
        self.by_code(areas, options, &mut found);
        if options.neighbours {
            let matched: Vec<_> = found.counties.keys().cloned().collect();
            for county in matched {
                for neighbour in self.neighbours(&county) {
                    found.county(neighbour, How::Neighbour { of: county.clone() }, 0.0);
                }
            }
        }
        found.sorted()
    }

    fn by_shape(&self, areas: &[Area], options: &LocateOptions, found: &mut Found) {
        let (shape, points) = shape_of(areas);
        for (place, covered) in covered(&self.land, &shape) {
            found.county(&place.code, How::Shape, covered);
        }
        for place in points.iter().filter_map(|point| self.land.at(*point)) {
            found.county(&place.code, How::Shape, 0.0);
        }
        // A shape on land that laps over the shore names its land itself; one at sea alone warns the coast.
        let at_sea = found.counties.is_empty();
        let on_points = points.iter().filter_map(|point| self.sea.at(*point)).map(|place| (place, 0.0));
        for (place, covered) in covered(&self.sea, &shape).into_iter().chain(on_points) {
            self.warn_sea(&place.code, How::Shape, covered, options.coast && at_sea, found);
        }
    }

    fn by_code(&self, areas: &[Area], options: &LocateOptions, found: &mut Found) {
        for area in areas {
            if options.geometry_is_truth && !(area.polygons.is_empty() && area.circles.is_empty()) {
                continue;
            }
            for code in &area.geocodes {
                let how = How::Geocode { name: code.name.clone(), value: code.value.clone() };
                match meaning(self, options, &code.name, &code.value) {
                    Meaning::OtherList => {}
                    Meaning::Unknown => found.unknown.push((code.name.clone(), code.value.clone())),
                    Meaning::Counties(counties) => {
                        counties.iter().for_each(|county| found.county(county, how.clone(), 1.0));
                    }
                    Meaning::Sea(sea) => self.warn_sea(&sea, how, 1.0, options.coast, found),
                }
            }
        }
    }

    fn warn_sea(&self, sea: &RegionCode, how: How, covered: f64, coast: bool, found: &mut Found) {
        add(&mut found.seas, sea, how, covered);
        if coast {
            for county in self.coast(sea) {
                found.county(county, How::Coast { sea: sea.clone() }, 0.0);
            }
        }
    }
}

struct Found {
    counties: BTreeMap<RegionCode, Match>,
    seas: BTreeMap<RegionCode, Match>,
    unknown: Vec<(String, String)>,
}

impl Found {
    fn county(&mut self, code: &RegionCode, how: How, covered: f64) {
        add(&mut self.counties, code, how, covered);
    }

    fn sorted(self) -> Located {
        Located {
            counties: self.counties.into_values().collect(),
            sea_areas: self.seas.into_values().collect(),
            unknown: self.unknown,
        }
    }
}

fn add(matches: &mut BTreeMap<RegionCode, Match>, code: &RegionCode, how: How, covered: f64) {
    let entry = matches.entry(code.clone());
    let found = entry.or_insert_with(|| Match { region: code.clone(), how: Vec::new(), covered: 0.0 });
    if !found.how.contains(&how) {
        found.how.push(how);
    }
    found.covered = found.covered.max(covered);
}

/// The places that a shape covers enough of, with the share covered.
fn covered<'a>(layer: &'a Layer, shape: &MultiPolygon) -> Vec<(&'a Place, f64)> {
    let Some(bounds) = shape.bounding_rect() else { return Vec::new() };
    let whole = square_km(shape);
    let (low, high) = ([bounds.min().x, bounds.min().y], [bounds.max().x, bounds.max().y]);
    let share = |place: &'a Place| {
        let overlap = overlap_km2(shape, &place.shape);
        let share = (overlap / place.square_km).clamp(0.0, 1.0);
        let enough =
            share >= LEAST_SHARE || overlap >= LEAST_KM2 || (overlap > 0.0 && overlap >= LEAST_OF_SHAPE * whole);
        enough.then_some((place, share))
    };
    layer.near(low, high).filter_map(share).collect()
}
