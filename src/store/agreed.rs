//! The grave settings that are in force, sealed, newest last.

use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::alerts::time;
use super::{Store, StoreError, Tx, take_ids};
use crate::officers::OfficerId;

impl Store {
    /// What was agreed to last, sealed.
    pub(crate) async fn agreed(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM agreed ORDER BY id DESC LIMIT 1";
        Ok(sqlx::query_scalar(sql).fetch_optional(&self.read).await?)
    }

    /// All that was in force, sealed, the newest first: when it began, and the login of who agreed; none where nobody had to.
    pub(crate) async fn all_agreed(&self) -> Result<Vec<(Vec<u8>, DateTime<Utc>, Option<String>)>, StoreError> {
        let sql =
            "SELECT body, at, login FROM agreed LEFT JOIN officer ON officer.id = by_officer ORDER BY agreed.id DESC";
        let rows = sqlx::query(sql).fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, time(row.try_get(1)?), row.try_get(2)?))).collect()
    }
}

/// Keeps what is in force from here on.
pub(crate) async fn insert_agreed(
    tx: &mut Tx,
    body: &[u8],
    by: OfficerId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let id = take_ids(tx, "agreed", 1).await?;
    sqlx::query("INSERT INTO agreed (id, body, by_officer, at) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(body)
        .bind(by.0)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Takes back what the configuration asked for before: it asks for something else now.
pub(crate) async fn withdraw_settings(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query("UPDATE proposal SET state = 'withdrawn', decided_by = 0, decided_at = $1 WHERE kind = 'settings' AND state = 'open'")
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}
