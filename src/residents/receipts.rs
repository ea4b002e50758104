//! What browsers report of the messages that they got. On a typhoon's day hundreds of thousands report within a minute: whatever comes
//! while one transaction is on its way to disk goes with the next one.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::read_receipt;
use crate::store::{Deed, Done, Store};

/// Reports of one transaction, and those that may wait for it.
const TOGETHER: usize = 1_000;
const WAITING: usize = 10_000;

type Report = (Done, oneshot::Sender<bool>);

/// Takes reports.
#[derive(Clone)]
pub struct Receipts {
    store: Store,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Report>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It is on record.
    Yes,
    /// Its word is not ours, or its alert is over.
    NotOurs,
    /// Too many at once, or the store does not answer: it may be told again.
    Later,
}

impl Receipts {
    /// Takes reports until told to stop; gives what writes them, to be run.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, reports) = mpsc::channel(WAITING);
        (Self { store: store.clone(), clock, queue }, write(store, reports, stop))
    }

    /// Takes a report, and answers when it is on record.
    pub async fn report(&self, word: &str, deed: Deed) -> Reported {
        let at = self.clock.now();
        let Some((release, recipient)) = read_receipt(&self.store.vault, word, at) else { return Reported::NotOurs };
        let (done, kept) = oneshot::channel();
        if self.queue.try_send((Done { release, recipient, deed, at }, done)).is_err() {
            return Reported::Later;
        }
        if kept.await == Ok(true) { Reported::Yes } else { Reported::Later }
    }
}

async fn write(store: Store, mut reports: mpsc::Receiver<Report>, stop: CancellationToken) {
    let mut some = Vec::with_capacity(TOGETHER);
    loop {
        tokio::select! {
            n = reports.recv_many(&mut some, TOGETHER) => if n == 0 { return },
            () = stop.cancelled() => return,
        }
        let deeds: Vec<Done> = some.iter().map(|(done, _)| *done).collect();
        let kept = store.acknowledge_all(&deeds).await;
        if let Err(error) = &kept {
            tracing::error!(%error, "what browsers reported could not be recorded; they report again");
        }
        for (_, done) in some.drain(..) {
            // Who has hung up meanwhile needs no answer.
            let _ = done.send(kept.is_ok());
        }
    }
}
