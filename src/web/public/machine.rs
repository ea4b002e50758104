//! Alerts for machines, on the paths and with the filters of api.weather.gov.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::sync::Semaphore;

use super::answer::{Doc, Problem, answer};
use super::drill::drill;
use super::list::{Form, List, liked_best};
use crate::cap::AlertId;
use crate::publish::{self, Entry, Fields, Filter, Publication};
use crate::regions::RegionMap;
use crate::store::StoreError;
use crate::web::site::Site;

const GEO: &str = "application/geo+json";
const JSON: &str = "application/json";
const CAP: &str = "application/cap+xml";
/// Rows of the archive that one question may look through.
const LOOKED_AT: usize = 2_000;
/// Digging in the archive is work: a few at a time, so that it never slows what is in force.
static DIGGING: Semaphore = Semaphore::const_new(2);
const UNKNOWN: Problem =
    Problem::Unknown("没有这条预警，或未向公众发布", "there is no such alert, or it was not published");

/// Everything in force that the filter lets through.
pub(super) async fn active(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    in_force(&site, &headers, query, Fields::Active, "/alerts/active", |filter, _| Ok(filter)).await
}

/// What is in force in a region, or in what lies in it.
pub(super) async fn area(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(code): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let path = format!("/alerts/active/area/{code}");
    in_force(&site, &headers, query, Fields::Here, &path, |filter, map| filter.here(&code, map, false)).await
}

/// What is in force in one county or sea area.
pub(super) async fn zone(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(code): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let path = format!("/alerts/active/zone/{code}");
    in_force(&site, &headers, query, Fields::Here, &path, |filter, map| filter.here(&code, map, true)).await
}

/// What is in force in one sea area.
pub(super) async fn region(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(code): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let path = format!("/alerts/active/region/{code}");
    in_force(&site, &headers, query, Fields::Here, &path, |filter, map| filter.at_sea(&code, map)).await
}

async fn in_force(
    site: &Site,
    headers: &HeaderMap,
    query: Option<String>,
    fields: Fields,
    path: &str,
    narrow: impl FnOnce(Filter, &RegionMap) -> Result<Filter, publish::BadParameter>,
) -> Response {
    let (form, path) = (Form::of(headers), format!("{path}?{}", query.as_deref().unwrap_or_default()));
    answer(site, headers, format!("{path} {form:?}"), async |shown| {
        let map = &shown.policy.map;
        let filter = narrow(Filter::parse(&query.unwrap_or_default(), fields, map)?, map)?;
        let entries = shown.board.in_force().into_iter().filter(|entry| filter.takes(entry));
        let entries: Vec<&Entry> = entries.take(filter.limit.unwrap_or(usize::MAX)).collect();
        let list = List { title: "生效中的预警 / Alerts in force", path: &path, next: None };
        Ok(list.of(form, &entries, &shown, site.app.press.place()))
    })
    .await
}

/// How many are in force, and where.
pub(super) async fn count(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    answer(&site, &headers, format!("/alerts/active/count?{query}"), async |shown| {
        Filter::parse(&query, Fields::None, &shown.policy.map)?;
        let counts = publish::counts(&shown.board.in_force(), &shown.policy.map);
        Ok(Doc::new(JSON, counts.to_string(), &shown))
    })
    .await
}

/// The kinds of danger.
pub(super) async fn types(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    answer(&site, &headers, format!("/alerts/types?{query}"), async |shown| {
        Filter::parse(&query, Fields::None, &shown.policy.map)?;
        Ok(Doc::new(JSON, publish::types().to_string(), &shown))
    })
    .await
}

/// Everything that was ever published, newest first, page by page. A page begins after a release's number, so that what comes meanwhile
/// moves nothing.
pub(super) async fn archive(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (form, path) = (Form::of(&headers), format!("/alerts?{query}"));
    answer(&site, &headers, format!("{path} {form:?}"), async |shown| {
        let filter = Filter::parse(&query, Fields::Archive, &shown.policy.map)?;
        // The semaphore is never closed.
        let _turn = DIGGING.acquire().await;
        let limit = filter.limit.unwrap_or(50);
        let mut before = filter.cursor.unwrap_or(i64::MAX);
        let (mut entries, mut looked_at, mut more) = (Vec::new(), 0, false);
        'pages: loop {
            let rows = site.app.store.printed_before(before, 200).await?;
            if rows.is_empty() {
                break;
            }
            for publication in rows {
                if entries.len() == limit || looked_at == LOOKED_AT {
                    more = true;
                    break 'pages;
                }
                before = publication.release;
                looked_at += 1;
                entries.extend(asked_for(&site, publication, &filter).await?);
            }
        }
        let next = more.then(|| next_page(&site.app.base, &query, before));
        let list = List { title: "预警档案 / Archive of alerts", path: &path, next };
        Ok(list.of(form, &entries.iter().collect::<Vec<_>>(), &shown, site.app.press.place()))
    })
    .await
}

