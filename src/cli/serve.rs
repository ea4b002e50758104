//! `tocsin serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::ServerConfig;
use crate::show::Failure;
use crate::web;

/// Take alerts over HTTP and tell people.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address and port to listen on, before config.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<bool, Failure> {
    // Before anything else: what nobody listens for kills the program.
    let mut signals = Signals::listen()?;
    let config = context.config()?;
    let app = tokio::select! {
        app = App::start(&config, Arc::new(SystemClock)) => Arc::new(app?),
        () = signals.end() => return Ok(true),
    };
    let stop = CancellationToken::new();
    let signals = tokio::spawn(signals.heed(Arc::clone(&app), context.path.clone(), stop.clone()));
    let json = context.json;
    let ready = move |at: SocketAddr| {
        tracing::info!(address = %at, "taking alerts");
        if json {
            println!("{}", serde_json::json!({"listening": at.to_string()}));
        }
    };
    let server = ServerConfig { listen: args.listen.unwrap_or(config.server.listen), ..config.server };
    let served = web::serve(Arc::clone(&app), &server, stop.clone(), ready).await;
    stop.cancel();
    signals.await?;
    tracing::info!("stopping: windows in flight are recorded first");
    match Arc::try_unwrap(app) {
        Ok(app) => app.stop().await,
        Err(_) => tracing::warn!("a request was still running; what is in flight is sent again at the next start"),
    }
    served?;
    Ok(true)
}

/// What an operator tells the running program: end it, or read rules and bureaus again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    /// From here on none is lost.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Until the program is told to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }

    /// Does what they say, until one of them or somebody else ends the program.
    async fn heed(mut self, app: Arc<App>, config: PathBuf, stop: CancellationToken) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                () = stop.cancelled() => break,
                _ = self.reload.recv() => {
                    if let Err(error) = app.reload(&config).await {
                        tracing::error!(%error, "the new configuration is refused; the old one stays in force");
                    }
                }
            }
        }
        stop.cancel();
    }
}
