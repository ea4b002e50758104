//! Who is inside an alert's shape: by PostGIS, point by point, and by rules that hold for every shape.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proptest::prelude::*;
use tocsin::cap::{Area, Circle, NamedValue, Point, Polygon};
use tocsin::regions::{Footprint, Ground, LocateOptions, Meant, RegionMap};
use tocsin::residents::{concerned, simulate_places_at};
use tocsin::store::{Store, StoreOptions};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));

fn point(lat: f64, lon: f64) -> Point {
    Point { lat, lon }
}

fn area(rings: &[Vec<Point>], circles: &[Circle], holes: &[&str]) -> Area {
    let hole = |ring: &&str| NamedValue { name: "EXCLUDE_POLYGON".into(), value: (*ring).into() };
    Area {
        description: String::new(),
        polygons: rings.iter().map(|ring| Polygon { ring: ring.clone() }).collect(),
        circles: circles.to_vec(),
        geocodes: holes.iter().map(hole).collect(),
        altitude: None,
        ceiling: None,
    }
}

fn ring(points: &[(f64, f64)]) -> Vec<Point> {
    points.iter().map(|(lat, lon)| point(*lat, *lon)).collect()
}

/// Shapes of every kind that a bureau draws: a box, slanted sides, a bay, a spike, one with hundreds of corners.
fn shapes() -> Vec<Vec<Point>> {
    let star = (0..=400).map(|n| {
        let turn = f64::from(n % 400) * std::f64::consts::TAU / 400.0;
        let far = if n % 2 == 0 { 0.5 } else { 0.375 };
        let micro = |degrees: f64| (degrees * 1e6).round() / 1e6;
        point(micro(31.25 + far * turn.sin()), micro(121.0 + far * turn.cos()))
    });
    vec![
        ring(&[(30.5, 120.5), (30.5, 121.5), (31.5, 121.5), (31.5, 120.5), (30.5, 120.5)]),
        ring(&[(30.5, 120.5), (31.0, 121.5), (31.5, 120.5), (30.5, 120.5)]),
        ring(&[
            (30.5, 120.5),
            (30.5, 121.5),
            (31.5, 121.5),
            (31.5, 121.25),
            (30.75, 121.0),
            (31.5, 120.75),
            (31.5, 120.5),
            (30.5, 120.5),
        ]),
        ring(&[
            (30.5, 120.5),
            (30.5, 121.0),
            (32.5, 121.0),
            (30.5, 121.25),
            (30.5, 121.5),
            (31.0, 121.5),
            (31.0, 120.5),
            (30.5, 120.5),
        ]),
        star.collect(),
    ]
}

/// Points inside, outside, on corners, on sides (where a millionth of a degree can name one exactly), and in line with corners.
fn points(ring: &[Point]) -> Vec<Point> {
    let mut points = ring.to_vec();
    for (a, b) in ring.iter().zip(ring.iter().skip(1)) {
        let half = point(f64::midpoint(a.lat, b.lat), f64::midpoint(a.lon, b.lon));
        let exact = |degrees: f64| (degrees * 64.0).fract() == 0.0;
        let level = a.lat.total_cmp(&b.lat).is_eq() || a.lon.total_cmp(&b.lon).is_eq();
        if level || [a.lat, a.lon, b.lat, b.lon].into_iter().all(exact) {
            points.push(half);
        }
        points.extend([point(a.lat, b.lon), point(a.lat, a.lon - 0.25), point(a.lat, a.lon + 0.25)]);
        points.extend([point(half.lat + 1e-6, half.lon), point(half.lat, half.lon + 2e-6)]);
    }
    for n in 0..2_000_u32 {
        let spread = |k: u32| (f64::from(n.wrapping_mul(k) >> 8) / f64::from(1_u32 << 24) * 2.5e6).round() / 1e6;
        points.push(point(30.25 + spread(2_654_435_769), 120.0 + spread(1_597_334_677)));
    }
    points
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap_or_default().contains("Uid:\t0\t")
}

