//! How much of one area lies in another, by rows: sums of interval lengths, no polygon arithmetic that could fail.

use super::outline::{Bounds, Outline};
use super::spans::Spans;

/// Kilometres in a degree of latitude, on the sphere of the Earth's mean radius (6371.0088 km).
pub(super) const KM_PER_DEGREE: f64 = 111.195_08;

/// One row across a region.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) lat: f64,
    /// What the region holds of it.
    pub(super) spans: Spans,
    /// Square kilometres that a degree of length in this row stands for.
    pub(super) km2_per_degree: f64,
}

impl Row {
    /// Square kilometres of this row that the spans take.
    pub(super) fn km2(&self, spans: &Spans) -> f64 {
        spans.length() * self.km2_per_degree
    }
}

/// A region's area as rows of equal height.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) km2: f64,
}

/// Rows across a region.
const ROWS: f64 = 128.0;
/// Rows across the part where a small shape and a region meet.
const FINE_ROWS: f64 = 48.0;
/// Rows between two cuts at least.
const MIN_ROWS: f64 = 4.0;
/// With more cuts than this the plain rows lie close enough.
const MAX_CUTS: usize = 64;

impl Rows {
    /// Rows across a whole region, none of which runs over a cut: where a shape begins, ends or turns, so that a shape with
    /// level sides is measured right too.
    pub(super) fn of(outline: &Outline, cuts: &[f64]) -> Self {
        let cuts = if cuts.len() > MAX_CUTS { &[] } else { cuts };
        let rows: Vec<Row> = rows(outline.bounds(), cuts, ROWS, |lat| outline.spans(lat)).collect();
        let km2 = rows.iter().map(|row| row.km2(&row.spans)).sum();
        Self { rows, km2 }
    }
}

/// Square kilometres within the bounds of what `spans` gives for a latitude.
pub(super) fn km2(bounds: Bounds, spans: impl Fn(f64) -> Spans) -> f64 {
    rows(bounds, &[], FINE_ROWS, spans).map(|row| row.km2(&row.spans)).sum()
}

/// About `count` rows from south to north, each at the middle of its height.
fn rows(bounds: Bounds, cuts: &[f64], count: f64, spans: impl Fn(f64) -> Spans) -> impl Iterator<Item = Row> {
    let mut edges: Vec<f64> = cuts.iter().copied().filter(|lat| bounds.south < *lat && *lat < bounds.north).collect();
    edges.extend([bounds.south, bounds.north]);
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    let whole = bounds.north - bounds.south;
    let pairs: Vec<(f64, f64)> = edges.iter().copied().zip(edges.iter().copied().skip(1)).collect();
    let middles = pairs.into_iter().flat_map(move |(south, north)| {
        let count = (count * (north - south) / whole).ceil().max(MIN_ROWS);
        let height = (north - south) / count;
        std::iter::successors(Some(0.5), |step| Some(step + 1.0))
            .take_while(move |step| *step < count)
            .map(move |step| (south + step * height, height))
    });
    middles.map(move |(lat, height)| {
        let km2_per_degree = height * lat.to_radians().cos() * KM_PER_DEGREE * KM_PER_DEGREE;
        Row { lat, spans: spans(lat), km2_per_degree }
    })
}
