//! Codes: which lists are known, and how their values are read.

use std::collections::BTreeSet;

use super::locate::LocateOptions;
use super::map::RegionMap;
use super::region::{RegionCode, RegionKind};

/// What a code of an alert turned out to be.
pub(super) enum Meaning {
    /// The list is not one that is read here.
    OtherList,
    /// A code of a known list that names no region.
    Unknown,
    /// These counties.
    Counties(BTreeSet<RegionCode>),
    /// A sea area.
    Sea(RegionCode),
}

/// Shanghai's central urban area, which the observatory warns as one though no list of divisions has it.
const CENTRAL_SHANGHAI: (&str, [&str; 7]) =
    ("310199", ["310101", "310104", "310105", "310106", "310107", "310109", "310110"]);

/// Lists whose values are GB/T 2260 codes of 6 digits, or hierarchical ones of 12.
const DIVISIONS: [&str; 6] =
    ["cpeas geographic code", "gb/t 2260", "gb/t 2260-2007", "gb2260", "adcode", "行政区划代码"];
/// Lists whose values are sea areas of the map.
const SEAS: [&str; 2] = ["tocsin sea area", "海区"];

/// Reads a code.
pub(super) fn meaning(map: &RegionMap, options: &LocateOptions, list: &str, value: &str) -> Meaning {
    let name = list.trim().to_lowercase();
    let value = value.trim();
    if let Some((_, codes)) = options.code_lists.iter().find(|(own, _)| own.eq_ignore_ascii_case(&name)) {
        let counties: BTreeSet<_> =
            codes.get(value).into_iter().flatten().flat_map(|code| map.counties_in(code)).collect();
        return if counties.is_empty() { Meaning::Unknown } else { Meaning::Counties(counties) };
    }
    if SEAS.contains(&name.as_str()) {
        let sea = value.parse().ok().and_then(|code| map.get(&code)).filter(|region| region.kind == RegionKind::Sea);
        return sea.map_or(Meaning::Unknown, |region| Meaning::Sea(region.code.clone()));
    }
    let known =
        DIVISIONS.contains(&name.as_str()) || options.division_lists.iter().any(|own| own.eq_ignore_ascii_case(&name));
    if !known {
        return Meaning::OtherList;
    }
    division(map, value).map_or(Meaning::Unknown, Meaning::Counties)
}

/// The counties of a division's code: itself, those below it, or for a township or a zone that no list has, those of the
/// division it belongs to.
fn division(map: &RegionMap, value: &str) -> Option<BTreeSet<RegionCode>> {
    let direct: Option<RegionCode> = value.parse().ok().filter(|code| map.get(code).is_some());
    if let Some(code) = direct {
        return Some(map.counties_in(&code)).filter(|counties| !counties.is_empty());
    }
    let digits = value.len() >= 6 && value.bytes().all(|b| b.is_ascii_digit());
    let six = value.get(..6).filter(|_| digits && matches!(value.len(), 6 | 9 | 12))?;
    if six == CENTRAL_SHANGHAI.0 {
        let counties: BTreeSet<RegionCode> = CENTRAL_SHANGHAI.1.iter().filter_map(|code| code.parse().ok()).collect();
        return counties.iter().all(|code| map.get(code).is_some()).then_some(counties);
    }
    // 320571, a development zone, belongs to 320500; 320000 is the last resort of no zone.
    let prefecture = format!("{}00", six.get(..4)?);
    [six, &prefecture].into_iter().find_map(|code| {
        let counties = map.counties_in(&code.parse().ok()?);
        (!counties.is_empty()).then_some(counties)
    })
}
