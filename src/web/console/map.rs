//! The ground of the map: the counties' outlines, thinned for a screen.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::regions::RegionMap;
use crate::web::session::SignedIn;
use crate::web::site::Site;

/// Corners nearer than this to the last one are left out, degrees: about 500 m.
const NEAR: f64 = 0.005;

static GROUND: OnceLock<String> = OnceLock::new();

pub(super) async fn counties(State(site): State<Site>, SignedIn(_): SignedIn) -> Response {
    let ground = GROUND.get_or_init(|| outlines(&site.app.policy.load().map).to_string());
    let headers = [(header::CONTENT_TYPE, "application/geo+json"), (header::CACHE_CONTROL, "private, max-age=3600")];
    (headers, ground.clone()).into_response()
}

fn outlines(map: &RegionMap) -> Value {
    let features: Vec<Value> = map
        .counties()
        .chain(map.sea_areas())
        .map(|region| {
            let rings: Vec<Value> = map.rings(&region.code).iter().filter_map(|ring| thin(ring)).collect();
            json!({
                "type": "Feature",
                "properties": {"code": region.code, "zh": region.name, "en": region.name_en, "kind": region.kind},
                "geometry": {"type": "MultiPolygon", "coordinates": rings.iter().map(|ring| json!([ring])).collect::<Vec<_>>()},
            })
        })
        .collect();
    json!({"type": "FeatureCollection", "features": features})
}

fn thin(ring: &[crate::cap::Point]) -> Option<Value> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    let round = |degrees: f64| (degrees * 1_000.0).round() / 1_000.0;
    for point in ring {
        let far = kept.last().is_none_or(|[lon, lat]| (point.lon - lon).abs() + (point.lat - lat).abs() > NEAR);
        if far {
            kept.push([round(point.lon), round(point.lat)]);
        }
    }
    if kept.len() < 3 {
        return None;
    }
    if kept.first() != kept.last() {
        kept.extend(kept.first().copied());
    }
    Some(json!(kept))
}

/// A small picture of an area among its neighbours, for a mail: SVG, 480 wide.
pub(super) fn picture(map: &RegionMap, regions: &[crate::regions::RegionCode]) -> String {
    use std::fmt::Write as _;
    const WIDTH: f64 = 480.0;
    let points = || regions.iter().flat_map(|code| map.rings(code)).flatten();
    let fold =
        |pick: fn(f64, f64) -> f64, of: fn(&crate::cap::Point) -> f64, from: f64| points().map(of).fold(from, pick);
    let (west, east) = (fold(f64::min, |p| p.lon, 180.0) - 0.3, fold(f64::max, |p| p.lon, -180.0) + 0.3);
    let (south, north) = (fold(f64::min, |p| p.lat, 90.0) - 0.3, fold(f64::max, |p| p.lat, -90.0) + 0.3);
    if west >= east || south >= north {
        return String::new();
    }
    let scale = WIDTH / (east - west);
    let tall = (north - south) * scale * 1.17;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {tall:.0}\" width=\"{WIDTH}\" height=\"{tall:.0}\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#d7e9f3\"/>"
    );
    for county in map.counties() {
        let fill = if regions.contains(&county.code) { "#c8102e" } else { "#f2f0eb" };
        for ring in map.rings(&county.code) {
            let inside = ring.iter().any(|p| (west..east).contains(&p.lon) && (south..north).contains(&p.lat));
            if !inside {
                continue;
            }
            let step = ring.len().div_ceil(120).max(1);
            let corners = ring.iter().step_by(step);
            let corners =
                corners.map(|p| format!("{:.0},{:.0}", (p.lon - west) * scale, (north - p.lat) * scale * 1.17));
            let corners: Vec<_> = corners.collect();
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "<polygon points=\"{}\" fill=\"{fill}\" stroke=\"#8a8a8a\" stroke-width=\".6\"/>",
                corners.join(" ")
            );
        }
    }
    out.push_str("</svg>");
    out
}
