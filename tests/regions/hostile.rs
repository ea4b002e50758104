//! Whatever is drawn, locating ends, and its numbers make sense.

use std::sync::LazyLock;

use proptest::prelude::*;
use tocsin::cap::{Area, Circle, NamedValue, Point, Polygon};
use tocsin::regions::{Footprint, LocateOptions, Located, RegionMap};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));

fn area(rings: Vec<Vec<Point>>, circles: Vec<Circle>) -> Area {
    Area {
        description: String::new(),
        polygons: rings.into_iter().map(|ring| Polygon { ring }).collect(),
        circles,
        geocodes: Vec::new(),
        altitude: None,
        ceiling: None,
    }
}

fn locate(area: &Area) -> Located {
    let options = LocateOptions { coast: false, ..LocateOptions::default() };
    MAP.locate(std::slice::from_ref(area), &options)
}

/// Mostly places on the map, some on a coarse grid so that points and sides coincide, some anywhere, some nonsense.
fn any_point() -> impl Strategy<Value = Point> {
    let near = (27.0..35.5f64, 114.5..123.0f64);
    let grid = (270..355i32, 1145..1230i32).prop_map(|(lat, lon)| (f64::from(lat) / 10.0, f64::from(lon) / 10.0));
    let anywhere = (-90.0..=90.0f64, -180.0..=180.0f64);
    let nonsense = (any::<f64>(), any::<f64>());
    prop_oneof![6 => near, 4 => grid, 2 => anywhere, 1 => nonsense].prop_map(|(lat, lon)| Point { lat, lon })
}

fn any_circle() -> impl Strategy<Value = Circle> {
    let radius = prop_oneof![0.0..300.0f64, Just(0.0), Just(1e300), any::<f64>()];
    (any_point(), radius).prop_map(|(center, radius_km)| Circle { center, radius_km })
}

fn any_area() -> impl Strategy<Value = Area> {
    let rings = prop::collection::vec(prop::collection::vec(any_point(), 0..14), 0..4);
    let circles = prop::collection::vec(any_circle(), 0..3);
    let code = ("[A-Z ]{0,3}|CPEAS Geographic Code|TOCSIN Sea Area|EXCLUDE_POLYGON", "[0-9]{0,13}|\\PC{0,40}|HZB");
    let codes = prop::collection::vec(code.prop_map(|(name, value)| NamedValue { name, value }), 0..4);
    (rings, circles, codes).prop_map(|(rings, circles, geocodes)| Area { geocodes, ..area(rings, circles) })
}

/// Circles that each lie over the whole map.
fn over_all(circles: u32) -> Area {
    let circle = |n| Circle { center: Point { lat: 31.0 + f64::from(n) / 1_000.0, lon: 119.0 }, radius_km: 1_500.0 };
    area(Vec::new(), (0..circles).map(circle).collect())
}