/// A PostgreSQL of our own, stopped when dropped. It refuses to run as root: then it runs as `nobody`.
struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
}

const BIN: &str = "/usr/lib/postgresql/15/bin";

impl Postgres {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = tocsin_sinks::real::free_port().unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("nobody").arg(folder.path()).status().unwrap().success());
        }
        let server = Self { folder, port };
        let data = server.data();
        server.run("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]);
        let options =
            format!("-p {port} -c listen_addresses=127.0.0.1 -k {} -c fsync=off", server.folder.path().display());
        let log = server.folder.path().join("log").display().to_string();
        server.run("pg_ctl", &["-D", &data, "-l", &log, "-w", "-o", &options, "start"]);
        server
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let path = Path::new(BIN).join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        let status = command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{program} failed");
    }

    fn ask(&self, sql: &str) -> String {
        let file = self.folder.path().join("ask.sql");
        std::fs::write(&file, sql).unwrap();
        let out = Command::new(Path::new(BIN).join("psql"))
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "postgres",
                "-v",
                "ON_ERROR_STOP=1",
                "-Atq",
                "-f",
            ])
            .arg(file)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
    }
}

/// What PostGIS says of each point: whether a polygon, its holes behind it, covers it, and whether it lies on an edge.
fn asked_about(server: &Postgres, rings: &[Vec<Point>], points: &[Point]) -> Vec<(bool, bool)> {
    let text = |p: &Point| format!("{} {}", p.lon, p.lat);
    let ring = |ring: &Vec<Point>| format!("({})", ring.iter().map(text).collect::<Vec<_>>().join(","));
    let polygon = format!("POLYGON({})", rings.iter().map(ring).collect::<Vec<_>>().join(","));
    let mut sql = format!(
        "SET extra_float_digits = 3;\nWITH shape AS (SELECT ST_GeomFromText('{polygon}', 4326) AS g), point (n, p) AS (VALUES "
    );
    for (at, point) in points.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(sql, "{comma}({at}, ST_SetSRID(ST_MakePoint({}::float8, {}::float8), 4326))", point.lon, point.lat)
            .unwrap();
    }
    sql.push_str(") SELECT ST_Covers(g, p), ST_Touches(g, p) FROM shape, point ORDER BY n;");
    let answer = server.ask(&sql);
    let lines: Vec<_> = answer.lines().map(|line| (line.starts_with('t'), line.ends_with('t'))).collect();
    assert_eq!(lines.len(), points.len());
    lines
}

#[test]
fn postgis_agrees_on_every_point_inside_outside_on_sides_and_on_corners() {
    if !Path::new(BIN).join("../lib/postgis-3.so").exists() {
        println!("skipped: PostGIS is not installed (cargo xtask test installs it)");
        return;
    }
    let server = Postgres::start();
    server.ask("CREATE EXTENSION postgis;");
    let (mut asked, mut on_edge) = (0, 0);
    for (n, ring) in shapes().iter().enumerate() {
        let footprint = Footprint::of(&area(std::slice::from_ref(ring), &[], &[]));
        let points = points(ring);
        for (point, (covers, touches)) in points.iter().zip(asked_about(&server, std::slice::from_ref(ring), &points)) {
            assert_eq!(footprint.covers(*point), covers, "shape {n}, {point:?}, on its edge: {touches}");
            asked += 1;
            on_edge += usize::from(touches);
        }
    }
    assert!(asked > 10_000 && on_edge > 400, "{asked} points, {on_edge} of them on an edge");
}

