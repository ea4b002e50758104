//! GeoJSON and JSON, with the members that readers of api.weather.gov know, and ours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::shapes::thinned;
use super::text::printable;
use super::{Entry, Ground, Place, Publication};
use crate::cap::{Info, NamedValue, Point};
use crate::messages::Language;
use crate::regions::{RegionCode, RegionKind, RegionMap};

/// An entry as a GeoJSON feature.
pub fn feature(entry: &Entry, map: &RegionMap, ground: &Ground, place: &Place) -> Value {
    json!({
        "type": "Feature",
        "id": place.alert(&entry.publication.id),
        "geometry": geometry(entry, ground),
        "properties": properties(entry, map, place),
    })
}

/// An entry alone, without a shape.
pub fn json(entry: &Entry, map: &RegionMap, place: &Place) -> Value {
    Value::Object(properties(entry, map, place))
}

/// A collection of features, each in JSON already; `next` leads to older ones.
pub fn collection(title: &str, updated: &str, features: &[std::sync::Arc<str>], next: Option<&str>) -> String {
    let mut all = json!({"type": "FeatureCollection", "title": title, "updated": updated});
    if let (Some(next), Some(object)) = (next, all.as_object_mut()) {
        object.insert("pagination".into(), json!({"next": next}));
    }
    let mut text = all.to_string();
    text.pop();
    text.push_str(",\"features\":[");
    text.push_str(&features.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(","));
    text.push_str("]}");
    text
}

/// The same entries as JSON-LD: a graph of alerts without shapes, whose members are those of api.weather.gov.
pub fn graph(title: &str, updated: &str, alerts: &[Value], next: Option<&str>) -> Value {
    let context = json!({"@version": "1.1", "@vocab": "https://api.weather.gov/ontology#"});
    let mut all = json!({"@context": context, "title": title, "updated": updated, "@graph": alerts});
    if let (Some(next), Some(object)) = (next, all.as_object_mut()) {
        object.insert("pagination".into(), json!({"next": next}));
    }
    all
}

/// How many are in force: in all, on land, at sea, by province, by county, by sea area.
pub fn counts(entries: &[&Entry], map: &RegionMap) -> Value {
    let (mut areas, mut zones, mut regions) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut land, mut marine) = (0, 0);
    for entry in entries {
        land += usize::from(!entry.left.is_empty());
        marine += usize::from(!entry.publication.seas.is_empty());
        let provinces: BTreeSet<&RegionCode> =
            entry.left.iter().filter_map(|code| map.province_of(code)).map(|province| &province.code).collect();
        provinces.into_iter().for_each(|code| *areas.entry(code.to_string()).or_insert(0) += 1);
        entry.left.iter().for_each(|code| *zones.entry(code.to_string()).or_insert(0) += 1);
        entry.publication.seas.iter().for_each(|code| *regions.entry(code.to_string()).or_insert(0) += 1);
    }
    json!({"total": entries.len(), "land": land, "marine": marine, "areas": areas, "zones": zones, "regions": regions})
}

/// The kinds of danger that are known here.
pub fn types() -> Value {
    let kinds: Vec<Value> = crate::cap::Hazard::ALL
        .iter()
        .map(|hazard| json!({"hazard": hazard.slug(), "zh": hazard.name_zh(), "en": hazard.name_en()}))
        .collect();
    let names: Vec<&str> = crate::cap::Hazard::ALL.iter().map(|hazard| hazard.name_en()).collect();
    json!({"eventTypes": names, "hazards": kinds})
}

/// Its own polygons where every area has some, else its regions melted together, else nothing.
fn geometry(entry: &Entry, ground: &Ground) -> Value {
    let publication = &entry.publication;
    let whole = entry.regions().len() == publication.regions.len();
    let own = if whole { own_polygons(publication) } else { Vec::new() };
    let polygons = if own.is_empty() { ground.polygons(entry.regions().iter().chain(&publication.seas)) } else { own };
    match polygons.as_slice() {
        [] => Value::Null,
        [one] => json!({"type": "Polygon", "coordinates": one}),
        many => json!({"type": "MultiPolygon", "coordinates": many}),
    }
}

/// The alert's own polygons, once each, outer rings against the clock; none where an area goes without.
fn own_polygons(publication: &Publication) -> Vec<Vec<Vec<[f64; 2]>>> {
    let mut areas = publication.shown.infos.iter().flat_map(|info| &info.areas).peekable();
    if areas.peek().is_none() || areas.clone().any(|area| area.polygons.is_empty() || !area.circles.is_empty()) {
        return Vec::new();
    }
    let corners = areas.clone().flat_map(|area| &area.polygons).map(|polygon| polygon.ring.len()).sum();
    let mut found: Vec<Vec<Vec<[f64; 2]>>> = Vec::new();
    for polygon in areas.flat_map(|area| &area.polygons) {
        let mut ring = thinned(&polygon.ring, corners);
        if turn(&polygon.ring) < 0.0 {
            ring.reverse();
        }
        let polygon = vec![ring];
        if polygon.iter().all(|ring| ring.len() >= 4) && !found.contains(&polygon) {
            found.push(polygon);
        }
    }
    found
}

