//! From what a form says of a place to places: a county of the list, a spot, or a shape that was drawn.

use super::Wishes;
use super::sign_up::{PLACES, ResidentError, Residents};
use crate::cap::{Area, Point, Polygon};
use crate::messages::Language;
use crate::regions::{LocateOptions, RegionCode, RegionKind};
use crate::store::Place;

/// Corners of a drawn shape.
const CORNERS: usize = 200;
/// Characters of a place's name.
const NAME: usize = 20;

/// Where somebody means, as a form says it.
#[derive(Debug, Clone, Default)]
pub struct Where {
    /// A county's code, or nothing.
    pub county: String,
    /// The exact spot.
    pub point: Option<Point>,
    /// The corners of a shape.
    pub shape: Vec<Point>,
}

impl Residents {
    /// The places that a form means: one for a county or a spot; for a shape its middle where it lies in one county, else each county
    /// that it touches.
    ///
    /// # Errors
    /// When it names no county, or too many.
    pub fn places(&self, name: &str, place: &Where, wishes: &Wishes) -> Result<Vec<Place>, ResidentError> {
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
        match place.shape.as_slice() {
            [] => self.place(name.trim(), &place.county, place.point, wishes).map(|place| vec![place]),
            shape => self.drawn(name.trim(), shape, wishes),
        }
    }

    /// Of a county of the map, or at a point, whose county the map knows.
    fn place(&self, name: &str, county: &str, point: Option<Point>, wishes: &Wishes) -> Result<Place, ResidentError> {
        let policy = self.policy.load();
        let at = point.and_then(|point| policy.map.county_at(point)).map(|region| region.code.clone());
        let listed = || {
            let code: RegionCode = county.parse().ok()?;
            policy.map.get(&code).filter(|region| region.kind == RegionKind::County).map(|region| region.code.clone())
        };
        let region = at.clone().or_else(listed);
        let region = region.ok_or(ResidentError::Input("请选择所在区县 / choose a county"))?;
        // A point off the map says nothing: the county that was chosen stands.
        Ok(Place {
            id: 0,
            name: self.called(name, &region, wishes),
            region,
            point: point.filter(|_| at.is_some()),
            wishes: wishes.clone(),
        })
    }

    fn drawn(&self, name: &str, shape: &[Point], wishes: &Wishes) -> Result<Vec<Place>, ResidentError> {
        if !(3..=CORNERS).contains(&shape.len()) {
            return Err(ResidentError::Input("画的区域需有 3 至 200 个角 / a shape has 3 to 200 corners"));
        }
        let policy = self.policy.load();
        let ring = shape.iter().chain(shape.first()).copied().collect();
        let area = Area {
            description: String::new(),
            polygons: vec![Polygon { ring }],
            circles: Vec::new(),
            geocodes: Vec::new(),
            altitude: None,
            ceiling: None,
        };
        let options = LocateOptions { coast: false, neighbours: false, ..LocateOptions::default() };
        let counties = policy.map.locate(&[area], &options).counties;
        if counties.len() > PLACES {
            return Err(ResidentError::Input("画的区域涉及的区县过多 / the shape touches too many counties"));
        }
        if let [county] = counties.as_slice() {
            let inside = |point: &Point| policy.map.county_at(*point).is_some_and(|at| at.code == county.region);
            return self.place(name, county.region.as_str(), middle(shape).filter(inside), wishes).map(|one| vec![one]);
        }
        let place = |region: &RegionCode| {
            let name = format!("{name} {}", self.called("", region, wishes)).trim().chars().take(NAME).collect();
            Place { id: 0, name, region: region.clone(), point: None, wishes: wishes.clone() }
        };
        let places: Vec<Place> = counties.iter().map(|found| place(&found.region)).collect();
        if places.is_empty() {
            return Err(ResidentError::Input("画的区域在地图之外 / the shape lies off the map"));
        }
        Ok(places)
    }

    /// What its owner calls it, else its county's name.
    pub(crate) fn called(&self, name: &str, region: &RegionCode, wishes: &Wishes) -> String {
        let language = wishes.languages.first().copied().unwrap_or(Language::Chinese);
        let county = || self.policy.load().map.get(region).map_or_else(String::new, |r| r.name_in(language).to_owned());
        if name.is_empty() { county() } else { name.to_owned() }
    }
}

/// The middle of the box around a shape.
fn middle(shape: &[Point]) -> Option<Point> {
    let mid = |of: fn(&Point) -> f64| {
        let (least, most) = (shape.iter().map(of).reduce(f64::min)?, shape.iter().map(of).reduce(f64::max)?);
        Some(f64::midpoint(least, most))
    };
    Some(Point { lat: mid(|p| p.lat)?, lon: mid(|p| p.lon)? })
}
