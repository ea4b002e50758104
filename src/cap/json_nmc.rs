//! The national centre's list (`data.page.list`): a title, an issuer's code and a picture's name, and little else.
//!
//! Any member may be missing or null. The title is what people read, so it decides level, hazard and what the message does.

use serde_json::{Value, json};

use super::alert::NamedValue;
use super::china::{self, EventCode};
use super::finding::{Code, Finding};
use super::hazard::{Colour, Hazard};
use super::values;

/// A message in another shape, put into the elements of CAP.
pub(super) struct Translated {
    /// CAP in JSON.
    pub(super) cap: Value,
    /// What was noticed on the way.
    pub(super) findings: Vec<Finding>,
}

/// What a title of China's warnings says: issuer, verb, place, hazard, colour.
pub(super) struct Title<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) msg_type: &'static str,
    /// `Actual`, unless the title itself says that nothing happens.
    pub(super) status: &'static str,
    pub(super) hazard: Option<Hazard>,
    pub(super) colour: Option<Colour>,
}

impl<'a> Title<'a> {
    pub(super) fn read(title: &'a str) -> Self {
        // Longer words first: 继续发布 holds 发布.
        const VERBS: [(&str, &str); 9] = [
            ("继续发布", "Update"),
            ("更新发布", "Update"),
            ("变更发布", "Update"),
            ("变更为", "Update"),
            ("升级为", "Update"),
            ("降级为", "Update"),
            ("更新", "Update"),
            ("解除", "Cancel"),
            ("发布", "Alert"),
        ];
        let verb =
            VERBS.into_iter().filter_map(|(verb, does)| Some((title.find(verb)?, does))).min_by_key(|(at, _)| *at);
        let issuer = verb.and_then(|(at, _)| title.get(..at)).map(str::trim).filter(|issuer| !issuer.is_empty());
        Self {
            issuer,
            msg_type: verb.map_or("Alert", |(_, does)| does),
            status: match (title.contains("演练"), title.contains("测试")) {
                (true, _) => "Exercise",
                (_, true) => "Test",
                _ => "Actual",
            },
            hazard: Hazard::in_words(title),
            colour: Colour::in_words(title),
        }
    }
}

/// An item of the list; None where it is not one.
pub(super) fn to_cap(item: &Value) -> Option<Translated> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let members = item.as_object()?;
    if !members.contains_key("alertid") {
        return None;
    }
    let id = text("alertid").unwrap_or_default();
    let line = text("title").unwrap_or_default();
    let title = Title::read(line);
    let picture = text("pic").map(|name| name.rsplit('/').next().unwrap_or(name).split('.').next().unwrap_or(name));
    let mut findings = vec![Finding::new(Code::ForeignJson, "", "data.page.list")];
    let code = picture.and_then(EventCode::read);
    let colour = settle(title.colour, code.and_then(|code| code.colour), Colour::name_zh, &mut findings);
    let hazard = settle(title.hazard, picture.and_then(pictured), Hazard::name_zh, &mut findings);
    let pictured_as = picture.map(|name| json!({"valueName": "pic", "value": name})).into_iter();
    let (unit, time) = id.split_once('_').unwrap_or((id, ""));
    let area = id.get(..6).filter(|code| code.bytes().all(|b| b.is_ascii_digit()));
    let cap = json!({
        "identifier": id,
        "sender": title.issuer.unwrap_or(unit),
        "sent": text("issuetime").map(strict).or_else(|| spelled_out(time)),
        "status": title.status,
        "msgType": title.msg_type,
        "scope": "Public",
        "info": {
            "language": "zh-CN",
            "category": category(hazard),
            "event": hazard.map_or("预警", Hazard::name_zh),
            "urgency": "Unknown",
            "severity": colour.map_or("Unknown", |colour| colour.severity().as_str()),
            "certainty": "Unknown",
            "senderName": title.issuer,
            "headline": line,
            "description": line,
            "web": text("url").filter(|url| url.starts_with("http")),
            "eventCode": pair(hazard.and_then(china::event_code)),
            "parameter": pictured_as.chain(pair(colour.map(china::colour_field))).collect::<Vec<_>>(),
            "area": area.map(|code| json!({
                "areaDesc": title.issuer.map_or(code, place),
                "geocode": {"valueName": "CPEAS Geographic Code", "value": format!("{code}000000")},
            })),
        },
    });
    Some(Translated { cap, findings })
}

/// What the title says, else what the codes say; where they disagree, that is noticed.
pub(super) fn settle<T: Copy + PartialEq>(
    title: Option<T>,
    code: Option<T>,
    name: fn(T) -> &'static str,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    if let (Some(said), Some(coded)) = (title, code)
        && said != coded
    {
        findings.push(Finding::new(Code::TitleDecides, "alert/info", format!("{} / {}", name(said), name(coded))));
    }
    title.or(code)
}

/// A pair in JSON.
pub(super) fn pair(pair: Option<NamedValue>) -> Option<Value> {
    pair.map(|NamedValue { name, value }| json!({"valueName": name, "value": value}))
}

/// CAP's category of a hazard.
pub(super) fn category(hazard: Option<Hazard>) -> &'static str {
    match hazard {
        Some(Hazard::Geological | Hazard::Earthquake | Hazard::Tsunami) => "Geo",
        Some(Hazard::ForestFire) => "Fire",
        Some(Hazard::Chemical) => "CBRNE",
        Some(Hazard::Other) | None => "Other",
        Some(_) => "Met",
    }
}

/// The dangers whose pictures on this list are known for sure.
fn pictured(name: &str) -> Option<Hazard> {
    match name.strip_prefix('p')?.get(..4)? {
        "0002" => Some(Hazard::Rainstorm),
        "0007" => Some(Hazard::Gale),
        _ => None,
    }
}

/// The place that an observatory is named after.
pub(super) fn place(issuer: &str) -> &str {
    let one = issuer.rsplit('和').next().unwrap_or(issuer);
    let place = ["中心气象台", "气象台", "气象局"].into_iter().find_map(|end| one.strip_suffix(end)).unwrap_or(one);
    if place.is_empty() { issuer } else { place }
}

/// A time as CAP wants it, Beijing's where no offset is given; one that cannot be read stays as it is, and the reader says so.
pub(super) fn strict(text: &str) -> String {
    let read = values::time(text).map(|(at, _)| at.format("%Y-%m-%dT%H:%M:%S%:z").to_string());
    read.unwrap_or_else(|| text.to_owned())
}

/// `20260823100000` as a time in Beijing.
fn spelled_out(digits: &str) -> Option<String> {
    let time = chrono::NaiveDateTime::parse_from_str(digits.get(..14)?, "%Y%m%d%H%M%S").ok()?;
    Some(strict(&time.format("%Y-%m-%d %H:%M:%S").to_string()))
}
