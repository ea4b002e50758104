use std::path::PathBuf;

/// Why a map of regions cannot be used. Each says which file, where in it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// The file cannot be read.
    #[error("{file}: cannot be read ({source}): check the path in the configuration's map section", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no GeoJSON FeatureCollection.
    #[error("{file}: no GeoJSON FeatureCollection ({source}): export it again as GeoJSON, RFC 7946", file = file.display())]
    NotGeoJson {
        /// The file.
        file: PathBuf,
        /// Where it breaks off.
        source: serde_json::Error,
    },
    /// A feature of a GeoJSON file does not do.
    #[error("{file}, feature {index}{code}: {fault}", file = file.display(), code = code.as_ref().map(|c| format!(" (code {c})")).unwrap_or_default())]
    Feature {
        /// The file.
        file: PathBuf,
        /// The feature, counted from 0.
        index: usize,
        /// Its code, where it has one.
        code: Option<String>,
        /// What is wrong.
        fault: FeatureFault,
    },
    /// The file holds no county.
    #[error("{file}: holds no county: a map needs at least one", file = file.display())]
    NoCounty {
        /// The file.
        file: PathBuf,
    },
    /// A table cannot be read as CSV with two columns.
    #[error("{file}: {source}: it needs a header line and two columns of codes", file = file.display())]
    NotCsv {
        /// The file.
        file: PathBuf,
        /// What the reader said.
        source: csv::Error,
    },
    /// A table names a code that is no region of the right kind.
    #[error("{file}, line {line}: `{code}` is no {wanted} of this map: correct the code or remove the line", file = file.display())]
    UnknownCode {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The code.
        code: String,
        /// What the column must name.
        wanted: &'static str,
    },
    /// An alias is itself a region.
    #[error("{file}, line {line}: `{code}` is a region of this map already: an alias must be a code that is not", file = file.display())]
    AliasTaken {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The code.
        code: String,
    },
}

/// What is wrong with a feature.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FeatureFault {
    /// The code property is missing.
    #[error("has no property `{0}`: name the property that holds the code as `properties.code`")]
    NoCode(String),
    /// The code is not one.
    #[error(transparent)]
    BadCode(#[from] super::region::BadRegionCode),
    /// Two features share a code.
    #[error("its code was used before: codes must be unique over all files")]
    Duplicate,
    /// The level is not known, or not the one that this file must hold.
    #[error("its level `{0}` does not belong in this file: map the word to a kind in `levels`, or move the feature")]
    Level(String),
    /// The parent is no region, or none of a greater kind.
    #[error(
        "its parent `{0}` is no greater region of the map: add the file that holds it to `groups`, or set `properties.parent` to \"\""
    )]
    Parent(String),
    /// It has no polygon.
    #[error("has no Polygon or MultiPolygon: a county and a sea area need one")]
    NoPolygon,
    /// A ring is too short.
    #[error("ring {0} has fewer than four points")]
    TooShort(usize),
    /// A ring does not end where it began.
    #[error("ring {0} is not closed: its last point must repeat its first")]
    Open(usize),
    /// A point is no place on Earth.
    #[error(
        "ring {ring} has the point {lon},{lat}, which is no longitude and latitude in degrees: convert it to WGS 84"
    )]
    OffEarth {
        /// The ring, counted from 0 over all polygons.
        ring: usize,
        /// As in the file.
        lon: f64,
        /// As in the file.
        lat: f64,
    },
    /// Two sides cross.
    #[error("its rings cross near {lon},{lat}: repair the polygon")]
    Crossing {
        /// Longitude, degrees.
        lon: f64,
        /// Latitude, degrees.
        lat: f64,
    },
}
