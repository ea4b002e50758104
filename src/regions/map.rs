//! The map: regions by code, counties and sea areas by place.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use geo::indexed::IntervalTreeMultiPolygon;
use geo::{Area as _, BoundingRect as _, Contains as _, MultiPolygon};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::files::{MapFiles, Properties, Shaped, pairs, shapes};
use super::region::{Region, RegionCode, RegionKind};
use crate::cap::Point;
use crate::messages::Language;

/// What is wrong with a map's files.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// A file cannot be opened.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file's content is not what it should be.
    #[error("{file}: {what}")]
    File {
        /// Which.
        file: String,
        /// What, with the place in it.
        what: String,
    },
    /// Two features have one code.
    #[error("the code {0} stands twice in the map")]
    Twice(RegionCode),
    /// A file names a region that no file draws.
    #[error("{file} names the region {code}, which the map does not have")]
    Unknown {
        /// The file that names it.
        file: &'static str,
        /// The region.
        code: RegionCode,
    },
}

/// A county or sea area with its shape.
pub(super) struct Place {
    pub(super) code: RegionCode,
    pub(super) shape: MultiPolygon,
    pub(super) square_km: f64,
    inside: IntervalTreeMultiPolygon<f64>,
}

type Boxes = RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>;

/// Places with an index of their bounding boxes.
pub(super) struct Layer {
    pub(super) places: Vec<Place>,
    boxes: Boxes,
}

impl Layer {
    fn new(places: Vec<Place>) -> Self {
        let boxed = |(n, place): (usize, &Place)| {
            let rect = place.shape.bounding_rect()?;
            let corners = Rectangle::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]);
            Some(GeomWithData::new(corners, n))
        };
        let boxes = RTree::bulk_load(places.iter().enumerate().filter_map(boxed).collect());
        Self { places, boxes }
    }

    /// Places whose bounding box touches this one.
    pub(super) fn near(&self, low: [f64; 2], high: [f64; 2]) -> impl Iterator<Item = &Place> {
        let touched = self.boxes.locate_in_envelope_intersecting(AABB::from_corners(low, high));
        touched.filter_map(|found| self.places.get(found.data))
    }

    /// The place that holds a point.
    pub(super) fn at(&self, point: Point) -> Option<&Place> {
        let (at, here) = ([point.lon, point.lat], geo::Coord { x: point.lon, y: point.lat });
        self.near(at, at).find(|place| place.inside.contains(&here))
    }
}

/// The regions of a country or of a part of it.
pub struct RegionMap {
    regions: BTreeMap<RegionCode, Region>,
    children: BTreeMap<RegionCode, Vec<RegionCode>>,
    neighbours: HashMap<RegionCode, BTreeSet<RegionCode>>,
    coast: HashMap<RegionCode, BTreeSet<RegionCode>>,
    pub(super) land: Layer,
    pub(super) sea: Layer,
}

impl RegionMap {
    /// The map that ships with Tocsin: Shanghai, Jiangsu, Zhejiang, Anhui and the sea before them.
    ///
    /// # Errors
    /// Only if the shipped files are damaged.
    pub fn delta() -> Result<Self, RegionError> {
        let names = Properties::default();
        let mut land = Vec::new();
        for (file, text) in [
            ("counties.geojson", include_str!("../../regions/counties.geojson")),
            ("prefectures.geojson", include_str!("../../regions/prefectures.geojson")),
            ("provinces.geojson", include_str!("../../regions/provinces.geojson")),
        ] {
            land.extend(shapes(file, text, &names, false)?);
        }
        let sea = shapes("marine.geojson", include_str!("../../regions/marine.geojson"), &names, true)?;
        let coast = pairs("marine_coast.csv", include_str!("../../regions/marine_coast.csv"))?;
        let borders = pairs("adjacency.csv", include_str!("../../regions/adjacency.csv"))?;
        Self::build(land, sea, coast, borders)
    }

    /// A map from files.
    ///
    /// # Errors
    /// When a file cannot be read, or names what is not there.
    pub fn load(files: &MapFiles) -> Result<Self, RegionError> {
        let read = |path: &std::path::Path| {
            let file = path.display().to_string();
            std::fs::read_to_string(path)
                .map(|text| (file.clone(), text))
                .map_err(|source| RegionError::Read { file, source })
        };
        let optional = |path: &Option<std::path::PathBuf>| path.as_deref().map(read).transpose();
        let mut land = Vec::new();
        for path in &files.regions {
            let (file, text) = read(path)?;
            land.extend(shapes(&file, &text, &files.properties, false)?);
        }
        let sea = optional(&files.sea_areas)?.map(|(file, text)| shapes(&file, &text, &files.properties, true));
        let coast = optional(&files.coast)?.map(|(file, text)| pairs(&file, &text));
        let borders = optional(&files.adjacency)?.map(|(file, text)| pairs(&file, &text));
        Self::build(
            land,
            sea.transpose()?.unwrap_or_default(),
            coast.transpose()?.unwrap_or_default(),
            borders.transpose()?.unwrap_or_default(),
        )
    }

