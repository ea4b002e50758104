//! The HTTP server: the API for bureaus and machines, the officers' console, and the page that ends a subscription.

mod api;
mod assets;
mod console;
mod leave;
mod page;
mod portal;
mod security;
mod session;
mod sign_in;
mod site;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

pub use api::OPENAPI;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio_util::sync::CancellationToken;

use self::site::Site;
use crate::app::App;
use crate::cap;

/// All routes. What streams ends when told to stop.
pub fn router(app: Arc<App>, stop: CancellationToken) -> Router {
    let site = Site::new(app, stop);
    Router::new()
        .merge(api::router())
        .merge(console::router())
        .merge(portal::router())
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/stay", post(sign_in::stay))
        .route("/invitation/{token}", get(sign_in::invitation).post(sign_in::accept))
        .route("/assets/{*path}", get(assets::asset))
        .route("/leave/{token}", get(leave::ask).post(leave::leave))
        .layer(DefaultBodyLimit::max(cap::MAX_BYTES))
        .layer(middleware::from_fn(security::headers))
        .with_state(site)
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
    let service = router(app, stop.clone()).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}
