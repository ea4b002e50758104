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

/// The parts of a decision. An alert that needs nobody, and reaches the people of one jurisdiction only, goes out whole. Where it
/// reaches several, each has its own part, asked or not: so each can stop and correct what goes to its people.
///
/// An Update raises only what is new: where officers have let the older alert go out, it was as urgent, and no channel or list is
/// added, the counties told before need nobody, and only those that come to them are asked about. People who were told and are no
/// longer in the area are told so without asking.
pub(crate) fn split(
    decision: &Decision,
    alert: &Alert,
    replaced: &Replaced,
    map: &RegionMap,
    ask: &Approval,
    asked: &Asked<'_>,
) -> Vec<Part> {
    let end = alert.is_the_end();
    let foreign = |region: &RegionCode| asked.regions.contains(region);
    let asks = !ask.is_none() || decision.regions.iter().any(foreign);
    // Where nobody is asked, nobody's level says who could be.
    let level = match (asks, ask.is_none()) {
        (false, _) => Level::Province,
        (true, true) => asked.approval.by,
        (true, false) => ask.by,
    };
    let told = replaced.regions();
    // An end that nobody is asked about goes to those told, wherever it says that it is over.
    let decided = decision.regions.iter().filter(|_| asks || !end || told.is_empty());
    // Of each part, what it warns, and all that it is about.
    let mut parts: BTreeMap<(RegionCode, bool), (BTreeSet<RegionCode>, BTreeSet<RegionCode>)> = BTreeMap::new();
    for region in decided.chain(&told) {
        let (_, about) = parts.entry((jurisdiction_of(region, level, map), foreign(region))).or_default();
        about.insert(region.clone());
    }
    if !asks && parts.len() <= 1 {
        let regions = if end { Vec::new() } else { decision.regions.clone() };
        return vec![Part { jurisdiction: None, regions, within: None, approval: ask.clone() }];
    }
    for region in &decision.regions {
        if let Some((area, about)) = parts.get_mut(&(jurisdiction_of(region, level, map), foreign(region))) {
            area.insert(region.clone());
            about.insert(region.clone());
        }
    }
    let older = replaced.covers(decision) && replaced.lane().is_some_and(|lane| lane <= decision.lane);
    let mut all = Vec::new();
    for ((jurisdiction, theirs), (area, about)) in parts {
        let wanted = if theirs { asked.approval.clone().stricter(ask.clone()) } else { ask.clone() };
        let below = map.counties_below(&jurisdiction).into_iter().map(|county| county.code.clone());
        // A county that was told and is on the map no more has people all the same.
        let within: BTreeSet<_> = below.filter(|county| foreign(county) == theirs).chain(about).collect();
        let mut within: Vec<_> = within.into_iter().collect();
        let part = |regions: BTreeSet<RegionCode>, within, approval| {
            let regions = if end { Vec::new() } else { regions.into_iter().collect() };
            Part { jurisdiction: Some(jurisdiction.clone()), regions, within: Some(within), approval }
        };
        let grave = end || (!area.is_empty() && !older);
        let added: BTreeSet<_> = area.difference(&told).cloned().collect();
        match () {
            () if grave => all.push(part(area, within, wanted)),
            () if added.is_empty() || wanted.is_none() => all.push(part(area, within, Approval::none())),
            () => {
                let before = within.extract_if(.., |county| !added.contains(county)).collect::<Vec<_>>();
                if before.iter().any(|county| told.contains(county)) {
                    all.push(part(area.intersection(&told).cloned().collect(), before, Approval::none()));
                } else {
                    // Nobody was told here before: it is the jurisdiction's alone.
                    within.extend(before);
                    within.sort_unstable();
                }
                all.push(part(added, within, wanted));
            }
        }
    }
    all
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
