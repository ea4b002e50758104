//! Another country works by naming its files, and files that do not do are refused with the place and the remedy.

use std::fs;
use std::path::{Path, PathBuf};

use tocsin::cap::{Area, Circle, NamedValue, Point};
use tocsin::messages::Language;
use tocsin::regions::{CodeList, LocateOptions, MapFiles, Reading, RegionCode, RegionMap};

/// The map files of `tests/cases/own-map`, in this folder.
fn own_files(folder: &Path) -> MapFiles {
    let text = fs::read_to_string(folder.join("map.toml")).expect("the files' names");
    let mut files: MapFiles = toml::from_str(&text).expect("a map section");
    files.counties = folder.join(files.counties);
    files.groups = files.groups.iter().map(|file| folder.join(file)).collect();
    files.adjacency = files.adjacency.map(|file| folder.join(file));
    files
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/own-map")
}

fn code(text: &str) -> RegionCode {
    text.parse().expect("a code")
}

#[test]
fn another_country_works_by_naming_its_files_and_properties() {
    let map = RegionMap::load(&own_files(&cases())).expect("a map");
    let names: Vec<_> = map.counties().map(|county| (county.name.as_str(), county.name_en.as_str())).collect();
    assert_eq!(names, [("Nordbygd", "Nordbygd"), ("Østvik", "East Cove"), ("Sund", "Sund")]);
    assert_eq!(map.province_of(&code("102")).map(|shire| shire.name.as_str()), Some("Nordland"));
    assert_eq!(map.name_places(&[code("101"), code("102")], Language::English), ["Nordland"]);
    assert_eq!(map.neighbours(&code("201")).count(), 2);
    let at = |lat, lon| map.county_at(Point { lat, lon }).map(|county| county.code.as_str());
    assert_eq!(at(60.6, 10.6), Some("102"));
    assert_eq!(at(60.75, 10.75), None, "the lake is a hole");
    assert_eq!(at(60.92, 11.28), Some("102"), "the island is part of it");
}

#[test]
fn areas_are_located_on_it_by_its_own_list() {
    let map = RegionMap::load(&own_files(&cases())).expect("a map");
    let mut options = LocateOptions::default();
    options.code_lists.insert("PARISH".to_owned(), CodeList::By(Reading::Regions));
    let area = Area {
        description: String::new(),
        polygons: Vec::new(),
        circles: vec![Circle { center: Point { lat: 60.4, lon: 10.2 }, radius_km: 2.0 }],
        geocodes: vec![
            NamedValue { name: "PARISH".to_owned(), value: "N".to_owned() },
            NamedValue { name: "PARISH".to_owned(), value: "301".to_owned() },
        ],
        altitude: None,
        ceiling: None,
    };
    let located = map.locate(&[area], &options);
    let found: Vec<_> = located.counties.iter().map(|found| found.region.as_str()).collect();
    assert_eq!(found, ["101", "102", "201"]);
    assert_eq!(located.unknown, [("PARISH".to_owned(), "301".to_owned())]);
}

#[test]
fn the_files_section_refuses_unknown_keys() {
    let error = toml::from_str::<MapFiles>("counties = \"a\"\ncounty_property = \"b\"").expect_err("a typo");
    assert!(error.to_string().contains("county_property"), "{error}");
}

/// Breaks one file of the good map at a time: what, with what, and what the refusal says.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    (
        "parishes.geojson",
        "\"PARISH_NO\":101,",
        "",
        "feature 0: has no property `PARISH_NO`: name the property that holds the code as `properties.code`",
    ),
    (
        "parishes.geojson",
        "\"PARISH_NO\":101,",
        "\"PARISH_NO\":\"a b\",",
        "feature 0 (code a b): `a b` cannot be a region code",
    ),
    ("parishes.geojson", "\"PARISH_NO\":102,", "\"PARISH_NO\":101,", "feature 1 (code 101): its code was used before"),
    (
        "parishes.geojson",
        "\"IN\":\"S\"",
        "\"IN\":\"X\"",
        "feature 2 (code 201): its parent `X` is no greater region of the map",
    ),
    (
        "parishes.geojson",
        "\"IN\":\"S\"",
        "\"IN\":\"101\"",
        "feature 2 (code 201): its parent `101` is no greater region",
    ),
    (
        "parishes.geojson",
        "\"IN\":\"S\"",
        "\"IN\":\"S\",\"CLASS\":\"shire\"",
        "feature 2 (code 201): its level `shire` does not belong in this file",
    ),
    (
        "parishes.geojson",
        "[11.3,61.0],[11.2,60.9]",
        "[11.2,60.9]",
        "feature 1 (code 102): ring 2 has fewer than four points",
    ),
    (
        "parishes.geojson",
        "[10.0,61.0,12],[10.0,60.5,12]",
        "[10.0,61.0,12]",
        "feature 0 (code 101): ring 0 is not closed",
    ),
    (
        "parishes.geojson",
        "[[10.0,60.0],[11.0,60.0]",
        "[[10.0,60.0],[11.0,160.0]",
        "feature 2 (code 201): ring 0 has the point 11,160",
    ),
    (
        "parishes.geojson",
        "[[10.0,60.0],[11.0,60.0],[11.0,60.5],",
        "[[10.0,60.0],[11.0,60.5],[11.0,60.0],",
        "feature 2 (code 201): its rings cross near",
    ),
    (
        "parishes.geojson",
        "\"type\":\"Polygon\"",
        "\"type\":\"LineString\"",
        "no GeoJSON FeatureCollection (unknown variant `LineString`",
    ),
    ("parishes.geojson", "\"features\"", "\"things\"", "no GeoJSON FeatureCollection (missing field `features`"),
    (
        "shires.geojson",
        "\"CLASS\":\"shire\"",
        "\"CLASS\":\"realm\"",
        "feature 0 (code N): its level `realm` does not belong in this file",
    ),
    (
        "shires.geojson",
        "\"CLASS\":\"shire\"",
        "\"CLASS\":\"county\"",
        "feature 0 (code N): its level `county` does not belong in this file",
    ),
    ("beside.csv", "101,201", "101,999", "line 3: `999` is no county of this map"),
    ("beside.csv", "101,201", "N,201", "line 3: `N` is no county of this map"),
];

#[test]
fn files_that_do_not_do_are_refused_with_place_and_remedy() {
    for (file, good, bad, says) in FAULTS {
        let folder = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(cases()).expect("the good map") {
            let from = entry.expect("an entry").path();
            fs::copy(&from, folder.path().join(from.file_name().expect("a name"))).expect("a copy");
        }
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).expect("the good file");
        assert!(text.contains(good), "{file} has no {good}");
        fs::write(&path, text.replacen(good, bad, 1)).expect("the broken file");
        let error = RegionMap::load(&own_files(folder.path())).expect_err(says).to_string();
        assert!(error.contains(says) && error.contains(file), "wanted: {says}\nfound: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = RegionMap::load(&MapFiles::counties("nowhere/at-all.geojson")).expect_err("no such file").to_string();
    assert!(error.starts_with("nowhere/at-all.geojson: cannot be read ("), "{error}");
}

#[test]
fn a_map_without_counties_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("none.geojson");
    fs::write(&file, r#"{"type":"FeatureCollection","features":[]}"#).expect("a file");
    let error = RegionMap::load(&MapFiles::counties(file)).expect_err("no county").to_string();
    assert!(error.ends_with("none.geojson: holds no county: a map needs at least one"), "{error}");
}
