//! Chunks: written by the planner, read by workers, the janitor and reports.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Row;
use tocsin_channels::{ChannelKind, Class};

use super::alerts::time;
use super::{Store, StoreError, Tx, take_ids};
use crate::delivery::{Members, StateCounts, WhenAmbiguous, WindowRecord, unpack_members};
use crate::rules::Lane;

/// A chunk to be written.
#[derive(Debug, Clone)]
pub(crate) struct NewChunk {
    pub(crate) dispatch: i64,
    pub(crate) release: i64,
    pub(crate) channel: ChannelKind,
    pub(crate) lane: Lane,
    pub(crate) n: usize,
    pub(crate) body: Vec<u8>,
    /// Not to be claimed before; None for at once.
    pub(crate) not_before: Option<DateTime<Utc>>,
    /// Which places each member is told for; empty where nobody has places.
    pub(crate) why: Vec<u8>,
    /// What is left to try for each member; empty where there is nothing.
    pub(crate) ladder: Vec<u8>,
}

/// A chunk with where its members stand.
#[derive(Debug, Clone)]
pub(crate) struct ChunkView {
    pub(crate) dispatch: i64,
    pub(crate) body: Vec<u8>,
    pub(crate) members: Members,
    /// Its waiting members are not told before.
    pub(crate) not_before: DateTime<Utc>,
    /// Whether it has come to its end: nothing of it changes any more.
    pub(crate) finished: bool,
}

