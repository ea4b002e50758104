use std::collections::{BTreeMap, BTreeSet};

use crate::messages::Language;

use super::map::RegionMap;
use super::region::{Region, RegionCode, RegionKind};

impl RegionMap {
    /// Names a list of regions as people would: a province or prefecture whose every county is in the list is named once
    /// instead of them. Provinces first, then prefectures, counties, sea areas; by code among equals. Unknown codes are left out.
    pub fn name_places(&self, codes: &[RegionCode], language: Language) -> Vec<String> {
        let counties: BTreeSet<&RegionCode> =
            codes.iter().flat_map(|code| self.counties_below(code)).map(|county| &county.code).collect();
        let mut listed: BTreeMap<&RegionCode, usize> = BTreeMap::new();
        for region in counties.iter().flat_map(|code| self.upward(code)) {
            *listed.entry(&region.code).or_default() += 1;
        }
        let whole = |region: &&Region| {
            listed.get(&region.code).is_some_and(|listed| *listed == self.counties_below(&region.code).len())
        };
        // What holds a whole region may be whole itself.
        let highest = counties.iter().filter_map(|code| self.upward(code).filter(whole).last());
        let highest: BTreeSet<(usize, &RegionCode)> = highest.map(|region| (rank(region.kind), &region.code)).collect();
        let mut named: Vec<&Region> = highest.into_iter().filter_map(|(_, code)| self.get(code)).collect();
        let sea: BTreeSet<&RegionCode> = codes.iter().collect();
        named.extend(self.sea_areas().filter(|region| sea.contains(&region.code)));
        named.into_iter().map(|region| region.name_in(language).to_owned()).collect()
    }
}

/// Which are named first.
fn rank(kind: RegionKind) -> usize {
    let order = [RegionKind::Province, RegionKind::Prefecture, RegionKind::County];
    order.iter().position(|one| *one == kind).unwrap_or(order.len())
}

impl Region {
    /// Its name in this language.
    pub fn name_in(&self, language: Language) -> &str {
        match language {
            Language::Chinese => &self.name,
            Language::English => &self.name_en,
        }
    }
}
