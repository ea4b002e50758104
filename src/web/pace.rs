//! Nobody holds a connection for nothing: a request's body keeps coming, an answer keeps being read, and one address has its share
//! of the seats.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::limits::network;

/// An answer of which nothing is read for so long is given up; a stream of events beats more often.
pub(super) const UNREAD: Duration = Duration::from_secs(30);
/// A body may take so long at first, and then as long as this many bytes a second would.
pub(super) const UNSENT: Duration = Duration::from_secs(30);
const SLOWEST: usize = 1_024;
/// Of so many seats, one address has one.
const SHARE: usize = 16;

/// A body that breaks off where it comes too slowly.
pub(super) fn timely(body: Body, first: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let begin = (body.into_data_stream(), None, 0_usize);
    Body::from_stream(stream::unfold(begin, move |(mut parts, since, taken)| async move {
        let since = since.unwrap_or_else(Instant::now);
        let until = since + first + Duration::from_secs(u64::try_from(taken / SLOWEST).unwrap_or(0));
        let part = match tokio::time::timeout_at(until, parts.next()).await {
            Ok(part) => part?.map_err(axum::BoxError::from),
            Err(_) => Err(axum::BoxError::from("it came too slowly")),
        };
        let taken = taken + part.as_ref().map_or(0, axum::body::Bytes::len);
        Some((part, (parts, Some(since), taken)))
    }))
}

/// A stream whose other end must read what is written.
pub(super) struct Paced<S> {
    io: S,
    patience: Duration,
    /// When it is given up, while a write waits.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(io: S, patience: Duration) -> Self {
        Self { io, patience, stuck: None }
    }

    /// What a write came to; one that waits too long is an error.
    fn paced<T>(&mut self, done: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stuck = None;
            return done;
        }
        let patience = self.patience;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write(context, bytes);
        self.paced(done, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.paced(done, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.io).poll_flush(context);
        self.paced(done, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.io).poll_shutdown(context);
        self.paced(done, context)
    }
}

/// How many connections each address has.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<IpAddr, usize>>);

/// One connection of an address, until this is dropped; None where it is not counted.
pub(super) struct Seat(Option<(Arc<Seats>, IpAddr)>);

impl Seats {
    /// A seat for an address, of so many in all; None where it has its share. Proxies sit on this machine: they are not counted.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr, all: usize) -> Option<Seat> {
        let from = network(from);
        if from.is_loopback() {
            return Some(Seat(None));
        }
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.entry(from).or_default();
        if *own >= (all / SHARE).max(1) {
            return None;
        }
        *own += 1;
        Some(Seat(Some((Arc::clone(self), from))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((seats, from)) = &self.0 else { return };
        let mut taken = seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(from) {
            *own -= 1;
        }
        if taken.get(from) == Some(&0) {
            taken.remove(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_its_share_of_the_seats_and_a_proxy_on_this_machine_all() {
        let seats = Arc::new(Seats::default());
        let take = |from: &str| seats.take(from.parse().unwrap(), 64);
        let held: Vec<_> = (0..4).map(|_| take("192.0.2.1").unwrap()).collect();
        assert!(take("192.0.2.1").is_none() && take("::ffff:192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some());
        let _six: Vec<_> = (0..4).map(|n| take(&format!("2001:db8::{n}")).unwrap()).collect();
        assert!(take("2001:db8::99").is_none(), "one household of IPv6 is one address");
        let _proxy: Vec<_> = (0..64).map(|_| take("127.0.0.1").unwrap()).collect();
        drop(held);
        assert!(take("192.0.2.1").is_some(), "who leaves makes room");
    }
}