/// The whole way of matching, from an alert's bytes to the places on record, against PostGIS: the shapes with a hole in each.
#[tokio::test]
async fn postgis_agrees_on_whose_places_an_alert_concerns_round_a_hole_too() {
    if !Path::new(BIN).join("../lib/postgis-3.so").exists() {
        println!("skipped: PostGIS is not installed (cargo xtask test installs it)");
        return;
    }
    let server = Postgres::start();
    server.ask("CREATE EXTENSION postgis;");
    // A hole in each shape that crosses none of its sides.
    let hole =
        ring(&[(30.5625, 120.75), (30.5625, 120.8125), (30.59375, 120.8125), (30.59375, 120.75), (30.5625, 120.75)]);
    let wide = ring(&[(31.0, 120.9375), (31.0, 121.0625), (31.25, 121.0625), (31.25, 120.9375), (31.0, 120.9375)]);
    let (mut within, mut outside, mut on_edge, mut in_hole, mut grazed) = (0, 0, 0, 0, 0);
    // Laps some metres over the border of Qingpu into Wujiang, too little to match it; with the points of that strip.
    let lap = ring(&[
        (31.0219, 120.8954),
        (31.0219, 120.9354),
        (31.0619, 120.9354),
        (31.0619, 120.8954),
        (31.0219, 120.8954),
    ]);
    let small = ring(&[(31.04, 120.91), (31.04, 120.92), (31.05, 120.92), (31.05, 120.91), (31.04, 120.91)]);
    let strip: Vec<Point> = (0..400).map(|n| point(31.0219 + f64::from(n) * 1e-4, 120.8955)).collect();
    for (n, outer) in shapes().iter().chain([&lap]).enumerate() {
        let hole = [&wide, &hole, &hole, &hole, &wide, &small][n];
        // As places are kept: to a millionth of a degree.
        let micro = |degrees: f64| (degrees * 1e6).round() / 1e6;
        let points = points(outer).into_iter().chain(points(hole)).chain(strip.iter().copied());
        let points: Vec<Point> = points.map(|p| point(micro(p.lat), micro(p.lon))).collect();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        simulate_places_at(&store, &MAP, &points).await.unwrap();
        let corners =
            |ring: &[Point]| ring.iter().map(|p| format!("{},{}", p.lat, p.lon)).collect::<Vec<_>>().join(" ");
        let alert = serde_json::json!({
            "identifier": "a", "sender": "s", "sent": "2026-07-01T12:00:00+08:00", "status": "Actual", "msgType": "Alert", "scope": "Public",
            "info": {"language": "zh-CN", "category": "Met", "event": "台风", "headline": "台风红色预警", "urgency": "Expected",
                "severity": "Extreme", "certainty": "Likely", "area": {"areaDesc": "x", "polygon": corners(outer),
                "geocode": {"valueName": "EXCLUDE_POLYGON", "value": corners(hole)}}}
        });
        let alert = tocsin::cap::read_json(alert.to_string().as_bytes()).alert.unwrap();
        // Not those who are told because the sea comes to their coast.
        let options = LocateOptions { coast: false, ..LocateOptions::default() };
        let located = MAP.locate(&alert.infos[0].areas, &options);
        let meant: BTreeSet<_> = located.counties.into_iter().map(|found| found.region).collect();
        let told = concerned(&store, &MAP, &alert, &options).await.unwrap();
        let told: BTreeSet<u64> = told.into_iter().map(|(owner, _)| owner).collect();
        let answers = asked_about(&server, &[outer.clone(), hole.clone()], &points);
        let whole = asked_about(&server, std::slice::from_ref(outer), &points);
        for (owner, ((point, (covers, touches)), (cut, _))) in (1..).zip(points.iter().zip(answers).zip(whole)) {
            let Some(county) = MAP.county_at(*point) else { continue };
            assert_eq!(told.contains(&owner), covers, "shape {n}, {point:?}, on an edge: {touches}");
            // A county of which a shape covers next to nothing is not matched (`RegionMap::locate`).
            grazed += usize::from(covers && !meant.contains(&county.code));
            within += usize::from(covers && !touches);
            on_edge += usize::from(touches);
            in_hole += usize::from(cut && !covers);
            outside += usize::from(!cut);
        }
        store.close().await;
    }
    println!(
        "{within} inside, {on_edge} on edges, {in_hole} in holes, {outside} outside, {grazed} in counties that are hardly touched"
    );
    assert!(within > 1_000 && on_edge > 300 && in_hole > 20 && outside > 1_000 && grazed > 20);
}

