//! The map's ground, thinned: corners lie on a grid, the same for both sides of a border, so that regions melt into one shape.

use std::collections::{BTreeMap, HashMap};

use crate::cap::Point;
use crate::regions::{RegionCode, RegionKind, RegionMap};

/// A corner in steps of the grid: east, north.
pub(super) type Corner = (i32, i32);
/// A closed ring, its first corner not repeated; outer ones run against the clock, holes with it.
pub type Ring = Vec<Corner>;

/// Every county and sea area on a grid.
#[derive(Debug)]
pub struct Ground {
    step: f64,
    rings: BTreeMap<RegionCode, Vec<Ring>>,
}

impl Ground {
    /// The ground of a map; `step` is the grid's, in degrees.
    pub fn of(map: &RegionMap, step: f64) -> Self {
        let places = map.regions().filter(|region| matches!(region.kind, RegionKind::County | RegionKind::Sea));
        let rings = places.map(|place| (place.code.clone(), snapped(map.rings(&place.code), step))).collect();
        Self { step, rings }
    }

    /// The grid's step, degrees.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// The shape of all these counties and sea areas together.
    pub fn melted<'a>(&'a self, codes: impl IntoIterator<Item = &'a RegionCode>) -> Vec<Ring> {
        melt(codes.into_iter().filter_map(|code| self.rings.get(code)).flatten())
    }

    /// The same as polygons: an outer ring with its holes, in degrees (east, north), closed.
    pub fn polygons<'a>(&'a self, codes: impl IntoIterator<Item = &'a RegionCode>) -> Vec<Vec<Vec<[f64; 2]>>> {
        let (outer, holes): (Vec<Ring>, Vec<Ring>) = self.melted(codes).into_iter().partition(|ring| area(ring) > 0);
        let mut polygons: Vec<Vec<Ring>> = outer.into_iter().map(|ring| vec![ring]).collect();
        for hole in holes {
            let around = polygons.iter_mut().filter(|polygon| polygon.first().is_some_and(|outer| holds(outer, &hole)));
            if let Some(polygon) = around.min_by_key(|polygon| polygon.first().map_or(0, |outer| area(outer))) {
                polygon.push(hole);
            }
        }
        polygons.iter().map(|rings| rings.iter().map(|ring| self.degrees(ring)).collect()).collect()
    }

    fn degrees(&self, ring: &Ring) -> Vec<[f64; 2]> {
        let degrees = |steps: i32| round(f64::from(steps) * self.step);
        ring.iter().chain(ring.first()).map(|(x, y)| [degrees(*x), degrees(*y)]).collect()
    }
}

/// Degrees to four decimals, about ten metres.
pub(super) fn round(degrees: f64) -> f64 {
    (degrees * 10_000.0).round() / 10_000.0
}

/// More corners than this tell nobody more of one alert; the CAP message has them all.
const CORNERS: usize = 2_000;

/// A ring as it is given out: its corners to four decimals, and no more of them than are of use. `all` is how many its whole alert has.
pub(super) fn thinned(ring: &[Point], all: usize) -> Vec<[f64; 2]> {
    let step = all.div_ceil(CORNERS).min(ring.len() / 8).max(1);
    let mut kept: Vec<[f64; 2]> = ring.iter().step_by(step).map(|point| [round(point.lon), round(point.lat)]).collect();
    kept.dedup();
    if kept.first() != kept.last() {
        kept.extend(kept.first().copied());
    }
    kept
}

/// A region's rings on the grid. One that shrinks to nothing becomes a small square: no warned place disappears.
fn snapped(rings: &[Vec<Point>], step: f64) -> Vec<Ring> {
    #[expect(clippy::cast_possible_truncation, reason = "a degree has few steps")]
    let steps = |degrees: f64| (degrees / step).round() as i32;
    let mut kept = Vec::new();
    for (at, ring) in rings.iter().enumerate() {
        let mut corners: Ring = ring.iter().map(|point| (steps(point.lon), steps(point.lat))).collect();
        corners.dedup();
        if corners.first() == corners.last() {
            corners.pop();
        }
        let around = rings.iter().enumerate().filter(|(other, _)| *other != at);
        let inside =
            ring.first().is_some_and(|point| around.filter(|(_, ring)| around_point(ring, *point)).count() % 2 == 1);
        let size = area(&corners);
        if corners.len() < 3 || size == 0 {
            continue;
        }
        if (size > 0) == inside {
            corners.reverse();
        }
        kept.push(corners);
    }
    if kept.is_empty()
        && let Some(point) = rings.iter().flatten().next()
    {
        let (x, y) = (steps(point.lon), steps(point.lat));
        kept.push(vec![(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)]);
    }
    kept
}

