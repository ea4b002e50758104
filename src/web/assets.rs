//! Files of the pages, in the program itself.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Path, kind, content.
const FILES: &[(&str, &str, &[u8])] = &[
    ("public.css", "text/css; charset=utf-8", include_bytes!("assets/public.css")),
    ("console.css", "text/css; charset=utf-8", include_bytes!("assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_bytes!("assets/console.js")),
    ("map.js", "text/javascript; charset=utf-8", include_bytes!("assets/map.js")),
    ("upload.js", "text/javascript; charset=utf-8", include_bytes!("assets/upload.js")),
    ("passkeys.js", "text/javascript; charset=utf-8", include_bytes!("assets/passkeys.js")),
    ("portal.css", "text/css; charset=utf-8", include_bytes!("assets/portal.css")),
    ("portal.js", "text/javascript; charset=utf-8", include_bytes!("assets/portal.js")),
    (
        "app.js",
        "text/javascript; charset=utf-8",
        concat!(include_str!("assets/worker/state.js"), include_str!("assets/app.js")).as_bytes(),
    ),
    ("subscribe.js", "text/javascript; charset=utf-8", include_bytes!("assets/subscribe.js")),
    ("offline.js", "text/javascript; charset=utf-8", include_bytes!("assets/offline.js")),
    ("places.js", "text/javascript; charset=utf-8", include_bytes!("assets/places.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    ("icon-192.png", "image/png", include_bytes!("assets/icon-192.png")),
    ("icon-512.png", "image/png", include_bytes!("assets/icon-512.png")),
    ("icon-maskable.png", "image/png", include_bytes!("assets/icon-maskable.png")),
    ("badge.png", "image/png", include_bytes!("assets/badge.png")),
    ("vendor/leaflet.js", "text/javascript; charset=utf-8", include_bytes!("assets/vendor/leaflet.js")),
    ("vendor/leaflet.css", "text/css; charset=utf-8", include_bytes!("assets/vendor/leaflet.css")),
    ("vendor/LICENSES", "text/plain; charset=utf-8", include_bytes!("assets/vendor/LICENSES")),
];

/// A word that changes whenever a file does.
pub(super) fn version() -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    FILES.iter().for_each(|(_, _, content)| context.update(content));
    crate::hex(context.finish().as_ref()).chars().take(12).collect()
}

/// One file; unchanged ones are not sent again.
pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(name, ..)| *name == path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let digest = crate::hex(ring::digest::digest(&ring::digest::SHA256, content).as_ref());
    let tag = format!("\"{}\"", digest.get(..16).unwrap_or_default());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(tag.as_str());
    let shared = [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(header::CONTENT_TYPE, *kind)], *content).into_response()
}
