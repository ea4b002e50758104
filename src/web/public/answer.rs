//! Answers that are made once and handed out many times.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDateTime, SubsecRound as _, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::outlet::Shown;
use crate::publish::BadParameter;
use crate::store::StoreError;
use crate::web::site::Site;

/// Answers kept at once, and their bytes: strange questions must not fill the memory.
const KEPT: usize = 1_000;
const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// Shorter ones are not worth packing.
const WORTH_PACKING: usize = 1_024;

/// As HTTP writes a time (RFC 9110 section 5.6.7).
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// What a path says.
pub(super) struct Doc {
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
    /// When what it tells of last changed.
    pub(super) updated: DateTime<Utc>,
}

impl Doc {
    pub(super) fn new(kind: &'static str, body: impl Into<Vec<u8>>, shown: &Shown) -> Self {
        Self { kind, body: body.into(), updated: shown.board.updated }
    }
}

struct Rendered {
    kind: &'static str,
    body: Bytes,
    packed: Option<Bytes>,
    tag: String,
    updated: DateTime<Utc>,
}

/// What was answered since the board last changed.
#[derive(Default)]
pub(in crate::web) struct Answers {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    serial: u64,
    bytes: usize,
    all: HashMap<String, Arc<Rendered>>,
}

impl Answers {
    fn get(&self, serial: u64, key: &str) -> Option<Arc<Rendered>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.serial == serial { kept.all.get(key).cloned() } else { None }
    }

    fn keep(&self, serial: u64, key: String, rendered: &Arc<Rendered>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.serial != serial {
            *kept = Kept { serial, ..Kept::default() };
        }
        let bytes = key.len() + rendered.body.len() + rendered.packed.as_ref().map_or(0, Bytes::len);
        if kept.all.len() < KEPT && kept.bytes + bytes <= KEPT_BYTES {
            kept.bytes += bytes;
            kept.all.insert(key, Arc::clone(rendered));
        }
    }
}

/// Answers from memory, or makes the answer to this question. `key` holds everything that the answer depends on beside the board.
pub(super) async fn answer<F, Fut>(site: &Site, headers: &HeaderMap, key: String, make: F) -> Response
where
    F: FnOnce(Arc<Shown>) -> Fut,
    Fut: Future<Output = Result<Doc, Problem>>,
{
    let shown = site.app.press.shown();
    let serial = shown.serial;
    let rendered = match site.answers.get(serial, &key) {
        Some(rendered) => rendered,
        None => match make(shown).await {
            Ok(doc) => {
                let rendered = Arc::new(render(doc));
                site.answers.keep(serial, key, &rendered);
                rendered
            }
            Err(problem) => return problem.into_response(),
        },
    };
    respond(&rendered, headers, site.app.clock.now())
}

fn render(doc: Doc) -> Rendered {
    let digest = crate::hex(ring::digest::digest(&ring::digest::SHA256, &doc.body).as_ref());
    Rendered {
        kind: doc.kind,
        packed: pack(&doc.body),
        // Weak: the packed form has the same one.
        tag: format!("W/\"{}\"", digest.get(..24).unwrap_or_default()),
        updated: doc.updated.trunc_subsecs(0),
        body: doc.body.into(),
    }
}

pub(in crate::web) fn pack(body: &[u8]) -> Option<Bytes> {
    if body.len() < WORTH_PACKING {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn respond(rendered: &Rendered, headers: &HeaderMap, now: DateTime<Utc>) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // A second in which much changed may end in dates that lie ahead: until then, the tag alone tells what is new.
    let dated = rendered.updated <= now;
    let since = text(header::IF_MODIFIED_SINCE).filter(|_| dated);
    let mut answer = if unchanged(rendered, text(header::IF_NONE_MATCH), since) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let packed = rendered.packed.as_ref().filter(|_| takes_gzip(text(header::ACCEPT_ENCODING).unwrap_or_default()));
        let mut answer = packed.unwrap_or(&rendered.body).clone().into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.kind));
        if packed.is_some() {
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    };
    let all = answer.headers_mut();
    let updated = dated.then(|| rendered.updated.format(HTTP_DATE).to_string());
    for (name, value) in [(header::ETAG, Some(rendered.tag.clone())), (header::LAST_MODIFIED, updated)] {
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_str(&value)) {
            all.insert(name, value);
        }
    }
    all.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=30"));
    all.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding, Accept-Language"));
    all.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer
}