#[test]
fn the_edge_of_a_hole_is_told_and_its_inside_is_not() {
    let outer = ring(&[(30.0, 120.0), (30.0, 122.0), (32.0, 122.0), (32.0, 120.0), (30.0, 120.0)]);
    let footprint = Footprint::of(&area(&[outer], &[], &["30.5,120.5 30.5,121.5 31.5,121.5 31.5,120.5 30.5,120.5"]));
    assert!(!footprint.covers(point(31.0, 121.0)));
    for (lat, lon) in [(30.5, 121.0), (31.5, 121.0), (31.0, 120.5), (31.0, 121.5), (30.5, 120.5), (31.5, 121.5)] {
        assert!(footprint.covers(point(lat, lon)), "{lat},{lon} is on the hole's edge");
    }
}

#[test]
fn a_shape_over_the_date_line_holds_its_points_from_both_sides() {
    let fiji = ring(&[(-20.0, 178.0), (-20.0, -178.0), (-16.0, -178.0), (-16.0, 178.0), (-20.0, 178.0)]);
    let footprint = Footprint::of(&area(&[fiji], &[], &[]));
    for (lat, lon) in
        [(-18.0, 179.0), (-18.0, -179.0), (-18.0, 178.0), (-18.0, -178.0), (-16.0, 179.5), (-20.0, -179.5)]
    {
        assert!(footprint.covers(point(lat, lon)), "{lat},{lon}");
    }
    assert!(!footprint.covers(point(-18.0, 177.9)));
}

#[test]
fn counties_that_a_shape_covers_whole_need_no_look_and_those_that_a_code_names_neither() {
    let wide = ring(&[(29.0, 119.0), (29.0, 123.0), (33.0, 123.0), (33.0, 119.0), (29.0, 119.0)]);
    let middle = MAP.middle(&"310118".parse().unwrap()).unwrap();
    let small = Circle { center: middle, radius_km: 2.0 };
    let mut coded = area(&[], &[small], &[]);
    coded.geocodes.push(NamedValue { name: "CPEAS Geographic Code".into(), value: "310118000000".into() });
    for (name, area, edge) in [
        ("covered whole", area(&[wide], &[], &[]), false),
        ("on the edge", area(&[], &[small], &[]), true),
        ("named by a code", coded, false),
    ] {
        let located = MAP.locate(std::slice::from_ref(&area), &LocateOptions::default());
        let ground = Ground::of(&MAP, std::slice::from_ref(&area), &located);
        assert_eq!(ground.is_edge(&"310118".parse().unwrap()), edge, "{name}");
    }
}

