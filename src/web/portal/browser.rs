//! The app's own page, and what a resident's browser says by itself. Each of its words is signed and does one thing; a GET does nothing.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::sign_up::Wish;
use super::{Form, Own, language, refused};
use crate::residents::{Reported, ResidentError};
use crate::store::Deed;
use crate::web::page::page;
use crate::web::site::Site;
use crate::web::words::Words;

#[derive(Template)]
#[template(path = "portal_app.html")]
struct AppPage {
    t: Words,
    push_key: String,
}

#[derive(Template)]
#[template(path = "portal_awaits.html")]
struct AwaitsPage {
    t: Words,
}

/// The key that browsers are given when they subscribe; empty where no pushes are sent.
pub(super) fn push_key(site: &Site) -> String {
    site.app.push_key.clone().unwrap_or_default()
}

pub(super) async fn show(State(site): State<Site>, headers: HeaderMap, Query(wish): Query<Wish>) -> Response {
    let t = language(&headers, &wish.lang);
    page(&AppPage { t, push_key: push_key(&site) })
}

/// The page that waits for the push that proves a browser.
pub(super) fn awaits(t: Words) -> Response {
    page(&AwaitsPage { t })
}

fn done(result: Result<(), ResidentError>, t: Words) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error, t),
    }
}

/// A message was shown, or opened, or somebody says that they are safe.
pub(super) async fn receipt(State(site): State<Site>, Form { t, fields, .. }: Form) -> Response {
    let Some(deed) = Deed::of(fields.get("what")) else {
        return refused(&ResidentError::Input("内容不正确 / this cannot be understood"), t);
    };
    match site.app.receipts.report(fields.get("receipt"), deed).await {
        Reported::Yes => StatusCode::NO_CONTENT.into_response(),
        Reported::NotOurs => refused(&ResidentError::Proof, t),
        Reported::Later => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// A browser has a new subscription.
pub(super) async fn moved(State(site): State<Site>, Form { t, fields, .. }: Form) -> Response {
    let (word, old, new) = (fields.get("word"), fields.get("old"), fields.get("new"));
    done(site.app.residents.move_browser(word, old, new).await, t)
}

/// A browser lives.
pub(super) async fn lives(State(site): State<Site>, Form { t, fields, .. }: Form) -> Response {
    done(site.app.residents.browser_lives(fields.get("word")).await, t)
}

/// A browser leaves.
pub(super) async fn leave(State(site): State<Site>, Form { t, fields, .. }: Form) -> Response {
    done(site.app.residents.browser_leaves(fields.get("word")).await, t)
}

/// The word of one's own browser; null where it is none of one's addresses.
pub(super) async fn own(State(site): State<Site>, Own { session, form }: Own) -> Response {
    match site.app.residents.browser_word(session.subscriber, form.fields.get("subscription")).await {
        Ok(word) => Json(json!({"word": word})).into_response(),
        Err(error) => refused(&error, form.t),
    }
}
