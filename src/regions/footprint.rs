//! The ground that an alert's polygons and circles mean.

use crate::cap::{Area, Point};

use super::How;
use super::cover;
use super::disc::Disc;
use super::outline::{Bounds, Fill, Outline};
use super::ring;
use super::spans::Spans;

/// The polygons and circles of one area, together, less its holes.
#[derive(Debug, Clone, Default)]
pub struct Footprint {
    shapes: Vec<Shape>,
    holes: Vec<Outline>,
}

/// One polygon or circle.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    form: Form,
    /// Its first points, a circle's middle. They stand for it where it has no surface: a circle without radius, a polygon drawn as a line.
    pub(super) anchors: Vec<Point>,
    /// Its own surface, square kilometres.
    pub(super) km2: f64,
}

#[derive(Debug, Clone)]
enum Form {
    Polygon(Outline),
    Circle(Disc),
}

/// A shape smaller than this, in square kilometres (a square metre), counts as its points.
const POINTLIKE_KM2: f64 = 1e-6;
/// No more points than this are kept.
const ANCHORS: usize = 64;

impl Footprint {
    /// The ground that an area's polygons and circles mean, less its `EXCLUDE_POLYGON` holes. Never fails: points that
    /// lie nowhere on Earth are left out.
    pub fn of(area: &Area) -> Self {
        let polygons = area.polygons.iter().filter_map(|polygon| {
            let ring = ring::tame(&polygon.ring)?;
            let anchors = ring.iter().copied().take(ANCHORS).collect();
            Some(Shape::new(Form::Polygon(Outline::new(&[ring], Fill::NonZero)?), anchors))
        });
        let circles = area.circles.iter().filter_map(|circle| {
            let disc = Disc::new(circle)?;
            Some(Shape::new(Form::Circle(disc), vec![circle.center]))
        });
        let holes = area.geocodes.iter().filter(|code| ring::is_hole(code)).filter_map(|code| {
            let ring = ring::tame(&ring::parse(&code.value)?)?;
            Outline::new(&[ring], Fill::NonZero)
        });
        Self { shapes: polygons.chain(circles).collect(), holes: holes.collect() }
    }

    /// Whether the area has neither polygon nor circle.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Whether the place is inside.
    pub fn contains(&self, place: Point) -> bool {
        self.shapes.iter().any(|shape| shape.contains(place)) && !self.holes.iter().any(|hole| wraps(hole, place))
    }

    /// Whether a person at this place is meant: inside, or on the edge. Whoever stands on the line of a danger is told; on the line
    /// of a hole too.
    pub fn covers(&self, place: Point) -> bool {
        let cut_out = |hole: &Outline| wraps(hole, place) && !on_side(hole, place);
        self.shapes.iter().any(|shape| shape.covers(place)) && !self.holes.iter().any(cut_out)
    }

    /// Whether one of its shapes covers the whole box, and no hole comes near: every place in it is meant without a look.
    pub(super) fn covers_all(&self, area: &Bounds) -> bool {
        let hole = self.holes.iter().any(|hole| hole.bounds().wrapped().meets(area));
        !hole && self.shapes.iter().any(|shape| shape.covers_all(area))
    }

    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    pub(super) fn count_holes(&self) -> usize {
        self.holes.len()
    }

    /// What the holes take of the row at this latitude.
    pub(super) fn holes(&self, lat: f64) -> Spans {
        let here = self.holes.iter().filter(|hole| hole.bounds().holds(lat));
        Spans::union(here.flat_map(|hole| hole.spans(lat).wrapped().iter().collect::<Vec<_>>()).collect())
    }
}

impl Shape {
    fn new(form: Form, mut anchors: Vec<Point>) -> Self {
        for anchor in &mut anchors {
            anchor.lon = (anchor.lon + 180.0).rem_euclid(360.0) - 180.0;
        }
        let mut shape = Self { form, anchors, km2: 0.0 };
        shape.km2 = cover::km2(shape.bounds(), |lat| shape.spans(lat));
        shape
    }

    /// Whether it has no surface to speak of.
    pub(super) fn is_pointlike(&self) -> bool {
        self.km2 < POINTLIKE_KM2
    }

    /// The way of matching that it stands for.
    pub(super) fn how(&self) -> How {
        match self.form {
            Form::Polygon(_) => How::Polygon,
            Form::Circle(_) => How::Circle,
        }
    }

    /// The box around it, within −180 to 180.
    pub(super) fn bounds(&self) -> Bounds {
        match &self.form {
            Form::Polygon(outline) => outline.bounds().wrapped(),
            Form::Circle(disc) => disc.bounds(),
        }
    }

    /// The latitudes where it begins, ends or turns; for one with many points only the first two.
    pub(super) fn cuts(&self) -> Vec<f64> {
        let Bounds { south, north, .. } = self.bounds();
        let turns = if self.anchors.len() < ANCHORS { self.anchors.as_slice() } else { &[] };
        turns.iter().map(|point| point.lat).chain([south, north]).collect()
    }

    /// What it holds of the row at this latitude.
    pub(super) fn spans(&self, lat: f64) -> Spans {
        match &self.form {
            Form::Polygon(outline) => outline.spans(lat).wrapped(),
            Form::Circle(disc) => disc.spans(lat),
        }
    }

    fn covers(&self, place: Point) -> bool {
        match &self.form {
            Form::Polygon(outline) => wraps(outline, place) || on_side(outline, place),
            Form::Circle(disc) => disc.contains(place),
        }
    }

    fn covers_all(&self, area: &Bounds) -> bool {
        let corner = |lat, lon| self.covers(Point { lat, lon });
        let corners =
            [(area.south, area.west), (area.south, area.east), (area.north, area.west), (area.north, area.east)];
        let clear = match &self.form {
            Form::Polygon(outline) => TURNS.iter().all(|turn| {
                let turned = Bounds { west: area.west + turn, east: area.east + turn, ..*area };
                !outline.runs_through(&turned)
            }),
            // A disc's rows grow towards its middle and shrink after it: between two corners it is nowhere narrower.
            Form::Circle(_) => area.east - area.west < 90.0,
        };
        clear && corners.iter().all(|(lat, lon)| corner(*lat, *lon))
    }

    /// Whether it may share a point with the ground of a region.
    pub(super) fn may_touch(&self, ground: &Outline) -> bool {
        match &self.form {
            Form::Polygon(outline) => TURNS.iter().any(|turn| outline.may_touch(ground, *turn)),
            Form::Circle(disc) => {
                let comes_near = |side: Bounds| TURNS.iter().any(|turn| disc.meets(&side.turned(*turn)));
                disc.bounds().meets(&ground.bounds())
                    && (wraps(ground, disc.center()) || ground.side_boxes().any(comes_near))
            }
        }
    }

    fn contains(&self, place: Point) -> bool {
        match &self.form {
            Form::Polygon(outline) => wraps(outline, place),
            Form::Circle(disc) => disc.contains(place),
        }
    }
}

/// A place may be meant from either side of the date line.
const TURNS: [f64; 3] = [0.0, 360.0, -360.0];

/// Whether an outline that may hang over the date line holds the place.
fn wraps(outline: &Outline, place: Point) -> bool {
    TURNS.iter().any(|turn| outline.contains(Point { lat: place.lat, lon: place.lon + turn }))
}

/// Whether the place lies on a side of it.
fn on_side(outline: &Outline, place: Point) -> bool {
    TURNS.iter().any(|turn| outline.touches(Point { lat: place.lat, lon: place.lon + turn }))
}
