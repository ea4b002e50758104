use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::cap::{NamedValue, Point};

use super::codes::written;
use super::cover::Rows;
use super::error::RegionError;
use super::files::{MapFiles, Properties};
use super::load::{Source, Sources};
use super::outline::{Bounds, Outline};
use super::region::{Region, RegionCode, RegionKind};

/// The map: every region with its place in the order of things, and the land or water of counties and sea areas.
///
/// Immutable once loaded, and free to share between threads.
#[derive(Debug)]
pub struct RegionMap {
    regions: BTreeMap<RegionCode, Region>,
    children: BTreeMap<RegionCode, Vec<RegionCode>>,
    places: Vec<Place>,
    tree: RTree<Entry>,
    coast: BTreeMap<RegionCode, Vec<RegionCode>>,
    beside: BTreeMap<RegionCode, Vec<RegionCode>>,
    aliases: BTreeMap<RegionCode, Vec<RegionCode>>,
}

/// A place's box and its index.
type Entry = GeomWithData<Rectangle<[f64; 2]>, usize>;

/// The ground of a county or sea area.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) code: RegionCode,
    pub(super) kind: RegionKind,
    pub(super) outline: Outline,
    rings: Vec<Vec<Point>>,
    rows: OnceLock<Rows>,
}

impl Place {
    pub(super) fn new(code: RegionCode, kind: RegionKind, rings: Vec<Vec<Point>>, outline: Outline) -> Self {
        Self { code, kind, outline, rings, rows: OnceLock::new() }
    }

    /// Rows across it, made when first asked for.
    pub(super) fn rows(&self) -> &Rows {
        self.rows.get_or_init(|| Rows::of(&self.outline, &[]))
    }
}

/// Embeds one of the files of `regions/`.
macro_rules! embedded {
    ($name:literal) => {
        Source {
            file: concat!("regions/", $name).into(),
            text: Cow::Borrowed(include_str!(concat!("../../regions/", $name))),
        }
    };
}

impl RegionMap {
    /// The map that Tocsin is shipped with: the Yangtze River Delta.
    ///
    /// # Errors
    /// None as long as the shipped files are sound, which the tests see to.
    pub fn delta() -> Result<Self, RegionError> {
        let sources = Sources {
            counties: embedded!("counties.geojson"),
            groups: vec![embedded!("provinces.geojson"), embedded!("prefectures.geojson")],
            sea: Some(embedded!("marine.geojson")),
            coast: Some(embedded!("marine_coast.csv")),
            adjacency: Some(embedded!("adjacency.csv")),
            aliases: Some(embedded!("aliases.csv")),
            properties: Properties::default(),
            levels: BTreeMap::new(),
        };
        sources.load()
    }

    /// A map of one's own files.
    ///
    /// # Errors
    /// Names the file, the place in it and what to do: unreadable files, features without code or polygon, rings that
    /// are short, open, crossing or off the Earth, codes used twice, parents and table entries that are no regions.
    pub fn load(files: &MapFiles) -> Result<Self, RegionError> {
        Sources::read(files)?.load()
    }

    pub(super) fn new(
        regions: BTreeMap<RegionCode, Region>,
        places: Vec<Place>,
        coast: &[(RegionCode, RegionCode)],
        beside: &[(RegionCode, RegionCode)],
        aliases: &[(RegionCode, RegionCode)],
    ) -> Self {
        let parents = regions.values().filter_map(|region| Some((region.parent.clone()?, region.code.clone())));
        let children = grouped(parents);
        let both_ways = beside.iter().flat_map(|(a, b)| [(a.clone(), b.clone()), (b.clone(), a.clone())]);
        let beside = grouped(both_ways);
        let boxes =
            places.iter().enumerate().map(|(index, place)| Entry::new(rectangle(place.outline.bounds()), index));
        let tree = RTree::bulk_load(boxes.collect());
        let (coast, aliases) = (grouped(coast.iter().cloned()), grouped(aliases.iter().cloned()));
        Self { regions, children, places, tree, coast, beside, aliases }
    }

    /// The region with this code.
    pub fn get(&self, code: &RegionCode) -> Option<&Region> {
        self.regions.get(code)
    }

    /// How a region is named in what we write.
    pub fn geocode(&self, code: &RegionCode) -> NamedValue {
        written(code, self.get(code).map(|region| region.kind))
    }

    /// Every region, by code.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// Every region of a kind, by code.
    pub fn of_kind(&self, kind: RegionKind) -> impl Iterator<Item = &Region> {
        self.regions.values().filter(move |region| region.kind == kind)
    }

    /// Every county, by code.
    pub fn counties(&self) -> impl Iterator<Item = &Region> {
        self.of_kind(RegionKind::County)
    }

    /// Every sea area, by code.
    pub fn sea_areas(&self) -> impl Iterator<Item = &Region> {
        self.of_kind(RegionKind::Sea)
    }

    /// The regions whose parent this is, by code; none for a county, a sea area or an unknown code.
    pub fn children(&self, code: &RegionCode) -> impl Iterator<Item = &Region> {
        listed(&self.children, code).iter().filter_map(|child| self.get(child))
    }

