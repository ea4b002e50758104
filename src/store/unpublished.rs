//! What went out and could not be published.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row;

use super::alerts::time;
use super::publications::set_seen;
use super::{Store, StoreError};

/// A release that could not be published yet.
#[derive(Debug, Clone, Serialize)]
pub struct Unpublished {
    /// The release.
    pub release: i64,
    /// Its alert.
    pub alert: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How often it was tried.
    pub tries: i64,
    /// When it is tried again.
    pub next_at: DateTime<Utc>,
    /// When it is over by itself.
    pub expires: DateTime<Utc>,
    /// Why not.
    pub why: String,
}

impl Store {
    /// Keeps that a release could not be published; the press goes on with the next.
    pub(crate) async fn put_off(
        &self,
        release: i64,
        why: &str,
        (now, next_at): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO unpublished (release, since, tries, next_at, why) VALUES ($1, $2, 1, $3, $4)
             ON CONFLICT (release) DO UPDATE SET tries = unpublished.tries + 1, next_at = excluded.next_at, why = excluded.why",
        )
        .bind(release)
        .bind(now.timestamp_millis())
        .bind(next_at.timestamp_millis())
        .bind(why.chars().take(1_000).collect::<String>())
        .execute(&mut tx)
        .await?;
        set_seen(&mut tx, "press", release).await?;
        tx.commit().await
    }

    /// What could not be published yet and is tried again at this time or before, oldest first; everything where None.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unpublished(&self, due: Option<DateTime<Utc>>) -> Result<Vec<Unpublished>, StoreError> {
        let rows = sqlx::query(
            "SELECT unpublished.release AS release, release.alert AS alert, since, tries, next_at, release.expires AS expires, why
             FROM unpublished JOIN release ON release.id = unpublished.release
             WHERE next_at <= $1 ORDER BY unpublished.release LIMIT 1000",
        )
        .bind(due.map_or(i64::MAX, |at| at.timestamp_millis()))
        .fetch_all(&self.read)
        .await?;
        let one = |row: &sqlx::any::AnyRow| {
            Ok(Unpublished {
                release: row.try_get("release")?,
                alert: row.try_get("alert")?,
                since: time(row.try_get("since")?),
                tries: row.try_get("tries")?,
                next_at: time(row.try_get("next_at")?),
                expires: time(row.try_get("expires")?),
                why: row.try_get("why")?,
            })
        };
        rows.iter().map(one).collect()
    }

    /// How much went out, is not over, and could not be published yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unpublished_count(&self, now: DateTime<Utc>) -> Result<i64, StoreError> {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM unpublished JOIN release ON release.id = unpublished.release
             WHERE release.expires > $1";
        Ok(sqlx::query_scalar(sql).bind(now.timestamp_millis()).fetch_one(&self.read).await?)
    }
}
