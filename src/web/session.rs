//! Who asks, and whether the form is really theirs.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::page::{Fault, Frame, notice};
use super::site::Site;
use super::words::Words;
use crate::delivery::constant_time_equal;
use crate::messages::Language;
use crate::staff::{Session, SignInError};

/// The session's cookie.
pub(super) const SESSION: &str = "tocsin";
/// The largest form.
const FORM: usize = 2 * 1024 * 1024;
/// The largest draft: its outlines may have as many corners as are read, with more decimals than anyone needs.
const DRAFT: usize = 4 * 1024 * 1024;

/// A form from another site.
pub(super) const FOREIGN: (&str, &str) = ("T6102", "请求来自其他网站，已拒绝 / the request comes from another site");
/// A form of another session.
pub(super) const STALE: (&str, &str) = ("T6103", "表单已失效，请刷新页面 / the form is stale; reload the page");

/// A cookie's full name. Behind HTTPS no other host and no plain connection can set one of this prefix.
fn cookie_name(site: &Site, name: &str) -> String {
    format!("{}{name}", if site.app.secure { "__Host-" } else { "" })
}

/// The value of a cookie of ours.
pub(super) fn cookie<'a>(site: &Site, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    cookie_of(headers, &cookie_name(site, name))
}

fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Sets a cookie that no script reads. Lax, because officers come from links in mails and back from their organisation's sign-in;
/// whatever changes something is posted, and carries the session's token besides. It lasts until the browser is closed, or so many
/// seconds; none take it away.
pub(super) fn put_cookie(site: &Site, answer: &mut Response, name: &str, value: &str, seconds: Option<i64>) {
    let secure = if site.app.secure { "; Secure" } else { "" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", cookie_name(site, name));
    if let Ok(cookie) = text.parse() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// The language of officers' pages that somebody who is not signed in wants.
pub(super) fn wanted_language(headers: &HeaderMap) -> Language {
    Words::wanted(headers).language
}

/// Somebody who is signed in.
pub(super) struct SignedIn(pub(super) Session);

impl FromRequestParts<Site> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        let language = wanted_language(&parts.headers);
        // What the page asks for by itself does not keep a session alive.
        let active = !parts.headers.contains_key("x-by-itself") && !parts.uri.path().ends_with("/events");
        let session = match cookie(site, &parts.headers, SESSION) {
            Some(token) => site.app.staff.session(token, active).await,
            None => Ok(None),
        };
        match session {
            Ok(Some(session)) => Ok(Self(session)),
            Ok(None) if parts.method == axum::http::Method::GET => {
                let next = parts.uri.path_and_query().map_or("/console", |path| path.as_str());
                let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                Err(Redirect::to(&format!("/sign-in?next={next}")).into_response())
            }
            Ok(None) => Err(Fault::from(SignInError::Over).show(&Frame::nobody(language))),
            Err(error) => {
                tracing::error!(%error, "sessions cannot be read");
                let why = ("T5005", "存储暂不可用，请稍后再试 / the store does not answer; try again later");
                Err(notice(StatusCode::SERVICE_UNAVAILABLE, &Frame::nobody(language), why))
            }
        }
    }
}

/// What a form holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// A field's value; empty where it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// Every value of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }
}

/// A form of somebody who is signed in: it carries the session's own token, and comes from our pages.
pub(super) struct Posted {
    pub(super) session: Session,
    pub(super) fields: Fields,
}

impl FromRequest<Site> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let SignedIn(session) = SignedIn::from_request_parts(&mut parts, site).await?;
        let frame = Frame::nobody(session.officer.language);
        let refuse = |status, why: (&'static str, &'static str)| notice(status, &frame, why);
        if !same_origin(&parts.headers) {
            return Err(refuse(StatusCode::FORBIDDEN, FOREIGN));
        }
        let most = if parts.uri.path().contains("/compose/") { DRAFT } else { FORM };
        let Ok(bytes) = super::body::read(body, most).await else {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, ("T5004", "内容过大 / the form is too large")));
        };
        let fields = Fields::parse(&bytes);
        if !constant_time_equal(fields.get("csrf").as_bytes(), session.csrf.as_bytes()) {
            return Err(refuse(StatusCode::FORBIDDEN, STALE));
        }
        Ok(Self { session, fields })
    }
}

/// Whether a browser says that the request comes from our own pages. A program that says nothing has no cookie to steal.
pub(super) fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, rest)| rest == host),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_site_cannot_post_here() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "same-site")])));
        assert!(same_origin(&headers(&[("origin", "https://a.example"), ("host", "a.example")])));
        assert!(!same_origin(&headers(&[("origin", "https://b.example"), ("host", "a.example")])));
        assert!(!same_origin(&headers(&[("origin", "null"), ("host", "a.example")])));
        let jar = headers(&[("cookie", "a=1; tocsin=abc; b=2")]);
        assert_eq!(cookie_of(&jar, "tocsin"), Some("abc"));
        assert_eq!(cookie_of(&jar, "toc"), None);
    }
}
