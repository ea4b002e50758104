use std::collections::BTreeSet;

use crate::messages::Language;

use super::map::RegionMap;
use super::region::{Region, RegionCode, RegionKind};

impl RegionMap {
    /// Names a list of regions as people would: a province or prefecture whose every county is in the list is named once
    /// instead of them. Provinces first, then prefectures, counties, sea areas; by code among equals. Unknown codes are left out.
    pub fn name_places(&self, codes: &[RegionCode], language: Language) -> Vec<String> {
        let mut counties: BTreeSet<&RegionCode> =
            codes.iter().flat_map(|code| self.counties_below(code)).map(|county| &county.code).collect();
        let mut named: Vec<&Region> = Vec::new();
        for kind in [RegionKind::Province, RegionKind::Prefecture, RegionKind::County] {
            for region in self.of_kind(kind) {
                let below = self.counties_below(&region.code);
                if !below.is_empty() && below.iter().all(|county| counties.contains(&county.code)) {
                    named.push(region);
                    counties.retain(|code| below.iter().all(|county| county.code != **code));
                }
            }
        }
        let sea: BTreeSet<&RegionCode> = codes.iter().collect();
        named.extend(self.sea_areas().filter(|region| sea.contains(&region.code)));
        named.into_iter().map(|region| region.name_in(language).to_owned()).collect()
    }
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
