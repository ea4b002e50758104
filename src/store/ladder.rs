//! Ladders: people of a chunk who have another channel if this one fails or stays unacknowledged. A row with a due time each.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::alerts::time;
use super::chunks::insert_chunks;
use super::{NewChunk, Store, StoreError};
use crate::delivery::{pack_members, unpack_members};

/// A ladder whose time has come.
#[derive(Debug, Clone)]
pub(crate) struct LadderRow {
    pub(crate) chunk: i64,
    /// What is left to try for each member, packed.
    pub(crate) body: Vec<u8>,
    /// Members who were handed on.
    pub(crate) done: Vec<u16>,
    /// Whether every member of the chunk has an end.
    pub(crate) finished: bool,
    /// When its newest window went out.
    pub(crate) sent: Option<DateTime<Utc>>,
}

/// What becomes of a ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rung {
    /// Nothing is left to wait for.
    End,
    /// Look again then; these members were handed on.
    Again(DateTime<Utc>, Vec<u16>),
}

impl Store {
    /// Ladders that are due, the longest due first: of chunks that are done, or that wait for another try.
    pub(crate) async fn due_ladders(&self, now: DateTime<Utc>, limit: i64) -> Result<Vec<LadderRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT ladder.chunk AS chunk, ladder.body AS body, done, state,
                 (SELECT MAX(at) FROM send_window WHERE send_window.chunk = ladder.chunk) AS sent
             FROM ladder JOIN chunk ON chunk.id = ladder.chunk WHERE due_at <= $1 AND (chunk.state = 2 OR chunk.attempt > 0)
             ORDER BY due_at LIMIT $2",
        )
        .bind(now.timestamp_millis())
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(LadderRow {
                    chunk: row.try_get("chunk")?,
                    body: row.try_get("body")?,
                    done: unpack_members(&row.try_get::<Vec<u8>, _>("done")?),
                    finished: row.try_get::<i64, _>("state")? == 2,
                    sent: row.try_get::<Option<i64>, _>("sent")?.map(time),
                })
            })
            .collect()
    }

    /// The release of a dispatch.
    pub(crate) async fn release_of_dispatch(&self, dispatch: i64) -> Result<i64, StoreError> {
        let id: Option<i64> = sqlx::query_scalar("SELECT release FROM dispatch WHERE id = $1")
            .bind(dispatch)
            .fetch_optional(&self.read)
            .await?;
        id.ok_or_else(|| StoreError::corrupt(format!("dispatch {dispatch}")))
    }

    /// Takes a step: the next channel's chunks and the ladder's own row, together.
    pub(crate) async fn climb(
        &self,
        chunk: i64,
        next: &[NewChunk],
        rung: &Rung,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if !next.is_empty() {
            insert_chunks(&mut tx, next.iter(), now).await?;
        }
        match rung {
            Rung::End => sqlx::query("DELETE FROM ladder WHERE chunk = $1").bind(chunk).execute(&mut tx).await?,
            Rung::Again(due, done) => {
                sqlx::query("UPDATE ladder SET due_at = $2, done = $3 WHERE chunk = $1")
                    .bind(chunk)
                    .bind(due.timestamp_millis())
                    .bind(pack_members(done))
                    .execute(&mut tx)
                    .await?
            }
        };
        tx.commit().await
    }

    /// Records that a recipient's device has shown a release's message; a second time is no news.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn acknowledge(&self, release: i64, recipient: u64, at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO acknowledgement (release, recipient, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(release)
            .bind(i64::try_from(recipient).unwrap_or(-1))
            .bind(at.timestamp_millis())
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Whose devices have shown a release's message.
    pub(crate) async fn acknowledged(&self, release: i64) -> Result<HashSet<u64>, StoreError> {
        let ids: Vec<i64> = sqlx::query_scalar("SELECT recipient FROM acknowledgement WHERE release = $1")
            .bind(release)
            .fetch_all(&self.read)
            .await?;
        Ok(ids.into_iter().filter_map(|id| u64::try_from(id).ok()).collect())
    }
}
