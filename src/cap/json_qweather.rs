//! The JSON of weather services that local developers know: one object a warning, with `messageType` and `supersedes`, or the
//! older form with `pubTime` and `status`.

use serde_json::{Value, json};

use super::alert::Reference;
use super::china;
use super::finding::{Code, Finding};
use super::hazard::{Colour, Hazard};
use super::json_nmc::{Title, Translated, category, pair, place, settle, strict};

/// A warning; None where the object is not one.
pub(super) fn to_cap(item: &Value) -> Option<Translated> {
    let own = |names: &[&str]| {
        let found = names.iter().filter_map(|name| item.pointer(name).and_then(Value::as_str)).map(str::trim);
        found.into_iter().find(|text| !text.is_empty())
    };
    let id = item.get("id")?;
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let sent = own(&["/issuedTime", "/pubTime", "/publishTime"]);
    let does = own(&["/messageType/code", "/messageType", "/status"]);
    if sent.is_none() && does.is_none() {
        return None;
    }
    let line = own(&["/headline", "/title"]).unwrap_or_default();
    let title = Title::read(line);
    let mut findings = vec![Finding::new(Code::ForeignJson, "", "messageType, supersedes")];
    let coloured = own(&["/color/code", "/severityColor", "/level"]).and_then(Colour::of_word);
    let named = own(&["/eventType/name", "/typeName"]);
    let colour = settle(title.colour, coloured, Colour::name_zh, &mut findings);
    let hazard = settle(title.hazard, named.and_then(Hazard::in_words), Hazard::name_zh, &mut findings);
    let sender = own(&["/senderName", "/sender"]).or(title.issuer);
    let msg_type = match does.map(str::to_ascii_lowercase).as_deref() {
        Some("update") => "Update",
        Some("cancel") => "Cancel",
        Some("alert" | "active") | None => title.msg_type,
        Some(_) => does.unwrap_or_default(),
    };
    let supersedes = ["/messageType/supersedes", "/supersedes", "/related"].iter().find_map(|at| item.pointer(at));
    let references: Vec<String> =
        strings(supersedes).iter().map(|id| format!("{},{id},{}", sender.unwrap_or("?"), Reference::UNDATED)).collect();
    let national = hazard.and_then(china::event_code);
    // A code of the service's own list; where it is one of China's, the national one says it.
    let typed = own(&["/eventType/code", "/type"]).filter(|code| national.is_none() || !china::is_code(code));
    let typed = typed.map(|code| json!({"valueName": "type", "value": code}));
    let severity = colour.map(|colour| colour.severity().as_str()).or_else(|| own(&["/severity"]));
    let cap = json!({
        "identifier": id,
        "sender": sender,
        "sent": sent.map(strict),
        "status": title.status,
        "msgType": msg_type,
        "scope": "Public",
        "references": (!references.is_empty()).then(|| references.join(" ")),
        "info": {
            "language": "zh-CN",
            "category": category(hazard),
            "event": hazard.map(Hazard::name_zh).or(named).unwrap_or("预警"),
            "responseType": strings(item.get("responseTypes")),
            "urgency": own(&["/urgency"]).unwrap_or("Unknown"),
            "severity": severity.unwrap_or("Unknown"),
            "certainty": own(&["/certainty"]).unwrap_or("Unknown"),
            "effective": own(&["/effectiveTime"]).map(strict),
            "onset": own(&["/onsetTime", "/startTime"]).map(strict),
            "expires": own(&["/expireTime", "/endTime"]).map(strict),
            "senderName": sender,
            "headline": line,
            "description": own(&["/description", "/text"]),
            "instruction": own(&["/instruction"]),
            "eventCode": typed.into_iter().chain(pair(national)).collect::<Vec<_>>(),
            "parameter": pair(colour.map(china::colour_field)),
            "area": areas(item, sender),
        },
    });
    Some(Translated { cap, findings })
}

/// `areas` as a list of names and codes, or the codes alone.
fn areas(item: &Value, sender: Option<&str>) -> Value {
    let area = |name: Option<&str>, codes: Vec<String>| {
        let codes: Vec<_> =
            codes.iter().map(|code| json!({"valueName": "CPEAS Geographic Code", "value": code})).collect();
        json!({"areaDesc": name.or(sender.map(place)), "geocode": codes})
    };
    let text =
        |value: &Value, names: &[&str]| names.iter().find_map(|name| value.get(name)?.as_str()).map(str::to_owned);
    if let Some(list) = item.get("areas").and_then(Value::as_array) {
        let each = list.iter().map(|one| {
            area(
                text(one, &["name", "areaDesc"]).as_deref(),
                text(one, &["code", "geocode", "adcode"]).into_iter().collect(),
            )
        });
        return each.collect();
    }
    let codes =
        ["geocode", "adcode", "areaCode"].iter().map(|name| strings(item.get(name))).find(|all| !all.is_empty());
    codes.map_or(Value::Null, |codes| area(None, codes))
}

/// One text, or several.
fn strings(value: Option<&Value>) -> Vec<String> {
    let one = |value: &Value| value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string()));
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}
