//! Geocodes: which list a pair is from, and which regions its value means.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cap::NamedValue;

use super::map::RegionMap;
use super::region::{Region, RegionCode, RegionKind};

/// How the values of a code list are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum CodeList {
    /// By a rule.
    By(Reading),
    /// By a table from each value to one region or several.
    Table(BTreeMap<String, Codes>),
}

/// A rule that turns a value into a region's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// The value is a code of the map, or an alias.
    Regions,
    /// The value is a division of GB/T 2260 in 6 digits, or that with the township (9 digits) and village (12 digits)
    /// behind it, which belong to the county: `341823100000` is read as `341823`.
    Divisions,
}

/// One code or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Codes {
    /// One.
    One(RegionCode),
    /// Several.
    Several(Vec<RegionCode>),
}

impl Codes {
    fn as_slice(&self) -> &[RegionCode] {
        match self {
            Self::One(code) => std::slice::from_ref(code),
            Self::Several(codes) => codes,
        }
    }
}

/// The lists that we write.
const CPEAS: &str = "CPEAS Geographic Code";
const REGION: &str = "TOCSIN Region";
const SEA_AREA: &str = "TOCSIN Sea Area";

/// The lists known without configuration.
const KNOWN: [(&str, Reading); 6] = [
    (CPEAS, Reading::Divisions),
    ("GB/T 2260", Reading::Divisions),
    ("GB/T 2260-2007", Reading::Divisions),
    ("GB/T2260", Reading::Divisions),
    (REGION, Reading::Regions),
    (SEA_AREA, Reading::Regions),
];

/// How a region is named in what we write: by the list that CAP readers of China know where its code is a division of GB/T 2260, else
/// by the map's own.
pub(super) fn written(code: &RegionCode, kind: Option<RegionKind>) -> NamedValue {
    let code = code.as_str();
    let (name, value) = match kind {
        Some(RegionKind::Sea) => (SEA_AREA, code.to_owned()),
        _ if code.len() == 6 && division(code).is_some() => (CPEAS, format!("{code}000000")),
        _ => (REGION, code.to_owned()),
    };
    NamedValue { name: name.into(), value }
}

/// What a geocode means.
pub(super) enum Meaning<'a> {
    /// Its list is not known here.
    Foreign,
    /// Its list is known, the value is not.
    Unknown,
    /// Counties and sea areas.
    Regions(Vec<&'a Region>),
}

/// What a geocode means on this map. Names of lists are compared without regard to case and outer spaces.
pub(super) fn meaning<'a>(map: &'a RegionMap, lists: &BTreeMap<String, CodeList>, code: &NamedValue) -> Meaning<'a> {
    let (name, value) = (code.name.trim(), code.value.trim());
    let configured = lists.iter().find(|(list, _)| list.trim().eq_ignore_ascii_case(name)).map(|(_, list)| list);
    let built_in = || KNOWN.iter().find(|(list, _)| list.eq_ignore_ascii_case(name)).map(|(_, reading)| *reading);
    let regions = match configured {
        Some(CodeList::Table(table)) => table
            .get(value)
            .map(Codes::as_slice)
            .unwrap_or_default()
            .iter()
            .flat_map(|code| expand(map, code))
            .collect(),
        Some(CodeList::By(reading)) => read(map, *reading, value),
        None => match built_in() {
            Some(reading) => read(map, reading, value),
            None => return Meaning::Foreign,
        },
    };
    if regions.is_empty() { Meaning::Unknown } else { Meaning::Regions(regions) }
}

fn read<'a>(map: &'a RegionMap, reading: Reading, value: &str) -> Vec<&'a Region> {
    let code = match reading {
        Reading::Regions => Some(value),
        Reading::Divisions => division(value),
    };
    code.and_then(|code| code.parse().ok()).map(|code| expand(map, &code)).unwrap_or_default()
}

/// The first six of 6, 9 or 12 digits: GB/T 2260, with GB/T 10114 and the village behind it.
fn division(value: &str) -> Option<&str> {
    let digits = value.bytes().all(|c| c.is_ascii_digit());
    if digits && matches!(value.len(), 6 | 9 | 12) { value.get(..6) } else { None }
}

/// The counties and sea areas that a code or alias stands for.
fn expand<'a>(map: &'a RegionMap, code: &RegionCode) -> Vec<&'a Region> {
    let whole = |code: &RegionCode| match map.get(code) {
        Some(region) if region.kind == RegionKind::Sea => vec![region],
        _ => map.counties_below(code),
    };
    std::iter::once(code).chain(map.alias(code)).flat_map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_a_region_means_that_region() {
        let map = RegionMap::delta().unwrap_or_else(|e| panic!("{e}"));
        for region in map.regions() {
            let code = map.geocode(&region.code);
            let Meaning::Regions(meant) = meaning(&map, &BTreeMap::new(), &code) else { panic!("{code:?}") };
            let codes: Vec<_> = meant.iter().map(|region| &region.code).collect();
            let wanted: Vec<_> = expand(&map, &region.code).into_iter().map(|region| &region.code).collect();
            assert_eq!(codes, wanted, "{code:?}");
        }
        let own: RegionCode = "island-7".parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(written(&own, None).name, REGION, "a map of one's own has codes of its own");
    }
}
