//! The HTTP server: the API for bureaus and machines, health and metrics, and the page that ends a subscription.

mod alerts;
mod answer;
mod leave;
mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::cap;

/// The description of the API, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/v1/alerts", get(alerts::list).post(alerts::submit))
        .route("/api/v1/alerts/{id}", get(alerts::one))
        .route("/api/v1/alerts/{id}/states", get(alerts::states))
        .route("/api/v1/openapi.json", get(|| async { ([(CONTENT_TYPE, "application/json")], OPENAPI) }))
        .route("/healthz", get(metrics::health))
        .route("/metrics", get(metrics::metrics))
        .route("/leave/{token}", get(leave::ask).post(leave::leave))
        .layer(DefaultBodyLimit::max(cap::MAX_BYTES))
        .with_state(app)
}

/// Serves until told to stop; requests in flight are answered. Says where it listens through `ready`.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    app: Arc<App>,
    listen: SocketAddr,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    ready(listener.local_addr()?);
    axum::serve(listener, router(app)).with_graceful_shutdown(stop.cancelled_owned()).await
}