/// Twice the surface in square degrees, above 0 against the clock.
fn turn(ring: &[Point]) -> f64 {
    ring.iter().zip(ring.iter().skip(1)).map(|(a, b)| a.lon * b.lat - b.lon * a.lat).sum()
}

fn properties(entry: &Entry, map: &RegionMap, place: &Place) -> Map<String, Value> {
    let publication = &entry.publication;
    let alert = &publication.shown;
    let chief = alert.info_in("zh-CN");
    let word = |get: fn(&Info) -> &str| chief.map(get);
    let text = |get: fn(&Info) -> Option<&String>| chief.and_then(get).map(|text| printable(text));
    let time =
        |get: fn(&Info) -> Option<chrono::DateTime<chrono::FixedOffset>>| chief.and_then(get).map(|at| at.to_rfc3339());
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    put("@id", json!(place.alert(&publication.id)));
    put("id", json!(publication.id));
    put("identifier", json!(alert.identifier));
    put("sender", json!(alert.sender));
    put("sent", json!(alert.sent.to_rfc3339()));
    put("status", json!(alert.status));
    put("messageType", json!(alert.msg_type));
    put("scope", json!(alert.scope));
    put("category", json!(chief.and_then(|info| info.categories.first())));
    put("event", json!(chief.map(|info| printable(&info.event))));
    put("urgency", json!(word(|info| info.urgency.as_str())));
    put("severity", json!(alert.severity()));
    put("certainty", json!(word(|info| info.certainty.as_str())));
    put("response", json!(chief.map(|info| &info.response_types)));
    put("effective", json!(time(|info| info.effective).unwrap_or_else(|| alert.sent.to_rfc3339())));
    put("onset", json!(time(|info| info.onset)));
    put("expires", json!(publication.expires.to_rfc3339()));
    put("ends", Value::Null);
    put("senderName", json!(text(|info| info.sender_name.as_ref())));
    put("headline", json!(text(|info| info.headline.as_ref())));
    put("description", json!(text(|info| info.description.as_ref())));
    put("instruction", json!(text(|info| info.instruction.as_ref())));
    put("web", json!(text(|info| info.web.as_ref())));
    put("areaDesc", json!(chief.map(area_words)));
    put("geocode", pairs(chief.into_iter().flat_map(|info| &info.areas).flat_map(|area| &area.geocodes)));
    put("eventCode", pairs(chief.into_iter().flat_map(|info| &info.event_codes)));
    put("parameters", pairs(chief.into_iter().flat_map(|info| &info.parameters)));
    put("affectedZones", affected(entry, map, place));
    let references = alert.references.iter().map(|reference| {
        let id = crate::cap::AlertId::of_reference(reference);
        json!({"@id": place.alert(&id), "sender": reference.sender, "identifier": reference.identifier, "sent": reference.sent.to_rfc3339()})
    });
    put("references", references.collect());
    put("infos", alert.infos.iter().map(info).collect());
    put("hazard", json!(publication.hazard().slug()));
    put("level", json!(publication.colour().map(crate::cap::Colour::as_str)));
    put("published", json!(publication.at.to_rfc3339()));
    put("state", json!(entry.standing.as_str()));
    put("ended", json!(entry.standing.ended().map(|at| at.to_rfc3339())));
    put("endedBy", json!(entry.standing.by().map(|id| place.alert(id))));
    put("correction", json!(publication.correction));
    put("source", json!(publication.bureau));
    put("eventPage", json!(place.event(&publication.chain)));
    put("cap", json!(format!("{}.cap", place.alert(&publication.id))));
    all
}

fn affected(entry: &Entry, map: &RegionMap, place: &Place) -> Value {
    let zone = |code: &RegionCode| {
        let region = map.get(code);
        let marine = region.is_some_and(|region| region.kind == RegionKind::Sea);
        json!({
            "code": code,
            "type": if marine { "marine" } else { "land" },
            "zh": region.map(|region| region.name_in(Language::Chinese)),
            "en": region.map(|region| region.name_in(Language::English)),
            "active": format!("{}/alerts/active/zone/{code}", place.base),
        })
    };
    entry.regions().iter().chain(&entry.publication.seas).map(zone).collect()
}

fn info(info: &Info) -> Value {
    let text = |text: &Option<String>| text.as_deref().map(printable);
    json!({
        "language": info.language, "event": printable(&info.event), "severity": info.severity,
        "headline": text(&info.headline), "description": text(&info.description), "instruction": text(&info.instruction),
        "senderName": text(&info.sender_name), "areaDesc": area_words(info),
        "expires": info.expires.map(|at| at.to_rfc3339()),
    })
}

fn area_words(info: &Info) -> String {
    info.areas.iter().map(|area| printable(&area.description)).collect::<Vec<_>>().join("; ")
}

fn pairs<'a>(list: impl Iterator<Item = &'a NamedValue>) -> Value {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in list {
        all.entry(printable(&pair.name)).or_default().push(printable(&pair.value));
    }
    json!(all)
}
