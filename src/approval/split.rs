//! A decision falls into parts, one for each jurisdiction: each approves for its own people, and none waits for another.

use std::collections::{BTreeMap, BTreeSet};

use super::compose::Replaced;
use crate::cap::Alert;
use crate::regions::{RegionCode, RegionKind, RegionMap};
use crate::rules::{Approval, Decision, Level};

/// A part of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Whose officers decide; None for the whole at once.
    pub(crate) jurisdiction: Option<RegionCode>,
    /// Counties to be told, sorted.
    pub(crate) regions: Vec<RegionCode>,
    /// Counties whose people it may tell; all where None.
    pub(crate) within: Option<Vec<RegionCode>>,
    /// Who must say yes; none where nothing grave is new to this jurisdiction.
    pub(crate) approval: Approval,
}

/// Counties that the sender may not warn: those who may are asked, whatever the rules say.
pub(crate) struct Asked<'a> {
    pub(crate) regions: &'a BTreeSet<RegionCode>,
    /// The least that is asked of them.
    pub(crate) approval: Approval,
}

/// The parts of a decision. An alert that needs nobody, and reaches nobody else's people, goes out whole.
///
/// An Update raises only what is new: where officers have let the older alert go out, it was as urgent, and no county, channel
/// or list is added, its successor needs nobody. People who were told and are no longer in the area are told so without asking.
pub(crate) fn split(
    decision: &Decision,
    alert: &Alert,
    replaced: &Replaced,
    map: &RegionMap,
    ask: &Approval,
    asked: &Asked<'_>,
) -> Vec<Part> {
    let foreign = |region: &RegionCode| asked.regions.contains(region);
    let any_foreign = decision.regions.iter().any(foreign);
    if ask.is_none() && !any_foreign {
        let regions = if alert.is_the_end() { Vec::new() } else { decision.regions.clone() };
        return vec![Part { jurisdiction: None, regions, within: None, approval: ask.clone() }];
    }
    let level = if ask.is_none() { asked.approval.by } else { ask.by };
    let place = |region: &RegionCode| (jurisdiction_of(region, level, map), foreign(region));
    let mut parts: BTreeMap<(RegionCode, bool), BTreeSet<RegionCode>> = BTreeMap::new();
    let told: BTreeSet<RegionCode> = replaced.regions();
    for region in &decision.regions {
        parts.entry(place(region)).or_default().insert(region.clone());
    }
    for region in &told {
        parts.entry(place(region)).or_default();
    }
    let grave = |area: &BTreeSet<RegionCode>| {
        if alert.is_the_end() {
            return true;
        }
        let older = replaced.covers(decision) && replaced.lane().is_some_and(|lane| lane <= decision.lane);
        let added = area.iter().any(|region| !told.contains(region));
        !area.is_empty() && (added || !older)
    };
    parts
        .into_iter()
        .map(|((jurisdiction, theirs), area)| {
            let wanted = if theirs { asked.approval.clone().stricter(ask.clone()) } else { ask.clone() };
            let approval = if grave(&area) { wanted } else { Approval::none() };
            let below = map.counties_below(&jurisdiction).into_iter().map(|county| county.code.clone());
            let within: Vec<_> = below.filter(|county| foreign(county) == theirs).collect();
            let regions = if alert.is_the_end() { Vec::new() } else { area.into_iter().collect() };
            Part { jurisdiction: Some(jurisdiction), regions, within: Some(within), approval }
        })
        .collect()
}

/// The region of this level that a county lies in; the county itself where the map has none.
fn jurisdiction_of(region: &RegionCode, level: Level, map: &RegionMap) -> RegionCode {
    let kind = match level {
        Level::Province => RegionKind::Province,
        Level::Prefecture => RegionKind::Prefecture,
        Level::County => return region.clone(),
    };
    let mut at = map.get(region);
    while let Some(here) = at {
        if here.kind == kind {
            return here.code.clone();
        }
        at = here.parent.as_ref().and_then(|above| map.get(above));
    }
    // A municipality has counties right below the province.
    map.province_of(region).map_or_else(|| region.clone(), |province| province.code.clone())
}
