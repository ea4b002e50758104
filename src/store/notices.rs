//! Messages of subscriptions that lead to an alert which cannot be fetched yet.

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::alerts::time;
use super::{Store, StoreError};

/// A message that waits for what it leads to.
#[derive(Debug, Clone)]
pub(crate) struct NoticeRow {
    pub(crate) source: String,
    /// SHA-256 of the payload: the same message waits once.
    pub(crate) digest: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) tries: u32,
    pub(crate) since: DateTime<Utc>,
    pub(crate) next_at: DateTime<Utc>,
}

impl Store {
    /// Keeps a message, if no more than `most` of its source wait already; false where too many do.
    pub(crate) async fn keep_notice(&self, notice: &NoticeRow, most: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let waiting: i64 = sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM notice WHERE source = $1")
            .bind(&notice.source)
            .fetch_one(&mut tx)
            .await?;
        if waiting >= most {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO notice (source, digest, payload, tries, since, next_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO NOTHING",
        )
        .bind(&notice.source)
        .bind(&notice.digest)
        .bind(notice.payload.as_slice())
        .bind(i64::from(notice.tries))
        .bind(notice.since.timestamp_millis())
        .bind(notice.next_at.timestamp_millis())
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Messages of a source whose time has come, the longest due first.
    pub(crate) async fn due_notices(
        &self,
        source: &str,
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<NoticeRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT source, digest, payload, tries, since, next_at FROM notice
             WHERE source = $1 AND next_at <= $2 ORDER BY next_at, digest LIMIT $3",
        )
        .bind(source)
        .bind(now.timestamp_millis())
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        let one = |row: &sqlx::any::AnyRow| {
            Ok(NoticeRow {
                source: row.try_get("source")?,
                digest: row.try_get("digest")?,
                payload: row.try_get("payload")?,
                tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or(u32::MAX),
                since: time(row.try_get("since")?),
                next_at: time(row.try_get("next_at")?),
            })
        };
        rows.iter().map(one).collect()
    }

    /// When a message is tried again.
    pub(crate) async fn set_notice(&self, notice: &NoticeRow) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE notice SET tries = $3, next_at = $4 WHERE source = $1 AND digest = $2")
            .bind(&notice.source)
            .bind(&notice.digest)
            .bind(i64::from(notice.tries))
            .bind(notice.next_at.timestamp_millis())
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Forgets a message: what it led to is on record, or its refusal is.
    pub(crate) async fn forget_notice(&self, notice: &NoticeRow) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM notice WHERE source = $1 AND digest = $2")
            .bind(&notice.source)
            .bind(&notice.digest)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }
}
