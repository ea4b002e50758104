//! What officers do without a browser: the same rights, the same proof of presence, the same record.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Problem, bearer, problem};
use crate::app::App;
use crate::approval::{Act, Amendment, Correction};
use crate::cap::{Alert, Colour, Severity};
use crate::messages::Language;
use crate::regions::RegionCode;
use crate::rules::Stage;
use crate::store::OfficerRow;
use crate::web::console::{Sorted, confirms, reason, sorted};
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
    /// The revision that was seen; every decision names it, because a yes or no is to certain words.
    seen: Option<u32>,
    /// `review` or `sign`; what is missing where left out.
    stage: Option<String>,
    #[serde(default)]
    reason: String,
    /// The authenticator's code, for an approval, a resumption or a correction.
    #[serde(default)]
    code: String,
    /// The jurisdiction's name, typed; `更正` or `CORRECT` for a correction; `演练` for both in an exercise.
    #[serde(default)]
    confirm: String,
    /// What a correction says, in Chinese.
    #[serde(default)]
    zh: String,
    /// And in English.
    #[serde(default)]
    en: String,
    /// Counties: those that a split takes out, or that stay when it is amended; all where left out.
    #[serde(default)]
    regions: Vec<RegionCode>,
    /// The end that an amendment sets.
    expires: Option<DateTime<Utc>>,
    /// The words that an amendment sets, by language; what is left out stays as it is.
    #[serde(default)]
    words: BTreeMap<Language, Reworded>,
}

/// Other words in one language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reworded {
    headline: Option<String>,
    description: Option<String>,
    instruction: Option<String>,
}

impl Said {
    /// What officers have changed so far, with what is said now.
    fn amendment(&self, so_far: &Amendment, alert: &Alert) -> Amendment {
        let mut amendment = so_far.clone();
        amendment.expires = self.expires.or(so_far.expires);
        let now = so_far.apply(alert);
        for (language, said) in &self.words {
            let mut words = Amendment::words_of(&now, *language);
            let parts = [
                (&mut words.headline, &said.headline),
                (&mut words.description, &said.description),
                (&mut words.instruction, &said.instruction),
            ];
            for (part, text) in parts {
                if let Some(text) = text {
                    *part = text.trim().chars().take(4_000).collect();
                }
            }
            amendment.words.insert(*language, words);
        }
        amendment
    }
}

/// What can be done about an alert that is on its way.
#[derive(Clone, Copy)]
pub(super) enum Recall {
    Stop,
    Resume,
    Correct,
}

type Where = Result<Query<Which>, QueryRejection>;
type Body = Result<Json<Said>, JsonRejection>;

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code, text) = self.told();
        let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
        problem(status, code, zh, en)
    }
}

async fn officer(app: &App, headers: &HeaderMap, scope: &'static str) -> Result<OfficerRow, Response> {
    let unknown = || Problem::NotAnOfficer(scope).into_response();
    let token = bearer(headers).ok_or_else(unknown)?;
    let found = app.staff.officer_of_token(token, scope).await.map_err(|e| Fault::from(e).into_response())?;
    found.ok_or_else(unknown)
}

fn exercise(which: Where) -> Result<bool, Problem> {
    let Query(which) = which.map_err(|rejection| Problem::BadRequest(rejection.body_text()))?;
    Ok(which.exercise)
}

fn asked(which: Where, body: Body) -> Result<(bool, Said), Problem> {
    let Json(said) = body.map_err(|rejection| Problem::BadRequest(rejection.body_text()))?;
    Ok((exercise(which)?, said))
}

/// What waits.
pub(super) async fn queue(State(app): State<Arc<App>>, headers: HeaderMap, which: Where) -> Result<Response, Response> {
    let officer = officer(&app, &headers, "read").await?;
    let exercise = exercise(which).map_err(IntoResponse::into_response)?;
    let found = if exercise { rows::<Exercise>(&app, &officer).await } else { rows::<Live>(&app, &officer).await };
    Ok(found.map_or_else(IntoResponse::into_response, |rows| Json(json!({"queue": rows})).into_response()))
}

