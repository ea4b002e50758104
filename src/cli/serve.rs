//! `tocsin serve`.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
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
    let config = context.config()?;
    let app = Arc::new(App::start(&config, Arc::new(SystemClock)).await?);
    let stop = CancellationToken::new();
    let signals = tokio::spawn(watch_signals(Arc::clone(&app), context.path.clone(), stop.clone()));
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
    signals.await??;
    tracing::info!("stopping: windows in flight are recorded first");
    match Arc::try_unwrap(app) {
        Ok(app) => app.stop().await,
        Err(_) => tracing::warn!("a request was still running; what is in flight is sent again at the next start"),
    }
    served?;
    Ok(true)
}

async fn watch_signals(app: Arc<App>, config: std::path::PathBuf, stop: CancellationToken) -> std::io::Result<()> {
    let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut reload = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = end.recv() => break,
            _ = interrupt.recv() => break,
            () = stop.cancelled() => break,
            _ = reload.recv() => {
                if let Err(error) = app.reload(&config).await {
                    tracing::error!(%error, "the new configuration is refused; the old one stays in force");
                }
            }
        }
    }
    stop.cancel();
    Ok(())
}
