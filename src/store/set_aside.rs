//! What a stop has set aside of a release: chunks that wait until it goes on.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::alerts::time;
use super::chunks::{channel, insert_chunks};
use super::releases::is_any_stopped;
use super::{NewChunk, Store, StoreError, Tx};
use crate::delivery::unpack_members;
use crate::rules::Lane;

/// A chunk that is set aside.
#[derive(Debug)]
pub(crate) struct SetAside {
    pub(crate) id: i64,
    pub(crate) chunk: NewChunk,
    /// How many of its members, the first ones, stand before or in a window that was opened.
    pub(crate) tried: usize,
}

/// A chunk that some are taken out of.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) id: i64,
    /// Its first members, who stay where its windows name them; None where nobody was tried.
    pub(crate) tried: Option<NewChunk>,
    /// Who else is still to be told.
    pub(crate) rest: Option<NewChunk>,
}

impl Store {
    /// What is set aside of a release.
    pub(crate) async fn set_aside(&self, release: i64) -> Result<Vec<SetAside>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, dispatch, channel, lane, n, body, not_before,
                 (SELECT chunk_why.body FROM chunk_why WHERE chunk_why.chunk = chunk.id) AS why,
                 (SELECT ladder.body FROM ladder WHERE ladder.chunk = chunk.id) AS rest
             FROM chunk WHERE release = $1 AND state = 3 ORDER BY id",
        )
        .bind(release)
        .fetch_all(&self.read)
        .await?;
        let mut aside = Vec::with_capacity(rows.len());
        for row in &rows {
            let lane = u8::try_from(row.try_get::<i64, _>("lane")?).ok().and_then(|lane| Lane::try_from(lane).ok());
            let id = row.try_get("id")?;
            let chunk = NewChunk {
                dispatch: row.try_get("dispatch")?,
                release,
                channel: channel(row.try_get::<String, _>("channel")?.as_str())?,
                lane: lane.ok_or_else(|| StoreError::corrupt("chunk lane"))?,
                n: usize::try_from(row.try_get::<i64, _>("n")?).unwrap_or(0),
                body: row.try_get("body")?,
                not_before: Some(time(row.try_get("not_before")?)),
                why: row.try_get::<Option<Vec<u8>>, _>("why")?.unwrap_or_default(),
                ladder: row.try_get::<Option<Vec<u8>>, _>("rest")?.unwrap_or_default(),
            };
            let windows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT members FROM send_window WHERE chunk = $1")
                .bind(id)
                .fetch_all(&self.read)
                .await?;
            let last = windows.iter().flat_map(|members| unpack_members(members)).max();
            aside.push(SetAside { id, chunk, tried: last.map_or(0, |last| usize::from(last) + 1) });
        }
        Ok(aside)
    }

    /// Whether anything is set aside of a release.
    pub(crate) async fn is_set_aside(&self, release: i64) -> Result<bool, StoreError> {
        let any: Option<i64> = sqlx::query_scalar("SELECT id FROM chunk WHERE release = $1 AND state = 3 LIMIT 1")
            .bind(release)
            .fetch_optional(&self.read)
            .await?;
        Ok(any.is_some())
    }

    /// Lets go what is set aside of a release, cut so; false, and nothing is changed, where it was stopped again, or one of those that
    /// people are left to was.
    pub(crate) async fn let_go(
        &self,
        release: i64,
        cuts: &[Cut],
        left_to: &BTreeSet<i64>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin_early().await?;
        let standing = left_to.iter().copied().chain([release]).collect();
        if is_any_stopped(&mut tx, &standing).await? {
            return Ok(false);
        }
        for one in cuts {
            cut(&mut tx, one, now).await?;
        }
        sqlx::query("UPDATE chunk SET state = 0 WHERE release = $1 AND state = 3")
            .bind(release)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn cut(tx: &mut Tx, cut: &Cut, now: DateTime<Utc>) -> Result<(), StoreError> {
    let Cut { id, tried, rest } = cut;
    let query = match tried {
        Some(tried) => sqlx::query("UPDATE chunk SET n = $2, body = $3 WHERE id = $1 AND state = 3")
            .bind(id)
            .bind(i64::try_from(tried.n).unwrap_or(0))
            .bind(tried.body.as_slice()),
        None => sqlx::query("DELETE FROM chunk WHERE id = $1 AND state = 3").bind(id),
    };
    // One that has come to its end meanwhile stays as it is.
    if query.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(());
    }
    match tried {
        Some(tried) => {
            let why =
                sqlx::query("UPDATE chunk_why SET body = $2 WHERE chunk = $1").bind(id).bind(tried.why.as_slice());
            why.execute(&mut *tx).await?;
            let rest =
                sqlx::query("UPDATE ladder SET body = $2 WHERE chunk = $1").bind(id).bind(tried.ladder.as_slice());
            rest.execute(&mut *tx).await?;
        }
        None => {
            sqlx::query("DELETE FROM chunk_why WHERE chunk = $1").bind(id).execute(&mut *tx).await?;
            sqlx::query("DELETE FROM ladder WHERE chunk = $1").bind(id).execute(&mut *tx).await?;
        }
    }
    insert_chunks(tx, rest.iter(), now).await
}
