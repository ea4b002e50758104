//! One click and out (RFC 8058): a GET shows a page and does nothing, a POST acts, and again is no error.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::page::page_with;
use super::words::Words;
use crate::app::App;

#[derive(Template)]
#[template(path = "portal_leave.html")]
struct LeavePage<'a> {
    t: Words,
    asks: bool,
    text: &'a str,
}

fn page(t: Words, status: StatusCode, asks: bool, text: &str) -> Response {
    page_with(status, &LeavePage { t, asks, text })
}

fn unknown(t: Words) -> Response {
    page(t, StatusCode::NOT_FOUND, false, t.s("This link leads nowhere."))
}

/// That of `?lang=`, which the page's form keeps; else as the browser wants.
fn language(query: Option<&str>, headers: &HeaderMap) -> Words {
    let asked = query.and_then(|query| query.strip_prefix("lang="));
    asked.and_then(Words::of_tag).unwrap_or_else(|| Words::wanted(headers))
}

/// Asks whether to leave.
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(token): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let t = language(query.as_deref(), &headers);
    match app.leave.as_ref().and_then(|links| links.address(&token)) {
        Some(_) => page(t, StatusCode::OK, true, t.s("No more warnings at this address?")),
        None => unknown(t),
    }
}

/// Leaves.
pub(super) async fn leave(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(token): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let t = language(query.as_deref(), &headers);
    let Some(address) = app.leave.as_ref().and_then(|links| links.address(&token)) else { return unknown(t) };
    match app.residents.leave(address).await {
        Ok(()) => page(t, StatusCode::OK, false, t.s("Done: no more warnings at this address.")),
        Err(error) => {
            tracing::error!(%error, "a wish to leave could not be recorded");
            let text = t.s("Not possible just now; please try again later.");
            page(t, StatusCode::SERVICE_UNAVAILABLE, false, text)
        }
    }
}
