//! In, out, and still here.

use std::net::SocketAddr;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::page::{Fault, Frame, notice, page, page_with};
use super::qr;
use super::session::{Fields, Posted, SESSION, cookie, put_cookie, same_origin, wanted_language};
use super::site::Site;
use crate::officers::Totp;
use crate::oidc::Organisation;
use crate::staff::{Ask, INVITED, StaffError};
use crate::store::OfficerRow;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    login: String,
    error: String,
    /// What the organisation's own sign-in is called; None where there is none.
    organisation: Option<String>,
    passkeys: bool,
}

#[derive(Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    pub(super) next: String,
}

/// Where to go after sign-in: a path of ours, never another site.
pub(super) fn own_path(next: &str) -> &str {
    let own = (next.starts_with("/console") || next.starts_with("/exercise"))
        && !next.contains(['\\', '\r', '\n'])
        && !next.contains("//");
    if own { next } else { "/console" }
}

fn sign_in_page(site: &Site, frame: Frame, next: &str) -> SignInPage {
    let organisation = site.app.organisation.as_ref();
    let called =
        |o: &Organisation| o.name.clone().unwrap_or_else(|| frame.t.s("Sign in through your organisation").to_owned());
    SignInPage {
        next: own_path(next).to_owned(),
        login: String::new(),
        error: String::new(),
        organisation: organisation.map(called),
        passkeys: site.app.has_passkeys(),
        frame,
    }
}

pub(super) async fn show(State(site): State<Site>, headers: HeaderMap, Query(next): Query<Next>) -> Response {
    let frame = Frame::nobody(wanted_language(&headers));
    page(&sign_in_page(&site, frame, &next.next))
}

pub(super) async fn sign_in(
    State(site): State<Site>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let frame = Frame::nobody(wanted_language(&headers));
    let fields = Fields::parse(body.get(..8_192).unwrap_or(&body));
    if !same_origin(&headers) {
        let why = ("T6102", "请求来自其他网站，已拒绝 / the request comes from another site");
        return notice(StatusCode::FORBIDDEN, &frame, why);
    }
    if !site.may_try(from.ip()) {
        let why = ("T6109", "尝试过多，请稍后再试 / too many attempts; try again later");
        return notice(StatusCode::TOO_MANY_REQUESTS, &frame, why);
    }
    let text = |name: &str| fields.get(name).to_owned();
    let ask = Ask { login: text("login"), password: text("password"), code: text("code") };
    match site.app.staff.sign_in(ask).await {
        Ok(token) => entered(&site, &token, fields.get("next")),
        Err(error) => {
            let (status, _, why) = Fault::from(error).told();
            let (zh, en) = why.split_once(" / ").unwrap_or((&why, &why));
            let error = frame.t.pick(zh, en).to_owned();
            let status = if status == StatusCode::SERVICE_UNAVAILABLE { status } else { StatusCode::FORBIDDEN };
            let page = SignInPage { login: text("login"), error, ..sign_in_page(&site, frame, fields.get("next")) };
            page_with(status, &page)
        }
    }
}

/// Somebody has come in: the cookie, and on to where they wanted.
pub(super) fn entered(site: &Site, token: &str, next: &str) -> Response {
    let mut answer = Redirect::to(own_path(next)).into_response();
    put_cookie(site, &mut answer, SESSION, token, None);
    answer
}

pub(super) async fn sign_out(State(site): State<Site>, posted: Posted) -> Response {
    if let Err(error) = site.app.staff.sign_out(&posted.session).await {
        return Fault::from(error).show(&Frame::nobody(posted.session.officer.language));
    }
    let mut answer = Redirect::to("/sign-in").into_response();
    put_cookie(&site, &mut answer, SESSION, "", Some(0));
    answer
}

/// Ends every session of somebody, wherever they are signed in.
pub(super) async fn sign_out_everywhere(State(site): State<Site>, posted: Posted) -> Response {
    if let Err(error) = site.app.staff.sign_out_everywhere(&posted.session).await {
        return Fault::from(error).show(&Frame::nobody(posted.session.officer.language));
    }
    let mut answer = Redirect::to("/sign-in").into_response();
    put_cookie(&site, &mut answer, SESSION, "", Some(0));
    answer
}

