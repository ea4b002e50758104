//! Stopping releases, and letting them go on: what a stop has set aside waits until then.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::alerts::time;
use super::chunks::{channel, insert_chunks};
use super::{NewChunk, NewRelease, Release, Store, StoreError, Tx};
use crate::approval::BY_RULE;
use crate::delivery::unpack_members;
use crate::regions::RegionCode;
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

/// Whether one of these releases was stopped, or is over.
pub(super) async fn is_any_stopped(tx: &mut Tx, releases: &BTreeSet<i64>) -> Result<bool, StoreError> {
    for release in releases {
        let sql = "SELECT id FROM release WHERE id = $1 AND (held_at IS NOT NULL OR superseded_at IS NOT NULL)";
        if sqlx::query_scalar::<_, i64>(sql).bind(release).fetch_optional(&mut *tx).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether officers have stopped this alert for the people of this release: its jurisdiction's part, or the whole.
pub(crate) async fn is_stopped(tx: &mut Tx, new: &NewRelease) -> Result<bool, StoreError> {
    let n: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM release WHERE alert = $1 AND held_at IS NOT NULL AND superseded_at IS NULL
         AND (jurisdiction IS NULL OR jurisdiction = $2)",
    )
    .bind(&new.alert)
    .bind(new.jurisdiction.as_ref().map(RegionCode::as_str))
    .fetch_one(&mut *tx)
    .await?;
    Ok(n > 0)
}

/// Stops a release: no window opens any more, and what waits is held. False when it was stopped already.
pub(crate) async fn hold_release(tx: &mut Tx, release: i64, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE release SET held_at = $2 WHERE id = $1 AND held_at IS NULL")
        .bind(release)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE chunk SET state = 3 WHERE release = $1 AND state = 0").bind(release).execute(&mut *tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Parts of an alert that needed nobody's yes leave people to each other. Once some were stopped, corrected or let go on, those that
/// stand are planned again: who was left to one that stands no more is theirs to tell. What is in their chunks stays there.
pub(crate) fn plan_parts_again(tx: &mut Tx, alert: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let query = sqlx::query(
        "UPDATE release SET planned_at = NULL WHERE alert = $1 AND kind = 'alert' AND signed_by = $2 AND planned_at IS NOT NULL
         AND held_at IS NULL AND superseded_at IS NULL AND expires > $3 AND EXISTS (SELECT 1 FROM release AS other
             WHERE other.alert = $1 AND other.kind = 'alert' AND other.signed_by = $2 AND other.id <> release.id)",
    );
    tx.later(query.bind(alert).bind(BY_RULE).bind(now.timestamp_millis()))
}

/// Lets a stopped release go on; false when it was not stopped. Of one that leaves people to other parts, and they to it, what was set
/// aside waits until it is planned again: others may have told some of them meanwhile. One that is damaged is never planned.
pub(crate) async fn resume_release(tx: &mut Tx, release: &Release) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE release SET held_at = NULL WHERE id = $1 AND held_at IS NOT NULL")
        .bind(release.id)
        .execute(&mut *tx)
        .await?;
    let shared = "SELECT other.id FROM release AS own JOIN release AS other ON other.alert = own.alert AND other.id <> own.id
         WHERE own.id = $1 AND own.kind = 'alert' AND own.signed_by = $2 AND other.kind = 'alert' AND other.signed_by = $2 LIMIT 1";
    let shared: Option<i64> =
        sqlx::query_scalar(shared).bind(release.id).bind(BY_RULE).fetch_optional(&mut *tx).await?;
    if shared.is_none() || release.damaged {
        let go = sqlx::query("UPDATE chunk SET state = 0 WHERE release = $1 AND state = 3").bind(release.id);
        go.execute(&mut *tx).await?;
    }
    Ok(done.rows_affected() == 1)
}

/// Closes one release for good: no window of it opens after this transaction commits.
pub(crate) async fn supersede_release(tx: &mut Tx, release: i64, at: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query("UPDATE release SET superseded_at = $2 WHERE id = $1 AND superseded_at IS NULL")
        .bind(release)
        .bind(at.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}
