//! An area from a file: taken whole or not at all, and what became of it is said.

use std::path::PathBuf;

use serde_json::{Value, json};
use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED};

/// A ring around a place, `[lon, lat]`, closed.
fn ring(corners: usize, (lat, lon): (f64, f64), radius: f64) -> Vec<[f64; 2]> {
    let corner = |n: usize| {
        let angle = (n % corners) as f64 / corners as f64 * std::f64::consts::TAU;
        [lon + radius * angle.cos(), lat + radius * angle.sin()]
    };
    (0..=corners).map(corner).collect()
}

fn polygons(count: usize) -> Value {
    let polygon = |n: usize| {
        let at = (30.2 + 0.02 * (n % 7) as f64, 120.2 + 0.02 * (n / 7) as f64);
        json!({"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring(6, at, 0.005)]}})
    };
    json!({"type": "FeatureCollection", "features": (0..count).map(polygon).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_thinned_or_refused_and_what_it_loses_is_said() {
    let props = Props::new(None, 100).await;
    let roll = props.roll(UNPROVED).await;
    let author = roll.officer("author", "Lin Xiao", Language::English, "author:310000").await;
    roll.close().await;
    let stage = props.start();
    let mut browser = Browser::open(&stage.server.url, "upload", DESKTOP).await;
    browser.enter(&author.session).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let fresh = async || {
        browser.goto("/console/compose/new").await;
        browser.until("the map is there", "return document.querySelector('#map')?.dataset.ready === '1'").await;
        for (field, value) in [("hazard", "typhoon"), ("colour", "red"), ("region", "310000")] {
            browser.set(&format!("[name={field}]"), value).await;
        }
    };
    let lines = "document.querySelector('[name=polygons]').value.split('\\n').filter(Boolean)";
    let said = async |css: &str| browser.text(css).await;
    fresh().await;
    let shown = browser.text("#limits").await;
    assert!(shown.contains("50") && shown.contains("100000") && shown.contains("500"), "the limits are shown: {shown}");

    // As many corners as a survey has.
    let fine = json!({"type": "Polygon", "coordinates": [ring(100_000, (31.15, 121.1), 0.1)]});
    browser.choose("[data-upload]", &file("fine.geojson", &fine.to_string())).await;
    browser.until("the outline is taken", &format!("return {lines}.length === 1")).await;
    let corners = browser.run(&format!("return {lines}[0].split(' ').length")).await.as_u64().unwrap();
    assert!((100..=500).contains(&corners), "{corners}");
    let text = said("[data-upload-well]").await;
    assert!(text.contains("Outlines taken from the file: 1.") && text.contains("100000 → "), "{text}");
    assert_eq!(said("[data-upload-bad]").await, "");
    browser
        .until(
            "it is checked",
            "return document.querySelector('#check').innerText.includes('✓') && document.querySelector('[data-matched]').dataset.matched.includes('310118')",
        )
        .await;
    browser.shot("fine").await;

    // A hole: CAP knows none, and whoever lives in it is warned too. A point is no area.
    fresh().await;
    let coordinates = json!([ring(40, (31.15, 121.1), 0.1), ring(20, (31.15, 121.1), 0.03)]);
    let geometries =
        json!([{"type": "Polygon", "coordinates": coordinates}, {"type": "Point", "coordinates": [121, 31]}]);
    let hole = json!({"type": "GeometryCollection", "geometries": geometries});
    browser.choose("[data-upload]", &file("hole.json", &hole.to_string())).await;
    browser.until("the outline is taken", &format!("return {lines}.length === 1")).await;
    let text = said("[data-upload-bad]").await;
    assert!(
        text.contains("Holes filled") && text.contains(": 1.") && text.contains("Points and lines left out: 1."),
        "{text}"
    );
    browser.shot("hole").await;

    // What cannot be read is not read, and what stands in the form stays.
    let projected = json!({"type": "Polygon", "coordinates": [[[13_480_000, 3_650_000], [13_490_000, 3_650_000], [13_490_000, 3_660_000], [13_480_000, 3_650_000]]]});
    for (name, text, why) in [
        ("broken.json", "{\"type\": \"Polygon\", \"coordinates\": [[[121".to_owned(), "no GeoJSON"),
        ("projected.json", projected.to_string(), "no GeoJSON"),
        ("other.json", "{\"name\": \"not a map\"}".to_owned(), "no GeoJSON"),
        ("deep.json", format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)), "no GeoJSON"),
        ("empty.json", "{\"type\": \"FeatureCollection\", \"features\": []}".to_owned(), "holds no outline"),
        ("many.json", polygons(60).to_string(), "too many outlines, 60 / 50"),
    ] {
        browser.choose("[data-upload]", &file(name, &text)).await;
        let wanted = format!("return document.querySelector('[data-upload-bad]').textContent.includes({})", json!(why));
        browser.until(name, &wanted).await;
        assert_eq!(browser.run(&format!("return {lines}.length")).await, 1, "{name}");
        assert_eq!(said("[data-upload-well]").await, "", "{name}");
    }
    browser.shot("refused").await;

    // Twenty-five islands are twenty-five islands, also in the draft and in what is submitted.
    fresh().await;
    browser.choose("[data-upload]", &file("islands.json", &polygons(25).to_string())).await;
    browser.until("all are taken", &format!("return {lines}.length === 25")).await;
    browser
        .until("all are drawn", "return document.querySelectorAll('#map path[stroke-dasharray=\"6 4\"]').length === 25")
        .await;
    browser.choose("[data-upload]", &file("more.json", &polygons(26).to_string())).await;
    browser
        .until("there is no room", "return document.querySelector('[data-upload-bad]').textContent.includes('26 / 50')")
        .await;
    assert_eq!(browser.run(&format!("return {lines}.length")).await, 25, "all of a file or nothing of it");
    browser.follow("#compose .submit button:not([formaction])").await;
    assert_eq!(browser.run(&format!("return {lines}.length")).await, 25, "saved");

    // A check that does not come is not passed over.
    assert!(browser.has("#unchecked[hidden]").await);
    browser.forgive("compose/check");
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setBlockedURLs", json!({"urls": ["*compose/check*"]})).await;
    browser.fill("[name=places]", "Qingpu").await;
    browser.until("it says so", "return document.querySelector('#unchecked').hidden === false").await;
    browser.shot("unchecked").await;
    browser.cdp("Network.setBlockedURLs", json!({"urls": []})).await;
    browser.fill("[name=places]", "Fengxian").await;
    browser.until("and is checked again", "return document.querySelector('#unchecked').hidden && document.querySelector('[data-matched]').dataset.matched.includes('310120')").await;
    browser.assert_quiet().await;
}
