//! Whether a ring crosses itself, also in a corner. Touching, and going back along a side, is no crossing: holes are drawn so.

use std::cmp::Ordering;

use super::alert::Point;

/// Square degrees below which three points count as lying on a line (a ten-thousandth of what 4 decimals can tell apart).
const FLAT: f64 = 1e-12;
/// Comparisons that every ring gets, and more for each of its sides: a scribble that needs still more is not searched to its end, for
/// the finding is a courtesy.
const COMPARISONS: usize = 250_000;
const COMPARISONS_A_SIDE: usize = 64;

/// Whether two sides of a closed ring cross.
pub(super) fn crosses_itself(ring: &[Point]) -> bool {
    let corners = corners(ring);
    let count = corners.len();
    if count < 4 {
        return false;
    }
    let sides = Sides { corners };
    // From south to north or from west to east: whichever way the ring turns back less often, and fewer sides lie beside one another.
    let along: fn(Point) -> f64 = if sides.turns(|p| p.lat) <= sides.turns(|p| p.lon) { |p| p.lat } else { |p| p.lon };
    let across: fn(Point) -> f64 = if along(Point { lat: 1.0, lon: 0.0 }) > 0.0 { |p| p.lon } else { |p| p.lat };
    let extents = |side| Extents { along: sides.extent(side, along), across: sides.extent(side, across), side };
    let mut order: Vec<Extents> = (0..count).map(extents).collect();
    order.sort_unstable_by(|a, b| a.along.0.total_cmp(&b.along.0));
    let mut open: Vec<Extents> = Vec::new();
    let mut left = COMPARISONS + COMPARISONS_A_SIDE * count;
    for side in order {
        open.retain(|other| other.along.1 >= side.along.0);
        if open.iter().any(|other| side.is_beside(other) && sides.cross(side.side, other.side)) {
            return true;
        }
        let Some(rest) = left.checked_sub(open.len()) else { return false };
        left = rest;
        open.push(side);
    }
    false
}

/// From where to where a side goes, each way.
struct Extents {
    along: (f64, f64),
    across: (f64, f64),
    side: usize,
}

impl Extents {
    /// Whether two sides that lie beside one another along do so across.
    fn is_beside(&self, other: &Self) -> bool {
        self.across.0 <= other.across.1 && other.across.0 <= self.across.1
    }
}

/// The ring's corners, each once, unrolled over the date line.
fn corners(ring: &[Point]) -> Vec<Point> {
    let mut corners: Vec<Point> = Vec::with_capacity(ring.len());
    for point in ring {
        let mut point = *point;
        if let Some(last) = corners.last() {
            point.lon += ((last.lon - point.lon) / 360.0).round() * 360.0;
        }
        if corners.last() != Some(&point) {
            corners.push(point);
        }
    }
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    corners
}

/// Sides by the number of the corner that they begin in.
struct Sides {
    corners: Vec<Point>,
}

impl Sides {
    fn corner(&self, n: usize) -> Point {
        self.corners.get(n % self.corners.len()).copied().unwrap_or(Point { lat: 0.0, lon: 0.0 })
    }

    fn extent(&self, side: usize, along: fn(Point) -> f64) -> (f64, f64) {
        let (a, b) = (along(self.corner(side)), along(self.corner(side + 1)));
        (a.min(b), a.max(b))
    }

    /// How often the ring goes its own height or width.
    fn turns(&self, along: fn(Point) -> f64) -> f64 {
        let (mut way, mut low, mut high) = (0.0, f64::MAX, f64::MIN);
        for side in 0..self.corners.len() {
            let (a, b) = self.extent(side, along);
            (way, low, high) = (way + b - a, low.min(a), high.max(b));
        }
        way / (high - low)
    }

    /// Whether two sides cross that lie beside one another.
    fn cross(&self, s: usize, t: usize) -> bool {
        let (a, b, c, d) = (self.corner(s), self.corner(s + 1), self.corner(t), self.corner(t + 1));
        if a == c {
            return self.cross_in_a_corner(s, t);
        }
        let (ac, ad, ca, cb) = (turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b));
        let inside = opposite(ac, ad) && opposite(ca, cb);
        // A corner on the other side: the ring crosses it there if it comes from one hand and goes to the other.
        let through = |a: Point, b: Point, corner: usize, on_it: Ordering| {
            let (before, after) = (self.corner(corner + self.corners.len() - 1), self.corner(corner + 1));
            on_it.is_eq() && self.corner(corner) != b && opposite(turn(a, b, before), turn(a, b, after))
        };
        inside
            || (!ca.is_eq() || !cb.is_eq())
                && (through(a, b, t, ac) && between(a, b, c) || through(c, d, s, ca) && between(c, d, a))
    }

    /// Two corners in one place: whether one turn lies on both hands of the other.
    fn cross_in_a_corner(&self, s: usize, t: usize) -> bool {
        let here = self.corner(s);
        let toward = |corner: usize| {
            let p = self.corner(corner);
            (p.lat - here.lat).atan2(p.lon - here.lon)
        };
        let last = self.corners.len() - 1;
        let first = toward(s + last);
        let round = |corner: usize| (toward(corner) - first).rem_euclid(std::f64::consts::TAU);
        let (out, one, other) = (round(s + 1), round(t + last), round(t + 1));
        let same = |a: f64, b: f64| (a - b).abs() < 1e-9 || (a - b).abs() > std::f64::consts::TAU - 1e-9;
        let along = [one, other].into_iter().any(|way| same(way, out) || same(way, 0.0));
        !along && (one < out) != (other < out)
    }
}

