//! The door itself: TCP or TLS, so many connections at once, and nobody who dawdles over a handshake or a request's head.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::TlsConfig;

/// A handshake, and the head of a request, take no longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// When no connection can be accepted (no file handles, say), the next try waits so long.
const PAUSE: Duration = Duration::from_secs(1);

/// The client certificate of a connection, whose issuer was verified: its SHA-256 in hex.
#[derive(Clone)]
pub(super) struct ClientCertificate(pub(super) Arc<str>);

/// Why the door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address.
    #[error("cannot listen: {0}")]
    Address(#[from] std::io::Error),
    /// A file of `[server.tls]`.
    #[error("server.tls: {}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Reads what TLS needs.
pub(super) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, ListenError> {
    let bad = |path: &Path, why: String| ListenError::File { path: path.to_owned(), why };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, ListenError> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match read {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(bad(path, "it holds no certificate".into())),
            Err(error) => Err(bad(path, error.to_string())),
        }
    };
    let chain = certificates(&config.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|e| bad(&config.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(&config.certificate, e.to_string()))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root).map_err(|e| bad(path, e.to_string()))?;
            }
            // Residents' browsers have no certificate, and some bureaus a token.
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|e| bad(path, e.to_string()))?)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(|e| bad(&config.certificate, e.to_string()))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// Accepts until told to stop; requests in flight are answered.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: usize,
    router: Router,
    stop: CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(connections.max(1)));
    let tasks = TaskTracker::new();
    loop {
        let next = async {
            let seat = Arc::clone(&seats).acquire_owned().await.ok();
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, from)) => {
                let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
                tasks.spawn(async move {
                    greet(stream, from, tls, router, stop).await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn greet(stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>, router: Router, stop: CancellationToken) {
    // Answers are small, and nobody shall wait for a second one.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return serve(stream, from, None, router, stop).await };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let certificate = leaf.map(|leaf| {
                let digest = ring::digest::digest(&ring::digest::SHA256, leaf);
                ClientCertificate(crate::hex(digest.as_ref()).into())
            });
            serve(stream, from, certificate, router, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %from, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%from, "a TLS handshake took too long"),
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    from: SocketAddr,
    certificate: Option<ClientCertificate>,
    router: Router,
    stop: CancellationToken,
) {
    let inner = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let answer = inner.call(request);
        async move { answer.await.map_err(|never: Infallible| never) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service)
    );
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, %from, "a connection ended early");
    }
}