/// What is this officer's own first, then what others decide.
async fn rows<W: World>(app: &App, officer: &OfficerRow) -> Result<Vec<Value>, Fault> {
    /// Rows in all, and counties of each that are named.
    const ROWS: usize = 500;
    const FIRST: usize = 3;
    let policy = app.policy.load_full();
    let Sorted { own, others, .. } = sorted::<W>(app, officer, ROWS).await?;
    let row = |row: &crate::store::QueueRow<W>| {
        let e = &row.row.escalation;
        let place = policy.map.get(&e.jurisdiction);
        let colour = Severity::parse(&row.severity).and_then(Colour::of_severity).map(Colour::as_str);
        let first = e.regions.iter().take(FIRST).filter_map(|code| policy.map.get(code));
        let first: Vec<_> = first.map(|r| json!({"code": r.code, "name": r.name, "name_en": r.name_en})).collect();
        json!({
            "id": row.row.id, "alert": row.row.alert, "headline": row.headline, "msg_type": row.msg_type,
            "severity": row.severity, "colour": colour, "lane": row.row.lane, "state": e.state.as_str(), "revision": e.revision, "missing": e.missing(),
            "jurisdiction": e.jurisdiction, "place": place.map(|r| &r.name), "place_en": place.map(|r| &r.name_en),
            "counties": e.regions.len(), "first_counties": first, "due": e.due, "overdue": e.overdue, "taken": e.taken.as_ref().map(|t| &t.name),
        })
    };
    Ok(own.iter().chain(&others).take(ROWS).map(row).collect())
}

/// Take, approve, return, reject, withdraw, amend, split.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((id, what)): Path<(String, String)>,
    which: Where,
    body: Body,
) -> Result<Response, Response> {
    let officer = officer(&app, &headers, "approve").await?;
    let (exercise, said) = asked(which, body).map_err(IntoResponse::into_response)?;
    let id = id.parse().map_err(|_| Fault::Unknown.into_response())?;
    let done = if exercise {
        perform::<Exercise>(&app, id, &what, &said, &officer).await
    } else {
        perform::<Live>(&app, id, &what, &said, &officer).await
    };
    Ok(done.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response()))
}

async fn perform<W: World>(app: &App, id: i64, what: &str, said: &Said, officer: &OfficerRow) -> Result<Value, Fault> {
    let row = app.store.escalation::<W>(id).await?.ok_or(Fault::Unknown)?;
    let e = &row.escalation;
    if what != "take" && said.seen.is_none() {
        let text = "缺少 seen：所决定的版本，见队列 / `seen` is missing: the revision that you decide on, as the queue shows it";
        return Err(Fault::Bad(text.into()));
    }
    let act = match what {
        "take" => Act::Take,
        "return" => Act::Return(said.reason.clone()),
        "reject" => Act::Reject(said.reason.clone()),
        "withdraw" => Act::Withdraw(said.reason.clone()),
        "amend" => {
            let material = app.desk.material(&row.alert).await?;
            let regions = if said.regions.is_empty() { e.regions.clone() } else { said.regions.clone() };
            let amendment = said.amendment(&e.amendment, &material.alert);
            Act::Amend { amendment, regions, reason: said.reason.clone() }
        }
        "split" => {
            let new = app.desk.split::<W>(id, &said.regions, said.seen.unwrap_or(e.revision), officer).await?;
            return Ok(json!({
                "id": id, "alert": row.alert, "state": e.state.as_str(), "missing": e.approval.stages, "new": new,
            }));
        }
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
            let policy = app.policy.load_full();
            let place = policy.map.get(&e.jurisdiction);
            if !confirms::<W>(place, e.approval.officers(), row.lane.number(), &said.confirm) {
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

/// Stops what waits of an alert, lets it go on, or tells those who were told that it was wrong; with the proofs that the
/// console asks for.
pub(super) async fn recall(
    what: Recall,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    which: Where,
    body: Body,
) -> Result<Response, Response> {
    let scope = if matches!(what, Recall::Stop) { "stop" } else { "approve" };
    let officer = officer(&app, &headers, scope).await?;
    let (exercise, said) = asked(which, body).map_err(IntoResponse::into_response)?;
    let done = if exercise {
        recalled::<Exercise>(&app, what, &id, &said, &officer).await
    } else {
        recalled::<Live>(&app, what, &id, &said, &officer).await
    };
    Ok(done.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response()))
}

async fn recalled<W: World>(
    app: &App,
    what: Recall,
    alert: &str,
    said: &Said,
    officer: &OfficerRow,
) -> Result<Value, Fault> {
    let reason = reason(&said.reason);
    Ok(match what {
        Recall::Stop => json!({"alert": alert, "stopped": app.desk.stop::<W>(alert, &reason, officer).await?}),
        Recall::Resume => {
            app.staff.prove_officer(officer, &said.code).await?;
            json!({"alert": alert, "resumed": app.desk.resume::<W>(alert, &reason, officer).await?})
        }
        Recall::Correct => {
            let words: &[&str] = if W::EXERCISE { &["演练"] } else { &["更正", "CORRECT"] };
            if !words.contains(&said.confirm.trim()) {
                return Err(Fault::NotConfirmed);
            }
            app.staff.prove_officer(officer, &said.code).await?;
            let words = Correction { zh: said.zh.clone(), en: said.en.clone() };
            json!({"alert": alert, "correction": app.desk.correct::<W>(alert, &words, officer).await?})
        }
    })
}
