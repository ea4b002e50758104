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

use super::pace::{self, Paced, Seats};
use super::proxies::Proxies;
use crate::config::TlsConfig;
use crate::tongues::LanguageError;

/// A handshake, and the head of a request, take no longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Requests in flight are given so long when the program stops.
const FAREWELL: Duration = Duration::from_secs(10);
/// When no connection can be accepted (no file handles, say), the next try waits so long.
const PAUSE: Duration = Duration::from_secs(1);

/// The client certificate of a connection, whose issuer was verified: its SHA-256 in hex.
#[derive(Clone)]
pub(super) struct ClientCertificate(pub(super) Arc<str>);

/// Why the door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address.
    #[error("cannot listen at {at}: {why}")]
    Address {
        /// Where.
        at: std::net::SocketAddr,
        /// Why not.
        why: std::io::Error,
    },
    /// An entry of `proxies`.
    #[error("server.proxies: `{0}` is no address and no network: write 10.0.0.1 or 10.0.0.0/8")]
    Proxy(String),
    /// A language of the pages.
    #[error(transparent)]
    Language(#[from] LanguageError),
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

/// What stands at the door.
#[derive(Clone)]
pub(super) struct Door {
    /// TLS; plain HTTP without it.
    pub(super) tls: Option<TlsAcceptor>,
    /// Connections at once.
    pub(super) connections: usize,
    /// Who is believed about where requests come from.
    pub(super) proxies: Proxies,
}

/// Accepts until told to stop; requests in flight are answered.
pub(super) async fn accept(listener: TcpListener, door: Door, router: Router, stop: CancellationToken) {
    let connections = door.connections;
    let stops = Stops { gently: stop.clone(), at_once: CancellationToken::new() };
    let addresses = Arc::<Seats>::default();
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
                // A proxy carries everybody.
                let share = if door.proxies.hold(from.ip()) {
                    Some(None)
                } else {
                    addresses.take(from.ip(), connections).map(Some)
                };
                let Some(own) = share else {
                    tracing::debug!(%from, "an address has its share of the connections");
                    continue;
                };
                let (door, router, stops) = (door.clone(), router.clone(), stops.clone());
                tasks.spawn(async move {
                    greet(stream, from, door, router, stops).await;
                    drop((seat, own));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tasks.close();
    if tokio::time::timeout(FAREWELL, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections that did not end by themselves are cut off");
        stops.at_once.cancel();
        tasks.wait().await;
    }
}

/// How a connection is told to end.
#[derive(Clone)]
struct Stops {
    gently: CancellationToken,
    at_once: CancellationToken,
}

async fn greet(stream: TcpStream, from: SocketAddr, door: Door, router: Router, stops: Stops) {
    // Answers are small, and nobody shall wait for a second one.
    let _ = stream.set_nodelay(true);
    let stream = Paced::new(stream, pace::UNREAD);
    let origin = Origin { from, proxies: door.proxies };
    let Some(tls) = door.tls else { return serve(stream, origin, None, router, stops).await };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let certificate = leaf.map(|leaf| {
                let digest = ring::digest::digest(&ring::digest::SHA256, leaf);
                ClientCertificate(crate::hex(digest.as_ref()).into())
            });
            serve(stream, origin, certificate, router, stops).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %from, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%from, "a TLS handshake took too long"),
    }
}

/// Where a connection comes from, and who is believed about where its requests do.
struct Origin {
    from: SocketAddr,
    proxies: Proxies,
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    Origin { from, proxies }: Origin,
    certificate: Option<ClientCertificate>,
    router: Router,
    stops: Stops,
) {
    let inner = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| pace::timely(Body::new(body), pace::UNSENT));
        let origin = proxies.origin(from, request.headers());
        request.extensions_mut().insert(ConnectInfo(origin));
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
    let gentle = async {
        tokio::select! {
            done = connection.as_mut() => done,
            () = stops.gently.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    let done = tokio::select! {
        done = gentle => done,
        () = stops.at_once.cancelled() => return,
    };
    if let Err(error) = done {
        tracing::debug!(%error, %from, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn stops() -> Stops {
        Stops { gently: CancellationToken::new(), at_once: CancellationToken::new() }
    }

    #[tokio::test]
    async fn a_body_that_stops_coming_is_given_up_and_one_that_comes_is_read() {
        let patience = Duration::from_millis(200);
        let mut dribble = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        dribble = pace::timely(dribble, patience);
        assert!(timeout(SOON, axum::body::to_bytes(dribble, 100)).await.unwrap().is_err());
        let whole = pace::timely(Body::from("abc"), patience);
        assert_eq!(axum::body::to_bytes(whole, 100).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let router = Router::new().route("/", get(|| async { vec![0_u8; 1 << 20] }));
        let (mut client, server) = duplex(1_024);
        let from = SocketAddr::from(([192, 0, 2, 1], 1));
        let server = Paced::new(server, Duration::from_millis(200));
        let origin = Origin { from, proxies: Proxies::new(&[]).unwrap() };
        let serving = tokio::spawn(serve(server, origin, None, router, stops()));
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        timeout(SOON, serving).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn stopping_waits_for_nobody_for_ever() {
        let router = Router::new().route("/", post(|_: Bytes| async { "never" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let door = Door { tls: None, connections: 16, proxies: Proxies::new(&[]).unwrap() };
        let accepting = tokio::spawn(accept(listener, door, router, stop.clone()));
        let mut slow = TcpStream::connect(at).await.unwrap();
        slow.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\nab")
            .await
            .unwrap();
        let mut began = [0; 12];
        // "100 Continue": the request is being read.
        slow.read_exact(&mut began).await.unwrap();
        stop.cancel();
        timeout(SOON, accepting).await.unwrap().unwrap();
    }
}