    /// The counties of a region at any depth, by code; the county itself for a county; none for a sea area or an unknown code.
    pub fn counties_below(&self, code: &RegionCode) -> Vec<&Region> {
        let mut counties = Vec::new();
        let mut open: Vec<&Region> = self.get(code).into_iter().collect();
        while let Some(region) = open.pop() {
            match region.kind {
                RegionKind::County => counties.push(region),
                _ => open.extend(self.children(&region.code)),
            }
        }
        counties.sort_by(|a, b| a.code.cmp(&b.code));
        counties
    }

    /// The province that a region lies in, itself if it is one; None for a sea area, an unknown code, or a map without provinces.
    pub fn province_of(&self, code: &RegionCode) -> Option<&Region> {
        self.upward(code).find(|region| region.kind == RegionKind::Province)
    }

    /// Whether a region is another one, or lies in it.
    pub fn is_in(&self, code: &RegionCode, above: &RegionCode) -> bool {
        self.upward(code).any(|region| region.code == *above)
    }

    /// A region and everything that it lies in, from below.
    pub(super) fn upward<'a>(&'a self, code: &RegionCode) -> impl Iterator<Item = &'a Region> {
        let up = |region: &&'a Region| region.parent.as_ref().and_then(|parent| self.get(parent));
        std::iter::successors(self.get(code), up)
    }

    /// The counties that border this one, across provinces too, by code.
    pub fn neighbours(&self, code: &RegionCode) -> impl Iterator<Item = &Region> {
        listed(&self.beside, code).iter().filter_map(|county| self.get(county))
    }

    /// The counties on the coast of a sea area, by code.
    pub fn coast_of(&self, sea: &RegionCode) -> impl Iterator<Item = &Region> {
        listed(&self.coast, sea).iter().filter_map(|county| self.get(county))
    }

    /// The regions that an alias stands for; none if the code is no alias.
    pub fn alias(&self, code: &RegionCode) -> &[RegionCode] {
        listed(&self.aliases, code)
    }

    /// The county that holds the place; on a common border, exactly one of the two.
    pub fn county_at(&self, place: Point) -> Option<&Region> {
        self.at(place, RegionKind::County)
    }

    /// The sea area that holds the place.
    pub fn sea_area_at(&self, place: Point) -> Option<&Region> {
        self.at(place, RegionKind::Sea)
    }

    fn at(&self, place: Point, kind: RegionKind) -> Option<&Region> {
        let Point { lat, lon } = place;
        if !(lat.is_finite() && lon.is_finite()) {
            return None;
        }
        let found = self
            .tree
            .locate_all_at_point([lon, lat])
            .filter_map(|entry| self.places.get(entry.data))
            .filter(|candidate| candidate.kind == kind && candidate.outline.contains(place));
        found.map(|found| &found.code).min().and_then(|code| self.get(code))
    }

    /// The rings of a county's or sea area's polygons, outer and inner, closed, WGS 84; none for a group or an unknown code.
    pub fn rings(&self, code: &RegionCode) -> &[Vec<Point>] {
        self.place(code).map(|place| place.rings.as_slice()).unwrap_or_default()
    }

    /// Surface in square kilometres, right to about a thousandth; 0 for an unknown code.
    pub fn km2(&self, code: &RegionCode) -> f64 {
        match self.get(code).map(|region| region.kind) {
            Some(RegionKind::County | RegionKind::Sea) => self.place(code).map_or(0.0, |place| place.rows().km2),
            _ => self.counties_below(code).iter().map(|county| self.km2(&county.code)).sum(),
        }
    }

    /// A point well inside a county or sea area: the middle of its widest row.
    pub fn middle(&self, code: &RegionCode) -> Option<Point> {
        let widest = self.place(code)?.rows().rows.iter().filter_map(|row| Some((row.spans.widest()?, row.lat)));
        let ((west, east), lat) = widest.max_by(|(a, _), (b, _)| (a.1 - a.0).total_cmp(&(b.1 - b.0)))?;
        Some(Point { lat, lon: f64::midpoint(west, east) })
    }

    /// The box around a county or sea area.
    pub(super) fn bounds(&self, code: &RegionCode) -> Option<Bounds> {
        self.place(code).map(|place| place.outline.bounds())
    }

    fn place(&self, code: &RegionCode) -> Option<&Place> {
        self.places.iter().find(|place| place.code == *code)
    }

    /// How many places have ground.
    pub(super) fn count_places(&self) -> usize {
        self.places.len()
    }

    /// The places whose box meets the bounds.
    pub(super) fn places_in(&self, bounds: Bounds) -> impl Iterator<Item = &Place> {
        let envelope = AABB::from_corners([bounds.west, bounds.south], [bounds.east, bounds.north]);
        self.tree.locate_in_envelope_intersecting(envelope).filter_map(|entry| self.places.get(entry.data))
    }
}

fn rectangle(bounds: Bounds) -> Rectangle<[f64; 2]> {
    Rectangle::from_corners([bounds.west, bounds.south], [bounds.east, bounds.north])
}

fn grouped(pairs: impl IntoIterator<Item = (RegionCode, RegionCode)>) -> BTreeMap<RegionCode, Vec<RegionCode>> {
    let mut groups: BTreeMap<RegionCode, Vec<RegionCode>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    for list in groups.values_mut() {
        list.sort();
        list.dedup();
    }
    groups
}

fn listed<'a>(groups: &'a BTreeMap<RegionCode, Vec<RegionCode>>, code: &RegionCode) -> &'a [RegionCode] {
    groups.get(code).map(Vec::as_slice).unwrap_or_default()
}
