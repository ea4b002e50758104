//! Who may say what where.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::refusal::{Refusal, RefusalCode};
use crate::cap::{Alert, Colour, Hazard, MsgType, Status};
use crate::config::BureauConfig;
use crate::regions::{How, Located, Match, RegionCode, RegionMap};

/// Levels that a bureau may warn of, gravest first, however config writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenLevels")]
pub struct Levels(Vec<Colour>);

/// As config has them: one and all below, or these.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenLevels {
    UpTo(Colour),
    Of(Vec<Colour>),
}

impl From<WrittenLevels> for Levels {
    fn from(written: WrittenLevels) -> Self {
        match written {
            // Red is the first, and the gravest.
            WrittenLevels::UpTo(gravest) => Colour::ALL.into_iter().filter(|colour| *colour >= gravest).collect(),
            WrittenLevels::Of(some) => some.into_iter().collect(),
        }
    }
}

impl FromIterator<Colour> for Levels {
    fn from_iter<I: IntoIterator<Item = Colour>>(some: I) -> Self {
        Self(some.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }
}

impl Levels {
    /// Whether a level is one of them.
    pub fn hold(&self, colour: Colour) -> bool {
        self.0.contains(&colour)
    }
}

/// What becomes of an alert that reaches beyond what its bureau may warn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken for the bureau's own regions, and those who may speak for the others are asked.
    Cut,
}

/// Checks that a bureau speaks only for its regions, of its dangers and at its levels. Gives the counties that it may not warn,
/// where its policy is to ask those who may.
pub(crate) fn check(
    map: &RegionMap,
    bureau: &BureauConfig,
    alert: &Alert,
    located: &Located,
) -> Result<BTreeSet<RegionCode>, Refusal> {
    check_hazards(bureau, alert)?;
    check_level(bureau, alert)?;
    let speaks_for = |region: &RegionCode| bureau.regions.iter().any(|own| map.is_in(region, own));
    // Sea areas warn a coast that may belong to several provinces: who speaks for the sea speaks for its coast.
    let of_own_sea = |how: &How| matches!(how, How::Coast { sea } if speaks_for(sea));
    let coast = |found: &Match| !found.how.is_empty() && found.how.iter().all(of_own_sea);
    let own_coast = |how: &How| match how {
        How::Coast { sea } => speaks_for(sea),
        How::Neighbour { of } => {
            speaks_for(of) || located.counties.iter().any(|found| found.region == *of && coast(found))
        }
        _ => false,
    };
    let own = |found: &&Match| speaks_for(&found.region) || (!found.how.is_empty() && found.how.iter().all(own_coast));
    let foreign: Vec<&Match> = located.counties.iter().chain(&located.sea_areas).filter(|found| !own(found)).collect();
    let all = located.counties.len() + located.sea_areas.len();
    if let Some(first) = foreign.first() {
        // The end of an alert goes to whom it was told, and to nobody else.
        let end = alert.is_the_end();
        if bureau.outside == Outside::Refuse || (foreign.len() == all && !end) {
            return Err(Refusal::new(RefusalCode::RegionNotYours, named(map, &first.region)));
        }
        let counties = foreign.iter().filter(|_| !end).map(|found| found.region.clone());
        return Ok(counties.collect());
    }
    let warns = matches!(alert.msg_type, MsgType::Alert | MsgType::Update)
        && matches!(alert.status, Status::Actual | Status::Exercise);
    if warns && all == 0 {
        let unknown: Vec<_> = located.unknown.iter().map(|(list, code)| format!("{list} {code}")).collect();
        return Err(Refusal::new(RefusalCode::Nowhere, unknown.join(", ")));
    }
    Ok(BTreeSet::new())
}

/// What rules add to an alert that others are asked about is asked about too: neighbours of a foreign county are as foreign.
pub(super) fn ask_for_added(
    map: &RegionMap,
    bureau: &BureauConfig,
    located: &Located,
    decided: &[RegionCode],
    asked: &mut BTreeSet<RegionCode>,
) {
    if asked.is_empty() {
        return;
    }
    let own: BTreeSet<_> =
        located.counties.iter().map(|found| &found.region).filter(|region| !asked.contains(*region)).collect();
    let speaks_for = |region: &RegionCode| bureau.regions.iter().any(|own| map.is_in(region, own));
    let added: Vec<_> = decided.iter().filter(|region| !own.contains(region) && !speaks_for(region)).cloned().collect();
    asked.extend(added);
}

/// A region's code and name.
pub(super) fn named(map: &RegionMap, code: &RegionCode) -> String {
    format!("{code} {}", map.get(code).map_or("", |region| region.name.as_str()))
}

fn check_hazards(bureau: &BureauConfig, alert: &Alert) -> Result<(), Refusal> {
    let Some(own) = &bureau.hazards else { return Ok(()) };
    // A Cancel may come without any info: what it references is checked to be the bureau's own.
    let said: Vec<_> = alert.infos.iter().flat_map(Hazard::all_of).collect();
    let foreign = said.iter().find(|readings| !readings.iter().any(|hazard| own.contains(hazard)));
    // An info that names no danger (a translation, say) speaks of the alert's; where none does, nobody knows.
    let unnamed = said.is_empty() && !alert.infos.is_empty() && !own.contains(&Hazard::Other);
    match foreign.and_then(|readings| readings.first()).or(unnamed.then_some(&Hazard::Other)) {
        Some(hazard) => Err(Refusal::new(RefusalCode::HazardNotYours, hazard.slug())),
        None => Ok(()),
    }
}

