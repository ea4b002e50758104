//! Who warns, in English, where only the Chinese name came: a name in Chinese letters makes a short message three times as long, and
//! says nothing to whoever reads English.

use super::facts::Facts;
use super::language::Language;
use crate::regions::RegionMap;

/// Those that speak for the whole country.
const NATIONAL: [(&str, &str); 8] = [
    ("中央气象台", "National Meteorological Centre"),
    ("国家气象中心", "National Meteorological Centre"),
    ("国家海洋预报台", "National Marine Forecasts"),
    ("国家海洋环境预报中心", "National Marine Forecasts"),
    ("国家预警信息发布中心", "National Warning Centre"),
    ("中国地震台网", "China Earthquake Networks"),
    ("水利部", "Ministry of Water Resources"),
    ("自然资源部", "Ministry of Natural Resources"),
];

/// What an office of a place is, by a word in its name; the first that is there.
const OFFICES: [(&str, &str); 8] = [
    ("气象", "Weather Office"),
    ("海洋", "Marine Office"),
    ("水文", "Hydrology Office"),
    ("水利", "Water Office"),
    ("地震", "Earthquake Office"),
    ("自然资源", "Natural Resources"),
    ("应急", "Emergency Office"),
    ("预警", "Warning Centre"),
];

impl Facts {
    /// The same with the issuer's name as readers of English know it, where its Chinese one says what it is.
    #[must_use]
    pub fn told_by(mut self, map: &RegionMap) -> Self {
        if self.language == Language::English
            && !self.issuer.is_ascii()
            && let Some(name) = in_english(&self.issuer, map)
        {
            self.issuer = name;
        }
        self
    }
}

fn in_english(issuer: &str, map: &RegionMap) -> Option<String> {
    if let Some((_, name)) = NATIONAL.iter().find(|(chinese, _)| issuer.contains(chinese)) {
        return Some((*name).to_owned());
    }
    // The longest name that it begins with, whole or without its last letter: 上海中心气象台 is Shanghai's.
    let begins = |name: &str| {
        let short: String = name.chars().take(name.chars().count().saturating_sub(1)).collect();
        let long = issuer.contains(name).then_some(name.len());
        long.or_else(|| (short.chars().count() > 1 && issuer.contains(&short)).then_some(short.len()))
    };
    let regions = map.regions().filter_map(|region| Some((begins(&region.name)?, region)));
    let (_, region) = regions.max_by_key(|(length, _)| *length)?;
    let office = OFFICES.iter().find(|(word, _)| issuer.contains(word)).map_or("Warning Office", |(_, office)| office);
    let place = region.name_en.trim_end_matches(" Province").trim_end_matches(" City");
    Some(format!("{place} {office}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_office_with_a_chinese_name_has_an_english_one() {
        let map = RegionMap::delta().unwrap();
        for (chinese, english) in [
            ("上海中心气象台", "Shanghai Weather Office"),
            ("上海市预警中心", "Shanghai Warning Centre"),
            ("浙江省气象台", "Zhejiang Weather Office"),
            ("江苏省苏州市水文站", "Suzhou Hydrology Office"),
            ("国家海洋环境预报中心", "National Marine Forecasts"),
            ("中央气象台", "National Meteorological Centre"),
        ] {
            assert_eq!(in_english(chinese, &map).as_deref(), Some(english), "{chinese}");
        }
        assert_eq!(in_english("某台", &map), None);
    }
}
