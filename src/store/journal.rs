//! The engine's diary: claims, intents and outcomes of all workers, committed together.
//!
//! Whatever has gathered while the last commit ran goes into the next one, so the cost of an fsync is shared. A commit that
//! fails is tried again with the same entries, in order, until it holds: nothing is dropped, and nobody is told "recorded" before.

use std::time::Duration;

use sqlx::Row;
use tocsin_channels::{ChannelKind, Class};
use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError, Tx};
use crate::delivery::{Members, StateCounts, pack_members};

/// The most entries in one commit.
const BATCH: usize = 512;

/// A chunk that a worker holds.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) id: i64,
    pub(crate) dispatch: i64,
    pub(crate) release: i64,
    pub(crate) lane: u8,
    pub(crate) attempt: i64,
    pub(crate) body: Vec<u8>,
    /// Windows were opened before: its history must be read.
    pub(crate) touched: bool,
}

/// Whether a window may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The intent is on disk.
    Go,
    /// A newer alert has committed: nothing of this release may start.
    Superseded,
    /// An officer has stopped it: what waits is held.
    Held,
}

enum Entry {
    Claim { channel: ChannelKind, now: i64, lanes: Vec<u8>, reply: oneshot::Sender<Option<Claimed>> },
    Open { chunk: i64, release: i64, seq: i64, members: Vec<u8>, at: i64, reply: oneshot::Sender<Opened> },
    Outcome { chunk: i64, seq: i64, classes: Vec<u8>, detail: Option<String>, at: i64 },
    Requeue { chunk: i64, not_before: i64, attempt: i64 },
    Finish { chunk: i64, finals: Vec<u8>, counts: StateCounts, reply: oneshot::Sender<()> },
}

/// What an entry found, to be told once it is on disk.
enum Found {
    Nothing,
    Claimed(Option<Claimed>),
    Opened(Opened),
}

/// The workers' end of the diary. Clones share it.
#[derive(Clone)]
pub(crate) struct Journal {
    entries: mpsc::Sender<Entry>,
}

impl Journal {
    /// Starts the diary's own task; it ends when the last clone is dropped, with everything recorded.
    pub(crate) fn start(store: Store) -> (Self, tokio::task::JoinHandle<()>) {
        let (entries, inbox) = mpsc::channel(BATCH);
        (Self { entries }, tokio::spawn(keep(store, inbox)))
    }

    /// Takes the first ready chunk of this channel, looking through the lanes in this order.
    pub(crate) async fn claim(
        &self,
        channel: ChannelKind,
        now: i64,
        lanes: Vec<u8>,
    ) -> Result<Option<Claimed>, StoreError> {
        self.ask(|reply| Entry::Claim { channel, now, lanes, reply }).await
    }

    /// Records the intent to send these members; returns when it is on disk.
    pub(crate) async fn open(
        &self,
        claimed: &Claimed,
        seq: i64,
        members: &[u16],
        at: i64,
    ) -> Result<Opened, StoreError> {
        let (chunk, release, members) = (claimed.id, claimed.release, pack_members(members));
        self.ask(|reply| Entry::Open { chunk, release, seq, members, at, reply }).await
    }

    /// Records a window's answers. They are on disk at the latest before the chunk's next window opens.
    pub(crate) async fn outcome(
        &self,
        chunk: i64,
        seq: i64,
        classes: &[Class],
        detail: Option<String>,
        at: i64,
    ) -> Result<(), StoreError> {
        let classes = classes.iter().map(|class| class.code()).collect();
        self.tell(Entry::Outcome { chunk, seq, classes, detail, at }).await
    }

    /// Gives a chunk back, to be taken again not before this time.
    pub(crate) async fn requeue(&self, chunk: i64, not_before: i64, attempt: i64) -> Result<(), StoreError> {
        self.tell(Entry::Requeue { chunk, not_before, attempt }).await
    }

    /// Records a chunk's end; returns when it is on disk.
    pub(crate) async fn finish(&self, chunk: i64, members: &Members) -> Result<(), StoreError> {
        let counts = StateCounts::of(members.states().iter().copied());
        self.ask(|reply| Entry::Finish { chunk, finals: members.codes(), counts, reply }).await
    }

    async fn tell(&self, entry: Entry) -> Result<(), StoreError> {
        self.entries.send(entry).await.map_err(|_| StoreError::Stopped)
    }

    async fn ask<T>(&self, entry: impl FnOnce(oneshot::Sender<T>) -> Entry) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.tell(entry(reply)).await?;
        answer.await.map_err(|_| StoreError::Stopped)
    }
}

