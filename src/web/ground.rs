//! The ground of maps: the counties' outlines, thinned for a screen. The same for officers and for residents.

use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::site::Site;
use crate::cap::Point;
use crate::regions::RegionMap;

/// Corners lie on a grid of this many lines a degree, about 400 m: neighbours' borders stay one line.
const GRID: f64 = 250.0;

/// Plain, and packed.
static GROUND: OnceLock<(Bytes, Option<Bytes>)> = OnceLock::new();

/// Every county and sea area as GeoJSON.
pub(super) async fn counties(State(site): State<Site>, headers: HeaderMap) -> Response {
    let (plain, packed) = GROUND.get_or_init(|| {
        let plain = outlines(&site.app.policy.load().map).to_string();
        let packed = super::public::pack(plain.as_bytes());
        (plain.into(), packed)
    });
    let shared = [
        (header::CONTENT_TYPE, "application/geo+json"),
        (header::CACHE_CONTROL, "private, max-age=3600"),
        (header::VARY, "Accept-Encoding"),
    ];
    let wanted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match packed.as_ref().filter(|_| super::public::takes_gzip(wanted)) {
        Some(packed) => (shared, [(header::CONTENT_ENCODING, "gzip")], packed.clone()).into_response(),
        None => (shared, plain.clone()).into_response(),
    }
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

fn thin(ring: &[Point]) -> Option<Value> {
    let snap = |degrees: f64| (degrees * GRID).round() / GRID;
    let mut kept: Vec<[f64; 2]> = ring.iter().map(|point| [snap(point.lon), snap(point.lat)]).collect();
    kept.dedup();
    if kept.len() < 3 {
        return None;
    }
    if kept.first() != kept.last() {
        kept.extend(kept.first().copied());
    }
    Some(json!(kept))
}
