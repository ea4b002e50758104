//! One click and out (RFC 8058): a GET shows a page and does nothing, a POST acts, and again is no error.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;

const HEAD: &str = "<!DOCTYPE html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>退订 Leave</title><body style=\"font:18px/1.6 system-ui,sans-serif;max-width:32em;margin:2em auto;padding:0 1em\">";

fn page(status: StatusCode, text: &str) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{HEAD}{text}</body></html>")).into_response()
}

fn unknown() -> Response {
    page(StatusCode::NOT_FOUND, "<p>链接无效。</p><p lang=\"en\">This link leads nowhere.</p>")
}

/// Asks whether to leave.
pub(super) async fn ask(State(app): State<Arc<App>>, Path(token): Path<String>) -> Response {
    if app.leave.as_ref().and_then(|links| links.address(&token)).is_none() {
        return unknown();
    }
    page(
        StatusCode::OK,
        "<form method=\"post\"><p>不再接收预警？</p><p lang=\"en\">Stop receiving warnings at this address?</p>\
         <button style=\"font:inherit;padding:.5em 1.5em\">退订 / Leave</button></form>",
    )
}

/// Leaves.
pub(super) async fn leave(State(app): State<Arc<App>>, Path(token): Path<String>) -> Response {
    let Some(address) = app.leave.as_ref().and_then(|links| links.address(&token)) else { return unknown() };
    match app.store.leave(address, app.clock.now()).await {
        Ok(_) => page(
            StatusCode::OK,
            "<p>已退订，此地址不会再收到预警。</p><p lang=\"en\">Done: no more warnings at this address.</p>",
        ),
        Err(error) => {
            tracing::error!(%error, "a wish to leave could not be recorded");
            page(
                StatusCode::SERVICE_UNAVAILABLE,
                "<p>暂时无法处理，请稍后再试。</p><p lang=\"en\">Not possible just now; please try again.</p>",
            )
        }
    }
}
