//! Passkeys: public keys that officers prove themselves with, sealed, so that nobody adds one who has the store alone.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, StoreError, Tx};
use crate::officers::OfficerId;

/// A passkey on record.
#[derive(Debug, Clone)]
pub(crate) struct PasskeyRow {
    /// The credential's id, base64url.
    pub(crate) id: String,
    pub(crate) officer: OfficerId,
    pub(crate) name: String,
    pub(crate) body: String,
}

impl Store {
    /// An officer's passkeys, oldest first.
    pub(crate) async fn passkeys(&self, officer: OfficerId) -> Result<Vec<PasskeyRow>, StoreError> {
        let sql = "SELECT id, officer, name, body FROM passkey WHERE officer = $1 ORDER BY created_at, id";
        sqlx::query(sql).bind(officer.0).fetch_all(&self.read).await?.iter().map(passkey).collect()
    }

    /// A passkey by its credential's id.
    pub(crate) async fn passkey(&self, id: &str) -> Result<Option<PasskeyRow>, StoreError> {
        let sql = "SELECT id, officer, name, body FROM passkey WHERE id = $1";
        sqlx::query(sql).bind(id).fetch_optional(&self.read).await?.as_ref().map(passkey).transpose()
    }
}

fn passkey(row: &AnyRow) -> Result<PasskeyRow, StoreError> {
    Ok(PasskeyRow {
        id: row.try_get("id")?,
        officer: OfficerId(row.try_get("officer")?),
        name: row.try_get("name")?,
        body: row.try_get("body")?,
    })
}

/// Keeps a new passkey; false when it is on record already.
pub(crate) async fn insert_passkey(tx: &mut Tx, row: &PasskeyRow, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO passkey (id, officer, name, body, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(&row.id)
    .bind(row.officer.0)
    .bind(&row.name)
    .bind(&row.body)
    .bind(now.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps how far a passkey has counted; false when somebody else wrote it since, or it was removed.
pub(crate) async fn update_passkey(tx: &mut Tx, row: &PasskeyRow, body: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE passkey SET body = $3 WHERE id = $1 AND body = $2")
        .bind(&row.id)
        .bind(&row.body)
        .bind(body)
        .execute(&mut *tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes an officer's passkey.
pub(crate) async fn delete_passkey(tx: &mut Tx, officer: OfficerId, id: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM passkey WHERE officer = $1 AND id = $2")
        .bind(officer.0)
        .bind(id)
        .execute(&mut *tx)
        .await?;
    Ok(done.rows_affected() == 1)
}
