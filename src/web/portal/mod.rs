//! Pages of residents: sign up in a minute, see and change what is theirs, leave. They work without script, on a small screen.

mod browser;
mod form;
mod inbound;
mod me;
mod sign_up;

use std::net::SocketAddr;

use askama::Template;
use axum::Router;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::page::page_with;
use super::session::{FOREIGN, Fields, STALE, cookie, put_cookie, same_origin};
use super::site::Site;
use super::words::Words;
use crate::delivery::constant_time_equal;
use crate::residents::{ResidentError, ResidentSession};

/// The resident's cookie.
const COOKIE: &str = "tocsin_me";
/// It lasts so long, seconds.
const AGE: i64 = 1_800;
/// What a browser keeps of the addresses that it has proved, so that strangers who ask again and again shut nobody out.
const MARKED: &str = "tocsin_own";
/// As long as browsers keep any.
const MARKED_AGE: i64 = 400 * 86_400;
/// The largest form.
const FORM: usize = 64 * 1024;

pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/sign-up", get(sign_up::show).post(sign_up::ask))
        .route("/sign-up/code", post(sign_up::code))
        .route("/sign-up/confirm/{link}", get(sign_up::link).post(sign_up::confirm))
        .route("/sign-up/never/{token}", get(sign_up::ask_never).post(sign_up::never))
        .route("/app", get(browser::show))
        .route("/app/receipt", post(browser::receipt))
        .route("/app/subscription", post(browser::moved))
        .route("/app/alive", post(browser::lives))
        .route("/app/leave", post(browser::leave))
        .route("/me/browser", post(browser::own))
        .route("/me", get(me::show))
        .route("/me/places", post(me::places))
        .route("/me/pause", post(me::pause))
        .route("/me/test", post(me::test))
        .route("/me/address", post(me::add_address))
        .route("/me/address/remove", post(me::remove_address))
        .route("/me/export", post(me::export))
        .route("/me/delete", post(me::delete))
        .route("/me/sign-out", post(me::sign_out))
        .route("/inbound/sms/{secret}", get(inbound::kannel).post(inbound::json))
}

#[derive(Template)]
#[template(path = "portal_notice.html")]
struct Notice<'a> {
    t: Words,
    code: &'a str,
    text: &'a str,
}

/// A page that says why not, in the reader's language.
fn notice(status: StatusCode, t: Words, (code, text): (&str, &str)) -> Response {
    page_with(status, &Notice { t, code, text: t.both(text) })
}

/// A wish that could not be followed, as a page.
fn refused(error: &ResidentError, t: Words) -> Response {
    let (status, code) = match error {
        ResidentError::Busy => (StatusCode::TOO_MANY_REQUESTS, "T6201"),
        ResidentError::Work => (StatusCode::TOO_MANY_REQUESTS, "T6202"),
        ResidentError::Proof => (StatusCode::FORBIDDEN, "T6203"),
        ResidentError::Gone => (StatusCode::GONE, "T6206"),
        ResidentError::Endpoint => (StatusCode::UNPROCESSABLE_ENTITY, "T6221"),
        ResidentError::Channel => (StatusCode::UNPROCESSABLE_ENTITY, "T6204"),
        ResidentError::Input(_) => (StatusCode::UNPROCESSABLE_ENTITY, "T6205"),
        ResidentError::Store(_) | ResidentError::Secret(_) => {
            tracing::error!(%error, "a resident's wish could not be followed");
            let why = ("T5005", "暂时无法处理，请稍后再试 / not possible just now; please try again later");
            return notice(StatusCode::SERVICE_UNAVAILABLE, t, why);
        }
    };
    notice(status, t, (code, &error.to_string()))
}

/// A page that may ask the browser where it is.
fn located(mut answer: Response) -> Response {
    let here = HeaderValue::from_static("camera=(), microphone=(), geolocation=(self)");
    answer.headers_mut().insert("permissions-policy", here);
    answer
}

/// The header that sets the cookie; an empty token takes it away.
fn set_cookie(site: &Site, token: &str, mut answer: Response) -> Response {
    let seconds = if token.is_empty() { 0 } else { AGE };
    put_cookie(site, &mut answer, COOKIE, token, Some(seconds));
    answer
}

/// The language that a page is asked for in: by `?lang=`, else as the browser wants.
fn language(headers: &HeaderMap, wish: &str) -> Words {
    Words::of_tag(wish).unwrap_or_else(|| Words::wanted(headers))
}

/// A form that comes from our own pages, by somebody who need not be known.
struct Form {
    from: SocketAddr,
    t: Words,
    fields: Fields,
    /// See [`MARKED`].
    marks: String,
}

impl FromRequest<Site> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let wanted = Words::wanted(&parts.headers);
        if !same_origin(&parts.headers) {
            return Err(notice(StatusCode::FORBIDDEN, wanted, FOREIGN));
        }
        let Ok(ConnectInfo(from)) = ConnectInfo::<SocketAddr>::from_request_parts(&mut parts, site).await else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let Ok(bytes) = axum::body::to_bytes(body, FORM).await else {
            return Err(notice(StatusCode::PAYLOAD_TOO_LARGE, wanted, ("T5004", "内容过大 / the form is too large")));
        };
        let fields = Fields::parse(&bytes);
        let t = Words::of_tag(fields.get("lang")).unwrap_or(wanted);
        let marks = cookie(site, &parts.headers, MARKED).unwrap_or_default().to_owned();
        Ok(Self { from, t, fields, marks })
    }
}

/// A resident who is signed in.
struct Resident(ResidentSession);

impl FromRequestParts<Site> for Resident {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        let found = match cookie(site, &parts.headers, COOKIE) {
            Some(token) => site.app.residents.session(token).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(session)) => Ok(Self(session)),
            Ok(None) => Err(Redirect::to("/sign-up").into_response()),
            Err(error) => Err(refused(&error, Words::wanted(&parts.headers))),
        }
    }
}

/// A form of a resident who is signed in: it carries the session's own token.
struct Own {
    session: ResidentSession,
    form: Form,
}

impl FromRequest<Site> for Own {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let Resident(session) = Resident::from_request_parts(&mut parts, site).await?;
        let form = Form::from_request(Request::from_parts(parts, body), site).await?;
        if !constant_time_equal(form.fields.get("csrf").as_bytes(), session.csrf.as_bytes()) {
            return Err(notice(StatusCode::FORBIDDEN, form.t, STALE));
        }
        Ok(Self { session, form })
    }
}
