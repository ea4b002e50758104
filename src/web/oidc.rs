//! In through the organisation's own sign-in, and the proof of presence there for officers who have no factor of their own here.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::page::{Fault, Frame, notice};
use super::session::{SignedIn, cookie, put_cookie, wanted_language};
use super::sign_in::{Next, entered, own_path};
use super::site::Site;
use crate::officers::OfficerId;
use crate::oidc::{AWAY, Answer, Errand, Organisation, OrganisationError};
use crate::staff::Way;

/// Carries the errand, sealed, from here to the provider and back.
const ERRAND: &str = "tocsin-errand";

/// Sends somebody to the provider.
pub(super) async fn go(
    State(site): State<Site>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(next): Query<Next>,
) -> Response {
    let frame = Frame::nobody(wanted_language(&headers));
    if !site.may_try(from.ip()) {
        let why = ("T6109", "尝试过多，请稍后再试 / too many attempts; try again later");
        return notice(StatusCode::TOO_MANY_REQUESTS, &frame, why);
    }
    sent(&site, &next, None).await.unwrap_or_else(|error| refused(&error, &frame))
}

/// Sends somebody who is signed in, to prove anew that they are there.
pub(super) async fn again(State(site): State<Site>, SignedIn(session): SignedIn, Query(next): Query<Next>) -> Response {
    let frame = Frame::nobody(session.officer.language);
    sent(&site, &next, Some(session.officer.id)).await.unwrap_or_else(|error| refused(&error, &frame))
}

async fn sent(site: &Site, next: &Next, again: Option<OfficerId>) -> Result<Response, OrganisationError> {
    let (url, errand) = organisation(site)?.send(own_path(&next.next), again, site.app.clock.now()).await?;
    let plain = serde_json::to_vec(&errand).map_err(|e| OrganisationError::Config(e.to_string()))?;
    let sealed = URL_SAFE_NO_PAD.encode(site.app.staff.seal(&plain, ERRAND)?);
    let mut answer = Redirect::to(&url).into_response();
    put_cookie(site, &mut answer, ERRAND, &sealed, Some(AWAY.num_seconds()));
    Ok(answer)
}

/// Somebody comes back from the provider.
pub(super) async fn back(
    State(site): State<Site>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
    session: Result<SignedIn, Response>,
) -> Response {
    let frame = Frame::nobody(wanted_language(&headers));
    let mut response = if site.may_try(from.ip()) {
        came_back(&site, &headers, &answer, session.ok(), &frame).await.unwrap_or_else(|error| refused(&error, &frame))
    } else {
        let why = ("T6109", "尝试过多，请稍后再试 / too many attempts; try again later");
        notice(StatusCode::TOO_MANY_REQUESTS, &frame, why)
    };
    // One errand, one answer.
    put_cookie(&site, &mut response, ERRAND, "", Some(0));
    response
}

async fn came_back(
    site: &Site,
    headers: &HeaderMap,
    answer: &Answer,
    session: Option<SignedIn>,
    frame: &Frame,
) -> Result<Response, OrganisationError> {
    let errand = errand(site, headers).ok_or(OrganisationError::Answer("no errand"))?;
    let vouched = organisation(site)?.take(&errand, answer, site.app.clock.now()).await?;
    let officer = match site.app.staff.officer_of_subject(&vouched.subject).await {
        Ok(Some(officer)) => officer,
        Ok(None) => {
            let subject = vouched.subject.split_once(' ').map_or("", |(_, name)| name);
            let why = format!(
                "您的账号（{subject}）未与本系统的值班员关联，请联系管理员 / your account ({subject}) is not tied to an officer here; ask an administrator"
            );
            return Ok(notice(StatusCode::FORBIDDEN, frame, ("T6111", &why)));
        }
        Err(error) => return Ok(Fault::from(error).show(frame)),
    };
    let Some(who) = errand.again else {
        let begun = site.app.staff.begin_session(&officer, Way::Organisation).await;
        return Ok(begun.map_or_else(|e| Fault::from(e).show(frame), |token| entered(site, &token, &errand.next)));
    };
    let Some(SignedIn(session)) = session else { return Err(OrganisationError::Answer("the session is over")) };
    if who != officer.id || session.officer.id != officer.id {
        return Err(OrganisationError::Answer("somebody else came back"));
    }
    if !vouched.is_fresh(&errand) {
        return Err(OrganisationError::Token("the provider did not ask anew who this is".into()));
    }
    let proved = site.app.staff.prove_by_organisation(&session).await;
    Ok(proved.map_or_else(|e| Fault::from(e).show(frame), |()| Redirect::to(own_path(&errand.next)).into_response()))
}

fn organisation(site: &Site) -> Result<&Organisation, OrganisationError> {
    site.app.organisation.as_ref().ok_or_else(|| OrganisationError::Config("it is not set up".into()))
}

fn errand(site: &Site, headers: &HeaderMap) -> Option<Errand> {
    let sealed = URL_SAFE_NO_PAD.decode(cookie(site, headers, ERRAND)?).ok()?;
    serde_json::from_slice(&site.app.staff.unseal(&sealed, ERRAND).ok()?).ok()
}

fn refused(error: &OrganisationError, frame: &Frame) -> Response {
    tracing::warn!(%error, "nobody was let in through the organisation's sign-in");
    let (status, why) = match error {
        OrganisationError::Provider(_) => (
            StatusCode::BAD_GATEWAY,
            (
                "T6112",
                "单位统一登录暂不可用，请改用密码登录或稍后再试 / your organisation's sign-in does not answer; use your password, or try again later",
            ),
        ),
        OrganisationError::Config(_) | OrganisationError::Secret(_) => {
            (StatusCode::NOT_FOUND, ("T6113", "单位统一登录未设置 / sign-in through an organisation is not set up"))
        }
        OrganisationError::Answer(_) | OrganisationError::Refused(_) | OrganisationError::Token(_) => (
            StatusCode::FORBIDDEN,
            ("T6114", "单位统一登录未通过，请重新开始 / your organisation's sign-in did not go through; begin again"),
        ),
    };
    notice(status, frame, why)
}