/// RFC 9110 section 13.1: a tag that is asked about counts before a date.
fn unchanged(rendered: &Rendered, tags: Option<&str>, since: Option<&str>) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    match (tags, since) {
        (Some(tags), _) => tags.split(',').any(|tag| tag.trim() == "*" || plain(tag) == plain(&rendered.tag)),
        // Each thing that was shown has a second of its own (the press sees to it), so nothing is newer than its date.
        (None, Some(since)) => NaiveDateTime::parse_from_str(since.trim(), HTTP_DATE)
            .is_ok_and(|since| rendered.updated <= since.and_utc()),
        _ => false,
    }
}

pub(in crate::web) fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let gzip = matches!(parts.next(), Some("gzip" | "x-gzip" | "*"));
        gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Problem {
    Parameter(BadParameter),
    Unknown(&'static str, &'static str),
    Store(StoreError),
}

impl From<BadParameter> for Problem {
    fn from(error: BadParameter) -> Self {
        Self::Parameter(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Problem {
    /// RFC 9457, with our stable code and a sentence in both languages.
    fn into_response(self) -> Response {
        let (status, code, zh, en) = match self {
            Self::Parameter(error) => {
                let why = error.why.split_once(" / ");
                let (en, zh) = why.unwrap_or((&error.why, &error.why));
                let (zh, en) = (format!("参数 {}：{zh}", error.name), format!("parameter {}: {en}", error.name));
                (StatusCode::BAD_REQUEST, "T7001", zh, en)
            }
            Self::Unknown(zh, en) => (StatusCode::NOT_FOUND, "T7002", zh.to_owned(), en.to_owned()),
            Self::Store(error) => {
                tracing::error!(%error, "a public question could not be answered");
                let text = ("存储暂不可用，请稍后再试", "the store does not answer; try again later");
                (StatusCode::SERVICE_UNAVAILABLE, "T5005", text.0.to_owned(), text.1.to_owned())
            }
        };
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": en, "code": code, "zh": zh, "en": en});
        let kind = [(header::CONTENT_TYPE, "application/problem+json"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
        (status, kind, body.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(updated: &str) -> Rendered {
        let (kind, body) = ("text/plain", b"x".to_vec());
        render(Doc { kind, body, updated: updated.parse().unwrap() })
    }

    #[test]
    fn a_date_that_is_not_older_than_ours_is_answered_as_unchanged() {
        let rendered = shown("2026-07-01T10:00:05.9Z");
        for (since, same) in [
            ("Wed, 01 Jul 2026 10:00:05 GMT", true),
            ("Wed, 01 Jul 2026 10:00:06 GMT", true),
            ("Thu, 02 Jul 2026 00:00:00 GMT", true),
            ("Wed, 01 Jul 2026 10:00:04 GMT", false),
            ("2026-07-01T10:00:05Z", false),
            ("yesterday", false),
            ("", false),
        ] {
            assert_eq!(unchanged(&rendered, None, Some(since)), same, "{since}");
        }
        assert!(!unchanged(&rendered, Some("\"other\""), Some("Thu, 02 Jul 2026 00:00:00 GMT")), "a tag counts first");
    }

    #[test]
    fn no_date_is_told_that_lies_ahead_and_none_is_believed_then() {
        let (rendered, mut headers) = (shown("2026-07-01T10:00:05Z"), HeaderMap::new());
        headers.insert(header::IF_MODIFIED_SINCE, HeaderValue::from_static("Wed, 01 Jul 2026 10:00:05 GMT"));
        let early = respond(&rendered, &headers, "2026-07-01T10:00:04.5Z".parse().unwrap());
        assert_eq!((early.status(), early.headers().get(header::LAST_MODIFIED)), (StatusCode::OK, None));
        let then = respond(&rendered, &headers, "2026-07-01T10:00:05Z".parse().unwrap());
        assert_eq!(then.status(), StatusCode::NOT_MODIFIED);
        assert!(then.headers().contains_key(header::LAST_MODIFIED) && then.headers().contains_key(header::ETAG));
    }
}