/// "I am still here": the form itself keeps the session alive. Tells until when.
pub(super) async fn stay(posted: Posted) -> Response {
    posted.session.until.timestamp_millis().to_string().into_response()
}

/// Keeps the authenticator key of an invitation, sealed, in the browser that was shown it first: whoever opens the link again has that
/// key in their app already. No other browser learns it by the link.
const KEY: &str = "tocsin-key";

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    frame: Frame,
    officer: OfficerRow,
    secret: String,
    link: String,
    /// The link as a picture: the path of its dark squares, and its side with the margin.
    picture: String,
    side: i32,
    sealed: String,
    error: String,
}

fn invitation_page(officer: OfficerRow, totp: &Totp, sealed: String, error: String) -> InvitationPage {
    let link = totp.link(officer.login.as_str());
    let (picture, side) = qr::picture(&link).unwrap_or_default();
    InvitationPage {
        frame: Frame::nobody(officer.language),
        secret: totp.base32(),
        picture,
        side,
        link,
        officer,
        sealed,
        error,
    }
}

/// The page, and the key's cookie with it.
fn show_invitation(site: &Site, status: StatusCode, shown: &InvitationPage) -> Response {
    let mut answer = page_with(status, shown);
    put_cookie(site, &mut answer, KEY, &shown.sealed, Some(INVITED.num_seconds()));
    answer
}

pub(super) async fn invitation(State(site): State<Site>, headers: HeaderMap, Path(token): Path<String>) -> Response {
    match site.app.staff.invited(&token).await {
        Ok((officer, totp, sealed)) => {
            let kept = cookie(&site, &headers, KEY);
            let kept = kept.and_then(|kept| Some((site.app.staff.carried(&token, kept).ok()?, kept.to_owned())));
            let (totp, sealed) = kept.unwrap_or((totp, sealed));
            show_invitation(&site, StatusCode::OK, &invitation_page(officer, &totp, sealed, String::new()))
        }
        Err(error) => Fault::from(error).show(&Frame::nobody(wanted_language(&headers))),
    }
}

pub(super) async fn accept(
    State(site): State<Site>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(token): Path<String>,
    body: Bytes,
) -> Response {
    let frame = Frame::nobody(wanted_language(&headers));
    let fields = Fields::parse(&body);
    if !site.may_try(from.ip()) || !same_origin(&headers) {
        let why = ("T6109", "尝试过多，请稍后再试 / too many attempts; try again later");
        return notice(StatusCode::TOO_MANY_REQUESTS, &frame, why);
    }
    let sealed = fields.get("sealed");
    match site.app.staff.accept(&token, sealed, fields.get("password").to_owned(), fields.get("code")).await {
        Ok(()) => {
            let mut answer = Redirect::to("/sign-in").into_response();
            put_cookie(&site, &mut answer, KEY, "", Some(0));
            answer
        }
        Err(error @ (StaffError::Password(_) | StaffError::Totp(_))) => {
            // The same authenticator key again, so that it need not be typed twice.
            match (site.app.staff.invited(&token).await, site.app.staff.carried(&token, sealed)) {
                (Ok((officer, ..)), Ok(totp)) => {
                    let why = error.to_string();
                    let (zh, en) = why.split_once(" / ").unwrap_or((&why, &why));
                    let why = Frame::nobody(officer.language).t.pick(zh, en).to_owned();
                    let page = invitation_page(officer, &totp, sealed.to_owned(), why);
                    show_invitation(&site, StatusCode::UNPROCESSABLE_ENTITY, &page)
                }
                (Err(error), _) | (_, Err(error)) => Fault::from(error).show(&frame),
            }
        }
        Err(error) => Fault::from(error).show(&frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site_after_sign_in() {
        assert_eq!(own_path("/console/alerts/a?x=1#e1"), "/console/alerts/a?x=1#e1");
        assert_eq!(own_path("/exercise"), "/exercise");
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/console//evil",
            "/\\evil",
            "javascript:1",
            "/console\\@evil",
            "",
        ] {
            assert_eq!(own_path(bad), "/console", "{bad}");
        }
    }
}