/// The entry of a publication, if the filter lets it through. What became of it is only looked up where the rest holds.
async fn asked_for(site: &Site, publication: Publication, filter: &Filter) -> Result<Option<Entry>, StoreError> {
    if !publication.listed {
        return Ok(None);
    }
    let provisional = Entry::new(publication.clone());
    let mut rest = filter.clone();
    rest.active = None;
    if !rest.takes(&provisional) {
        return Ok(None);
    }
    let entry = site.app.press.entry(publication).await?;
    Ok(filter.takes(&entry).then_some(entry))
}

fn next_page(base: &str, query: &str, before: i64) -> String {
    let mut next = form_urlencoded::Serializer::new(String::new());
    next.extend_pairs(form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor"));
    next.append_pair("cursor", &format!("r{before}"));
    format!("{base}/alerts?{}", next.finish())
}

/// How one alert is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Cap,
    /// What the bureau sent, where `Cap` is that written anew.
    Original,
    Geo,
    Json,
    Page,
}

/// One alert: by its suffix, else by what the asker takes.
pub(super) async fn one(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let (id, suffix) = name.split_once('.').unwrap_or((&name, ""));
    let wanted = match suffix {
        "" => by_accept(headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()),
        "cap" | "xml" => As::Cap,
        "original" => As::Original,
        "geojson" => As::Geo,
        "json" => As::Json,
        _ => return UNKNOWN.into_response(),
    };
    if let Err(error) = Filter::parse(&query.unwrap_or_default(), Fields::None, &site.app.press.shown().policy.map) {
        return Problem::from(error).into_response();
    }
    let Ok(id) = id.parse::<AlertId>() else { return UNKNOWN.into_response() };
    // The link in everybody's message: what is on the board needs no store.
    let shown = site.app.press.shown();
    if wanted == As::Page
        && let Some(entry) = shown.board.entries.iter().find(|entry| entry.publication.id == id)
    {
        return Redirect::to(&format!("/events/{}#a-{id}", entry.publication.chain)).into_response();
    }
    let printed = match site.app.store.printed(id.as_str()).await {
        Ok(Some(printed)) if printed.publication.listed => printed,
        Ok(_) if wanted == As::Page && matches!(drill(&site.app.store, &id).await, Ok(Some(_))) => {
            return Redirect::to(&format!("/drills/{id}")).into_response();
        }
        Ok(_) => return elsewhere(&site, &id, suffix).await,
        Err(error) => return Problem::from(error).into_response(),
    };
    if wanted == As::Page {
        let chain = &printed.publication.chain;
        return Redirect::to(&format!("/events/{chain}#a-{id}")).into_response();
    }
    answer(&site, &headers, format!("/alerts/{id} {wanted:?}"), async |shown| {
        let updated = printed.publication.at;
        if wanted == As::Cap {
            return Ok(Doc { kind: CAP, body: printed.cap, updated });
        }
        if wanted == As::Original {
            let (body, kind) = original(&site, &printed.publication).await?;
            return Ok(Doc { kind, body, updated });
        }
        let entry = site.app.press.entry(printed.publication).await?;
        let place = site.app.press.place();
        Ok(match wanted {
            As::Json => Doc::new(JSON, publish::json(&entry, &shown.policy.map, place).to_string(), &shown),
            _ => Doc::new(GEO, shown.feature(&entry, place).as_bytes(), &shown),
        })
    })
    .await
}

/// What the bureau sent, byte for byte, and its kind. Of what officers changed or released in part, it is not for everybody.
async fn original(site: &Site, publication: &Publication) -> Result<(Vec<u8>, &'static str), Problem> {
    if publication.own {
        return Err(UNKNOWN);
    }
    let (raw, format) = site.app.store.alert_raw(publication.alert.as_str()).await?.ok_or(UNKNOWN)?;
    Ok((raw, if format == "json" { JSON } else { CAP }))
}

/// A bureau's message that officers changed stands under our own message's id: the newest part of it.
async fn elsewhere(site: &Site, id: &AlertId, suffix: &str) -> Response {
    match site.app.store.printed_of(&[id.to_string()]).await {
        Ok(parts) => match parts.iter().rfind(|part| part.listed && part.id != *id) {
            Some(part) if suffix.is_empty() => Redirect::to(&format!("/alerts/{}", part.id)).into_response(),
            Some(part) => Redirect::to(&format!("/alerts/{}.{suffix}", part.id)).into_response(),
            None => UNKNOWN.into_response(),
        },
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The kind that an Accept header likes best; GeoJSON where it does not mind.
fn by_accept(accepted: &str) -> As {
    liked_best(accepted, As::Geo, |kind| match kind {
        "application/cap+xml" | "application/xml" | "text/xml" => Some(As::Cap),
        "application/geo+json" | "*/*" | "application/*" => Some(As::Geo),
        "application/json" | "application/ld+json" => Some(As::Json),
        "text/html" => Some(As::Page),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_liked_best_is_given() {
        for (accepted, kind) in [
            ("", As::Geo),
            ("*/*", As::Geo),
            ("application/cap+xml", As::Cap),
            ("application/json;q=0.5, application/cap+xml", As::Cap),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", As::Page),
            ("application/ld+json", As::Json),
            ("image/png", As::Geo),
        ] {
            assert_eq!(by_accept(accepted), kind, "{accepted}");
        }
    }
}
