//! The tables beside a map: coast, adjacency, aliases. Each is CSV with a header line and two columns of codes.

use std::collections::BTreeMap;

use super::error::RegionError;
use super::load::Source;
use super::region::{Region, RegionCode, RegionKind};

/// What a column must name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// A county of the map.
    County,
    /// A sea area of the map.
    Sea,
    /// Any region of the map.
    Region,
    /// A code that the map does not use.
    NoRegion,
}

type Regions = BTreeMap<RegionCode, Region>;

/// The table's pairs, in its order; none without a table.
pub(super) fn pairs(
    regions: &Regions,
    source: Option<&Source>,
    left: Wanted,
    right: Wanted,
) -> Result<Vec<(RegionCode, RegionCode)>, RegionError> {
    let Some(source) = source else { return Ok(Vec::new()) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(source.text.as_bytes());
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| RegionError::NotCsv { file: source.file.clone(), source: error })?;
        let line = record.position().map_or(0, csv::Position::line);
        let column = |index: usize, wanted| {
            let code = record.get(index).unwrap_or_default();
            check(regions, code, wanted).ok_or_else(|| wanted.error(source, line, code))
        };
        pairs.push((column(0, left)?, column(1, right)?));
    }
    Ok(pairs)
}

fn check(regions: &Regions, code: &str, wanted: Wanted) -> Option<RegionCode> {
    let code: RegionCode = code.parse().ok()?;
    let kind = regions.get(&code).map(|region| region.kind);
    let fits = match wanted {
        Wanted::County => kind == Some(RegionKind::County),
        Wanted::Sea => kind == Some(RegionKind::Sea),
        Wanted::Region => kind.is_some(),
        Wanted::NoRegion => kind.is_none(),
    };
    fits.then_some(code)
}

impl Wanted {
    fn error(self, source: &Source, line: u64, code: &str) -> RegionError {
        let (file, code) = (source.file.clone(), code.to_owned());
        let wanted = match self {
            Self::NoRegion => return RegionError::AliasTaken { file, line, code },
            Self::County => "county",
            Self::Sea => "sea area",
            Self::Region => "region",
        };
        RegionError::UnknownCode { file, line, code, wanted }
    }
}
