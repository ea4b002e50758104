//! Loopback receivers that speak the real protocols, for the demo, the tests and the benches: an SMTP server, an SMS gateway
//! and a push service over HTTP, and an MQTT broker. Fast, because they share the machine with the sender.
#![forbid(unsafe_code)]

pub mod autopush;
pub mod broker;
pub mod gateway;
mod http;
pub mod real;
pub mod smtp;
mod tally;

use std::net::SocketAddr;

pub use tally::{Counts, Tally};
use tokio_util::sync::CancellationToken;

/// What a sink does with a message, every so often, instead of taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Every so many messages; 0 for never.
    pub every: u64,
    /// What it does then.
    pub with: Fault,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// "Too fast."
    #[default]
    Throttle,
    /// "Try later."
    Later,
    /// "Nobody of that name."
    Gone,
    /// Takes the message and closes the connection without a word.
    Silence,
}

/// A running sink. Stops when dropped.
#[derive(Debug)]
pub struct Sink {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it has counted.
    pub tally: Tally,
    stop: CancellationToken,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Accepts connections until the sink is dropped, each in a task of its own.
async fn listen<F>(
    port: u16,
    tally: Tally,
    serve: impl Fn(tokio::net::TcpStream, Tally) -> F + Send + 'static,
) -> std::io::Result<Sink>
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let (addr, stop) = (listener.local_addr()?, CancellationToken::new());
    let (counted, token) = (tally.clone(), stop.clone());
    tokio::spawn(async move {
        loop {
            let socket = tokio::select! {
                accepted = listener.accept() => accepted,
                () = token.cancelled() => return,
            };
            let Ok((socket, _)) = socket else { continue };
            // Without it answers wait for acknowledgements; a socket that is gone already needs none.
            let _ = socket.set_nodelay(true);
            let (serve, token) = (serve(socket, counted.clone()), token.clone());
            tokio::spawn(async move {
                // A sender that hangs up ends its connection; there is nothing to tell.
                tokio::select! {
                    _ = serve => {}
                    () = token.cancelled() => {}
                }
            });
        }
    });
    Ok(Sink { addr, tally, stop })
}