/// Takes out the sides that two rings share, and joins what is left to closed rings.
fn melt<'a>(rings: impl Iterator<Item = &'a Ring>) -> Vec<Ring> {
    let mut sides: HashMap<(Corner, Corner), u32> = HashMap::new();
    for ring in rings {
        for (a, b) in ring.iter().copied().zip(ring.iter().skip(1).chain(ring.first()).copied()) {
            match sides.get_mut(&(b, a)) {
                Some(n) if *n > 0 => *n -= 1,
                _ => *sides.entry((a, b)).or_default() += 1,
            }
        }
    }
    let mut next: BTreeMap<Corner, Vec<Corner>> = BTreeMap::new();
    for ((a, b), n) in sides {
        next.entry(a).or_default().extend(std::iter::repeat_n(b, n as usize));
    }
    // The same shape however the table was ordered.
    next.values_mut().for_each(|ends| ends.sort_unstable());
    let starts: Vec<Corner> = next.keys().copied().collect();
    let mut found = Vec::new();
    for start in starts {
        while let Some(mut at) = next.get_mut(&start).and_then(Vec::pop) {
            let mut path = vec![start];
            loop {
                if let Some(seen) = path.iter().position(|corner| *corner == at) {
                    let ring = simple(&path.split_off(seen));
                    // Where the two sides of a border are drawn apart, half a cell is left between them.
                    if ring.len() >= 3 && area(&ring).abs() > 1 {
                        found.push(ring);
                    }
                }
                path.push(at);
                match next.get_mut(&at).and_then(Vec::pop) {
                    Some(end) => at = end,
                    None => break,
                }
            }
        }
    }
    found
}

/// A ring without corners on a straight line.
fn simple(ring: &[Corner]) -> Ring {
    let n = ring.len();
    let bends = |at: usize| {
        let corner = |at: usize| ring.get(at % n).copied().unwrap_or_default();
        let (a, b, c) = (corner(at + n - 1), corner(at), corner(at + 1));
        (i64::from(b.0) - i64::from(a.0)) * (i64::from(c.1) - i64::from(b.1))
            != (i64::from(b.1) - i64::from(a.1)) * (i64::from(c.0) - i64::from(b.0))
    };
    (0..n).filter(|at| bends(*at)).filter_map(|at| ring.get(at).copied()).collect()
}

/// Twice the surface, above 0 against the clock.
fn area(ring: &[Corner]) -> i64 {
    let next = ring.iter().skip(1).chain(ring.first());
    ring.iter().zip(next).map(|(a, b)| i64::from(a.0) * i64::from(b.1) - i64::from(b.0) * i64::from(a.1)).sum()
}

/// Whether a ring goes round a hole: its first corner, or, where that lies on the ring, one that does not.
fn holds(outer: &Ring, hole: &Ring) -> bool {
    let point = |corner: &Corner| Point { lat: f64::from(corner.1), lon: f64::from(corner.0) };
    let ring: Vec<Point> = outer.iter().map(point).collect();
    let free = hole.iter().find(|corner| !outer.contains(corner));
    free.or(hole.first()).is_some_and(|corner| around_point(&ring, point(corner)))
}

fn around_point(ring: &[Point], point: Point) -> bool {
    let next = ring.iter().skip(1).chain(ring.first());
    let crossing = |(a, b): &(&Point, &Point)| {
        (a.lat > point.lat) != (b.lat > point.lat)
            && point.lon < (b.lon - a.lon) * (point.lat - a.lat) / (b.lat - a.lat) + a.lon
    };
    ring.iter().zip(next).filter(crossing).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_squares_side_by_side_melt_into_one_ring_and_a_ring_of_eight_has_a_hole() {
        let square = |x: i32, y: i32| vec![(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)];
        let both = [square(0, 0), square(1, 0)];
        assert_eq!(melt(both.iter()), [vec![(0, 0), (2, 0), (2, 1), (0, 1)]]);
        let around: Vec<Ring> = (0..3)
            .flat_map(|x| (0..3).map(move |y| (x, y)))
            .filter(|at| *at != (1, 1))
            .map(|(x, y)| square(x, y))
            .collect();
        let rings = melt(around.iter());
        let mut sizes: Vec<i64> = rings.iter().map(|ring| area(ring)).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [-2, 18]);
    }

    /// The delta's surface is kept to a few hundredths, every county is there, and a province costs little.
    #[test]
    fn the_whole_map_melts_into_few_rings_of_the_same_surface() {
        let map = RegionMap::delta().unwrap();
        let ground = Ground::of(&map, 0.01);
        for county in map.counties() {
            assert!(!ground.polygons([&county.code]).is_empty(), "{}", county.code);
        }
        for province in map.of_kind(RegionKind::Province) {
            let codes: Vec<_> = map.counties_below(&province.code).iter().map(|county| county.code.clone()).collect();
            let melted: i64 = ground.melted(&codes).iter().map(|ring| area(ring)).sum();
            let single: i64 = codes.iter().flat_map(|code| ground.melted([code])).map(|ring| area(&ring)).sum();
            assert!((melted - single).abs() * 100 <= single, "{}: {melted} of {single}", province.code);
            let corners: usize = ground.melted(&codes).iter().map(Vec::len).sum();
            assert!(corners < 6_000, "{}: {corners}", province.code);
        }
    }
}
