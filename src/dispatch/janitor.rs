//! Ends what can no longer be sent: unclaimed chunks of releases that are superseded or over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::DeliveryState;
use crate::store::{Journal, Store, StoreError};

/// Chunks ended at a time.
const BATCH: i64 = 50;

/// Sweeps are at least so far apart, however often it is called: nothing hangs on it, because no window opens for what is over.
const REST: Duration = Duration::from_millis(200);

/// Sweeps once a second, and soon when called, until told to stop.
pub(crate) async fn sweep(
    store: Store,
    journal: Journal,
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
    stop: CancellationToken,
) {
    loop {
        match end_overdue(&store, &journal, clock.as_ref()).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::error!(%error, "overdue chunks could not be ended"),
        }
        let called = async {
            tokio::time::sleep(REST).await;
            wake.notified().await;
        };
        tokio::select! {
            () = called => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Ends a batch of overdue chunks; returns how many it found.
async fn end_overdue(store: &Store, journal: &Journal, clock: &dyn Clock) -> Result<usize, StoreError> {
    let overdue = store.overdue_chunks(clock.now(), BATCH).await?;
    for (chunk, superseded) in &overdue {
        if !store.take_chunk(*chunk).await? {
            continue;
        }
        let Some(mut view) = store.chunk(*chunk, false).await? else { continue };
        view.members.end(if *superseded { DeliveryState::Superseded } else { DeliveryState::Expired });
        journal.finish(*chunk, &view.members).await?;
    }
    Ok(overdue.len())
}
