//! What officers do without a browser: the same rights, the same proof of presence, the same record.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Problem, bearer, problem};
use crate::app::App;
use crate::approval::Act;
use crate::rules::Stage;
use crate::store::OfficerRow;
use crate::web::page::Fault;
use crate::world::{Exercise, Live, World};

/// Which world.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[serde(default)]
    exercise: bool,
}

/// What an act carries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    /// The revision that was seen.
    seen: Option<u32>,
    /// `review` or `sign`; what is missing where left out.
    stage: Option<String>,
    #[serde(default)]
    reason: String,
    /// The authenticator's code, for an approval.
    #[serde(default)]
    code: String,
    /// The jurisdiction's name, typed; `演练` in an exercise.
    #[serde(default)]
    confirm: String,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code, text) = self.told();
        let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
        problem(status, code, zh, en)
    }
}

async fn officer(app: &App, headers: &HeaderMap, scope: &str) -> Result<OfficerRow, Response> {
    let unknown = || Problem::Unauthorised.into_response();
    let token = bearer(headers).ok_or_else(unknown)?;
    let found = app.staff.officer_of_token(token, scope).await.map_err(|e| Fault::from(e).into_response())?;
    found.ok_or_else(unknown)
}

/// Who asks, then what: whoever is nobody is told nothing about the form of an act.
async fn asked(
    app: &App,
    headers: &HeaderMap,
    scope: &str,
    said: Result<Json<Said>, JsonRejection>,
) -> Result<(OfficerRow, Said), Response> {
    let officer = officer(app, headers, scope).await?;
    match said {
        Ok(Json(said)) => Ok((officer, said)),
        Err(bad) => Err(Fault::Bad(bad.body_text()).into_response()),
    }
}

/// What waits.
pub(super) async fn queue(State(app): State<Arc<App>>, headers: HeaderMap, Query(which): Query<Which>) -> Response {
    if let Err(refused) = officer(&app, &headers, "read").await {
        return refused;
    }
    let found = if which.exercise { rows::<Exercise>(&app).await } else { rows::<Live>(&app).await };
    found.map_or_else(IntoResponse::into_response, |rows| Json(json!({"queue": rows})).into_response())
}

async fn rows<W: World>(app: &App) -> Result<Vec<Value>, Fault> {
    let policy = app.policy.load_full();
    let rows = app.store.queue::<W>(500).await?;
    let row = |row: &crate::store::QueueRow<W>| {
        let e = &row.row.escalation;
        let place = policy.map.get(&e.jurisdiction);
        json!({
            "id": row.row.id, "alert": row.row.alert, "headline": row.headline, "severity": row.severity,
            "lane": row.row.lane, "state": e.state.as_str(), "revision": e.revision, "missing": e.missing(),
            "jurisdiction": e.jurisdiction, "place": place.map(|r| &r.name), "place_en": place.map(|r| &r.name_en),
            "counties": e.regions.len(), "due": e.due, "overdue": e.overdue, "taken": e.taken.as_ref().map(|t| &t.name),
        })
    };
    Ok(rows.iter().map(row).collect())
}

/// Take, approve, return, reject, withdraw.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((id, what)): Path<(i64, String)>,
    Query(which): Query<Which>,
    said: Result<Json<Said>, JsonRejection>,
) -> Response {
    let (officer, said) = match asked(&app, &headers, "approve", said).await {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let done = if which.exercise {
        perform::<Exercise>(&app, id, &what, &said, &officer).await
    } else {
        perform::<Live>(&app, id, &what, &said, &officer).await
    };
    done.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
}

async fn perform<W: World>(app: &App, id: i64, what: &str, said: &Said, officer: &OfficerRow) -> Result<Value, Fault> {
    let row = app.store.escalation::<W>(id).await?.ok_or(Fault::Unknown)?;
    let e = &row.escalation;
    let act = match what {
        "take" => Act::Take,
        "return" => Act::Return(said.reason.clone()),
        "reject" => Act::Reject(said.reason.clone()),
        "withdraw" => Act::Withdraw(said.reason.clone()),
        "approve" => {
            let stage = match said.stage.as_deref() {
                Some("review") => Stage::Review,
                Some("sign") => Stage::Sign,
                Some(other) => return Err(Fault::Bad(other.to_owned())),
                None => {
                    let who = app.desk.who(officer, &e.jurisdiction);
                    e.next_stage(&who).or(e.missing().first().copied()).unwrap_or(Stage::Sign)
                }
            };
            app.desk.may(officer, &row, stage)?;
            let place = app.policy.load().map.get(&e.jurisdiction).cloned();
            let word = said.confirm.trim();
            let right = place.is_some_and(|r| word == r.name || word.eq_ignore_ascii_case(&r.name_en));
            if (W::EXERCISE && word != "演练") || (!W::EXERCISE && !right) {
                return Err(Fault::NotConfirmed);
            }
            app.staff.prove_officer(officer, &said.code).await?;
            Act::Approve(stage)
        }
        _ => return Err(Fault::Unknown),
    };
    let after = app.desk.act::<W>(id, act, said.seen.unwrap_or(e.revision), officer).await?;
    Ok(json!({
        "id": id, "alert": after.alert, "state": after.escalation.state.as_str(), "missing": after.escalation.missing(),
    }))
}

/// Stops what waits of an alert.
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(which): Query<Which>,
    said: Result<Json<Said>, JsonRejection>,
) -> Response {
    let (officer, said) = match asked(&app, &headers, "stop", said).await {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let done = if which.exercise {
        app.desk.stop::<Exercise>(&id, &said.reason, &officer).await
    } else {
        app.desk.stop::<Live>(&id, &said.reason, &officer).await
    };
    match done {
        Ok(stopped) => (StatusCode::OK, Json(json!({"alert": id, "stopped": stopped}))).into_response(),
        Err(error) => Fault::from(error).into_response(),
    }
}
