//! The API's alerts.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Caller, Problem};
use crate::app::App;
use crate::cap::{self, AlertId, Listed};
use crate::config::BureauConfig;
use crate::delivery::StateCounts;
use crate::intake::{Format, Refusal};
use crate::web::body::{self, BodyError};
use crate::web::site::Site;

/// Takes in an alert, or each of a list of them in JSON.
pub(super) async fn submit(
    State(site): State<Site>,
    Caller(bureau): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let app = &site.app;
    app.intake.count(&bureau).map_err(Problem::TooMany)?;
    let most = bureau.max_bytes.map_or(cap::MAX_BYTES, |bytes| bytes.min(cap::MAX_BYTES));
    let body = body::read(body, most).await.map_err(|error| match error {
        BodyError::TooLarge => Problem::TooLarge(most),
        BodyError::Broken(why) => Problem::BadRequest(why),
    })?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = if kind.contains("json") { Format::Json } else { Format::Xml };
    let several = match format {
        Format::Json => app.intake.several(&bureau, &body).await.map_err(refused)?,
        Format::Xml => None,
    };
    match several {
        Some(alerts) => Ok(take_each(app, &bureau, &alerts).await),
        None => take(app, &bureau, &body, format).await,
    }
}

fn refused(refusal: Refusal) -> Problem {
    Problem::Refused(Box::new(refusal))
}

/// Takes in one alert: 201 when it is on disk, 200 when it was there already.
async fn take(app: &App, bureau: &BureauConfig, raw: &[u8], format: Format) -> Result<Response, Problem> {
    let receipt = app.intake.accept(bureau, raw, format).await.map_err(refused)?;
    app.engine.wake();
    let status = if receipt.repeat { StatusCode::OK } else { StatusCode::CREATED };
    let mut answer = (status, Json(&receipt)).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/alerts/{}", receipt.id)) {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    Ok(answer)
}

/// Takes in the alerts of a list, one after the other: 207 with the answer that each would have alone, in their order; where none
/// was taken and all for one cause, the status of that.
async fn take_each(app: &App, bureau: &BureauConfig, alerts: &[Listed]) -> Response {
    let (mut answers, mut statuses, mut wait) = (Vec::new(), BTreeSet::new(), None);
    // One was counted with the request.
    let mut counted = true;
    for Listed { identifier, standalone: raw } in alerts {
        let is_free = app.intake.is_known(raw).await || std::mem::take(&mut counted);
        let may = if is_free { Ok(()) } else { app.intake.count(bureau).map_err(Problem::TooMany) };
        let answer = match may {
            Ok(()) => take(app, bureau, raw, Format::Json).await,
            Err(problem) => Err(problem),
        };
        let answer = answer.into_response();
        wait = answer.headers().get(header::RETRY_AFTER).cloned().or(wait);
        statuses.insert(answer.status());
        answers.push(as_part(answer, identifier.as_deref()).await);
    }
    let only = statuses.pop_first().filter(|status| statuses.is_empty() && !status.is_success());
    let status = only.unwrap_or(StatusCode::MULTI_STATUS);
    let mut answer = (status, Json(json!({"alerts": answers}))).into_response();
    if let Some(wait) = wait {
        answer.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    answer
}

/// An answer as a part of another one, with its `status` and the identifier that it is about.
async fn as_part(answer: Response, identifier: Option<&str>) -> Value {
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap_or_default();
    let mut said: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(members) = said.as_object_mut() {
        members.insert("status".into(), status.into());
        members.insert("identifier".into(), identifier.into());
    }
    said
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    before: Option<DateTime<Utc>>,
    limit: Option<u16>,
}

/// The newest alerts.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| Problem::BadRequest(rejection.body_text()))?;
    let limit = query.limit.unwrap_or(50);
    if !(1..=500).contains(&limit) {
        return Err(Problem::BadRequest("limit is 1 to 500".into()));
    }
    let alerts = app.store.alerts(query.before, limit).await?;
    Ok(Json(json!({"alerts": alerts})))
}

/// One alert; as CAP, byte for byte, where asked for XML.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    _: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: AlertId = id.parse().map_err(|_| Problem::NotFound)?;
    let wants_cap =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("xml"));
    if wants_cap {
        let (raw, format) = app.store.alert_raw(id.as_str()).await?.ok_or(Problem::NotFound)?;
        let kind = if format == "json" { "application/json" } else { "application/cap+xml" };
        return Ok(([(header::CONTENT_TYPE, kind)], raw).into_response());
    }
    let alert = app.store.alert(id.as_str()).await?.ok_or(Problem::NotFound)?;
    Ok(Json(alert).into_response())
}

/// What became of an alert's deliveries, by channel.
pub(super) async fn states(
    State(app): State<Arc<App>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id: AlertId = id.parse().map_err(|_| Problem::NotFound)?;
    let alert = app.store.alert(id.as_str()).await?.ok_or(Problem::NotFound)?;
    // Asked first: whoever is planned by then is counted.
    let planned = app.store.is_planned(id.as_str()).await?;
    let channels = app.store.states(id.as_str()).await?;
    let mut all = StateCounts::default();
    channels.values().for_each(|counts| all += *counts);
    Ok(Json(json!({
        "id": id,
        "state": alert.state,
        "planned": planned,
        "audience": all.total(),
        "states": all,
        "channels": channels,
        "seen": app.store.seen(id.as_str()).await?,
    })))
}