proptest! {
    /// A county that needs no look has no point outside: checked with the points of its own border.
    #[test]
    fn what_is_taken_whole_lies_inside_whole(lat in 28.0..34.0_f64, lon in 117.0..122.0_f64, half in 0.05..2.0_f64, round in any::<bool>()) {
        let square = ring(&[
            (lat - half, lon - half), (lat - half, lon + half), (lat + half, lon + half), (lat + half, lon - half), (lat - half, lon - half),
        ]);
        let circle = Circle { center: point(lat, lon), radius_km: half * 100.0 };
        let area = if round { area(&[], &[circle], &[]) } else { area(&[square], &[], &[]) };
        let located = MAP.locate(std::slice::from_ref(&area), &LocateOptions { coast: false, ..LocateOptions::default() });
        let ground = Ground::of(&MAP, std::slice::from_ref(&area), &located);
        for county in located.counties.iter().filter(|found| !ground.is_edge(&found.region)) {
            for corner in MAP.rings(&county.region).iter().flatten() {
                prop_assert!(ground.covers(*corner), "{} {corner:?}", county.region);
            }
        }
    }

    /// Every corner and every point on a level or upright side is inside, whatever the shape; so is the middle of a box.
    #[test]
    fn corners_and_sides_count_as_inside(south in 20_000_000..40_000_000_i32, west in 100_000_000..130_000_000_i32, high in 1..5_000_000_i32, wide in 1..5_000_000_i32, part in 0.0..=1.0_f64) {
        let micro = |n: i32| f64::from(n) / 1e6;
        let (north, east) = (micro(south + high), micro(west + wide));
        let (south, west) = (micro(south), micro(west));
        let footprint = Footprint::of(&area(&[ring(&[(south, west), (south, east), (north, east), (north, west), (south, west)])], &[], &[]));
        let along = |a: f64, b: f64| (a + part * (b - a)).clamp(a, b);
        for (lat, lon) in [(south, west), (south, east), (north, west), (north, east), (south, along(west, east)), (north, along(west, east)), (along(south, north), west), (along(south, north), east), (along(south, north), along(west, east))] {
            prop_assert!(footprint.covers(point(lat, lon)), "{lat},{lon}");
        }
        prop_assert!(!footprint.covers(point(north + 1e-6, west)));
        prop_assert!(!footprint.covers(point(south, west - 1e-6)));
    }

    /// What the exact rule says and what the half-open rule says differ on the edge only.
    #[test]
    fn on_the_edge_only_adds(corners in proptest::collection::vec((28.0..34.0_f64, 117.0..123.0_f64), 3..12), lat in 28.0..34.0_f64, lon in 117.0..123.0_f64) {
        let mut ring = ring(&corners);
        ring.push(ring[0]);
        let footprint = Footprint::of(&area(&[ring.clone()], &[], &[]));
        for corner in &ring {
            prop_assert!(footprint.covers(*corner));
        }
        let here = point(lat, lon);
        prop_assert!(!footprint.contains(here) || footprint.covers(here));
    }
}

/// The points of a county's border, no two of a side farther apart than a hundred metres or so.
fn border(county: &tocsin::regions::RegionCode) -> Vec<Point> {
    let between = |(a, b): (&Point, &Point)| {
        let steps = ((a.lat - b.lat).abs().max((a.lon - b.lon).abs()) / 1e-3).ceil().max(1.0);
        let at = |part: f64| point(a.lat + part * (b.lat - a.lat), a.lon + part * (b.lon - a.lon));
        std::iter::successors(Some(0.0), |n| Some(n + 1.0))
            .take_while(|n| *n < steps)
            .map(|n| at(n / steps))
            .collect::<Vec<_>>()
    };
    MAP.rings(county).iter().flat_map(|ring| ring.iter().zip(ring.iter().skip(1)).flat_map(between)).collect()
}

#[test]
fn a_circle_grazes_no_county_that_it_does_not_touch() {
    let borders: Vec<_> = MAP.counties().map(|county| (&county.code, border(&county.code))).collect();
    let (mut grazes, mut boxes_alone) = (0, 0);
    for (n, (county, ring)) in borders.iter().enumerate().step_by(3) {
        let center = ring[(n * 997) % ring.len()];
        for radius_km in [1.0, 7.0, 30.0] {
            let disc = |radius_km| area(&[], &[Circle { center, radius_km }], &[]);
            let options = LocateOptions { coast: false, ..LocateOptions::default() };
            let located = MAP.locate(&[disc(radius_km)], &options);
            let ground = Ground::of(&MAP, &[disc(radius_km)], &located);
            // A side counts as near by its box.
            let (near, own) = (Footprint::of(&disc(radius_km + 2.0)), Footprint::of(&disc(radius_km)));
            let (high, wide) = (radius_km / 111.2, radius_km / 111.2 / center.lat.to_radians().cos());
            for (other, ring) in &borders {
                let matched = located.counties.iter().any(|found| found.region == **other);
                let grazed = ground.grazed().any(|(code, _)| code == *other);
                grazes += usize::from(grazed);
                assert!(!grazed || ring.iter().any(|at| near.covers(*at)), "{other}: {radius_km} km on {county}");
                let touched = ring.iter().any(|at| own.covers(*at));
                assert!(
                    matched || grazed || !touched || located.counties.is_empty(),
                    "{other}: {radius_km} km on {county}"
                );
                let reach = |value: fn(&Point) -> f64, middle: f64, far: f64| {
                    let least = ring.iter().map(value).fold(f64::MAX, f64::min);
                    let most = ring.iter().map(value).fold(f64::MIN, f64::max);
                    least <= middle + far && middle - far <= most
                };
                let boxes = reach(|at| at.lat, center.lat, high) && reach(|at| at.lon, center.lon, wide);
                boxes_alone += usize::from(boxes && !matched && !grazed);
            }
        }
    }
    assert!(grazes > 10 && boxes_alone > 100, "{grazes} grazed, {boxes_alone} whose boxes alone meet");
}

