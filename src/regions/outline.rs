//! Closed rings, indexed by slabs of latitude, so that one row across them, or one point in them, costs a handful of edges.

use crate::cap::Point;

use super::spans::Spans;

/// What a set of rings encloses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Points with an odd number of rings around them: a map's polygons with their holes.
    EvenOdd,
    /// Points that a ring goes round at all: an alert's polygon, however it crosses itself. The wider reading is taken
    /// because leaving people out is the worse mistake.
    NonZero,
}

/// A box in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) south: f64,
    pub(super) north: f64,
    pub(super) west: f64,
    pub(super) east: f64,
}

impl Bounds {
    /// The box around the points; None if there are none.
    pub(super) fn around<'a>(points: impl IntoIterator<Item = &'a Point>) -> Option<Self> {
        points.into_iter().fold(None, |bounds, p| {
            let b = bounds.unwrap_or(Self { south: p.lat, north: p.lat, west: p.lon, east: p.lon });
            Some(Self {
                south: b.south.min(p.lat),
                north: b.north.max(p.lat),
                west: b.west.min(p.lon),
                east: b.east.max(p.lon),
            })
        })
    }

    /// Whether the boxes share a point.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.south <= other.north && other.south <= self.north && self.west <= other.east && other.west <= self.east
    }

    /// Whether the latitude runs through the box.
    pub(super) fn holds(&self, lat: f64) -> bool {
        self.south <= lat && lat <= self.north
    }

    /// The box and what lies on its rim.
    pub(super) fn grown(self) -> Self {
        let Self { south, north, west, east } = self;
        Self { south: south - ON_SIDE, north: north + ON_SIDE, west: west - ON_SIDE, east: east + ON_SIDE }
    }

    /// Turned so far round the globe.
    pub(super) fn turned(self, turn: f64) -> Self {
        Self { west: self.west + turn, east: self.east + turn, ..self }
    }

    /// A box over the date line becomes one around the globe, so that it meets what it must on both sides.
    pub(super) fn wrapped(self) -> Self {
        if self.west < -180.0 || self.east > 180.0 { Self { west: -180.0, east: 180.0, ..self } } else { self }
    }
}

/// One side of a ring, lower end first, so that two regions that share a border compute the very same crossing.
#[derive(Debug, Clone, Copy)]
struct Edge {
    south: Point,
    north: Point,
    /// 1 when the ring walks it northward, else -1.
    turn: i32,
}

impl Edge {
    /// The side between two points; None when it runs along a row, where it crosses nothing.
    fn between(a: Point, b: Point) -> Option<Self> {
        match a.lat.partial_cmp(&b.lat)? {
            std::cmp::Ordering::Less => Some(Self { south: a, north: b, turn: 1 }),
            std::cmp::Ordering::Greater => Some(Self { south: b, north: a, turn: -1 }),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// Half open, so that a row through a corner counts it once.
    fn crosses(&self, lat: f64) -> bool {
        self.south.lat <= lat && lat < self.north.lat
    }

    fn lon_at(&self, lat: f64) -> f64 {
        let part = (lat - self.south.lat) / (self.north.lat - self.south.lat);
        self.south.lon + part * (self.north.lon - self.south.lon)
    }
}

/// Rings that can be asked for their row at a latitude.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    bounds: Bounds,
    fill: Fill,
    edges: Vec<Edge>,
    /// For each slab from south to north, the edges that enter it.
    slabs: Vec<Vec<u32>>,
    /// Sides that run along a row, from south to north: a row crosses none of them, but a point may lie on one.
    level: Vec<Level>,
}

/// A side along a row.
#[derive(Debug, Clone, Copy)]
struct Level {
    lat: f64,
    west: f64,
    east: f64,
}

/// A point this near to a side, in degrees (0.1 mm), lies on it.
const ON_SIDE: f64 = 1e-9;

/// More slabs than this would cost more to fill than they save.
const MAX_SLABS: usize = 4096;

impl Outline {
    /// Indexes rings of finite points; None if there is no point at all.
    pub(super) fn new(rings: &[Vec<Point>], fill: Fill) -> Option<Self> {
        let bounds = Bounds::around(rings.iter().flatten())?;
        let edges: Vec<Edge> =
            rings.iter().flat_map(|ring| sides(ring)).filter_map(|(a, b)| Edge::between(a, b)).collect();
        let all = || rings.iter().flat_map(|ring| sides(ring));
        let along = |(a, b): (Point, Point)| Level { lat: a.lat, west: a.lon.min(b.lon), east: a.lon.max(b.lon) };
        let mut level: Vec<Level> = all().filter(|(a, b)| a.lat.total_cmp(&b.lat).is_eq()).map(along).collect();
        level.sort_unstable_by(|a, b| a.lat.total_cmp(&b.lat));
        let slabs = vec![Vec::new(); (edges.len() / 4).clamp(1, MAX_SLABS)];
        let mut outline = Self { bounds, fill, slabs, edges, level };
        for (index, edge) in (0u32..).zip(&outline.edges) {
            let (low, high) = (outline.slab_of(edge.south.lat), outline.slab_of(edge.north.lat));
            for slab in outline.slabs.iter_mut().take(high + 1).skip(low) {
                slab.push(index);
            }
        }
        Some(outline)
    }

