//! The HTTP server: the API for bureaus and machines, the officers' console, and the page that ends a subscription.

mod api;
mod app;
mod assets;
mod body;
mod console;
mod ground;
mod leave;
mod limits;
mod listen;
mod oidc;
mod pace;
mod page;
#[cfg(feature = "passkeys")]
mod passkeys;
mod portal;
mod proxies;
mod public;
mod qr;
mod security;
mod session;
mod sign_in;
mod site;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

pub use crate::tongues::{LanguageError, load_languages};
pub use api::OPENAPI;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
pub use listen::ListenError;
use tokio_util::sync::CancellationToken;

use self::site::Site;
use crate::app::App;
use crate::cap;
use crate::config::ServerConfig;

/// All routes. What streams ends when told to stop.
pub fn router(app: Arc<App>, stop: CancellationToken) -> Router {
    let secure = app.secure;
    let site = Site::new(app, stop);
    let router = Router::new();
    #[cfg(feature = "passkeys")]
    let router = router.merge(passkeys::router());
    router
        .merge(api::router())
        .merge(console::router())
        .merge(public::router())
        .merge(portal::router())
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-in/organisation", get(oidc::go))
        .route("/sign-in/organisation/again", get(oidc::again))
        .route("/sign-in/organisation/back", get(oidc::back))
        .route("/sign-out/everywhere", post(sign_in::sign_out_everywhere))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/stay", post(sign_in::stay))
        .route("/invitation/{token}", get(sign_in::invitation).post(sign_in::accept))
        .route("/assets/{*path}", get(assets::asset))
        .route("/sw.js", get(app::worker))
        .route("/manifest.webmanifest", get(app::manifest))
        .route("/regions.geojson", get(ground::counties))
        .route("/leave/{token}", get(leave::ask).post(leave::leave))
        .fallback(public::nowhere)
        .layer(DefaultBodyLimit::max(cap::MAX_BYTES))
        .layer(middleware::from_fn_with_state(secure, security::headers))
        .with_state(site)
}

/// Serves until told to stop; requests in flight are answered. Says where it listens through `ready`.
///
/// # Errors
/// When the address cannot be listened on, or a file of TLS cannot be read.
pub async fn serve(
    app: Arc<App>,
    server: &ServerConfig,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ListenError> {
    let tls = server.tls.as_ref().map(listen::acceptor).transpose()?;
    server.languages.as_deref().map(load_languages).transpose()?;
    let proxies = proxies::Proxies::new(&server.proxies).map_err(ListenError::Proxy)?;
    let cannot = |why| ListenError::Address { at: server.listen, why };
    let listener = tokio::net::TcpListener::bind(server.listen).await.map_err(cannot)?;
    ready(listener.local_addr().map_err(cannot)?);
    let door = listen::Door { tls, connections: server.connections, proxies };
    listen::accept(listener, door, router(app, stop.clone()), stop).await;
    Ok(())
}
