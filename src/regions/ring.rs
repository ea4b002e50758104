//! Rings as senders draw them, made fit to work with.

use crate::cap::{NamedValue, Point};

/// How many sides a row may cross, on average, before a ring counts as a scribble: few coasts in full detail come near.
const SCRIBBLE: f64 = 64.0;

/// The closed ring with its longitudes unrolled over the date line and round a pole, without points that lie nowhere on
/// Earth. None if no point is left.
///
/// A ring that runs up and down so often that its rows could not be read in reasonable time is thinned by keeping every
/// n-th point; the same ring always gives the same result.
pub(super) fn tame(ring: &[Point]) -> Option<Vec<Point>> {
    let on_earth = |p: &&Point| p.lat.abs() <= 90.0 && p.lon.abs() <= 360.0;
    let mut points: Vec<Point> = ring.iter().filter(on_earth).copied().collect();
    let first = *points.first()?;
    if points.last() != Some(&first) {
        points.push(first);
    }
    unroll(&mut points);
    let end = points.last().map_or(first.lon, |last| last.lon);
    if (end - first.lon).abs() > 180.0 {
        let north = points.iter().map(|p| p.lat).sum::<f64>() > 0.0;
        let lat = if north { 90.0 } else { -90.0 };
        points.extend([Point { lat, lon: end }, Point { lat, lon: first.lon }, first]);
    }
    Some(thin(points, first))
}

/// Two neighbours more than half the globe apart are meant the short way round, over the date line; only a side of
/// 360 degrees is left as it is, for it draws a box around the whole globe.
fn unroll(points: &mut [Point]) {
    let mut turn = 0.0;
    let mut before: Option<f64> = None;
    for point in points {
        let step = point.lon - before.unwrap_or(point.lon);
        before = Some(point.lon);
        if step.abs() > 180.0 && step.abs() < 360.0 {
            turn -= 360.0_f64.copysign(step);
        }
        point.lon += turn;
    }
}

fn thin(points: Vec<Point>, first: Point) -> Vec<Point> {
    let lats = || points.iter().map(|p| p.lat);
    let height = lats().fold(f64::MIN, f64::max) - lats().fold(f64::MAX, f64::min);
    let climb: f64 = lats().zip(lats().skip(1)).map(|(a, b)| (b - a).abs()).sum();
    let too_often = climb / height / SCRIBBLE;
    if too_often > 1.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and the number of points"
        )]
        let every = too_often.ceil() as usize;
        points.into_iter().step_by(every).chain([first]).collect()
    } else {
        points
    }
}

/// Whether a geocode is a hole in its area, as Germany's weather service writes them.
pub(super) fn is_hole(code: &NamedValue) -> bool {
    code.name.trim().eq_ignore_ascii_case("EXCLUDE_POLYGON")
}

/// CAP's `lat,lon lat,lon ...`; None unless it is that, with four points at least.
pub(super) fn parse(text: &str) -> Option<Vec<Point>> {
    let point = |pair: &str| {
        let (lat, lon) = pair.split_once(',')?;
        Some(Point { lat: lat.parse().ok()?, lon: lon.parse().ok()? })
    };
    text.split_whitespace().map(point).collect::<Option<Vec<_>>>().filter(|ring| ring.len() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(lat, lon)| Point { lat, lon }).collect()
    }

    #[test]
    fn a_ring_over_the_date_line_is_unrolled_and_closed() {
        let drawn = ring(&[(-20.0, 178.0), (-20.0, -178.0), (-16.0, -178.0), (-16.0, 178.0)]);
        let meant = ring(&[(-20.0, 178.0), (-20.0, 182.0), (-16.0, 182.0), (-16.0, 178.0), (-20.0, 178.0)]);
        assert_eq!(tame(&drawn), Some(meant));
    }

    #[test]
    fn a_ring_round_the_pole_takes_the_pole_in() {
        let drawn = ring(&[(60.0, 0.0), (60.0, 120.0), (60.0, -120.0), (60.0, 0.0)]);
        let meant =
            ring(&[(60.0, 0.0), (60.0, 120.0), (60.0, 240.0), (60.0, 360.0), (90.0, 360.0), (90.0, 0.0), (60.0, 0.0)]);
        assert_eq!(tame(&drawn), Some(meant));
    }

    #[test]
    fn a_box_around_the_globe_stays_one() {
        let globe = ring(&[(-90.0, -180.0), (-90.0, 180.0), (90.0, 180.0), (90.0, -180.0), (-90.0, -180.0)]);
        assert_eq!(tame(&globe), Some(globe));
    }

    #[test]
    fn points_off_the_earth_are_left_out() {
        assert_eq!(tame(&ring(&[(f64::NAN, 0.0), (91.0, 0.0), (0.0, f64::INFINITY)])), None);
    }

    #[test]
    fn only_a_scribble_is_thinned() {
        let fine: Vec<_> = (0..100_000u32).map(|i| (f64::from(i) / 15_916.0).sin_cos()).collect();
        assert_eq!(tame(&ring(&fine)).map(|ring| ring.len()), Some(100_001));
        let scribble: Vec<_> = (0..100_000u32).map(|i| (f64::from(i % 2), f64::from(i % 7))).collect();
        assert!(tame(&ring(&scribble)).is_some_and(|ring| ring.len() < 1000));
    }

    #[test]
    fn a_hole_is_read_only_when_it_is_a_ring() {
        assert_eq!(parse("1,2 3,4\n5,6 1,2"), Some(ring(&[(1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (1.0, 2.0)])));
        for broken in ["", "1,2 3,4 1,2", "1,2 3,4 5 1,2", "1,2 x,4 5,6 1,2"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
