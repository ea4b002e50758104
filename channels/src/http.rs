//! What the channels over HTTP share: a client without surprises, bodies read to a limit, and errors told apart by whether
//! anything left us.

use std::error::Error as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::{Client, ClientBuilder, Response};

use crate::{Answer, Class};

/// An answer's body is read no further than this.
const MAX_BODY: usize = 64 * 1024;

/// A client that follows no redirects and adds no headers of its own.
pub(crate) fn builder(connect: Duration, whole: Duration, ca_file: Option<&Path>) -> Result<ClientBuilder, String> {
    let mut tls = (*crate::tls::client_config(ca_file)?).clone();
    // Some push services speak HTTP/2 only.
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(connect)
        .timeout(whole)
        .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION"))))
}

/// What a request that failed means.
pub(crate) fn failure(error: &reqwest::Error) -> Answer {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    // Before a connection stands, nothing left us; after, the request may have been taken.
    let class = if error.is_connect() || error.is_builder() { Class::Transient } else { Class::Ambiguous };
    Answer::new(class, text)
}

/// The body, as far as the limit.
pub(crate) async fn body(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_BODY - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() >= MAX_BODY {
            break;
        }
    }
    Ok(body)
}

/// Retry-After in seconds (RFC 9110 section 10.2.3; the form with a date is not read).
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u64 = response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3_600)))
}

/// Seconds until then, at least one.
pub(crate) fn seconds_until(expires: SystemTime) -> u64 {
    expires.duration_since(SystemTime::now()).map_or(1, |left| left.as_secs().max(1))
}
