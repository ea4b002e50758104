//! What is not about a channel: planning, memory, points.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use geo::Contains as _;
use sqlx::Row as _;
use tocsin::cap::Point;
use tocsin::regions::{LocateOptions, RegionMap};
use tocsin::residents::{concerned, simulate_places};
use tocsin::store::{Store, StoreOptions};

use crate::ours::Stage;
use crate::process::{Sink, Watch, resident_mib};
use crate::report::{Line, Rate};

const MILLION: u64 = 1_000_000;

/// Planning a million, against reading the same rows once. Told as seconds of ours to seconds of raw.
pub(crate) async fn plan(runs: u32) -> Line {
    let mut line = Line::new("plan", "s for 1,000,000");
    for _ in 0..runs.min(3) {
        let stage = Stage::set("none", MILLION, 0).await;
        let database = stage.folder.path().join("bench.db").display().to_string();
        let watch = Watch::start(None);
        let read = read_once(&database).await;
        assert_eq!(read, MILLION, "INVALID");
        let raw = seconds(&watch);
        let watch = Watch::start(None);
        stage.warn().await;
        while !stage.planned().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        line.add(seconds(&watch), raw);
        stage.stop().await;
    }
    line
}

fn seconds(watch: &Watch) -> Rate {
    let rate = watch.rate(1);
    Rate { per_second: 1.0 / rate.per_second, cores: rate.cores }
}

async fn read_once(database: &str) -> u64 {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{database}")).await.expect("the store");
    let mut read = 0;
    for region in ["310118", "310120", "320509", "330421", "310115"] {
        let sql = "SELECT id, value FROM address WHERE audience = 'public' AND channel = 'email' AND language = 'zh-CN' AND region = $1
                   AND left_at IS NULL ORDER BY id";
        let mut rows = sqlx::query(sql).bind(region).fetch(&pool);
        while let Some(row) = rows.try_next().await.expect("a row") {
            let (_, value): (i64, String) = (row.get(0), row.get(1));
            read += u64::from(!value.is_empty());
        }
    }
    pool.close().await;
    read
}

/// A million residents with one to five places each: those inside a polygon, exactly, against reading the same rows once.
pub(crate) async fn places(runs: u32) -> Line {
    let mut line = Line::new("places", "s for the places of 1,000,000").within(2.0);
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("bench.db").display());
    let store = Store::open(&StoreOptions { url: url.clone(), max_size_mib: None }).await.expect("a store");
    let map = RegionMap::delta().expect("the shipped map");
    let all = simulate_places(&store, &map, MILLION, 7).await.expect("people");
    // A typhoon's swath over the mouth of the river: slanted sides through many counties.
    let ring = [(30.2, 120.3), (31.0, 122.2), (32.2, 121.9), (31.5, 120.0), (30.2, 120.3)];
    let polygon = ring.map(|(lat, lon)| format!("{lat},{lon}")).join(" ");
    let alert = serde_json::json!({
        "identifier": "bench", "sender": "s", "sent": "2026-07-01T12:00:00+08:00", "status": "Actual", "msgType": "Alert", "scope": "Public",
        "info": {"language": "zh-CN", "category": "Met", "event": "台风", "headline": "台风红色预警", "urgency": "Expected", "severity": "Extreme",
            "certainty": "Likely", "area": {"areaDesc": "x", "polygon": polygon}}
    });
    let alert = tocsin::cap::read_json(alert.to_string().as_bytes()).alert.expect("an alert");
    let areas: Vec<_> = alert.infos.iter().flat_map(|info| info.areas.iter().cloned()).collect();
    let options = LocateOptions::default();
    let counties = map.locate(&areas, &options).counties;
    for _ in 0..runs {
        let watch = Watch::start(None);
        let read = read_places(&url, counties.iter().map(|found| found.region.as_str())).await;
        let raw = seconds(&watch);
        let watch = Watch::start(None);
        let found = concerned(&store, &map, &alert, &options).await.expect("an answer");
        line.add(seconds(&watch), raw);
        let (places, people) = (found.len(), found.chunk_by(|a, b| a.0 == b.0).count());
        eprintln!("places: {all} on record, {read} in {} counties, {places} meant, of {people} people", counties.len());
        assert!(places > 0 && (places as u64) < read, "INVALID: the polygon's edge excludes somebody");
    }
    store.close().await;
    line
}

