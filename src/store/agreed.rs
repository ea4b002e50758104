//! The grave settings that are in force, sealed, newest last.

use chrono::{DateTime, Utc};

use super::{Store, StoreError, Tx, take_ids};
use crate::officers::OfficerId;

impl Store {
    /// What was agreed to last, sealed.
    pub(crate) async fn agreed(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM agreed ORDER BY id DESC LIMIT 1";
        Ok(sqlx::query_scalar(sql).fetch_optional(&self.read).await?)
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
