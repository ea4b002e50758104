//! The desk's clock: deadlines are rows, looked at until told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::desk::Desk;

/// The store is asked this often.
const ROUND: Duration = Duration::from_millis(500);

/// Keeps every deadline until told to stop.
pub(crate) async fn watch(desk: Arc<Desk>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = desk.look().await {
            tracing::error!(%error, "deadlines cannot be looked at");
        }
    }
}
