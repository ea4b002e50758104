//! For programs: bureaus submit, officers' tools decide, machines watch.

mod alerts;
mod answer;
mod chains;
mod metrics;
mod officers;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};

use self::officers::Recall;
use super::site::Site;

/// The description of the API, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/api/v1/alerts", get(alerts::list).post(alerts::submit))
        .route("/api/v1/alerts/{id}", get(alerts::one))
        .route("/api/v1/alerts/{id}/states", get(alerts::states))
        .route("/api/v1/alerts/{id}/stop", post(|s, h, p, w, b| officers::recall(Recall::Stop, s, h, p, w, b)))
        .route("/api/v1/alerts/{id}/resume", post(|s, h, p, w, b| officers::recall(Recall::Resume, s, h, p, w, b)))
        .route("/api/v1/alerts/{id}/correct", post(|s, h, p, w, b| officers::recall(Recall::Correct, s, h, p, w, b)))
        .route("/api/v1/chains/{id}", get(chains::one))
        .route("/api/v1/queue", get(officers::queue))
        .route("/api/v1/escalations/{id}/{act}", post(officers::act))
        .route("/api/v1/openapi.json", get(|| async { ([(CONTENT_TYPE, "application/json")], OPENAPI) }))
        .route("/healthz", get(metrics::health))
        .route("/metrics", get(metrics::metrics))
}
