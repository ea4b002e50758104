//! Whether an alert's shapes reach a region, and how much of it they cover.

use super::How;
use super::cover::{self, Row, Rows};
use super::footprint::{Footprint, Shape};
use super::map::Place;
use super::outline::Bounds;
use super::spans::Spans;

/// How shapes cover a region.
pub(super) struct Overlap {
    /// Share of the region's surface, 0 to 1.
    pub(super) share: f64,
    /// Polygon, circle, or both.
    pub(super) how: Vec<How>,
}

/// A region counts as reached from this share of its surface on ...
const MIN_SHARE: f64 = 0.005;
/// ... or from this surface on, in square kilometres ...
const MIN_KM2: f64 = 1.0;
/// ... or when this share of a shape lies in it.
const MIN_OF_SHAPE: f64 = 0.05;
/// Shorter pieces of a row, in degrees (0.1 mm), are rounding.
const ROUNDING: f64 = 1e-9;

/// A shape whose box meets the region's.
struct Near<'a> {
    footprint: &'a Footprint,
    shape: &'a Shape,
    bounds: Bounds,
    /// Whether a row showed it in the region.
    seen: bool,
}

/// How an alert's shapes cover a region; None if they do not reach it. [`RegionMap::locate`](super::RegionMap::locate)
/// says when they do.
pub(super) fn overlap(place: &Place, footprints: &[Footprint]) -> Option<Overlap> {
    let ground = place.outline.bounds();
    let shapes = footprints.iter().flat_map(|footprint| footprint.shapes().iter().map(move |shape| (footprint, shape)));
    let mut near: Vec<Near<'_>> = shapes
        .map(|(footprint, shape)| Near { footprint, shape, bounds: shape.bounds(), seen: false })
        .filter(|near| near.bounds.meets(&ground))
        .collect();
    let cuts: Vec<f64> = near.iter().flat_map(|near| near.shape.cuts()).filter(|lat| ground.holds(*lat)).collect();
    let cut_rows = (!cuts.is_empty()).then(|| Rows::of(&place.outline, &cuts));
    let Rows { rows, km2: total } = cut_rows.as_ref().unwrap_or_else(|| place.rows());
    let mut km2: f64 = rows.iter().map(|row| in_row(row, &mut near)).sum();
    let much = km2 >= MIN_KM2 || km2 >= MIN_SHARE * *total;
    let mut how = Vec::new();
    for Near { footprint, shape, bounds, seen } in near {
        let reaches = if shape.is_pointlike() {
            shape.anchors.iter().any(|anchor| place.outline.contains(*anchor))
        } else if much {
            seen
        } else {
            let inside = close_up(place, footprint, shape, bounds);
            km2 = km2.max(inside);
            inside > 0.0 && inside >= MIN_OF_SHAPE * shape.km2
        };
        if reaches && !how.contains(&shape.how()) {
            how.push(shape.how());
        }
    }
    let share = if *total > 0.0 { (km2 / total).min(1.0) } else { 0.0 };
    (!how.is_empty()).then_some(Overlap { share, how })
}

/// Square kilometres of a region's row that the shapes cover together. Marks the shapes that do; once one shape covers all
/// of the row, others of its kind could add nothing and are passed over.
fn in_row(row: &Row, near: &mut [Near<'_>]) -> f64 {
    let ground = row.spans.length();
    let mut pieces = Vec::new();
    let mut full: Vec<How> = Vec::new();
    for near in near.iter_mut().filter(|near| near.bounds.holds(row.lat)) {
        if full.contains(&near.shape.how()) {
            continue;
        }
        let piece = part(near.footprint, near.shape, row.lat, &row.spans);
        let length = piece.length();
        if length > ROUNDING {
            near.seen = true;
            pieces.extend(piece.iter());
        }
        if length >= ground {
            full.push(near.shape.how());
        }
    }
    row.km2(&Spans::union(pieces))
}

/// What a shape, less its area's holes, takes of a row.
fn part(footprint: &Footprint, shape: &Shape, lat: f64, ground: &Spans) -> Spans {
    shape.spans(lat).and(ground).without(&footprint.holes(lat))
}

/// Square kilometres that a shape covers of a region, by rows laid as close as the smaller of the two needs.
fn close_up(place: &Place, footprint: &Footprint, shape: &Shape, bounds: Bounds) -> f64 {
    let ground = place.outline.bounds();
    let common = Bounds { south: bounds.south.max(ground.south), north: bounds.north.min(ground.north), ..ground };
    cover::km2(common, |lat| part(footprint, shape, lat, &place.outline.spans(lat)))
}