impl Store {
    /// Writes chunks in one transaction. Nothing leaves before an intent that is on disk, and what was committed before is with it.
    pub(crate) async fn insert_chunks(&self, chunks: &[NewChunk], now: DateTime<Utc>) -> Result<(), StoreError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin_early().await?;
        insert_chunks(&mut tx, chunks.iter(), now).await?;
        tx.commit().await
    }

    /// Which places the members of a chunk are told for, packed; empty where nobody has places.
    pub(crate) async fn chunk_why(&self, chunk: i64) -> Result<Vec<u8>, StoreError> {
        let body: Option<Vec<u8>> = sqlx::query_scalar("SELECT body FROM chunk_why WHERE chunk = $1")
            .bind(chunk)
            .fetch_optional(&self.read)
            .await?;
        Ok(body.unwrap_or_default())
    }

    /// Chunks that a stopped program had claimed are free again; returns how many.
    pub(crate) async fn free_claims(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE chunk SET state = CASE WHEN EXISTS
                 (SELECT 1 FROM release WHERE release.id = chunk.release AND held_at IS NOT NULL) THEN 3 ELSE 0 END
             WHERE state = 1",
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// The most urgent lane with a chunk of this channel that may be claimed now.
    pub(crate) async fn most_urgent(&self, channel: ChannelKind, now: DateTime<Utc>) -> Result<Option<u8>, StoreError> {
        for lane in Lane::ALL {
            let ready: Option<i64> = sqlx::query_scalar(
                "SELECT id FROM chunk WHERE channel = $1 AND state = 0 AND lane = $2 AND not_before <= $3 LIMIT 1",
            )
            .bind(channel.as_str())
            .bind(i64::from(lane.number()))
            .bind(now.timestamp_millis())
            .fetch_optional(&self.read)
            .await?;
            if ready.is_some() {
                return Ok(Some(lane.number()));
            }
        }
        Ok(None)
    }

    /// A chunk's windows in order, with their answers.
    pub(crate) async fn history(&self, chunk: i64) -> Result<Vec<WindowRecord>, StoreError> {
        history(&self.read, chunk).await
    }

    /// Ids of a release's chunks, oldest first.
    pub(crate) async fn chunk_ids(&self, release: i64) -> Result<Vec<i64>, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM chunk WHERE release = $1 ORDER BY id")
            .bind(release)
            .fetch_all(&self.read)
            .await?)
    }

    /// A release's chunks, oldest first, with how many are in each.
    pub(crate) async fn chunk_sizes(&self, release: i64) -> Result<Vec<(i64, i64)>, StoreError> {
        let rows = sqlx::query("SELECT id, n FROM chunk WHERE release = $1 ORDER BY id")
            .bind(release)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("n")?))).collect()
    }

    /// A chunk with where its members stand. `running` says that a worker may hold it: its last window without answers is in
    /// flight then.
    pub(crate) async fn chunk(&self, id: i64, running: bool) -> Result<Option<ChunkView>, StoreError> {
        let row = sqlx::query("SELECT dispatch, lane, n, body, not_before, finals FROM chunk WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.read)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (n, lane): (i64, i64) = (row.try_get("n")?, row.try_get("lane")?);
        let (n, lane) = (usize::try_from(n).unwrap_or(0), u8::try_from(lane).unwrap_or(3));
        let finals: Option<Vec<u8>> = row.try_get("finals")?;
        let finished = finals.is_some();
        let members = match finals {
            Some(codes) => Members::finished(&codes),
            None => Members::replay(n, WhenAmbiguous::of_lane(lane), &self.history(id).await?, running),
        };
        let not_before = time(row.try_get("not_before")?);
        let (dispatch, body) = (row.try_get("dispatch")?, row.try_get("body")?);
        Ok(Some(ChunkView { dispatch, body, members, not_before, finished }))
    }

    /// Unclaimed chunks whose release is over: superseded, or past its `expires`. As `(chunk, superseded)`.
    pub(crate) async fn overdue_chunks(&self, now: DateTime<Utc>, limit: i64) -> Result<Vec<(i64, bool)>, StoreError> {
        let rows = sqlx::query(
            // By way of the few releases with open chunks: there are many more that are over and done with.
            "SELECT chunk.id AS id, CAST(CASE WHEN superseded_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS superseded
             FROM (SELECT DISTINCT release AS id FROM chunk WHERE state IN (0, 3)) AS open
             JOIN release ON release.id = open.id JOIN chunk ON chunk.release = release.id AND chunk.state IN (0, 3)
             WHERE superseded_at IS NOT NULL OR expires <= $1 LIMIT $2",
        )
        .bind(now.timestamp_millis())
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get::<i64, _>("superseded")? == 1))).collect()
    }

    /// Takes an unclaimed chunk out of the queue, so that only the caller may end it; false if a worker was quicker.
    pub(crate) async fn take_chunk(&self, id: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("UPDATE chunk SET state = 1 WHERE id = $1 AND state IN (0, 3)")
            .bind(id)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// How many deliveries of an alert are in each state, by channel: they add up to the planned audience.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn states(&self, alert: &str) -> Result<BTreeMap<ChannelKind, StateCounts>, StoreError> {
        self.states_where("(SELECT id FROM release WHERE alert = $1 AND kind IN ('alert', 'resend'))", Some(alert))
            .await
    }

    /// How many deliveries of all alerts are in each state, by channel.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn states_of_all(&self) -> Result<BTreeMap<ChannelKind, StateCounts>, StoreError> {
        self.states_where("(SELECT id FROM release WHERE kind IN ('alert', 'resend'))", None).await
    }

    async fn states_where(
        &self,
        releases: &'static str,
        alert: Option<&str>,
    ) -> Result<BTreeMap<ChannelKind, StateCounts>, StoreError> {
        let mut counts: BTreeMap<ChannelKind, StateCounts> = BTreeMap::new();
        // One snapshot: a chunk that ends meanwhile is counted once.
        let mut tx = self.read.pool().begin().await?;
        let done = format!(
            "SELECT channel, CAST(SUM(accepted) AS BIGINT) AS accepted, CAST(SUM(failed) AS BIGINT) AS failed,
                 CAST(SUM(opted_out) AS BIGINT) AS opted_out, CAST(SUM(expired) AS BIGINT) AS expired,
                 CAST(SUM(superseded) AS BIGINT) AS superseded, CAST(SUM(unknown) AS BIGINT) AS unknown
             FROM chunk WHERE state = 2 AND release IN {releases} GROUP BY channel"
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(done));
        if let Some(alert) = alert {
            query = query.bind(alert);
        }
        for row in &query.fetch_all(&mut *tx).await? {
            let get = |name: &str| -> Result<u64, StoreError> {
                Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0))
            };
            let done = StateCounts {
                accepted: get("accepted")?,
                failed: get("failed")?,
                opted_out: get("opted_out")?,
                expired: get("expired")?,
                superseded: get("superseded")?,
                unknown: get("unknown")?,
                ..StateCounts::default()
            };
            *counts.entry(channel(row.try_get::<String, _>("channel")?.as_str())?).or_default() += done;
        }
        let open = format!(
            "SELECT id, channel, lane, n, state,
                 CAST((SELECT COUNT(*) FROM send_window WHERE send_window.chunk = chunk.id) AS BIGINT) AS windows
             FROM chunk WHERE state <> 2 AND release IN {releases}"
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(open));
        if let Some(alert) = alert {
            query = query.bind(alert);
        }
        for row in &query.fetch_all(&mut *tx).await? {
            let (n, lane): (i64, i64) = (row.try_get("n")?, row.try_get("lane")?);
            let n = usize::try_from(n).unwrap_or(0);
            let slot = counts.entry(channel(row.try_get::<String, _>("channel")?.as_str())?).or_default();
            if row.try_get::<i64, _>("windows")? == 0 {
                slot.waiting += n as u64;
                continue;
            }
            let policy = WhenAmbiguous::of_lane(u8::try_from(lane).unwrap_or(3));
            let running = row.try_get::<i64, _>("state")? == 1;
            let history = history(&mut *tx, row.try_get("id")?).await?;
            *slot += StateCounts::of(Members::replay(n, policy, &history, running).states().iter().copied());
        }
        Ok(counts)
    }

    /// Deliveries planned, and those in chunks that are done, by channel: cheap enough to ask all the time.
    pub(crate) async fn chunk_totals(&self) -> Result<BTreeMap<ChannelKind, (u64, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT channel, CAST(SUM(n) AS BIGINT) AS planned,
                 CAST(SUM(CASE WHEN state = 2 THEN n ELSE 0 END) AS BIGINT) AS done FROM chunk GROUP BY channel",
        )
        .fetch_all(&self.read)
        .await?;
        let whole = |n: i64| u64::try_from(n).unwrap_or(0);
        rows.iter()
            .map(|row| {
                Ok((
                    channel(row.try_get::<String, _>("channel")?.as_str())?,
                    (whole(row.try_get("planned")?), whole(row.try_get("done")?)),
                ))
            })
            .collect()
    }

    /// Whether anything is still to be planned or sent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_work(&self) -> Result<bool, StoreError> {
        let unplanned: Option<i64> = sqlx::query_scalar("SELECT id FROM release WHERE planned_at IS NULL LIMIT 1")
            .fetch_optional(&self.read)
            .await?;
        Ok(unplanned.is_some() || self.open_chunks().await? > 0)
    }

    /// How many chunks are not done, over all releases.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_chunks(&self) -> Result<u64, StoreError> {
        let n: i64 = sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM chunk WHERE state IN (0, 1)")
            .fetch_one(&self.read)
            .await?;
        Ok(u64::try_from(n).unwrap_or(0))
    }
}

