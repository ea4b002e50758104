//! Areas in, regions out: one file a case.

use std::path::Path;

use serde::Deserialize;
use tocsin::cap::{Area, Circle, NamedValue, Point, Polygon};
use tocsin::regions::{How, LocateOptions, Located, Match, RegionMap};

/// One file of `tests/cases/regions/`: areas in, regions out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows.
    shows: String,
    #[serde(default)]
    options: LocateOptions,
    area: Vec<Drawn>,
    expect: Expected,
}

/// An area as CAP writes it.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Drawn {
    polygons: Vec<String>,
    circles: Vec<String>,
    geocodes: Vec<(String, String)>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expected {
    counties: Vec<String>,
    sea_areas: Vec<String>,
    unknown: Vec<String>,
}

fn point(text: &str) -> Point {
    let (lat, lon) = text.split_once(',').expect("lat,lon");
    Point { lat: lat.parse().expect("a latitude"), lon: lon.parse().expect("a longitude") }
}

impl From<&Drawn> for Area {
    fn from(drawn: &Drawn) -> Self {
        let circle = |text: &String| {
            let (center, radius) = text.split_once(' ').expect("center radius");
            Circle { center: point(center), radius_km: radius.parse().expect("a radius") }
        };
        Area {
            description: String::new(),
            polygons: drawn
                .polygons
                .iter()
                .map(|text| Polygon { ring: text.split(' ').map(point).collect() })
                .collect(),
            circles: drawn.circles.iter().map(circle).collect(),
            geocodes: drawn
                .geocodes
                .iter()
                .map(|(name, value)| NamedValue { name: name.clone(), value: value.clone() })
                .collect(),
            altitude: None,
            ceiling: None,
        }
    }
}

/// `310118 青浦区: 12.3 %, polygon, code 310118`
fn line(map: &RegionMap, found: &Match) -> String {
    let name = map.get(&found.region).map_or("", |region| &region.name);
    let how: Vec<String> = found
        .how
        .iter()
        .map(|how| match how {
            How::Polygon => "polygon".to_owned(),
            How::Circle => "circle".to_owned(),
            How::Geocode { name, value } => format!("{name} {value}"),
            How::Coast { sea } => format!("coast of {sea}"),
            How::Neighbour { of } => format!("beside {of}"),
        })
        .collect();
    format!("{} {name}: {:.1} %, {}", found.region, found.covered * 100.0, how.join(", "))
}

fn written(map: &RegionMap, located: &Located) -> Expected {
    Expected {
        counties: located.counties.iter().map(|found| line(map, found)).collect(),
        sea_areas: located.sea_areas.iter().map(|found| line(map, found)).collect(),
        unknown: located.unknown.iter().map(|(list, code)| format!("{list} {code}")).collect(),
    }
}

#[test]
fn each_case_finds_its_regions() {
    let map = RegionMap::delta().expect("the shipped map");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/regions");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of cases") {
        let file = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&file).expect("a case");
        let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let areas: Vec<Area> = case.area.iter().map(Area::from).collect();
        let found = written(&map, &map.locate(&areas, &case.options));
        if found != case.expect {
            wrong.push(format!("{} ({})\nwanted {:#?}\nfound {found:#?}", file.display(), case.shows, case.expect));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(seen >= 20, "only {seen} cases were found");
}
