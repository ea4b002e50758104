//! Feeds: of everything, of one source, of one region.

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::answer::{Doc, Problem, answer};
use crate::outlet::Shown;
use crate::publish::{self, Channel, Entry, Fields, Filter};
use crate::web::site::Site;

/// Entries in a feed; readers stumble over larger ones, and older entries are in the archive.
const MOST: usize = 200;
const NO_FEED: Problem = Problem::Unknown("没有这个订阅源", "there is no such feed");

/// Everything.
pub(super) async fn all(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(feed): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let path = format!("/feeds/{feed}");
    let about = |_: &Shown| Ok(("预警 / Warnings".to_owned(), "/".to_owned(), Filter::default(), None));
    feed_of(&site, &headers, &path, &feed, query, about).await
}

/// What one source sent.
pub(super) async fn source(
    State(site): State<Site>,
    headers: HeaderMap,
    Path((bureau, feed)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let path = format!("/feeds/{bureau}/{feed}");
    let about = |shown: &Shown| {
        let named = shown.policy.bureaus.iter().any(|one| one.name == bureau);
        if !named && !shown.board.entries.iter().any(|entry| entry.publication.bureau == bureau) {
            return Err(NO_FEED);
        }
        let title = format!("预警 / Warnings: {bureau}");
        Ok((title, format!("/sources/{bureau}"), Filter::default(), Some(bureau.clone())))
    };
    feed_of(&site, &headers, &path, &feed, query, about).await
}

/// What concerns one region.
pub(super) async fn region(
    State(site): State<Site>,
    headers: HeaderMap,
    Path((code, feed)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let path = format!("/feeds/region/{code}/{feed}");
    let about = |shown: &Shown| {
        let map = &shown.policy.map;
        let filter = Filter::default().here(&code, map, false).map_err(|_| NO_FEED)?;
        let name = code.parse().ok().and_then(|code| map.get(&code)).map_or("", |region| region.name.as_str());
        Ok((format!("预警 / Warnings: {name}"), format!("/regions/{code}"), filter, None))
    };
    feed_of(&site, &headers, &path, &feed, query, about).await
}

/// Title, page for people, which regions, which source.
type About = (String, String, Filter, Option<String>);

async fn feed_of(
    site: &Site,
    headers: &HeaderMap,
    path: &str,
    feed: &str,
    query: Option<String>,
    about: impl FnOnce(&Shown) -> Result<About, Problem>,
) -> Response {
    let query = query.unwrap_or_default();
    answer(site, headers, format!("{path}?{query}"), async |shown| {
        Filter::parse(&query, Fields::None, &shown.policy.map)?;
        type Write = fn(&Channel, &[&Entry], &publish::Place) -> String;
        let (kind, write): (_, Write) = match feed {
            "atom.xml" => ("application/atom+xml; charset=utf-8", publish::atom),
            "rss.xml" => ("application/rss+xml; charset=utf-8", publish::rss),
            _ => return Err(NO_FEED),
        };
        let (title, page, filter, bureau) = about(&shown)?;
        let own = |entry: &&Entry| bureau.as_ref().is_none_or(|bureau| entry.publication.bureau == *bureau);
        let entries: Vec<&Entry> =
            shown.board.entries.iter().filter(own).filter(|entry| filter.takes(entry)).take(MOST).collect();
        let channel = Channel { title, path: path.to_owned(), page, updated: shown.board.updated, next: None };
        Ok(Doc::new(kind, write(&channel, &entries, site.app.press.place()), &shown))
    })
    .await
}