/// Writes chunks, with why and what is left to try.
pub(super) async fn insert_chunks<'a>(
    tx: &mut Tx,
    chunks: impl Iterator<Item = &'a NewChunk> + Clone + Send,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let n = i64::try_from(chunks.clone().count()).unwrap_or(i64::MAX);
    if n == 0 {
        return Ok(());
    }
    let first = take_ids(tx, "chunk", n).await?;
    for (id, chunk) in (first..).zip(chunks) {
        tx.later(
            sqlx::query(
                "INSERT INTO chunk (id, dispatch, release, channel, lane, n, body, state, not_before, attempt)
             SELECT $1, $2, $3, $4, $5, $6, $7, CASE WHEN held_at IS NULL THEN 0 ELSE 3 END, $8, 0
             FROM release WHERE id = $3",
            )
            .bind(id)
            .bind(chunk.dispatch)
            .bind(chunk.release)
            .bind(chunk.channel.as_str())
            .bind(i64::from(chunk.lane.number()))
            .bind(i64::try_from(chunk.n).unwrap_or(0))
            .bind(chunk.body.as_slice())
            .bind(chunk.not_before.unwrap_or(now).timestamp_millis()),
        )?;
        if !chunk.why.is_empty() {
            tx.later(
                sqlx::query("INSERT INTO chunk_why (chunk, body) VALUES ($1, $2)").bind(id).bind(chunk.why.as_slice()),
            )?;
        }
        if !chunk.ladder.is_empty() {
            tx.later(
                sqlx::query("INSERT INTO ladder (chunk, due_at, body, done) VALUES ($1, $2, $3, $4)")
                    .bind(id)
                    .bind(chunk.not_before.unwrap_or(now).timestamp_millis())
                    .bind(chunk.ladder.as_slice())
                    .bind(&[][..] as &[u8]),
            )?;
        }
    }
    Ok(())
}

async fn history(
    reader: impl sqlx::Executor<'_, Database = sqlx::Any>,
    chunk: i64,
) -> Result<Vec<WindowRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT members, classes FROM send_window LEFT JOIN outcome
         ON outcome.chunk = send_window.chunk AND outcome.seq = send_window.seq
         WHERE send_window.chunk = $1 ORDER BY send_window.seq",
    )
    .bind(chunk)
    .fetch_all(reader)
    .await?;
    rows.iter()
        .map(|row| {
            let members: Vec<u8> = row.try_get("members")?;
            let classes: Option<Vec<u8>> = row.try_get("classes")?;
            let class = |code: &u8| Class::from_code(*code).unwrap_or(Class::Ambiguous);
            Ok(WindowRecord {
                members: unpack_members(&members),
                classes: classes.map(|codes| codes.iter().map(class).collect()),
            })
        })
        .collect()
}

pub(super) fn channel(word: &str) -> Result<ChannelKind, StoreError> {
    word.parse().map_err(StoreError::corrupt)
}
