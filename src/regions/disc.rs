//! CAP's circle, on the curved Earth.

use crate::cap::{Circle, Point};

use super::outline::Bounds;
use super::spans::Spans;

/// A disc whose row at any latitude is known exactly: it needs no corners, and poles and the date line are nothing special.
///
/// It lies on a sphere with the ellipsoid's (WGS 84) east-west radius at the middle, heights stretched by what the
/// ellipsoid's north-south radius differs there: within 0.1 % of the geodesic up to 300 km.
#[derive(Debug, Clone)]
pub(super) struct Disc {
    center: Point,
    /// Radius as an angle at the sphere's middle, radians.
    angle: f64,
    /// North-south radius over east-west radius at the middle.
    stretch: f64,
}

/// WGS 84, kilometres.
const EQUATOR_KM: f64 = 6_378.137;
/// WGS 84: first eccentricity, squared.
const ECCENTRICITY2: f64 = 0.006_694_379_990_14;

impl Disc {
    /// The disc; None if a number in it means no place.
    pub(super) fn new(circle: &Circle) -> Option<Self> {
        let Point { lat, lon } = circle.center;
        let sane = lat.abs() <= 90.0 && lon.abs() <= 360.0 && circle.radius_km.is_finite() && circle.radius_km >= 0.0;
        sane.then(|| {
            let bulge = 1.0 - ECCENTRICITY2 * lat.to_radians().sin().powi(2);
            let across_km = EQUATOR_KM / bulge.sqrt();
            let angle = (circle.radius_km / across_km).min(std::f64::consts::PI);
            Self { center: circle.center, angle, stretch: (1.0 - ECCENTRICITY2) / bulge }
        })
    }

    /// Half the length of the row at this latitude, degrees; None where the disc does not reach.
    fn half_width(&self, lat: f64) -> Option<f64> {
        let north = (lat - self.center.lat).to_radians() * self.stretch;
        let middle = self.center.lat.to_radians();
        // The haversine formula, solved for the difference of longitude.
        let reach = (self.angle / 2.0).sin().powi(2) - (north / 2.0).sin().powi(2);
        let part = reach / (middle.cos() * (middle + north).cos().max(0.0));
        if reach < 0.0 || part.is_nan() {
            None
        } else if part >= 1.0 {
            Some(180.0)
        } else {
            Some(2.0 * part.sqrt().asin().to_degrees())
        }
    }

    pub(super) fn center(&self) -> Point {
        self.center
    }

    /// Whether it shares a point with a box, or all but does; its widest row there says so.
    pub(super) fn meets(&self, area: &Bounds) -> bool {
        let (own, area) = (self.bounds(), area.grown());
        let (south, north) = (own.south.max(area.south), own.north.min(area.north));
        if south > north {
            return false;
        }
        // Rows grow towards the widest, on the pole's side of the middle, and shrink beyond it.
        let middle = self.center.lat.to_radians();
        let sine = (middle.sin() / self.angle.cos()).clamp(-1.0, 1.0);
        let widest = self.center.lat + ((sine.asin() - middle) / self.stretch).to_degrees();
        let whole = own.east - own.west >= 360.0;
        let half = if whole { Some(180.0) } else { self.half_width(widest.clamp(south, north)) };
        // At its very ends, rounding may leave no row.
        let half = half.unwrap_or(0.0);
        area.west <= self.center.lon + half && self.center.lon - half <= area.east
    }

    /// The box around it.
    pub(super) fn bounds(&self) -> Bounds {
        let height = (self.angle / self.stretch).to_degrees();
        let (south, north) = ((self.center.lat - height).max(-90.0), (self.center.lat + height).min(90.0));
        let pole = south <= -90.0 || north >= 90.0;
        // The widest row lies on the pole's side of the middle, by sin(width) = sin(angle) / cos(middle).
        let sine = self.angle.sin() / self.center.lat.to_radians().cos();
        let wide = self.angle >= std::f64::consts::FRAC_PI_2 || sine >= 1.0;
        let half = if pole || wide { 180.0 } else { sine.asin().to_degrees() * 1.01 };
        Bounds { south, north, west: self.center.lon - half, east: self.center.lon + half }.wrapped()
    }

    /// What it holds of the row at this latitude.
    pub(super) fn spans(&self, lat: f64) -> Spans {
        let half = self.half_width(lat).unwrap_or(0.0);
        Spans::union(vec![(self.center.lon - half, self.center.lon + half)]).wrapped()
    }

    /// Whether it holds the point.
    pub(super) fn contains(&self, point: Point) -> bool {
        let apart = (point.lon - self.center.lon + 180.0).rem_euclid(360.0) - 180.0;
        self.half_width(point.lat).is_some_and(|half| apart.abs() <= half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::{Destination, Geodesic};

    /// Points by an independent geodesic calculation, a little nearer than the radius and a little farther.
    #[test]
    fn the_rim_lies_where_the_geodesic_says() {
        for (lat, lon, radius_km) in
            [(31.03, 120.9, 5.0), (30.0, 122.0, 80.0), (27.0, 119.0, 300.0), (-45.0, 179.9, 200.0)]
        {
            let disc = Disc::new(&Circle { center: Point { lat, lon }, radius_km }).expect("a sane circle");
            for bearing in (0..360).step_by(15).map(f64::from) {
                for (share, inside) in [(0.999, true), (1.001, false)] {
                    let rim = Geodesic.destination(geo::Point::new(lon, lat), bearing, radius_km * 1000.0 * share);
                    let point = Point { lat: rim.y(), lon: rim.x() };
                    assert_eq!(disc.contains(point), inside, "{lat},{lon} {radius_km} km, bearing {bearing}, {share}");
                }
            }
        }
    }

    #[test]
    fn a_disc_over_the_pole_holds_whole_rows() {
        let disc =
            Disc::new(&Circle { center: Point { lat: 88.0, lon: 0.0 }, radius_km: 500.0 }).expect("a sane circle");
        assert_eq!(disc.spans(89.5).length(), 360.0);
        assert!(disc.contains(Point { lat: 89.0, lon: 180.0 }));
        assert!(!disc.contains(Point { lat: 87.0, lon: 180.0 }));
    }

    #[test]
    fn a_disc_round_the_globe_holds_everything_and_one_without_radius_nothing() {
        let whole =
            Disc::new(&Circle { center: Point { lat: 30.0, lon: 120.0 }, radius_km: 1e9 }).expect("a sane circle");
        assert!(whole.contains(Point { lat: -29.0, lon: -61.0 }));
        let none =
            Disc::new(&Circle { center: Point { lat: 30.0, lon: 120.0 }, radius_km: 0.0 }).expect("a sane circle");
        assert_eq!(none.spans(30.0), Spans::default());
        assert!(Disc::new(&Circle { center: Point { lat: 91.0, lon: 0.0 }, radius_km: 1.0 }).is_none());
    }
}