#[test]
fn a_county_that_the_map_of_today_would_match_is_not_hardly_touched() {
    let shape = ring(&[(30.5, 120.5), (30.5, 121.5), (31.5, 121.5), (31.5, 120.5), (30.5, 120.5)]);
    let area = area(&[shape], &[], &[]);
    let located = MAP.locate(std::slice::from_ref(&area), &LocateOptions::default());
    let has = |code: &str| located.counties.iter().any(|found| found.region.as_str() == code);
    assert!(has("320509") && has("310118"));
    // By the map of that time, it matched but one.
    let mut before = located.clone();
    before.counties.retain(|found| found.region.as_str() == "310118");
    let ground = Ground::of(&MAP, std::slice::from_ref(&area), &before);
    assert!(!ground.grazed().any(|(code, _)| code.as_str() == "320509"));
}

proptest! {
    // Each case looks at thousands of corners.
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whoever is inside is meant, however little of their county is: checked with the corners of all borders, and with the shape's own.
    #[test]
    fn no_point_inside_is_left_out(lat in 28.0..34.0_f64, lon in 117.0..122.0_f64, half in 0.02..0.25_f64, round in any::<bool>(), dent in 0.0..1.9_f64) {
        let shape = ring(&[
            (lat - half, lon - half), (lat - half, lon + half), (lat + half, lon + half), (lat, lon + half - dent * half), (lat + half, lon - half), (lat - half, lon - half),
        ]);
        let circle = Circle { center: point(lat, lon), radius_km: half * 100.0 };
        let area = if round { area(&[], &[circle], &[]) } else { area(std::slice::from_ref(&shape), &[], &[]) };
        let located = MAP.locate(std::slice::from_ref(&area), &LocateOptions { coast: false, ..LocateOptions::default() });
        let ground = Ground::of(&MAP, std::slice::from_ref(&area), &located);
        let regions: Vec<_> = located.counties.iter().map(|found| found.region.clone()).collect();
        prop_assume!(!regions.is_empty());
        let told: BTreeMap<_, _> = ground.counties(&regions).map(|(_, county, who)| (county, who)).collect();
        let corners = MAP.counties().flat_map(|county| MAP.rings(&county.code)).flatten();
        let near = corners.filter(|corner| (corner.lat - lat).abs() < half * 2.0 && (corner.lon - lon).abs() < half * 2.0);
        for at in near.chain(&shape).filter(|at| ground.covers(**at)) {
            let Some(county) = MAP.county_at(*at) else { continue };
            prop_assert!(told.get(&county.code).is_some_and(|who| ground.means(*who, Some(*at))), "{} {at:?}", county.code);
        }
        for (_, county, who) in ground.counties(&regions).filter(|(.., who)| *who == Meant::Inside) {
            prop_assert!(!located.counties.iter().any(|found| found.region == *county) && !ground.means(who, None));
        }
    }
}
