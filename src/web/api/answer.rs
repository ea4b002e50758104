//! Answers for machines, and who may ask.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::config::BureauConfig;
use crate::intake::Refusal;
use crate::store::StoreError;

/// An answer that says why not: a stable code, and a sentence in both languages.
pub(super) fn problem(status: StatusCode, code: &str, zh: &str, en: &str) -> Response {
    (status, Json(json!({"code": code, "zh": zh, "en": en}))).into_response()
}

/// Why a request is not answered as asked.
pub(super) enum Problem {
    Unauthorised,
    NotFound,
    BadRequest(String),
    TooLarge,
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
            Self::Unauthorised => {
                let text = ("令牌无效或缺失", "the bearer token is missing or not known");
                let mut answer = problem(StatusCode::UNAUTHORIZED, "T5001", text.0, text.1);
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
                answer
            }
            Self::NotFound => problem(StatusCode::NOT_FOUND, "T5002", "没有这条预警", "there is no such alert"),
            Self::BadRequest(what) => problem(
                StatusCode::BAD_REQUEST,
                "T5003",
                &format!("请求有误：{what}"),
                &format!("the request is wrong: {what}"),
            ),
            Self::TooLarge => problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "T5004",
                "内容超过 4 MiB，未读取",
                "the body is larger than 4 MiB and was not read",
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

/// The token that a request carries.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

/// The bureau that asks.
pub(super) fn bureau(app: &App, headers: &HeaderMap) -> Result<BureauConfig, Problem> {
    let policy = app.policy.load();
    bearer(headers).and_then(|token| policy.bureau(token)).cloned().ok_or(Problem::Unauthorised)
}