async fn read_places(url: &str, counties: impl Iterator<Item = &str>) -> u64 {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await.expect("the store");
    let mut read = 0;
    for county in counties {
        let sql = "SELECT subscriber, id, hazards, wishes, point FROM place WHERE region = $1 ORDER BY subscriber, id";
        let mut rows = sqlx::query(sql).bind(county).fetch(&pool);
        while let Some(row) = rows.try_next().await.expect("a row") {
            let (subscriber, point): (i64, Option<String>) = (row.get(0), row.get(4));
            read += u64::from(subscriber > 0 && point.is_none_or(|point| !point.is_empty()));
        }
    }
    pool.close().await;
    read
}

/// Memory while mailing a million, above idle: the ratio is in MiB.
pub(crate) async fn memory() -> Line {
    let mut line = Line::new("memory", "MiB while sending");
    let sink = Sink::start("email");
    let stage = Stage::set("email", MILLION, sink.port).await;
    let idle = resident_mib();
    stage.warn().await;
    let mut most = idle;
    let mut sent = std::pin::pin!(stage.wait("email", MILLION));
    loop {
        tokio::select! {
            () = &mut sent => break,
            () = tokio::time::sleep(Duration::from_millis(20)) => most = most.max(resident_mib()),
        }
    }
    let rate = |mib: f64| Rate { per_second: mib, cores: (0.0, 0.0) };
    // The growth against one MiB.
    line.add(rate((most - idle).max(0.0)), rate(1.0));
    line
}

/// Points matched to counties, against an R-tree of boxes with plain containment.
pub(crate) fn points(runs: u32) -> Line {
    let mut line = Line::new("points", "points/s");
    let map = RegionMap::delta().expect("the shipped map");
    let file: geojson::FeatureCollection = include_str!("../../regions/counties.geojson").parse().expect("GeoJSON");
    let geometry = |feature: geojson::Feature| geo::Geometry::<f64>::try_from(feature.geometry?).ok();
    let shapes: Vec<_> = file.features.into_iter().filter_map(geometry).collect();
    let boxes = shapes.iter().enumerate().filter_map(|(n, shape)| {
        let rect = geo::BoundingRect::bounding_rect(shape)?;
        let corners =
            rstar::primitives::Rectangle::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]);
        Some(rstar::primitives::GeomWithData::new(corners, n))
    });
    let tree = rstar::RTree::bulk_load(boxes.collect());
    let points: Vec<_> = (0..400_000_u32)
        .map(|n| {
            let spread = |k: u32| f64::from(n.wrapping_mul(k) >> 8) / f64::from(1_u32 << 24);
            Point { lat: 28.0 + 6.0 * spread(2_654_435_769), lon: 117.0 + 5.5 * spread(1_597_334_677) }
        })
        .collect();
    for _ in 0..runs {
        let watch = Watch::start(None);
        let found = points.iter().filter(|point| map.county_at(**point).is_some()).count();
        let ours = watch.rate(points.len() as u64);
        let watch = Watch::start(None);
        let plain = points.iter().filter(|point| {
            let at = rstar::AABB::from_point([point.lon, point.lat]);
            let here = geo::Coord { x: point.lon, y: point.lat };
            tree.locate_in_envelope_intersecting(at).any(|candidate| shapes[candidate.data].contains(&here))
        });
        assert_eq!(plain.count(), found, "INVALID: the two do not agree");
        line.add(ours, watch.rate(points.len() as u64));
    }
    line
}
