//! Answers for machines, and who may ask.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::BureauConfig;
use crate::intake::Refusal;
use crate::store::StoreError;
use crate::web::listen::ClientCertificate;
use crate::web::site::Site;

/// An answer that says why not: a stable code, and a sentence in both languages.
pub(super) fn problem(status: StatusCode, code: &str, zh: &str, en: &str) -> Response {
    (status, Json(json!({"code": code, "zh": zh, "en": en}))).into_response()
}

/// Why a request is not answered as asked.
pub(super) enum Problem {
    Unauthorised,
    /// It takes an officer's token that may do this.
    NotAnOfficer(&'static str),
    /// Too many wrong tokens of one address.
    Guessing(Duration),
    /// More alerts than the bureau may send.
    TooMany(Duration),
    NotFound,
    BadRequest(String),
    /// The body has more bytes than this.
    TooLarge(usize),
    Refused(Box<Refusal>),
    Store(StoreError),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthorised => unauthorised(
                "令牌无效或缺失：此处需要发布单位的令牌，由运维以 tocsin token 生成",
                "the bearer token is missing or not known: this takes a bureau's token, which the operator makes by `tocsin token`",
            ),
            Self::NotAnOfficer(scope) => unauthorised(
                &format!(
                    "令牌无效或缺失：此处需要值班员的令牌（可 {scope}），不是发布单位的；在控制台自己的页面“程序令牌”处申请，由另一位管理员同意"
                ),
                &format!(
                    "the bearer token is missing or not known: this takes an officer's token that may {scope}, not a bureau's; \
                     ask for it in the console, under your name, at \"Tokens for programs\"; a second administrator agrees to it"
                ),
            ),
            Self::NotFound => problem(StatusCode::NOT_FOUND, "T5002", "没有这条预警", "there is no such alert"),
            Self::BadRequest(what) => problem(
                StatusCode::BAD_REQUEST,
                "T5003",
                &format!("请求有误：{what}"),
                &format!("the request is wrong: {what}"),
            ),
            Self::TooLarge(most) => problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "T5004",
                &format!("内容超过 {most} 字节，未收下"),
                &format!("the body is larger than {most} bytes and was not taken"),
            ),
            Self::Guessing(wait) => later(
                wait,
                "T5012",
                "无效令牌过多，请稍后再试",
                "too many wrong tokens from your address; try again later",
            ),
            Self::TooMany(wait) => later(
                wait,
                "T5011",
                "超过贵单位每分钟可发送的预警数，预警未收下，请稍后重发",
                "more alerts a minute than you may send; this one was not taken: send it again later",
            ),
            Self::Refused(refusal) => {
                let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                (status, Json(&refusal)).into_response()
            }
            Self::Store(error) => {
                tracing::error!(%error, "a request could not be answered");
                problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "T5005",
                    "存储暂不可用，请稍后再试",
                    "the store does not answer; try again later",
                )
            }
        }
    }
}

/// 401, with whose token it takes.
fn unauthorised(zh: &str, en: &str) -> Response {
    let mut answer = problem(StatusCode::UNAUTHORIZED, "T5001", zh, en);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

/// The token that a request carries.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

/// 429, with the seconds to wait.
fn later(wait: Duration, code: &str, zh: &str, en: &str) -> Response {
    let mut answer = problem(StatusCode::TOO_MANY_REQUESTS, code, zh, en);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    answer
}

/// The bureau that asks: by its client certificate, else by its token.
pub(super) struct Caller(pub(super) BureauConfig);

impl FromRequestParts<Site> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let policy = site.app.policy.load();
        let certificate = parts.extensions.get::<ClientCertificate>();
        let by_certificate = certificate.and_then(|shown| policy.bureau_of_certificate(&shown.0));
        let by_token = || bearer(&parts.headers).and_then(|token| policy.bureau(token));
        if let Some(known) = by_certificate.or_else(by_token) {
            return Ok(Self(known.clone()));
        }
        match parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|from| site.limits.guess(from.ip())) {
            Some(Err(wait)) => Err(Problem::Guessing(wait)),
            _ => Err(Problem::Unauthorised),
        }
    }
}
