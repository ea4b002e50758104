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

/// How long an answer's Retry-After asks to wait.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    pause_of(response.headers().get("retry-after")?.to_str().ok()?, SystemTime::now())
}

/// Retry-After, seconds or a date (RFC 9110 section 10.2.3), as a pause from now on. A date that is over asks for none; nobody asks
/// for more than an hour.
pub fn pause_of(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let pause = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number beyond all numbers is still a wish.
        true if !text.is_empty() => Duration::from_secs(text.parse().unwrap_or(u64::MAX)),
        _ => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(Duration::from_secs(3_600)))
}

/// Seconds until then, at least one.
pub(crate) fn seconds_until(expires: SystemTime) -> u64 {
    expires.duration_since(SystemTime::now()).map_or(1, |left| left.as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_as_seconds_and_in_every_form_of_date_that_http_allows() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:30 GMT").unwrap();
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(3_600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
            ("Sun Nov  6 08:49:37 1994", Some(7)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(3_600)),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 25:00:00 GMT", None),
        ] {
            assert_eq!(pause_of(text, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