async fn keep(store: Store, mut inbox: mpsc::Receiver<Entry>) {
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        let mut pause = Duration::from_millis(50);
        let found = loop {
            match commit(&store, &batch).await {
                Ok(found) => break found,
                Err(error) => {
                    tracing::error!(%error, entries = batch.len(), "sending stands still: the record cannot be written");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        };
        // A worker that has gone away needs no answer: what it did is on disk.
        for (entry, found) in batch.drain(..).zip(found) {
            match (entry, found) {
                (Entry::Claim { reply, .. }, Found::Claimed(claimed)) => drop(reply.send(claimed)),
                (Entry::Open { reply, .. }, Found::Opened(opened)) => drop(reply.send(opened)),
                (Entry::Finish { reply, .. }, _) => drop(reply.send(())),
                _ => {}
            }
        }
    }
}

async fn commit(store: &Store, batch: &[Entry]) -> Result<Vec<Found>, StoreError> {
    let mut tx = store.begin().await?;
    let mut found = Vec::with_capacity(batch.len());
    for entry in batch {
        found.push(write(&mut tx, entry).await?);
    }
    tx.commit().await?;
    Ok(found)
}

async fn write(tx: &mut Tx, entry: &Entry) -> Result<Found, StoreError> {
    match entry {
        Entry::Claim { channel, now, lanes, .. } => {
            for lane in lanes {
                if let Some(claimed) = claim(tx, *channel, *now, *lane).await? {
                    return Ok(Found::Claimed(Some(claimed)));
                }
            }
            Ok(Found::Claimed(None))
        }
        Entry::Open { chunk, release, seq, members, at, .. } => {
            let done = sqlx::query(
                "INSERT INTO send_window (chunk, seq, members, at) SELECT $1, $2, $3, $4
                 WHERE EXISTS (SELECT 1 FROM release WHERE id = $5 AND superseded_at IS NULL AND held_at IS NULL)",
            )
            .bind(chunk)
            .bind(seq)
            .bind(members.as_slice())
            .bind(at)
            .bind(release)
            .execute(&mut *tx)
            .await?;
            if done.rows_affected() == 1 {
                return Ok(Found::Opened(Opened::Go));
            }
            let open: Option<i64> =
                sqlx::query_scalar("SELECT id FROM release WHERE id = $1 AND superseded_at IS NULL")
                    .bind(release)
                    .fetch_optional(&mut *tx)
                    .await?;
            Ok(Found::Opened(if open.is_some() { Opened::Held } else { Opened::Superseded }))
        }
        Entry::Outcome { chunk, seq, classes, detail, at } => {
            sqlx::query("INSERT INTO outcome (chunk, seq, classes, detail, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING")
                .bind(chunk)
                .bind(seq)
                .bind(classes.as_slice())
                .bind(detail.as_deref())
                .bind(at)
                .execute(&mut *tx)
                .await?;
            Ok(Found::Nothing)
        }
        Entry::Requeue { chunk, not_before, attempt } => {
            sqlx::query(
                "UPDATE chunk SET not_before = $2, attempt = $3, state = CASE WHEN EXISTS
                     (SELECT 1 FROM release WHERE release.id = chunk.release AND held_at IS NOT NULL) THEN 3 ELSE 0 END
                 WHERE id = $1",
            )
            .bind(chunk)
            .bind(not_before)
            .bind(attempt)
            .execute(&mut *tx)
            .await?;
            Ok(Found::Nothing)
        }
        Entry::Finish { chunk, finals, counts, .. } => finish(tx, *chunk, finals, counts).await,
    }
}

async fn claim(tx: &mut Tx, channel: ChannelKind, now: i64, lane: u8) -> Result<Option<Claimed>, StoreError> {
    let row = sqlx::query(
        "UPDATE chunk SET state = 1 WHERE id = (
             SELECT id FROM chunk WHERE channel = $1 AND state = 0 AND lane = $2 AND not_before <= $3
             ORDER BY not_before, id LIMIT 1)
         RETURNING id, dispatch, release, attempt, body,
             CAST((SELECT COUNT(*) FROM send_window WHERE send_window.chunk = chunk.id) AS BIGINT) AS windows",
    )
    .bind(channel.as_str())
    .bind(i64::from(lane))
    .bind(now)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Claimed {
        id: row.try_get("id")?,
        dispatch: row.try_get("dispatch")?,
        release: row.try_get("release")?,
        lane,
        attempt: row.try_get("attempt")?,
        body: row.try_get("body")?,
        touched: row.try_get::<i64, _>("windows")? > 0,
    }))
}

async fn finish(tx: &mut Tx, chunk: i64, finals: &[u8], counts: &StateCounts) -> Result<Found, StoreError> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE chunk SET state = 2, finals = $2, accepted = $3, failed = $4, opted_out = $5, expired = $6,
         superseded = $7, unknown = $8 WHERE id = $1",
    )
    .bind(chunk)
    .bind(finals)
    .bind(count(counts.accepted))
    .bind(count(counts.failed))
    .bind(count(counts.opted_out))
    .bind(count(counts.expired))
    .bind(count(counts.superseded))
    .bind(count(counts.unknown))
    .execute(&mut *tx)
    .await?;
    Ok(Found::Nothing)
}
