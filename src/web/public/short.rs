//! Short links of text messages, and addresses that lead nowhere.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::answer::Problem;
use super::pages::Around;
use crate::web::page::page_with;
use crate::web::site::Site;
use crate::web::words::Words;

/// What short messages write of an alert's id, at least.
const LEAST: usize = 8;

#[derive(Template)]
#[template(path = "public_missing.html")]
struct Missing {
    around: Around,
}

/// To the page of the event that the alert is of; only what was published is found.
pub(super) async fn follow(State(site): State<Site>, headers: HeaderMap, Path(short): Path<String>) -> Response {
    let short = short.to_ascii_lowercase();
    let fits = (LEAST..=16).contains(&short.len()) && short.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    if !fits {
        return missing(&site, &headers, Words::wanted(&headers));
    }
    match site.app.store.printed_beginning(&short).await {
        Ok(Some(found)) => Redirect::to(&format!("/events/{}", found.chain)).into_response(),
        Ok(None) => missing(&site, &headers, Words::wanted(&headers)),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// An address that nothing stands at.
pub(in crate::web) async fn nowhere(State(site): State<Site>, headers: HeaderMap) -> Response {
    missing(&site, &headers, Words::wanted(&headers))
}

/// A page for people where there is none; programs get a document.
pub(super) fn missing(site: &Site, headers: &HeaderMap, words: Words) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepted.contains("text/html") {
        return Problem::Unknown("没有这个页面", "there is no such page").into_response();
    }
    let around = Around::of(&site.app.press.shown(), "/", words);
    page_with(StatusCode::NOT_FOUND, &Missing { around })
}