    fn build(
        land: Vec<Shaped>,
        sea: Vec<Shaped>,
        coast: Vec<(RegionCode, RegionCode)>,
        borders: Vec<(RegionCode, RegionCode)>,
    ) -> Result<Self, RegionError> {
        let mut regions = BTreeMap::new();
        let (mut counties, mut seas) = (Vec::new(), Vec::new());
        for Shaped { region, shape } in land.into_iter().chain(sea) {
            let code = region.code.clone();
            match region.kind {
                RegionKind::County => counties.push(place(&code, shape)),
                RegionKind::Sea => seas.push(place(&code, shape)),
                RegionKind::Prefecture | RegionKind::Province => {}
            }
            if regions.insert(code.clone(), region).is_some() {
                return Err(RegionError::Twice(code));
            }
        }
        let known = |file: &'static str, code: &RegionCode| {
            if regions.contains_key(code) { Ok(()) } else { Err(RegionError::Unknown { file, code: code.clone() }) }
        };
        let mut neighbours: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (a, b) in borders {
            known("the adjacency file", &a)?;
            known("the adjacency file", &b)?;
            neighbours.entry(a.clone()).or_default().insert(b.clone());
            neighbours.entry(b).or_default().insert(a);
        }
        let mut on_coast: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (sea, county) in coast {
            known("the coast file", &sea)?;
            known("the coast file", &county)?;
            on_coast.entry(sea).or_default().insert(county);
        }
        let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for region in regions.values() {
            // A file that draws only counties may still name the provinces they belong to.
            if let Some(parent) = &region.parent {
                children.entry(parent.clone()).or_default().push(region.code.clone());
            }
        }
        Ok(Self { regions, children, neighbours, coast: on_coast, land: Layer::new(counties), sea: Layer::new(seas) })
    }

    /// A region by its code.
    pub fn get(&self, code: &RegionCode) -> Option<&Region> {
        self.regions.get(code)
    }

    /// Every region, by code.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// Every region of a kind, by code.
    pub fn of_kind(&self, kind: RegionKind) -> impl Iterator<Item = &Region> {
        self.regions.values().filter(move |region| region.kind == kind)
    }

    /// A county's or sea area's shape, WGS 84, x east and y north.
    pub fn shape(&self, code: &RegionCode) -> Option<&MultiPolygon> {
        let places = self.land.places.iter().chain(&self.sea.places);
        places.into_iter().find(|place| place.code == *code).map(|place| &place.shape)
    }

    /// The county that holds a point.
    pub fn county_at(&self, point: Point) -> Option<&Region> {
        self.land.at(point).and_then(|place| self.get(&place.code))
    }

    /// The counties in a region, itself if it is one; sorted.
    pub fn counties_in(&self, code: &RegionCode) -> BTreeSet<RegionCode> {
        let mut counties = BTreeSet::new();
        let mut open = vec![code];
        while let Some(code) = open.pop() {
            if self.get(code).is_some_and(|region| region.kind == RegionKind::County) {
                counties.insert(code.clone());
            }
            open.extend(self.children.get(code).into_iter().flatten());
        }
        counties
    }

    /// Whether a region is another one, or lies in it.
    pub fn is_in(&self, code: &RegionCode, above: &RegionCode) -> bool {
        std::iter::successors(Some(code), |code| self.get(code).and_then(|region| region.parent.as_ref()))
            .take(8)
            .any(|code| code == above)
    }

    /// The counties that share a border with this one.
    pub fn neighbours(&self, code: &RegionCode) -> impl Iterator<Item = &RegionCode> {
        self.neighbours.get(code).into_iter().flatten()
    }

    /// The counties on the coast of a sea area.
    pub fn coast(&self, sea: &RegionCode) -> impl Iterator<Item = &RegionCode> {
        self.coast.get(sea).into_iter().flatten()
    }

    /// The places as people name them: a region whose every county is in the list by its own name, then single counties.
    pub fn name_places(&self, counties: &[RegionCode], language: Language) -> Vec<String> {
        let mut left: BTreeSet<&RegionCode> = counties.iter().collect();
        let mut names = Vec::new();
        for kind in [RegionKind::Province, RegionKind::Prefecture, RegionKind::County] {
            for region in self.of_kind(kind) {
                let inside = self.counties_in(&region.code);
                if !inside.is_empty() && inside.iter().all(|county| left.contains(county)) {
                    left.retain(|county| !inside.contains(county));
                    names.push(match language {
                        Language::Chinese => region.name.clone(),
                        Language::English => region.name_en.clone(),
                    });
                }
            }
        }
        names
    }
}

impl std::fmt::Debug for RegionMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegionMap").field("regions", &self.regions.len()).finish_non_exhaustive()
    }
}

fn place(code: &RegionCode, shape: MultiPolygon) -> Place {
    let inside = IntervalTreeMultiPolygon::new(&shape);
    Place { code: code.clone(), square_km: square_km(&shape), inside, shape }
}

/// A shape's surface: exact enough for shares and thresholds, at the scale of a county.
pub(super) fn square_km(shape: &MultiPolygon) -> f64 {
    const KM_PER_DEGREE: f64 = 111.195;
    let middle = shape.bounding_rect().map_or(0.0, |rect| rect.center().y);
    shape.unsigned_area() * KM_PER_DEGREE * KM_PER_DEGREE * middle.to_radians().cos()
}
