//! A recorded event as CAP alerts: facts of a typhoon, with status Exercise and their times moved to today.

use chrono::{DateTime, FixedOffset, SubsecRound as _, TimeDelta, Utc};
use serde::Deserialize;

use crate::cap::{
    Alert, Area, Category, Certainty, Colour, Info, MsgType, NamedValue, Reference, Scope, Status, Urgency, Version,
};
use crate::messages::Language;
use crate::regions::{RegionCode, RegionMap};

/// A recorded event.
#[derive(Debug, Deserialize)]
pub struct Scenario {
    /// What it was.
    pub name: String,
    warnings: Vec<Warning>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Warning {
    id: String,
    time: DateTime<FixedOffset>,
    issuer: String,
    event: String,
    #[serde(rename = "event_zh")]
    event_zh: String,
    colour: Colour,
    areas: Vec<RegionCode>,
    marine: Option<Vec<RegionCode>>,
    msg_type: String,
    updates: Option<String>,
    cancels: Option<String>,
    to: Option<DateTime<FixedOffset>>,
}

/// Who issued what is recorded, in both languages, and a name that CAP allows as a sender.
const ISSUERS: [(&str, &str, &str); 5] = [
    ("National Meteorological Centre", "中央气象台", "nmc.drill"),
    ("Shanghai Central Meteorological Observatory", "上海中心气象台", "shanghai-observatory.drill"),
    ("National Marine Environmental Forecasting Center", "国家海洋环境预报中心", "nmefc.drill"),
    ("Anhui Meteorological Observatory", "安徽省气象台", "anhui-observatory.drill"),
    ("", "气象台", "observatory.drill"),
];
/// A warning without an end of its own holds for so long.
const HOLDS: TimeDelta = TimeDelta::hours(24);

impl Scenario {
    /// Typhoon Muifa (2212), the warnings of 11 to 16 September 2022.
    ///
    /// # Errors
    /// Only if the shipped file is damaged.
    pub fn muifa() -> Result<Self, serde_json::Error> {
        let mut muifa: Self = serde_json::from_str(include_str!("../../scenarios/muifa-2022.json"))?;
        muifa.warnings.sort_by_key(|warning| warning.time);
        Ok(muifa)
    }

    /// How many warnings there are.
    pub fn len(&self) -> usize {
        self.warnings.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty()
    }

    /// How long after the first one a warning came.
    pub fn after(&self, nth: usize) -> TimeDelta {
        match (self.warnings.first(), self.warnings.get(nth)) {
            (Some(first), Some(warning)) => warning.time - first.time,
            _ => TimeDelta::zero(),
        }
    }

    /// A warning as an alert sent at this time; it references the newest of `made` that it speaks of.
    pub fn alert(&self, nth: usize, map: &RegionMap, sent: DateTime<Utc>, made: &[Alert]) -> Option<Alert> {
        let warning = self.warnings.get(nth)?;
        let sent = sent.with_timezone(warning.time.offset()).trunc_subsecs(0);
        // A cancel names any warning of its event: what it withdraws is the newest.
        let speaks_of_older = warning.updates.is_some() || warning.cancels.is_some();
        let old = made.iter().rev().find(|alert| speaks_of_older && same_event(alert, warning));
        let reference = old.map(|alert| Reference {
            sender: alert.sender.clone(),
            identifier: alert.identifier.clone(),
            sent: alert.sent,
        });
        Some(warning.alert(map, sent, reference))
    }
}

fn same_event(alert: &Alert, warning: &Warning) -> bool {
    alert.sender == issuer(&warning.issuer).2 && alert.infos.iter().any(|info| info.event == warning.event)
}

impl Warning {
    fn alert(&self, map: &RegionMap, sent: DateTime<FixedOffset>, references: Option<Reference>) -> Alert {
        let expires = sent + self.to.filter(|to| *to > self.time).map_or(HOLDS, |to| to - self.time);
        let info = |language| self.info(map, language, sent, expires);
        Alert {
            version: Version::V1_2,
            identifier: format!("muifa-2022-{}-{}", self.id, sent.timestamp()),
            sender: issuer(&self.issuer).2.to_owned(),
            sent,
            status: Status::Exercise,
            msg_type: MsgType::parse(&self.msg_type).unwrap_or(MsgType::Alert),
            scope: Scope::Public,
            source: None,
            restriction: None,
            addresses: Vec::new(),
            codes: Vec::new(),
            note: Some("Replay of September 2022, for the drill's list only".into()),
            references: references.into_iter().collect(),
            incidents: vec!["muifa-2022".into()],
            infos: vec![info(Language::Chinese), info(Language::English)],
            unknown: Vec::new(),
        }
    }

    fn info(
        &self,
        map: &RegionMap,
        language: Language,
        sent: DateTime<FixedOffset>,
        expires: DateTime<FixedOffset>,
    ) -> Info {
        let (issuer_en, issuer_zh, _) = issuer(&self.issuer);
        let (issuer, event, headline) = match language {
            Language::Chinese => {
                let verb = match self.msg_type.as_str() {
                    "Update" => "更新",
                    "Cancel" => "解除",
                    _ => "发布",
                };
                let headline = format!("{issuer_zh}{verb}{}{}预警", self.event_zh, self.colour.name_zh());
                (issuer_zh, &self.event_zh, headline)
            }
            Language::English => {
                let verb = match self.msg_type.as_str() {
                    "Update" => "updates the",
                    "Cancel" => "cancels the",
                    _ => "issues a",
                };
                let (colour, event) = (self.colour.as_str(), self.event.to_lowercase());
                (issuer_en, &self.event, format!("{issuer_en} {verb} {colour} {event} warning"))
            }
        };
        Info {
            language: if language == Language::Chinese { "zh-CN" } else { "en-US" }.into(),
            categories: vec![Category::Met],
            event: event.clone(),
            response_types: Vec::new(),
            urgency: Urgency::Expected,
            severity: self.colour.severity(),
            certainty: Certainty::Likely,
            audience: None,
            event_codes: Vec::new(),
            effective: None,
            onset: Some(sent),
            expires: Some(expires),
            sender_name: Some(issuer.into()),
            headline: Some(headline),
            description: None,
            instruction: None,
            web: None,
            contact: None,
            parameters: Vec::new(),
            resources: Vec::new(),
            areas: vec![self.area(map, language)],
            unknown: Vec::new(),
        }
    }

    fn area(&self, map: &RegionMap, language: Language) -> Area {
        let marine = self.marine.iter().flatten();
        let names = self.areas.iter().chain(marine.clone()).filter_map(|code| map.get(code));
        let names: Vec<_> = names
            .map(|region| match language {
                Language::Chinese => region.name.as_str(),
                Language::English => region.name_en.as_str(),
            })
            .collect();
        let code = |list: &str, value| NamedValue { name: list.into(), value };
        let land = self.areas.iter().map(|region| code("CPEAS Geographic Code", format!("{region}000000")));
        let sea = marine.map(|region| code("TOCSIN Sea Area", region.to_string()));
        Area {
            description: names.join(if language == Language::Chinese { "、" } else { ", " }),
            polygons: Vec::new(),
            circles: Vec::new(),
            geocodes: land.chain(sea).collect(),
            altitude: None,
            ceiling: None,
        }
    }
}

fn issuer(name: &str) -> (&str, &'static str, &'static str) {
    let known = ISSUERS.iter().find(|(en, ..)| *en == name);
    known.or(ISSUERS.last()).map_or((name, "气象台", "observatory.drill"), |(_, zh, sender)| (name, zh, sender))
}
