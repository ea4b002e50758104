//! What makes the site an app that can be installed: its manifest and its service worker.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::Query;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::assets;
use super::words::Words;
use crate::messages::Language;

#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    lang: String,
}

/// The manifest in the reader's language.
pub(super) async fn manifest(headers: HeaderMap, Query(wish): Query<Wish>) -> Response {
    let t = Words::of_tag(&wish.lang).unwrap_or_else(|| Words::wanted(&headers));
    let icon = |src: &str, sizes: &str, purpose: &str| {
        let kind = if src.ends_with(".svg") { "image/svg+xml" } else { "image/png" };
        json!({"src": format!("/assets/{src}"), "sizes": sizes, "type": kind, "purpose": purpose})
    };
    let here = |path: &str| format!("{path}?lang={}", t.tag());
    let manifest = json!({
        "id": "/",
        "name": t.s("Warnings for my places"),
        "short_name": t.s("Warnings"),
        "description": t.s("Warnings in force"),
        "lang": t.tag(),
        "dir": t.dir(),
        "start_url": here("/"),
        "scope": "/",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#7a0c1e",
        "icons": [
            icon("icon-192.png", "192x192", "any"),
            icon("icon-512.png", "512x512", "any"),
            icon("icon-maskable.png", "512x512", "maskable"),
            icon("icon.svg", "any", "any"),
        ],
        "shortcuts": [
            {"name": t.s("My settings"), "url": "/me"},
            {"name": t.s("Warnings to this browser"), "url": here("/app")},
        ],
    });
    ([(header::CONTENT_TYPE, "application/manifest+json")], Json(manifest).into_response().into_body()).into_response()
}

/// What the worker says by itself, in each language of the pages: first that of its readers, then English where a file has no word.
fn worker_words() -> Value {
    let words = |t: Words| {
        let renewed =
            [t.s("Warnings to this browser go on"), t.s("Its subscription was renewed. There is nothing to do.")];
        json!({"dir": t.dir(), "open": t.s("Open"), "safe": t.s("I am safe"), "renewed": renewed})
    };
    let all = Words::from(Language::English).all();
    let all = all.iter().filter_map(|one| Some((one.tag.to_owned(), words(Words::of_tag(one.tag)?))));
    Value::Object(all.collect())
}

/// The service worker, with a version that changes whenever a file that it keeps does. Languages are read before it is asked for.
static WORKER: LazyLock<String> = LazyLock::new(|| {
    let parts = concat!(
        include_str!("assets/worker/state.js"),
        include_str!("assets/worker/notifications.js"),
        include_str!("assets/worker/subscription.js"),
        include_str!("assets/worker/offline.js"),
    );
    format!("const VERSION = \"{}\";\nconst TONGUES = {};\n{parts}", assets::version(), worker_words())
});

/// The service worker: at the root, because it answers for every page below its own address.
pub(super) async fn worker() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], WORKER.as_str())
}
