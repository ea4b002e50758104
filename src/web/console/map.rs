//! The ground of the map: the counties' outlines, thinned for a screen.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::regions::RegionMap;
use crate::web::session::SignedIn;
use crate::web::site::Site;

/// Corners lie on a grid of this many lines a degree, about 400 m: neighbours' borders stay one line.
const GRID: f64 = 250.0;

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
