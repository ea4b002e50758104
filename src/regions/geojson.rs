//! The little of GeoJSON (RFC 7946) that a map needs, read straight into rings of points.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::cap::Point;

/// A FeatureCollection whose geometries are read as `G`.
#[derive(Deserialize)]
#[serde(bound = "G: DeserializeOwned")]
pub(super) struct Collection<G> {
    pub(super) features: Vec<Feature<G>>,
}

#[derive(Deserialize)]
pub(super) struct Feature<G> {
    #[serde(default)]
    pub(super) properties: Option<Map<String, Value>>,
    pub(super) geometry: Option<G>,
}

/// The geometries that can be a region.
#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates")]
pub(super) enum Geometry {
    Polygon(Vec<Vec<Position>>),
    MultiPolygon(Vec<Vec<Vec<Position>>>),
}

impl Geometry {
    /// All rings, outer and inner, of all polygons.
    pub(super) fn into_rings(self) -> Vec<Vec<Point>> {
        let polygons = match self {
            Self::Polygon(polygon) => vec![polygon],
            Self::MultiPolygon(polygons) => polygons,
        };
        polygons.into_iter().flatten().map(|ring| ring.into_iter().map(|position| position.0).collect()).collect()
    }
}

/// Longitude, latitude, and whatever follows.
pub(super) struct Position(Point);

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PositionVisitor)
    }
}

struct PositionVisitor;

impl<'de> Visitor<'de> for PositionVisitor {
    type Value = Position;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position: longitude, latitude")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Position, A::Error> {
        let lon = numbers.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let lat = numbers.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        while numbers.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Position(Point { lat, lon }))
    }
}
