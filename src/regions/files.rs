//! The files of a map: GeoJSON for shapes, CSV for which county touches what.

use std::path::PathBuf;

use geo::MultiPolygon;
use geojson::{Feature, FeatureCollection};
use serde::Deserialize;

use super::map::RegionError;
use super::region::{Region, RegionCode, RegionKind};

/// A map of one's own, for another country or province.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapFiles {
    /// The regions that audiences are counted in, and those above them where the file has them: GeoJSON, WGS 84.
    pub regions: Vec<PathBuf>,
    /// Sea areas: GeoJSON, WGS 84.
    pub sea_areas: Option<PathBuf>,
    /// Which county touches which sea area: CSV `marine_code,county_code`.
    pub coast: Option<PathBuf>,
    /// Which counties share a border: CSV `county_a,county_b`.
    pub adjacency: Option<PathBuf>,
    /// How the GeoJSON names its properties.
    #[serde(default)]
    pub properties: Properties,
}

/// Names of the GeoJSON properties.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Properties {
    /// The region's code; text or number.
    pub code: String,
    /// The name in the local language; the code where it is missing.
    pub name: String,
    /// The name in English; the local name where it is missing.
    pub name_en: String,
    /// `county`, `prefecture` or `province`; a county where it is missing.
    pub level: String,
    /// The code of the region above.
    pub parent: String,
}

impl Default for Properties {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            code: name("code"),
            name: name("name"),
            name_en: name("name_en"),
            level: name("level"),
            parent: name("parent"),
        }
    }
}

/// A region with its shape, as read.
pub(super) struct Shaped {
    pub(super) region: Region,
    pub(super) shape: MultiPolygon,
}

/// Reads a GeoJSON file's text. `sea` makes every feature a sea area.
pub(super) fn shapes(file: &str, text: &str, names: &Properties, sea: bool) -> Result<Vec<Shaped>, RegionError> {
    let bad = |what: String| RegionError::File { file: file.to_owned(), what };
    let collection: FeatureCollection = text.parse().map_err(|e: geojson::Error| bad(e.to_string()))?;
    let read = |(n, feature): (usize, Feature)| {
        shaped(&feature, names, sea).map_err(|what| bad(format!("feature {n}: {what}")))
    };
    (1..).zip(collection.features).map(read).collect()
}

fn shaped(feature: &Feature, names: &Properties, sea: bool) -> Result<Shaped, String> {
    let text = |name: &str| match feature.property(name) {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let code = text(&names.code).ok_or_else(|| format!("no property `{}` to take as its code", names.code))?;
    let code: RegionCode = code.parse().map_err(|e| format!("{e}"))?;
    let kind = match (sea, text(&names.level).as_deref()) {
        (true, _) => RegionKind::Sea,
        (false, Some("prefecture")) => RegionKind::Prefecture,
        (false, Some("province")) => RegionKind::Province,
        (false, _) => RegionKind::County,
    };
    let name = text(&names.name).unwrap_or_else(|| code.to_string());
    let name_en = text(&names.name_en).unwrap_or_else(|| name.clone());
    let parent = text(&names.parent).map(|parent| parent.parse()).transpose().map_err(|e| format!("{code}: {e}"))?;
    let geometry = feature.geometry.as_ref().ok_or_else(|| format!("{code} has no geometry"))?;
    let geometry = geo::Geometry::<f64>::try_from(geometry).map_err(|e| format!("{code}: {e}"))?;
    let shape = match geometry {
        geo::Geometry::Polygon(polygon) => MultiPolygon::new(vec![polygon]),
        geo::Geometry::MultiPolygon(shape) => shape,
        _ => return Err(format!("{code} is neither a Polygon nor a MultiPolygon")),
    };
    check_rings(&shape).map_err(|what| format!("{code}: {what}"))?;
    Ok(Shaped { region: Region { code, name, name_en, kind, parent }, shape })
}

fn check_rings(shape: &MultiPolygon) -> Result<(), String> {
    for polygon in shape {
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            if ring.0.len() < 4 || !ring.is_closed() {
                return Err("a ring has fewer than four points or is not closed".into());
            }
            if let Some(bad) =
                ring.coords().find(|c| !(-180.0..=180.0).contains(&c.x) || !(-90.0..=90.0).contains(&c.y))
            {
                return Err(format!("({}, {}) is no longitude and latitude", bad.x, bad.y));
            }
        }
    }
    Ok(())
}

/// Reads the first two columns of a CSV text as codes.
pub(super) fn pairs(file: &str, text: &str) -> Result<Vec<(RegionCode, RegionCode)>, RegionError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut pairs = Vec::new();
    for record in reader.records() {
        let bad = |what: String| RegionError::File { file: file.to_owned(), what };
        let record = record.map_err(|e| bad(e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let code = |n: usize| -> Result<RegionCode, RegionError> {
            let text = record.get(n).ok_or_else(|| bad(format!("line {line} has fewer than two columns")))?;
            text.parse().map_err(|e| bad(format!("line {line}: {e}")))
        };
        pairs.push((code(0)?, code(1)?));
    }
    Ok(pairs)
}
