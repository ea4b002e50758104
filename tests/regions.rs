//! Where an alert goes: cases in `tests/cases/regions`, the shipped map's own figures, and a map of another country.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use geo::InteriorPoint as _;
use proptest::prelude::*;
use serde::Deserialize;
use tocsin::cap::{Area, Circle, NamedValue, Point, Polygon};
use tocsin::messages::Language;
use tocsin::regions::{How, LocateOptions, Located, MapFiles, Properties, RegionCode, RegionKind, RegionMap};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    promise: String,
    #[serde(default)]
    options: LocateOptions,
    #[serde(default)]
    polygon: Vec<String>,
    #[serde(default)]
    circle: Vec<String>,
    #[serde(default)]
    geocode: BTreeMap<String, Vec<String>>,
}

fn area(case: &Case) -> Area {
    let point = |pair: &str| {
        let (lat, lon) = pair.split_once(',').unwrap();
        Point { lat: lat.parse().unwrap(), lon: lon.parse().unwrap() }
    };
    let circle = |text: &String| {
        let (center, radius) = text.split_once(' ').unwrap();
        Circle { center: point(center), radius_km: radius.parse().unwrap() }
    };
    let codes = case
        .geocode
        .iter()
        .flat_map(|(name, values)| values.iter().map(|value| NamedValue { name: name.clone(), value: value.clone() }));
    Area {
        description: String::new(),
        polygons: case.polygon.iter().map(|ring| Polygon { ring: ring.split(' ').map(point).collect() }).collect(),
        circles: case.circle.iter().map(circle).collect(),
        geocodes: codes.collect(),
        altitude: None,
        ceiling: None,
    }
}

fn told(map: &RegionMap, located: &Located) -> String {
    let mut text = String::new();
    for (title, matches) in [("counties", &located.counties), ("sea areas", &located.sea_areas)] {
        writeln!(text, "{title}: {}", matches.len()).unwrap();
        for found in matches.iter().take(40) {
            let name = map.get(&found.region).map_or("", |region| region.name.as_str());
            let how: Vec<_> = found
                .how
                .iter()
                .map(|how| match how {
                    How::Shape => "shape".to_owned(),
                    How::Geocode { value, .. } => format!("code {value}"),
                    How::Coast { sea } => format!("coast of {sea}"),
                    How::Neighbour { of } => format!("beside {of}"),
                })
                .collect();
            writeln!(text, "  {} {name} {:.0} % {}", found.region, found.covered * 100.0, how.join(", ")).unwrap();
        }
    }
    for (list, code) in &located.unknown {
        writeln!(text, "unknown: {list} {code}").unwrap();
    }
    text
}

#[test]
fn each_case_goes_where_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/regions");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(files.len() >= 12);
    for file in files {
        let case: Case = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let located = MAP.locate(&[area(&case)], &case.options);
        let name = file.file_stem().unwrap().to_str().unwrap();
        insta::with_settings!({ description => case.promise.clone(), omit_expression => true }, {
            insta::assert_snapshot!(name, told(&MAP, &located));
        });
    }
}

#[test]
fn the_shipped_map_is_whole() {
    let count = |kind| MAP.of_kind(kind).count();
    assert_eq!(
        [RegionKind::County, RegionKind::Prefecture, RegionKind::Province, RegionKind::Sea].map(count),
        [305, 40, 4, 9]
    );
    let counties: Vec<_> = MAP.of_kind(RegionKind::County).map(|region| region.code.clone()).collect();
    let borders: usize = counties.iter().map(|code| MAP.neighbours(code).count()).sum();
    let across = |a: &RegionCode, b: &RegionCode| a.as_str()[..2] != b.as_str()[..2];
    let over: usize = counties.iter().map(|a| MAP.neighbours(a).filter(|b| across(a, b)).count()).sum();
    assert_eq!((borders / 2, over / 2), (832, 65));
}

#[test]
fn a_point_inside_a_county_finds_it() {
    for region in MAP.of_kind(RegionKind::County) {
        let inside = MAP.shape(&region.code).unwrap().interior_point().unwrap();
        let found = MAP.county_at(Point { lat: inside.y(), lon: inside.x() }).expect("some county");
        assert_eq!(found.code, region.code);
    }
}

#[test]
fn places_are_named_as_people_do() {
    let mut codes: Vec<RegionCode> = MAP.counties_in(&"310000".parse().unwrap()).into_iter().collect();
    codes.extend(MAP.counties_in(&"330400".parse().unwrap()));
    codes.push("320509".parse().unwrap());
    assert_eq!(MAP.name_places(&codes, Language::Chinese), ["上海市", "嘉兴市", "吴江区"]);
    assert_eq!(MAP.name_places(&codes, Language::English), ["Shanghai", "Jiaxing City", "Wujiang District"]);
}

#[test]
fn another_country_works_by_naming_its_file_and_code_property() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kantons.geojson");
    let square = |x: f64| [[x, 46.0], [x + 1.0, 46.0], [x + 1.0, 47.0], [x, 47.0], [x, 46.0]];
    let feature = |code: &str, x| {
        serde_json::json!({"type": "Feature", "properties": {"KANTON": code, "label": format!("Kanton {code}")},
            "geometry": {"type": "Polygon", "coordinates": [square(x)]}})
    };
    let all =
        serde_json::json!({"type": "FeatureCollection", "features": [feature("CH-BE", 7.0), feature("CH-LU", 8.0)]});
    std::fs::write(&file, all.to_string()).unwrap();
    let properties = Properties { code: "KANTON".into(), name: "label".into(), ..Properties::default() };
    let files = MapFiles { regions: vec![file.clone()], sea_areas: None, coast: None, adjacency: None, properties };
    let map = RegionMap::load(&files).unwrap();
    let circle = Circle { center: Point { lat: 46.5, lon: 7.5 }, radius_km: 5.0 };
    let place = Area {
        description: String::new(),
        polygons: Vec::new(),
        circles: vec![circle],
        geocodes: Vec::new(),
        altitude: None,
        ceiling: None,
    };
    let located = map.locate(&[place], &LocateOptions::default());
    assert_eq!(located.counties.iter().map(|found| found.region.as_str()).collect::<Vec<_>>(), ["CH-BE"]);
    let error = RegionMap::load(&MapFiles { properties: Properties::default(), ..files }).unwrap_err().to_string();
    assert!(error.contains("kantons.geojson: feature 1: no property `code`"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_shape_makes_it_panic_and_shares_stay_shares(
        ring in proptest::collection::vec((28.0..34.0_f64, 117.0..123.0_f64), 3..40),
        circle in (-90.0..=90.0_f64, -180.0..=180.0_f64, 0.0..3_000.0_f64),
    ) {
        let mut ring: Vec<_> = ring.into_iter().map(|(lat, lon)| Point { lat, lon }).collect();
        ring.push(ring[0]);
        let (lat, lon, radius_km) = circle;
        let area = Area {
            description: String::new(), polygons: vec![Polygon { ring }],
            circles: vec![Circle { center: Point { lat, lon }, radius_km }],
            geocodes: vec![], altitude: None, ceiling: None,
        };
        let located = MAP.locate(&[area], &LocateOptions { neighbours: true, ..LocateOptions::default() });
        for found in located.counties.iter().chain(&located.sea_areas) {
            prop_assert!((0.0..=1.0).contains(&found.covered));
            prop_assert!(!found.how.is_empty());
        }
    }
}
