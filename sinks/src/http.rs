//! As much of HTTP/1.1 as a keep-alive receiver needs.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_HEAD: usize = 16 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// A request's parts.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Request<'_> {
    /// A header's value; names in any capitals.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What is answered: a whole response, or nothing and the end of the connection.
pub(crate) type Response = Option<&'static str>;

/// Answers requests until the sender hangs up.
pub(crate) async fn serve(mut socket: TcpStream, mut answer: impl FnMut(&Request<'_>) -> Response) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(32 * 1024);
    loop {
        let mut out = Vec::new();
        let mut closing = false;
        while let Some((head, length)) = whole_request(&buffer)? {
            let body = buffer.get(head..head + length).unwrap_or_default();
            let head = std::str::from_utf8(buffer.get(..head).unwrap_or_default()).map_err(io::Error::other)?;
            let mut words = head.split([' ', '\r']);
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            match answer(&Request { method, target, head, body }) {
                Some(response) => out.extend_from_slice(response.as_bytes()),
                None => closing = true,
            }
            let done = head.len() + length;
            buffer.advance(done);
        }
        if !out.is_empty() {
            socket.write_all(&out).await?;
        }
        if closing || socket.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Lengths of head and body once both are here.
fn whole_request(buffer: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if buffer.len() > MAX_HEAD { Err(io::ErrorKind::InvalidData.into()) } else { Ok(None) };
    };
    let head = buffer.get(..end).unwrap_or_default();
    let length = head.split(|b| *b == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let value = name.eq_ignore_ascii_case(b"content-length:").then_some(value)?;
        std::str::from_utf8(value).ok()?.trim().parse::<usize>().ok()
    });
    let length = length.unwrap_or(0);
    if length > MAX_BODY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((buffer.len() >= end + 4 + length).then_some((end + 4, length)))
}
