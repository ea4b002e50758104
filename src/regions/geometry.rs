//! Polygons and circles of alerts as shapes that can be laid over regions. Hostile shapes stay cheap and never panic.

use geo::algorithm::bool_ops::{FillRule, OpType};
use geo::orient::{Direction, Orient as _};
use geo::{BooleanOps as _, Coord, Destination as _, Haversine, LineString, MultiPolygon, Polygon};

use super::map::square_km;
use crate::cap::{Area, Circle, Point};

/// The most points of a ring that are laid over regions; longer ones are thinned evenly.
const MAX_RING: usize = 4_000;
/// Corners of the polygon that stands for a circle.
const CORNERS: usize = 72;

/// An area's polygons and circles as one shape: overlaps count once.
pub(super) fn shape_of(areas: &[Area]) -> (MultiPolygon, Vec<Point>) {
    let (mut polygons, mut points) = (Vec::new(), Vec::new());
    for area in areas {
        polygons.extend(area.polygons.iter().filter_map(|polygon| ring(&polygon.ring)));
        for circle in &area.circles {
            if circle.radius_km > 0.0 {
                polygons.extend(disc(circle));
            } else {
                points.push(circle.center);
            }
        }
    }
    (MultiPolygon::new(polygons), points)
}

/// How much of `place` the shape covers, km².
pub(super) fn overlap_km2(shape: &MultiPolygon, place: &MultiPolygon) -> f64 {
    square_km(&shape.boolean_op_with_fill_rule(place, OpType::Intersection, FillRule::NonZero))
}

fn ring(points: &[Point]) -> Option<Polygon> {
    let step = points.len().div_ceil(MAX_RING).max(1);
    let mut corners: Vec<Coord> = Vec::with_capacity(points.len() / step + 2);
    for point in points.iter().step_by(step) {
        // Five decimals are a metre: what is closer is one point.
        let round = |degrees: f64| (degrees * 1e5).round() / 1e5;
        let corner = Coord { x: round(point.lon), y: round(point.lat) };
        if corner.x.is_finite() && corner.y.is_finite() && corners.last() != Some(&corner) {
            corners.push(corner);
        }
    }
    (corners.len() >= 3).then(|| Polygon::new(LineString::new(corners), Vec::new()).orient(Direction::Default))
}

fn disc(circle: &Circle) -> Option<Polygon> {
    let center = geo::Point::new(circle.center.lon, circle.center.lat);
    let corner = |n: usize| {
        let bearing = 360.0 * n as f64 / CORNERS as f64;
        let at = Haversine.destination(center, bearing, circle.radius_km * 1_000.0);
        Point { lat: at.y(), lon: at.x() }
    };
    ring(&(0..CORNERS).map(corner).collect::<Vec<_>>())
}
