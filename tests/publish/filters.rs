//! What a question lets through, and which questions are refused.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use tocsin::publish::{Entry, Fields, Filter, Publication};
use tocsin::regions::RegionCode;

use super::{MAP, sample};

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
        ("urgency=Immediate", ""),
    ] {
        assert_eq!(taken(query, Fields::Active, &entries), wanted, "{query}");
    }
    let from_now = |hours| (Utc::now() + TimeDelta::hours(hours)).format("%FT%TZ").to_string();
    for (query, wanted) in [
        (format!("start={}", from_now(-1)), "typhoon rain surge"),
        (format!("start={}", from_now(1)), ""),
        (format!("end={}", from_now(-1)), ""),
        (format!("end={}", from_now(1)), "typhoon rain surge"),
        ("active=true".into(), "typhoon rain surge"),
        ("active=false".into(), ""),
    ] {
        assert_eq!(taken(&query, Fields::Archive, &entries), wanted, "{query}");
    }
}

fn taken(query: &str, fields: Fields, entries: &[Entry]) -> String {
    let filter = Filter::parse(query, fields, &MAP).unwrap_or_else(|e| panic!("{query}: {e}"));
    let found: Vec<_> = entries.iter().filter(|entry| filter.takes(entry)).collect();
    let found: Vec<_> = found.iter().map(|entry| entry.publication.shown.identifier.as_str()).collect();
    found.join(" ")
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
