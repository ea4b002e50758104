//! China's dialect: the hazard's kind and the level's colour.
//!
//! Three systems of event codes are in use and clash (the national `11Bxx`, a news service's numbering written the same way,
//! and the picture names `p0007003`), so words come first: what people read on the title is what the sender means.

use serde::{Deserialize, Serialize};

use super::alert::{Alert, Info, Severity};
use super::china::EventCode;

/// The level's colour, gravest first. GB/T 35965: I red to IV blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Level I, Extreme.
    Red,
    /// Level II, Severe.
    Orange,
    /// Level III, Moderate.
    Yellow,
    /// Level IV, Minor.
    Blue,
}

impl Colour {
    /// Every colour, gravest first.
    pub const ALL: [Self; 4] = [Self::Red, Self::Orange, Self::Yellow, Self::Blue];

    /// The word in rules, topics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Blue => "blue",
        }
    }

    /// 红色 to 蓝色.
    pub const fn name_zh(self) -> &'static str {
        match self {
            Self::Red => "红色",
            Self::Orange => "橙色",
            Self::Yellow => "黄色",
            Self::Blue => "蓝色",
        }
    }

    /// Red to Blue.
    pub const fn name_en(self) -> &'static str {
        match self {
            Self::Red => "Red",
            Self::Orange => "Orange",
            Self::Yellow => "Yellow",
            Self::Blue => "Blue",
        }
    }

    /// The CAP severity that the colour stands for.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Red => Severity::Extreme,
            Self::Orange => Severity::Severe,
            Self::Yellow => Severity::Moderate,
            Self::Blue => Severity::Minor,
        }
    }

    /// The colour that stands for a CAP severity.
    pub fn of_severity(severity: Severity) -> Option<Self> {
        Self::ALL.into_iter().find(|colour| colour.severity() == severity)
    }

    /// The colour that an info names: in its title, else in a parameter, else in a code of known order. Its severity is not
    /// asked: see [`Colour::of_severity`].
    pub fn of(info: &Info) -> Option<Self> {
        let said =
            || info.parameters.iter().filter(|p| Self::is_parameter(&p.name)).find_map(|p| Self::in_words(&p.value));
        let codes = || info.event_codes.iter().chain(&info.parameters);
        let coded = || codes().find_map(|code| EventCode::read(&code.value)?.colour);
        Self::of_words(info).or_else(said).or_else(coded)
    }

    /// Every colour that an info names, in title, event, parameters, codes or severity: they may disagree.
    pub(crate) fn all_of(info: &Info) -> Vec<Self> {
        let said = info.parameters.iter().filter(|p| Self::is_parameter(&p.name)).map(|p| p.value.as_str());
        let words = info.headline.as_deref().into_iter().chain([info.event.as_str()]).chain(said);
        let codes = info.event_codes.iter().chain(&info.parameters);
        let coded = codes.filter_map(|code| EventCode::read(&code.value)?.colour);
        words.filter_map(Self::in_words).chain(coded).chain(Self::of_severity(info.severity)).collect()
    }

    /// The colour in an info's title or event.
    pub(super) fn of_words(info: &Info) -> Option<Self> {
        [info.headline.as_deref(), Some(info.event.as_str())].into_iter().flatten().find_map(Self::in_words)
    }

    /// Whether a parameter of this name carries the level.
    pub(super) fn is_parameter(name: &str) -> bool {
        matches!(name.to_ascii_lowercase().as_str(), "colour" | "color" | "level" | "awareness_level" | "预警级别")
    }

    /// The level of an alert: its chief info's colour, else the colour of its severity.
    pub fn of_alert(alert: &Alert) -> Option<Self> {
        alert.infos.iter().filter_map(Self::of).min().or_else(|| Self::of_severity(alert.severity()))
    }

    /// The colour that a word alone names, in Chinese or English.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|colour| {
            let name = colour.name_zh();
            word.eq_ignore_ascii_case(colour.as_str()) || word == name || name.strip_suffix('色') == Some(word)
        })
    }

    pub(super) fn in_words(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        // "issues a yellow typhoon warning" is a level; the Yellow Sea and the Red River are places.
        let level = |at: usize| {
            let next = words.get(at + 1..(at + 4).min(words.len())).unwrap_or_default();
            let place = next.first().is_some_and(|word| {
                matches!(*word, "sea" | "river" | "mountain" | "mountains" | "county" | "bay" | "lake")
            });
            let alone = words.len() == 1;
            alone
                || (!place
                    && next.iter().any(|word| matches!(*word, "warning" | "alert" | "signal" | "level" | "advisory")))
        };
        let word = |colour: &str| words.iter().enumerate().any(|(at, word)| *word == colour && level(at));
        Self::ALL.into_iter().find(|colour| text.contains(colour.name_zh()) || word(colour.as_str())).or_else(|| {
            // 预警级别：Ⅰ级 where no colour is named.
            [("Ⅰ级", Self::Red), ("Ⅱ级", Self::Orange), ("Ⅲ级", Self::Yellow), ("Ⅳ级", Self::Blue)]
                .into_iter()
                .find(|(level, _)| text.contains(level))
                .map(|(_, colour)| colour)
        })
    }
}