/// The gravest of what an alert's titles, codes and severities say must be the bureau's to say; so must a level that none of them
/// names. The end of an alert has no level.
fn check_level(bureau: &BureauConfig, alert: &Alert) -> Result<(), Refusal> {
    let Some(own) = bureau.levels.as_ref().filter(|_| !alert.is_the_end() && !alert.infos.is_empty()) else {
        return Ok(());
    };
    let mut said: Vec<_> = alert.infos.iter().flat_map(Colour::all_of).collect();
    said.sort_unstable();
    match said.iter().find(|colour| !own.hold(**colour)) {
        None if !said.is_empty() => Ok(()),
        wrong => {
            let level = wrong.map_or("未写明级别 / no level", |colour| colour.as_str());
            Err(Refusal::new(RefusalCode::LevelNotYours, level))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn alert(infos: &[Value]) -> Alert {
        let infos: Vec<_> = infos
            .iter()
            .map(|own| {
                let mut info = json!({"event": "预警", "severity": "Moderate", "urgency": "Expected", "certainty": "Likely",
                    "category": "Met"});
                if let (Some(members), Value::Object(own)) = (info.as_object_mut(), own.clone()) {
                    members.extend(own);
                }
                info
            })
            .collect();
        let text = json!({"identifier": "1", "sender": "s", "sent": "2022-09-14T10:00:00+08:00", "status": "Actual",
            "msgType": "Alert", "scope": "Public", "info": infos});
        crate::cap::read_json(text.to_string().as_bytes()).alert.unwrap_or_else(|| panic!("{text}"))
    }

    fn code(code: &str) -> Value {
        json!({"valueName": "code", "value": code})
    }

    #[test]
    fn a_danger_that_any_info_names_anywhere_must_be_the_bureaus() {
        let bureau = BureauConfig { hazards: Some(vec![Hazard::Rainstorm]), ..BureauConfig::default() };
        let refused = |infos: &[Value]| check_hazards(&bureau, &alert(infos)).err().map(|refusal| refusal.detail);
        let (rain, typhoon, silent) = (json!({"event": "暴雨"}), json!({"event": "台风"}), json!({}));
        assert_eq!(refused(&[rain.clone(), silent.clone()]), None, "a translation that names nothing");
        assert_eq!(refused(&[rain, silent.clone(), typhoon]).as_deref(), Some("typhoon"));
        assert_eq!(refused(&[silent]).as_deref(), Some("other"), "nobody knows what it is about");
        let title = json!({"event": "暴雨", "headline": "某台发布台风红色预警"});
        assert_eq!(refused(&[title]).as_deref(), Some("typhoon"));
        assert_eq!(refused(&[json!({"event": "暴雨", "eventCode": code("11B0102")})]).as_deref(), Some("typhoon"));
        let listed = json!({"event": "暴雨", "eventCode": code("11B0203")});
        assert_eq!(refused(&[listed]), None, "a rainstorm as a news service's list writes it");
    }

    #[test]
    fn the_gravest_level_that_anything_says_must_be_the_bureaus() {
        let bureau =
            BureauConfig { levels: Some(WrittenLevels::UpTo(Colour::Orange).into()), ..BureauConfig::default() };
        let refusal = |info: Value| check_level(&bureau, &alert(&[info])).err().map(|refusal| refusal.detail);
        let refused = |info: Value| refusal(info).is_some();
        let yellow = |code: Value| json!({"headline": "某台发布暴雨黄色预警", "eventCode": code});
        assert!(!refused(yellow(Value::Null)));
        assert!(refused(yellow(code("11B0304"))), "a red code under a yellow title");
        let event = json!({"event": "暴雨红色预警", "headline": "某台发布暴雨黄色预警"});
        assert!(refused(event), "an event graver than its title");
        let level = json!({"headline": "某台发布暴雨黄色预警", "parameter": {"valueName": "level", "value": "红色"}});
        assert_eq!(refusal(level).as_deref(), Some("red"));
        let none = json!({"headline": "某台发布暴雨预警", "severity": "Unknown"});
        assert_eq!(refusal(none).as_deref(), Some("未写明级别 / no level"), "it is said, not guessed at");
    }

    #[test]
    fn what_rules_add_around_a_foreign_county_is_asked_about_too() {
        let map = RegionMap::delta().unwrap_or_else(|e| panic!("{e}"));
        let region = |code: &str| code.parse::<RegionCode>().unwrap_or_else(|_| panic!("{code}"));
        let bureau = BureauConfig { regions: vec![region("310000")], ..BureauConfig::default() };
        let foreign = region("330421");
        let mut decided: Vec<_> = map.neighbours(&foreign).map(|beside| beside.code.clone()).collect();
        decided.extend([foreign.clone(), region("310118")]);
        let mut asked = BTreeSet::from([foreign.clone()]);
        ask_for_added(&map, &bureau, &Located::default(), &decided, &mut asked);
        assert!(asked.len() > 1 && asked.iter().all(|code| !code.as_str().starts_with("31")), "{asked:?}");
        let theirs = decided.iter().filter(|code| !code.as_str().starts_with("31"));
        assert!(theirs.clone().all(|code| asked.contains(code)), "{asked:?}");
        let mut nobody = BTreeSet::new();
        ask_for_added(&map, &bureau, &Located::default(), &decided, &mut nobody);
        assert!(nobody.is_empty(), "where nothing of the alert is foreign, the rules' own word stands");
    }
}