    /// The box around it.
    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and the result is capped"
    )]
    fn slab_of(&self, lat: f64) -> usize {
        let height = self.bounds.north - self.bounds.south;
        let part = if height > 0.0 { (lat - self.bounds.south) / height } else { 0.0 };
        let slabs = self.slabs.len();
        ((part * slabs as f64) as usize).min(slabs - 1)
    }

    /// The edges that a row crosses.
    fn edges_at(&self, lat: f64) -> impl Iterator<Item = &Edge> {
        let slab = if self.bounds.holds(lat) { self.slabs.get(self.slab_of(lat)) } else { None };
        slab.into_iter()
            .flatten()
            .filter_map(|&index| self.edges.get(index as usize))
            .filter(move |edge| edge.crosses(lat))
    }

    fn inside(&self, turns: i32) -> bool {
        match self.fill {
            Fill::EvenOdd => turns % 2 != 0,
            Fill::NonZero => turns != 0,
        }
    }

    /// What the rings enclose of the row at this latitude.
    pub(super) fn spans(&self, lat: f64) -> Spans {
        let mut crossings: Vec<(f64, i32)> = self.edges_at(lat).map(|edge| (edge.lon_at(lat), edge.turn)).collect();
        crossings.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut turns = 0;
        let mut pieces = Vec::with_capacity(crossings.len() / 2);
        for pair in crossings.windows(2) {
            if let [(west, turn), (east, _)] = *pair {
                turns += turn;
                if self.inside(turns) {
                    pieces.push((west, east));
                }
            }
        }
        Spans::union(pieces)
    }

    /// Whether the rings enclose the point. Of two regions with a common border exactly one encloses a point on it.
    pub(super) fn contains(&self, point: Point) -> bool {
        let b = self.bounds;
        let within = b.holds(point.lat) && b.west <= point.lon && point.lon <= b.east;
        within && {
            let west = self.edges_at(point.lat).filter(|edge| edge.lon_at(point.lat) <= point.lon);
            self.inside(west.map(|edge| edge.turn).sum())
        }
    }
}

impl Outline {
    /// Whether a point lies on a side or corner.
    pub(super) fn touches(&self, point: Point) -> bool {
        let (Point { lat, lon }, b) = (point, self.bounds);
        if !b.holds(lat) || lon < b.west - ON_SIDE || lon > b.east + ON_SIDE {
            return false;
        }
        let slab = self.slabs.get(self.slab_of(lat)).into_iter().flatten();
        let beside = |edge: &&Edge| edge.south.lat <= lat && lat <= edge.north.lat;
        let mut rising = slab.filter_map(|&index| self.edges.get(index as usize)).filter(beside);
        rising.any(|edge| (edge.lon_at(lat) - lon).abs() <= ON_SIDE) || {
            let first = self.level.partition_point(|side| side.lat < lat - ON_SIDE);
            let here = self.level.iter().skip(first).take_while(|side| side.lat <= lat + ON_SIDE);
            here.into_iter().any(|side| side.west - ON_SIDE <= lon && lon <= side.east + ON_SIDE)
        }
    }