#[test]
fn an_area_named_twice_is_measured_once_and_too_much_is_not_measured() {
    let options = LocateOptions::default();
    let once = over_all(80);
    let found =
        MAP.try_locate(&[once.clone(), Area { description: "again".into(), ..once.clone() }], &options).unwrap();
    assert_eq!(found.counties.len(), MAP.counties().count());
    let mut other = over_all(200);
    other.geocodes = vec![NamedValue { name: "GB/T 2260".into(), value: "310118".into() }];
    let too_much = MAP.try_locate(&[once, other.clone()], &options).unwrap_err();
    let codes = |found: &Located| found.counties.iter().map(|found| found.region.to_string()).collect::<Vec<_>>();
    assert_eq!(codes(&too_much.by_codes), ["310118"], "its codes are read all the same");
    let truth = LocateOptions { geometry_is_truth: true, ..options };
    assert_eq!(codes(&MAP.locate(&[other], &truth)), ["310118"], "nor does what nobody measures overrule them");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_drawn_makes_it_fail_and_shares_are_shares(areas in prop::collection::vec(any_area(), 0..3), neighbours: bool) {
        let options = LocateOptions { neighbours, ..LocateOptions::default() };
        let located = MAP.locate(&areas, &options);
        for found in located.counties.iter().chain(&located.sea_areas) {
            prop_assert!((0.0..=1.0).contains(&found.covered), "{found:?}");
            prop_assert!(!found.how.is_empty() && MAP.get(&found.region).is_some(), "{found:?}");
        }
        prop_assert!(located.counties.is_sorted_by(|a, b| a.region < b.region));
        prop_assert_eq!(MAP.locate(&areas, &options), located);
    }

    /// The map's own rings are the truth that `county_at` is held against: by counting crossings to the north, where it counts to the west.
    #[test]
    fn a_place_lies_in_the_county_whose_rings_go_round_it(lat in 27.0..35.5f64, lon in 114.5..123.0f64) {
        let inside = |county: &tocsin::regions::Region| {
            let sides = MAP.rings(&county.code).iter().flat_map(|ring| ring.iter().zip(ring.iter().skip(1)));
            let north = sides.filter(|(a, b)| (a.lon <= lon) != (b.lon <= lon) && {
                a.lat + (lon - a.lon) / (b.lon - a.lon) * (b.lat - a.lat) > lat
            });
            north.count() % 2 == 1
        };
        let expected: Vec<_> = MAP.counties().filter(|county| inside(county)).collect();
        let found: Vec<_> = MAP.county_at(Point { lat, lon }).into_iter().collect();
        prop_assert_eq!(found, expected);
    }

    /// Locating and the point test agree: a small circle round a place finds the county of the place.
    #[test]
    fn a_small_circle_finds_the_county_of_its_middle(lat in 27.0..35.5f64, lon in 114.5..123.0f64, radius_km in 0.0..0.5f64) {
        let center = Point { lat, lon };
        let drawn = area(Vec::new(), vec![Circle { center, radius_km }]);
        prop_assert!(radius_km == 0.0 || Footprint::of(&drawn).contains(center));
        if let Some(county) = MAP.county_at(center) {
            // A middle on a border may leave less than the share that counts on its own side.
            let near = MAP.neighbours(&county.code).chain([county]);
            let found = locate(&drawn).counties;
            prop_assert!(near.into_iter().any(|region| found.iter().any(|found| found.region == region.code)));
        }
    }
}

#[test]
fn a_county_drawn_as_polygon_is_that_county_and_no_other() {
    for county in MAP.counties() {
        // Rings of a county with holes or parts are separate CAP polygons; holes are filled, as CAP has none.
        let found = locate(&area(MAP.rings(&county.code).to_vec(), Vec::new()));
        let own = found.counties.iter().find(|found| found.region == county.code).expect("itself");
        assert_eq!(own.covered, 1.0, "{county:?}");
        let surrounded = MAP.rings(&county.code).len() > 1;
        assert!(found.counties.len() == 1 || surrounded, "{county:?} found {:?}", found.counties);
    }
}

#[test]
fn a_box_around_the_globe_holds_everything_whole() {
    let corner = |lat, lon| Point { lat, lon };
    let globe = vec![
        corner(-90.0, -180.0),
        corner(-90.0, 180.0),
        corner(90.0, 180.0),
        corner(90.0, -180.0),
        corner(-90.0, -180.0),
    ];
    let located = locate(&area(vec![globe], Vec::new()));
    assert_eq!((located.counties.len(), located.sea_areas.len()), (305, 9));
    assert!(located.counties.iter().all(|found| found.covered == 1.0));
}

/// A coastline of 100,000 points gives what its outline of 100 points gives.
#[test]
fn a_polygon_of_very_many_points_is_read_in_full() {
    let ring = |count: u32| -> Vec<Point> {
        let at = |index| f64::from(index % count) / f64::from(count) * std::f64::consts::TAU;
        (0..=count)
            .map(|index| Point { lat: 31.0 + 2.0 * at(index).sin(), lon: 120.0 + 2.0 * at(index).cos() })
            .collect()
    };
    let (fine, coarse) = (locate(&area(vec![ring(100_000)], Vec::new())), locate(&area(vec![ring(1_000)], Vec::new())));
    let codes = |located: &Located| located.counties.iter().map(|found| found.region.clone()).collect::<Vec<_>>();
    assert_eq!(codes(&fine), codes(&coarse));
    for (a, b) in fine.counties.iter().zip(&coarse.counties) {
        assert!((a.covered - b.covered).abs() < 0.005, "{a:?} {b:?}");
    }
}

/// A scribble of 100,000 points over the whole map ends in reasonable time with the whole map; a bound on work, not on the clock.
#[test]
fn a_scribble_ends() {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 40).expect("24 bits")) / f64::from(1u32 << 24)
    };
    let ring: Vec<Point> =
        (0..100_000).map(|_| Point { lat: 27.0 + 8.0 * random(), lon: 115.0 + 8.0 * random() }).collect();
    let located = locate(&area(vec![ring], Vec::new()));
    assert!(located.counties.len() > 290, "{}", located.counties.len());
}
