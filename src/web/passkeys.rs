//! Passkeys over HTTP, for the pages' script: each act is a question and its answer.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::page::{Fault, Frame};
use super::session::{Fields, Posted, SESSION, put_cookie, same_origin};
use super::sign_in::own_path;
use super::site::Site;
use crate::passkeys::{PasskeyError, Passkeys};
use crate::staff::{Session, Way};
use crate::world::Live;

pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/passkeys/register", post(register))
        .route("/passkeys/registered", post(registered))
        .route("/passkeys/prove", post(prove))
        .route("/passkeys/proved", post(proved))
        .route("/passkeys/sign-in", post(sign_in))
        .route("/passkeys/signed-in", post(signed_in))
        .route("/console/me/passkeys/end", post(end))
}

impl From<PasskeyError> for Fault {
    fn from(error: PasskeyError) -> Self {
        tracing::warn!(%error, "a passkey was not taken");
        Self::Bad("通行密钥未通过 / the passkey was not taken".into())
    }
}

fn passkeys(site: &Site) -> Result<&Passkeys, Fault> {
    site.app.passkeys.as_ref().ok_or(Fault::Unknown)
}

/// A question, and the ticket that its answer comes with.
fn asked((ticket, options): (String, impl Serialize)) -> Response {
    Json(json!({"ticket": ticket, "options": options})).into_response()
}

/// The browser's answer.
fn answer<T: DeserializeOwned>(fields: &Fields) -> Result<T, Fault> {
    serde_json::from_str(fields.get("answer")).map_err(|e| Fault::Bad(e.to_string()))
}

/// A new passkey is as good as its officer: whoever adds one proves to be there.
async fn register(State(site): State<Site>, posted: Posted) -> Result<Response, Fault> {
    site.app.staff.prove(&posted.session, posted.fields.get("code")).await?;
    let officer = &posted.session.officer;
    let own: Vec<_> = site.app.staff.passkeys(officer.id).await?.into_iter().map(|(_, key)| key).collect();
    Ok(asked(passkeys(&site)?.register(officer, &own, site.app.clock.now())?))
}

async fn registered(State(site): State<Site>, posted: Posted) -> Result<Response, Fault> {
    let (fields, officer) = (&posted.fields, &posted.session.officer);
    // The proof of the question still holds: a code that was typed there is not asked for twice.
    site.app.staff.prove(&posted.session, "").await?;
    let key = passkeys(&site)?.registered(fields.get("ticket"), officer, &answer(fields)?, site.app.clock.now())?;
    site.app.staff.add_passkey(officer, fields.get("name"), &key).await?;
    Ok(Json(json!({"next": "/console/me"})).into_response())
}

async fn prove(State(site): State<Site>, posted: Posted) -> Result<Response, Fault> {
    let officer = &posted.session.officer;
    let own: Vec<_> = site.app.staff.passkeys(officer.id).await?.into_iter().map(|(_, key)| key).collect();
    Ok(asked(passkeys(&site)?.prove(officer, &own, site.app.clock.now())?))
}

async fn proved(State(site): State<Site>, posted: Posted) -> Result<Response, Fault> {
    prove_now(&site, &posted.session, &posted.fields).await?;
    Ok(Json(json!({})).into_response())
}

async fn prove_now(site: &Site, session: &Session, fields: &Fields) -> Result<(), Fault> {
    let (staff, officer) = (&site.app.staff, &session.officer);
    let used = passkeys(site)?.proved(fields.get("ticket"), officer, &answer(fields)?, site.app.clock.now())?;
    let (_, row, _) = staff
        .officer_of_passkey(used.cred_id())
        .await?
        .filter(|(owner, ..)| owner.id == officer.id)
        .ok_or(PasskeyError::Unknown)?;
    staff.used_passkey(&row, &used).await?;
    Ok(staff.proved(session, "passkey").await?)
}

async fn sign_in(
    State(site): State<Site>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    if !site.may_try(from.ip()) || !same_origin(&headers) {
        return Err(Fault::NotYours);
    }
    Ok(asked(passkeys(&site)?.sign_in(site.app.clock.now())?))
}

async fn signed_in(
    State(site): State<Site>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Response, Fault> {
    if !site.may_try(from.ip()) || !same_origin(&headers) {
        return Err(Fault::NotYours);
    }
    let fields = Fields::parse(&body);
    let answer: webauthn_rs::prelude::PublicKeyCredential = answer(&fields)?;
    let staff = &site.app.staff;
    let known = staff.officer_of_passkey(answer.get_credential_id()).await?;
    let (officer, row, key) = known.ok_or(PasskeyError::Unknown)?;
    let ticket = fields.get("ticket");
    let used = passkeys(&site)?.signed_in(ticket, (&officer, &key), &answer, site.app.clock.now())?;
    staff.used_passkey(&row, &used).await?;
    let token = staff.begin_session(&officer, Way::Passkey).await?;
    let mut response = Json(json!({"next": own_path(fields.get("next"))})).into_response();
    put_cookie(&site, &mut response, SESSION, &token, None);
    Ok(response)
}

async fn end(State(site): State<Site>, posted: Posted) -> Response {
    let done = async {
        site.app.staff.prove(&posted.session, posted.fields.get("code")).await?;
        site.app.staff.remove_passkey(&posted.session.officer, posted.fields.get("id")).await?;
        Ok::<_, Fault>(Redirect::to("/console/me").into_response())
    };
    done.await.unwrap_or_else(|fault| fault.show(&Frame::of::<Live>(&posted.session, "me")))
}