/// On which hand of the line from a to b a point lies.
fn turn(a: Point, b: Point, c: Point) -> Ordering {
    let turn = (b.lon - a.lon) * (c.lat - a.lat) - (b.lat - a.lat) * (c.lon - a.lon);
    if turn > FLAT {
        Ordering::Greater
    } else if turn < -FLAT {
        Ordering::Less
    } else {
        Ordering::Equal
    }
}

fn opposite(a: Ordering, b: Ordering) -> bool {
    a.is_ne() && a == b.reverse()
}

/// Whether a point of the line through a and b lies between them.
fn between(a: Point, b: Point, p: Point) -> bool {
    let within = |x: f64, y: f64, z: f64| x.min(y) <= z && z <= x.max(y);
    within(a.lat, b.lat, p.lat) && within(a.lon, b.lon, p.lon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().chain(points.first()).map(|&(lat, lon)| Point { lat, lon }).collect()
    }

    #[test]
    fn rings_cross_in_sides_and_in_corners_and_touching_is_none() {
        for (what, points, crosses) in [
            ("a square", &[(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)][..], false),
            ("a bow", &[(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)], true),
            ("a bow, tied in a corner", &[(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)], true),
            (
                "a bow, tied in two corners",
                &[(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.0, 0.0), (0.5, 0.5), (0.0, 1.0)],
                true,
            ),
            (
                "two halves that touch in a corner",
                &[(0.0, 0.0), (0.5, 0.5), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0)],
                false,
            ),
            ("a corner that touches a side", &[(0.0, 0.0), (0.0, 2.0), (1.0, 2.0), (0.0, 1.0), (1.0, 0.0)], false),
            ("a corner that goes through a side", &[(0.0, 0.0), (0.0, 2.0), (1.0, 2.0), (0.0, 1.0), (-1.0, 1.0)], true),
            (
                "a hole, and the way to it and back",
                &[
                    (0.0, 0.0),
                    (0.0, 3.0),
                    (3.0, 3.0),
                    (3.0, 0.0),
                    (0.0, 0.0),
                    (1.0, 1.0),
                    (2.0, 1.0),
                    (2.0, 2.0),
                    (1.0, 1.0),
                ],
                false,
            ),
            ("a square over the date line", &[(0.0, 179.0), (0.0, -179.0), (1.0, -179.0), (1.0, 179.0)], false),
            ("a bow over the date line", &[(0.0, 179.0), (1.0, -179.0), (1.0, 179.0), (0.0, -179.0)], true),
        ] {
            assert_eq!(crosses_itself(&ring(points)), crosses, "{what}");
            let turned: Vec<_> = points.iter().rev().map(|&(lat, lon)| (lon / 10.0, lat)).collect();
            if !what.contains("date line") {
                assert_eq!(crosses_itself(&ring(&turned)), crosses, "{what}, turned round");
            }
        }
    }

    /// A comb of long teeth, whichever way it lies; then its last tooth crosses the first.
    #[test]
    fn long_rings_are_searched_too() {
        for count in [400_u32, 501, 600, 100_000] {
            for tall in [false, true] {
                let step = 50.0 / f64::from(count);
                let mut points: Vec<(f64, f64)> = (0..count).map(|n| (f64::from(n % 2), f64::from(n) * step)).collect();
                points.extend([(-1.0, 50.0), (-1.0, -1.0)]);
                let lay = |points: &[(f64, f64)]| {
                    ring(&points.iter().map(|&(a, b)| if tall { (b, a) } else { (a, b) }).collect::<Vec<_>>())
                };
                assert!(!crosses_itself(&lay(&points)), "{count} {tall}");
                points.push((0.5, step * 2.5));
                assert!(crosses_itself(&lay(&points)), "{count} {tall}");
            }
        }
    }
}