    /// Whether any side comes near a box: if none does, the box lies wholly inside or wholly outside.
    pub(super) fn runs_through(&self, area: &Bounds) -> bool {
        self.side_boxes().any(|side| area.meets(&side))
    }

    /// Whether it may share a point with another one turned so far round the globe: where no sides come near each other, each piece lies
    /// wholly inside or wholly outside.
    pub(super) fn may_touch(&self, other: &Self, turn: f64) -> bool {
        let (here, there) = (self.bounds.grown(), other.bounds.turned(turn).grown());
        let near: Vec<Bounds> = self.side_boxes().filter(|side| there.meets(side)).map(|side| side.grown()).collect();
        let corner = |b: Bounds| Point { lat: b.south, lon: b.west };
        let touched = |side: Bounds| near.iter().any(|own| own.meets(&side)) || self.contains(corner(side));
        other.side_boxes().map(|side| side.turned(turn)).filter(|side| here.meets(side)).any(touched)
            || self.side_boxes().next().is_some_and(|side| other.contains(corner(side.turned(-turn))))
    }

    /// The boxes around its sides.
    pub(super) fn side_boxes(&self) -> impl Iterator<Item = Bounds> + '_ {
        let rising = self.edges.iter().map(|edge| {
            let (west, east) = (edge.south.lon.min(edge.north.lon), edge.south.lon.max(edge.north.lon));
            Bounds { south: edge.south.lat, north: edge.north.lat, west, east }
        });
        rising.chain(self.level.iter().map(|l| Bounds { south: l.lat, north: l.lat, west: l.west, east: l.east }))
    }
}

/// The sides of a ring, the closing one too if its last point does not repeat the first.
pub(super) fn sides(ring: &[Point]) -> impl Iterator<Item = (Point, Point)> + '_ {
    let next = ring.iter().skip(1).chain(ring.first());
    ring.iter().zip(next).map(|(a, b)| (*a, *b)).filter(|(a, b)| a != b)
}

/// Where two sides of the rings cross, if any do. Touching is no crossing.
pub(super) fn crossing(rings: &[Vec<Point>]) -> Option<Point> {
    let mut all: Vec<(Point, Point)> = rings.iter().flat_map(|ring| sides(ring)).collect();
    all.sort_by(|a, b| south_of(a).total_cmp(&south_of(b)));
    all.iter().enumerate().find_map(|(index, side)| {
        let north = side.0.lat.max(side.1.lat);
        let rivals = all.iter().skip(index + 1).take_while(|rival| south_of(rival) <= north);
        rivals.into_iter().find(|rival| cross(side, rival)).map(|rival| rival.0)
    })
}

fn south_of(side: &(Point, Point)) -> f64 {
    side.0.lat.min(side.1.lat)
}

/// Below this, in square degrees, three points count as lying on a line (a ten-thousandth of what 4 decimals can tell apart).
const FLAT: f64 = 1e-12;

fn cross(s: &(Point, Point), t: &(Point, Point)) -> bool {
    let apart = s.0.lon.max(s.1.lon) < t.0.lon.min(t.1.lon) || t.0.lon.max(t.1.lon) < s.0.lon.min(s.1.lon);
    let side = |a: Point, b: Point, c: Point| (b.lon - a.lon) * (c.lat - a.lat) - (b.lat - a.lat) * (c.lon - a.lon);
    let opposite = |x: f64, y: f64| (x > FLAT && y < -FLAT) || (x < -FLAT && y > FLAT);
    !apart && opposite(side(s.0, s.1, t.0), side(s.0, s.1, t.1)) && opposite(side(t.0, t.1, s.0), side(t.0, t.1, s.1))
}
