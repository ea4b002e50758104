use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::RegionKind;

/// The files of a map: any country's, by naming its GeoJSON files and the properties that they use.
///
/// Coordinates are WGS 84, longitude before latitude, within −180 to 180 (RFC 7946).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapFiles {
    /// GeoJSON with the counties, the unit that audiences are counted in.
    pub counties: PathBuf,
    /// GeoJSON with prefectures and provinces. Only their properties are used; their land is that of their counties.
    #[serde(default)]
    pub groups: Vec<PathBuf>,
    /// GeoJSON with the sea areas.
    #[serde(default)]
    pub sea: Option<PathBuf>,
    /// CSV with a header: sea area, county on its coast.
    #[serde(default)]
    pub coast: Option<PathBuf>,
    /// CSV with a header: county, county beside it. One line a pair, in either order.
    #[serde(default)]
    pub adjacency: Option<PathBuf>,
    /// CSV with a header: code that is no region, region that it stands for. Several lines may share a code.
    #[serde(default)]
    pub aliases: Option<PathBuf>,
    /// Names of the GeoJSON properties.
    #[serde(default)]
    pub properties: Properties,
    /// The words of the level property; `county`, `prefecture` and `province` are known without.
    #[serde(default)]
    pub levels: BTreeMap<String, RegionKind>,
}

/// Which GeoJSON property holds what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Properties {
    /// The region's code, text or whole number.
    pub code: String,
    /// Its name in the local language; where it is missing, the code.
    pub name: String,
    /// Its name in English; where it is missing, the local name.
    pub name_en: String,
    /// Its level. Counties need none.
    pub level: String,
    /// The code of the region it belongs to. Empty: this map has no groups.
    pub parent: String,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            code: "code".into(),
            name: "name".into(),
            name_en: "name_en".into(),
            level: "level".into(),
            parent: "parent".into(),
        }
    }
}

impl MapFiles {
    /// A map of this one file of counties, with no groups, sea or tables.
    pub fn counties(file: impl Into<PathBuf>) -> Self {
        Self {
            counties: file.into(),
            groups: Vec::new(),
            sea: None,
            coast: None,
            adjacency: None,
            aliases: None,
            properties: Properties { parent: String::new(), ..Properties::default() },
            levels: BTreeMap::new(),
        }
    }
}
