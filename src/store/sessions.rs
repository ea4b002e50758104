//! Sessions, invitations and tokens: digests of what their owners hold.

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::alerts::time;
use super::{Store, StoreError, Tx};
use crate::officers::OfficerId;

/// A session on record.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    pub(crate) officer: OfficerId,
    pub(crate) csrf: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) seen_at: DateTime<Utc>,
    /// When the officer last proved to be there, by code or passkey.
    pub(crate) proved_at: DateTime<Utc>,
}

/// A token for programs.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    pub(crate) digest: String,
    pub(crate) officer: OfficerId,
    pub(crate) name: String,
    pub(crate) scopes: String,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Store {
    /// A session by the digest of its cookie.
    pub(crate) async fn session(&self, digest: &str) -> Result<Option<SessionRow>, StoreError> {
        let row = sqlx::query("SELECT officer, csrf, created_at, seen_at, proved_at FROM session WHERE digest = $1")
            .bind(digest)
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| {
            Ok(SessionRow {
                officer: OfficerId(row.try_get("officer")?),
                csrf: row.try_get("csrf")?,
                created_at: time(row.try_get("created_at")?),
                seen_at: time(row.try_get("seen_at")?),
                proved_at: time(row.try_get("proved_at")?),
            })
        })
        .transpose()
    }

    /// Whether an officer has an authenticator, and a passkey.
    pub(crate) async fn factors(&self, officer: OfficerId) -> Result<(bool, bool), StoreError> {
        let row = sqlx::query(
            "SELECT CAST(CASE WHEN totp IS NULL THEN 0 ELSE 1 END AS BIGINT) AS code,
                    (SELECT CAST(COUNT(*) AS BIGINT) FROM passkey WHERE passkey.officer = officer.id) AS passkeys
             FROM officer WHERE id = $1",
        )
        .bind(officer.0)
        .fetch_one(&self.read)
        .await?;
        Ok((row.try_get::<i64, _>("code")? > 0, row.try_get::<i64, _>("passkeys")? > 0))
    }

    /// Remembers that a session is in use.
    pub(crate) async fn touch_session(&self, digest: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE session SET seen_at = $2 WHERE digest = $1")
            .bind(digest)
            .bind(now.timestamp_millis())
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Whom an invitation is for, while it holds.
    pub(crate) async fn invitation(&self, digest: &str, now: DateTime<Utc>) -> Result<Option<OfficerId>, StoreError> {
        let id: Option<i64> =
            sqlx::query_scalar("SELECT officer FROM invitation WHERE digest = $1 AND expires_at > $2")
                .bind(digest)
                .bind(now.timestamp_millis())
                .fetch_optional(&self.read)
                .await?;
        Ok(id.map(OfficerId))
    }

    /// A token for programs by its digest, while it holds.
    pub(crate) async fn api_token(&self, digest: &str, now: DateTime<Utc>) -> Result<Option<TokenRow>, StoreError> {
        let row = sqlx::query(
            "SELECT digest, officer, name, scopes, expires_at FROM api_token WHERE digest = $1 AND expires_at > $2",
        )
        .bind(digest)
        .bind(now.timestamp_millis())
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(token).transpose()
    }

    /// An officer's tokens.
    pub(crate) async fn api_tokens(&self, officer: OfficerId) -> Result<Vec<TokenRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT digest, officer, name, scopes, expires_at FROM api_token WHERE officer = $1 ORDER BY name",
        )
        .bind(officer.0)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(token).collect()
    }
}

fn token(row: &sqlx::any::AnyRow) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        digest: row.try_get("digest")?,
        officer: OfficerId(row.try_get("officer")?),
        name: row.try_get("name")?,
        scopes: row.try_get("scopes")?,
        expires_at: time(row.try_get("expires_at")?),
    })
}

/// Begins a session.
pub(crate) async fn insert_session(
    tx: &mut Tx,
    digest: &str,
    (officer, csrf): (OfficerId, &str),
    now: DateTime<Utc>,
    proved_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO session (digest, officer, csrf, created_at, seen_at, proved_at, failures) VALUES ($1, $2, $3, $4, $4, $5, 0)",
    )
    .bind(digest)
    .bind(officer.0)
    .bind(csrf)
    .bind(now.timestamp_millis())
    .bind(proved_at.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Remembers that the officer of a session has proved to be there.
pub(crate) async fn prove_session(tx: &mut Tx, digest: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query("UPDATE session SET proved_at = $2, failures = 0 WHERE digest = $1")
        .bind(digest)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Counts a wrong code in a session, and gives the count.
pub(crate) async fn fail_session(tx: &mut Tx, digest: &str) -> Result<i64, StoreError> {
    let sql = "UPDATE session SET failures = failures + 1 WHERE digest = $1 RETURNING failures";
    let count: Option<i64> = sqlx::query_scalar(sql).bind(digest).fetch_optional(&mut *tx).await?;
    Ok(count.unwrap_or_default())
}

/// Ends a session.
pub(crate) async fn end_session(tx: &mut Tx, digest: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM session WHERE digest = $1").bind(digest).execute(&mut *tx).await?;
    Ok(())
}

/// Ends every session of an officer.
pub(crate) async fn end_sessions(tx: &mut Tx, officer: OfficerId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM session WHERE officer = $1").bind(officer.0).execute(&mut *tx).await?;
    Ok(())
}

/// Throws away sessions, invitations and tokens that no longer hold.
pub(crate) async fn end_old(tx: &mut Tx, seen_before: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM session WHERE seen_at < $1")
        .bind(seen_before.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    for sql in ["DELETE FROM invitation WHERE expires_at < $1", "DELETE FROM api_token WHERE expires_at < $1"] {
        sqlx::query(sql).bind(now.timestamp_millis()).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Keeps an invitation.
pub(crate) async fn insert_invitation(
    tx: &mut Tx,
    digest: &str,
    officer: OfficerId,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    // The newest link alone holds.
    sqlx::query("DELETE FROM invitation WHERE officer = $1").bind(officer.0).execute(&mut *tx).await?;
    sqlx::query("INSERT INTO invitation (digest, officer, expires_at) VALUES ($1, $2, $3)")
        .bind(digest)
        .bind(officer.0)
        .bind(expires_at.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Uses an invitation up; false when it was used.
pub(crate) async fn use_invitation(tx: &mut Tx, digest: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM invitation WHERE digest = $1").bind(digest).execute(&mut *tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps a token for programs.
pub(crate) async fn insert_token(tx: &mut Tx, token: &TokenRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO api_token (digest, officer, name, scopes, expires_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&token.digest)
        .bind(token.officer.0)
        .bind(&token.name)
        .bind(&token.scopes)
        .bind(token.expires_at.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Ends a token of an officer.
pub(crate) async fn end_token(tx: &mut Tx, officer: OfficerId, digest: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM api_token WHERE officer = $1 AND digest = $2")
        .bind(officer.0)
        .bind(digest)
        .execute(&mut *tx)
        .await?;
    Ok(done.rows_affected() == 1)
}