/// Defines the kinds of danger: slug, names, code of GB/T 35561 where it has one, and words that name it in titles.
macro_rules! hazards {
    ($($name:ident = $slug:literal $zh:literal $en:literal $code:literal [$($word:literal),*];)+) => {
        /// A kind of danger. Where words overlap, the more special kind stands first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each kind has its names in two languages right below")]
        pub enum Hazard { $(#[serde(rename = $slug)] $name),+ }

        impl Hazard {
            /// Every kind, special ones first.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in rules, topics, template names and JSON.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),+ }
            }

            /// The name in Chinese.
            pub const fn name_zh(self) -> &'static str {
                match self { $(Self::$name => $zh),+ }
            }

            /// The name in English.
            pub const fn name_en(self) -> &'static str {
                match self { $(Self::$name => $en),+ }
            }

            const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            const fn words(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($word),*]),+ }
            }
        }
    };
}

hazards! {
    ThunderGale = "thunder-gale" "雷暴大风" "Thunderstorm gale" "11B20" ["雷暴大风", "雷雨大风", "thunderstorm gale"];
    SevereConvection = "severe-convection" "强对流" "Severe convection" "" ["强对流", "龙卷", "tornado", "severe thunderstorm", "severe convection"];
    StormSurge = "storm-surge" "风暴潮" "Storm surge" "11E02" ["风暴潮", "storm surge", "coastal flood"];
    SeaWaves = "sea-waves" "海浪" "Sea waves" "11E06" ["海浪", "sea waves", "high surf"];
    SeaIce = "sea-ice" "海冰" "Sea ice" "11E08" ["海冰", "sea ice"];
    Tsunami = "tsunami" "海啸" "Tsunami" "11E03" ["海啸", "tsunami"];
    MountainFlood = "mountain-flood" "山洪" "Mountain torrent" "" ["山洪", "flash flood", "mountain torrent"];
    Geological = "geological" "地质灾害" "Geological hazard" "" ["地质灾害", "滑坡", "泥石流", "landslide", "geological"];
    ForestFire = "forest-fire" "森林火险" "Forest fire risk" "" ["森林火", "草原火", "forest fire", "bushfire", "wildfire", "fire weather"];
    RoadIcing = "road-icing" "道路结冰" "Road icing" "11B21" ["道路结冰", "road icing", "icy road"];
    LowTemperature = "low-temperature" "低温" "Low temperature" "11B30" ["低温", "low temperature", "extreme cold"];
    ColdWave = "cold-wave" "寒潮" "Cold wave" "11B05" ["寒潮", "cold wave"];
    Sandstorm = "sandstorm" "沙尘暴" "Sandstorm" "11B07" ["沙尘", "sandstorm", "dust storm"];
    Rainstorm = "rainstorm" "暴雨" "Rainstorm" "11B03" ["暴雨", "rainstorm", "heavy rain", "torrential rain"];
    Snowstorm = "snowstorm" "暴雪" "Snowstorm" "11B04" ["暴雪", "snowstorm", "blizzard", "heavy snow"];
    Typhoon = "typhoon" "台风" "Typhoon" "11B01" ["台风", "typhoon", "tropical cyclone", "hurricane", "tropical storm"];
    Hail = "hail" "冰雹" "Hail" "11B15" ["冰雹", "hail"];
    Frost = "frost" "霜冻" "Frost" "11B16" ["霜冻", "frost"];
    Haze = "haze" "霾" "Haze" "11B19" ["霾", "haze"];
    Fog = "fog" "大雾" "Heavy fog" "11B17" ["大雾", "海雾", "fog"];
    Lightning = "lightning" "雷电" "Lightning" "11B14" ["雷电", "lightning"];
    Gale = "gale" "大风" "Gale" "11B06" ["大风", "gale", "high wind", "strong wind"];
    Heat = "heat" "高温" "Heat" "11B09" ["高温", "heat"];
    Drought = "drought" "干旱" "Drought" "11B22" ["干旱", "drought"];
    Flood = "flood" "洪水" "Flood" "" ["洪水", "内涝", "flood"];
    Earthquake = "earthquake" "地震" "Earthquake" "" ["地震", "earthquake"];
    Chemical = "chemical" "危险化学品事故" "Chemical accident" "" ["危化品", "危险化学品", "chemical"];
    Other = "other" "预警" "Warning" "" [];
}

