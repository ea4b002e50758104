//! Receivers over HTTP: an SMS gateway (Kannel's `sendsms` and a JSON one) and a push service.

use std::io;

use tokio::net::TcpStream;

use crate::http::{Request, Response, serve};
use crate::{Fault, Sink, Tally, listen};

const ACCEPTED_TEXT: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 25\r\n\r\n0: Accepted for delivery\n";
const ACCEPTED_JSON: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n{\"status\":\"accepted\"}";
const CREATED: &str = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
const BAD: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
const TOO_FAST: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
const LATER: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";

/// Starts an SMS gateway: `GET /cgi-bin/sendsms` and `POST /sms`. Messages are keyed by Idempotency-Key, else by target.
///
/// # Errors
/// When no port can be had.
pub async fn start_sms(tally: Tally) -> io::Result<Sink> {
    listen(0, tally, |socket, tally| answer(socket, tally, sms)).await
}

/// Starts a push service: `POST /push/ID`. Messages are keyed by target.
///
/// # Errors
/// When no port can be had.
pub async fn start_push(tally: Tally) -> io::Result<Sink> {
    listen(0, tally, |socket, tally| answer(socket, tally, push)).await
}

type Judge = fn(&Request<'_>) -> Result<&'static str, &'static str>;

async fn answer(socket: TcpStream, tally: Tally, judge: Judge) -> io::Result<()> {
    serve(socket, |request| respond(request, &tally, judge)).await
}

fn respond(request: &Request<'_>, tally: &Tally, judge: Judge) -> Response {
    let taken = match judge(request) {
        Ok(taken) => taken,
        Err(bad) => return Some(bad),
    };
    match tally.fault() {
        Some(Fault::Throttle) => return Some(TOO_FAST),
        Some(Fault::Later) => return Some(LATER),
        Some(Fault::Gone) => return Some(GONE),
        Some(Fault::Silence) => return None,
        None => {}
    }
    let key = if tally.wants_keys() { request.header("idempotency-key").unwrap_or(request.target) } else { "" };
    tally.take(key, request.body);
    Some(taken)
}

fn sms(request: &Request<'_>) -> Result<&'static str, &'static str> {
    match request.method {
        "GET" if request.target.starts_with("/cgi-bin/sendsms?") => Ok(ACCEPTED_TEXT),
        "POST" if request.target == "/sms" && !request.body.is_empty() => Ok(ACCEPTED_JSON),
        _ => Err(BAD),
    }
}

/// RFC 8030 section 5: a push without TTL is refused; the body is one encrypted record.
fn push(request: &Request<'_>) -> Result<&'static str, &'static str> {
    let right = request.method == "POST"
        && request.target.starts_with("/push/")
        && request.header("ttl").is_some()
        && request.header("content-encoding") == Some("aes128gcm")
        && request.header("authorization").is_some_and(|value| value.starts_with("vapid t="))
        && (103..=4_096).contains(&request.body.len());
    if right { Ok(CREATED) } else { Err(BAD) }
}
