//! Areas out of any bytes, and what must hold wherever they lie.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tocsin::cap::{Alert, Area, Circle, NamedValue, Point, Polygon};
use tocsin::regions::{Ground, How, LocateOptions, Located, RegionCode, RegionKind, RegionMap};

/// The shipped map, loaded once.
static MAP: LazyLock<Option<RegionMap>> = LazyLock::new(|| RegionMap::delta().ok());

/// As intake does it: all areas of the alert together.
pub fn of_alert(alert: &Alert) {
    let areas: Vec<Area> = alert.infos.iter().flat_map(|info| info.areas.iter().cloned()).collect();
    locate(&areas);
}

/// Shapes that no mutation of a text would hit upon.
pub fn of_bytes(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let areas: Vec<Area> = (0..=bytes.below(3)).map(|_| bytes.area()).collect();
    locate(&areas);
}

/// What is found is on the map, is a share of it, is found again, and can be kept.
fn locate(areas: &[Area]) {
    let Some(map) = MAP.as_ref() else { return };
    for geometry_is_truth in [false, true] {
        let options = LocateOptions { neighbours: geometry_is_truth, geometry_is_truth, ..LocateOptions::default() };
        let located = match map.try_locate(areas, &options) {
            Ok(located) => located,
            Err(too_much) => too_much.by_codes,
        };
        hold(map, &located);
        let doubled: Vec<Area> = areas.iter().chain(areas).cloned().collect();
        if let Ok(twice) = map.try_locate(&doubled, &options) {
            assert_eq!(twice, map.locate(areas, &options), "an area named twice is one");
        }
        let text = serde_json::to_string(&located).unwrap_or_default();
        let kept: Option<Located> = serde_json::from_str(&text).ok();
        assert_eq!(kept.as_ref().map(ways), Some(ways(&located)), "it is kept as it is: {text}");
        let ground = Ground::of(map, areas, &located);
        for point in areas.iter().flat_map(points) {
            let _ = ground.covers(point);
        }
        for county in &located.counties {
            let whole = county.how.iter().any(|how| !matches!(how, How::Polygon | How::Circle));
            assert!(!(whole && ground.is_edge(&county.region)), "a county that a code names is meant whole");
        }
    }
}

fn hold(map: &RegionMap, located: &Located) {
    for (matches, kind) in [(&located.counties, RegionKind::County), (&located.sea_areas, RegionKind::Sea)] {
        assert!(matches.is_sorted_by(|a, b| a.region < b.region), "each once, by code");
        for found in matches {
            assert_eq!(map.get(&found.region).map(|region| region.kind), Some(kind), "{}", found.region);
            assert!((0.0..=1.0).contains(&found.covered), "{} is covered by {}", found.region, found.covered);
            assert!(!found.how.is_empty(), "{} was matched by nothing", found.region);
        }
    }
}

/// Everything but shares, whose last digit a JSON reader may round.
fn ways(located: &Located) -> Vec<(&RegionCode, &[How])> {
    located.counties.iter().chain(&located.sea_areas).map(|found| (&found.region, found.how.as_slice())).collect()
}

fn points(area: &Area) -> impl Iterator<Item = Point> {
    let corners = area.polygons.iter().flat_map(|polygon| polygon.ring.iter().copied());
    corners.chain(area.circles.iter().map(|circle| circle.center)).take(8)
}

/// Numbers that lie on edges.
const EDGES: [f64; 16] = [
    0.0,
    -0.0,
    90.0,
    -90.0,
    180.0,
    -180.0,
    360.0,
    1e-12,
    179.999_999,
    31.0,
    121.0,
    f64::MAX,
    f64::MIN_POSITIVE,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Bytes, taken from the front; zeros behind their end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, most: u8) -> u8 {
        self.byte() % most.max(1)
    }

    /// A share of 1.
    fn share(&mut self) -> f64 {
        f64::from(u16::from_be_bytes([self.byte(), self.byte()])) / f64::from(u16::MAX)
    }

    /// Mostly around the map, whose middle this is.
    fn degrees(&mut self, middle: f64) -> f64 {
        match self.below(16) {
            0 => EDGES[usize::from(self.below(16))],
            1 => f64::from_bits(u64::from_be_bytes(std::array::from_fn(|_| self.byte()))),
            2 => 720.0 * self.share() - 360.0,
            // On a grid, so that sides and corners meet.
            3..=6 => middle + f64::from(self.below(9)) - 4.0,
            _ => middle + 8.0 * self.share() - 4.0,
        }
    }

    fn point(&mut self) -> Point {
        Point { lat: self.degrees(31.0), lon: self.degrees(119.5) }
    }

    fn ring(&mut self) -> Vec<Point> {
        let mut ring: Vec<Point> = (0..self.below(40)).map(|_| self.point()).collect();
        ring.extend(ring.first().copied());
        ring
    }

    fn area(&mut self) -> Area {
        let polygons = (0..self.below(4)).map(|_| Polygon { ring: self.ring() }).collect();
        let circles =
            (0..self.below(4)).map(|_| Circle { center: self.point(), radius_km: self.degrees(4.0) }).collect();
        let geocodes = (0..self.below(4)).map(|_| self.code()).collect();
        let (altitude, ceiling) = (Some(self.degrees(0.0)), Some(self.degrees(0.0)));
        Area { description: String::new(), polygons, circles, geocodes, altitude, ceiling }
    }

    fn code(&mut self) -> NamedValue {
        let names =
            ["CPEAS Geographic Code", "GB/T 2260", "TOCSIN Region", "TOCSIN Sea Area", "EXCLUDE_POLYGON", "SAME"];
        let name = names[usize::from(self.below(6))].to_owned();
        let known: BTreeMap<_, _> =
            MAP.iter().flat_map(RegionMap::regions).map(|region| (&region.code, region)).collect();
        let value = match self.below(4) {
            0 => String::from_utf8_lossy(&[self.byte(), self.byte(), self.byte()]).into_owned(),
            1 => self.ring().iter().map(|point| format!("{},{} ", point.lat, point.lon)).collect(),
            _ => {
                let at = usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % known.len().max(1);
                let code = known.keys().nth(at).map(ToString::to_string).unwrap_or_default();
                format!("{code}{}", ["", "000000", "001"][usize::from(self.below(3))])
            }
        };
        NamedValue { name, value }
    }
}