impl Hazard {
    /// The kind of a slug.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|hazard| hazard.slug() == slug)
    }

    /// The kind that an info speaks of: by its event and title, else by its code.
    pub fn of(info: &Info) -> Self {
        let codes = || info.event_codes.iter().filter_map(|code| EventCode::read(&code.value));
        Self::of_words(info)
            .or_else(|| codes().find_map(|code| code.meant))
            .or_else(|| codes().find_map(|code| code.listed))
            .unwrap_or(Self::Other)
    }

    /// What an info's event, title and codes say, each on its own: they may disagree. A code that two lists read differently
    /// stands with both readings.
    pub(crate) fn all_of(info: &Info) -> Vec<Vec<Self>> {
        let words = [Some(info.event.as_str()), info.headline.as_deref()].into_iter().flatten();
        let words = words.filter_map(Self::in_words).map(|hazard| vec![hazard]);
        let codes = info.event_codes.iter().filter_map(|code| EventCode::read(&code.value));
        let coded = codes.map(|code| code.meant.into_iter().chain(code.listed).collect::<Vec<_>>());
        words.chain(coded).filter(|readings| !readings.is_empty()).collect()
    }

    /// The kind that an info's event or title names.
    pub(super) fn of_words(info: &Info) -> Option<Self> {
        [Some(info.event.as_str()), info.headline.as_deref()].into_iter().flatten().find_map(Self::in_words)
    }

    /// The kind that an alert speaks of: the first info's that can be told.
    pub fn of_alert(alert: &Alert) -> Self {
        alert.infos.iter().map(Self::of).find(|hazard| *hazard != Self::Other).unwrap_or(Self::Other)
    }

    pub(super) fn in_words(text: &str) -> Option<Self> {
        let lower = text.to_lowercase();
        Self::ALL.iter().copied().find(|hazard| hazard.words().iter().any(|word| lower.contains(word)))
    }

    /// The kind of a national code, `11B03`.
    pub(super) fn of_national_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|hazard| hazard.national_code() == Some(code))
    }

    /// Its national code, where it has one.
    pub(super) fn national_code(self) -> Option<&'static str> {
        Some(self.code()).filter(|code| !code.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cap;

    fn info(event: &str, headline: &str, code: &str, severity: &str) -> Info {
        let json = serde_json::json!({
            "identifier": "1", "sender": "s", "sent": "2022-09-14T10:00:00+08:00", "status": "Actual", "msgType": "Alert",
            "scope": "Public",
            "info": {"event": event, "headline": headline, "severity": severity, "urgency": "Expected",
                     "certainty": "Likely", "category": "Met", "eventCode": {"valueName": "c", "value": code}}
        });
        cap::read_json(json.to_string().as_bytes()).alert.unwrap().infos.remove(0)
    }

    #[test]
    fn the_title_beats_code_and_severity() {
        // A rainstorm whose code a news service wrote as 11B02, and a yellow title over an orange severity.
        let mixed = info("暴雨", "某台发布暴雨黄色预警信号", "11B0203", "Severe");
        assert_eq!((Hazard::of(&mixed), Colour::of(&mixed)), (Hazard::Rainstorm, Some(Colour::Yellow)));
        let heat = info("高温", "", "11B07", "Unknown");
        assert_eq!(Hazard::of(&heat), Hazard::Heat, "the same number is the sandstorm in the national list");
    }

    #[test]
    fn codes_speak_where_words_are_silent() {
        let compact = info("预警", "", "11B0304", "Unknown");
        assert_eq!((Hazard::of(&compact), Colour::of(&compact)), (Hazard::Rainstorm, Some(Colour::Red)));
        let picture = info("预警", "", "p0002001", "Unknown");
        assert_eq!((Hazard::of(&picture), Colour::of(&picture)), (Hazard::Rainstorm, Some(Colour::Red)));
        let blue = info("预警", "", "p0002004", "Unknown");
        assert_eq!(Colour::of(&blue), Some(Colour::Blue), "the two orders of digits are opposite");
    }

    #[test]
    fn blue_is_minor_and_red_is_extreme_both_ways() {
        for colour in Colour::ALL {
            assert_eq!(Colour::of_severity(colour.severity()), Some(colour));
        }
        assert_eq!(Colour::Blue.severity(), Severity::Minor);
        assert_eq!(Colour::Red.severity(), Severity::Extreme);
    }

    #[test]
    fn words_of_other_services_are_known_and_parts_of_words_are_not_colours() {
        assert_eq!(Hazard::of(&info("Tornado Warning", "", "TOR", "Extreme")), Hazard::SevereConvection);
        assert_eq!(Hazard::of(&info("Storm Surge", "", "", "Severe")), Hazard::StormSurge);
        assert_eq!(Hazard::of(&info("雷暴大风", "", "", "Severe")), Hazard::ThunderGale);
        assert_eq!(Colour::of(&info("Warning", "Fred issues a shredder warning", "", "Minor")), None);
        let sea = info("Storm surge", "Storm surge warning, Southern Yellow Sea", "", "Extreme");
        assert_eq!(Colour::of(&sea), None, "a sea is no level");
        assert_eq!(Colour::of(&info("Gale", "Yellow Sea gale warning", "", "Extreme")), None);
        assert_eq!(
            Colour::of(&info("Typhoon", "X issues a yellow typhoon warning", "", "Minor")),
            Some(Colour::Yellow)
        );
        for hazard in Hazard::ALL {
            assert_eq!(Hazard::from_slug(hazard.slug()), Some(*hazard));
        }
    }
}
