//! Officers, what they may do, and how they are reached.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::alerts::time;
use super::{Store, StoreError, Tx, take_ids};
use crate::delivery::Address;
use crate::messages::Language;
use crate::officers::{Grant, Grants, Login, OfficerId, Role};

/// An officer on record.
#[derive(Debug, Clone, Serialize)]
pub struct OfficerRow {
    /// Their id.
    pub id: OfficerId,
    /// What they sign in with.
    pub login: Login,
    /// Their name.
    pub name: String,
    /// The language of their pages.
    pub language: Language,
    /// Whether they may sign in.
    pub active: bool,
    /// What they may do.
    pub grants: Grants,
    /// When they were invited.
    pub created_at: DateTime<Utc>,
}

/// What is needed to check a sign-in.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) id: OfficerId,
    pub(crate) password: Option<String>,
    pub(crate) totp: Option<Vec<u8>>,
    pub(crate) totp_step: i64,
    pub(crate) locked_until: DateTime<Utc>,
}

const COLUMNS: &str = "id, login, name, language, state, created_at";

impl Store {
    /// Every officer, by login.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn officers(&self) -> Result<Vec<OfficerRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM officer ORDER BY login");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.read).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(self.with_grants(row).await?);
        }
        Ok(found)
    }

    /// An officer by id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn officer(&self, id: OfficerId) -> Result<Option<OfficerRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM officer WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&self.read).await?;
        match row {
            Some(row) => Ok(Some(self.with_grants(&row).await?)),
            None => Ok(None),
        }
    }

    /// An officer by login.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn officer_by_login(&self, login: &Login) -> Result<Option<OfficerRow>, StoreError> {
        let id: Option<i64> = sqlx::query_scalar("SELECT id FROM officer WHERE login = $1")
            .bind(login.as_str())
            .fetch_optional(&self.read)
            .await?;
        match id {
            Some(id) => self.officer(OfficerId(id)).await,
            None => Ok(None),
        }
    }

    /// The officer whom another service knows by this name.
    pub(crate) async fn officer_by_subject(&self, subject: &str) -> Result<Option<OfficerRow>, StoreError> {
        let id: Option<i64> = sqlx::query_scalar("SELECT id FROM officer WHERE subject = $1")
            .bind(subject)
            .fetch_optional(&self.read)
            .await?;
        match id {
            Some(id) => self.officer(OfficerId(id)).await,
            None => Ok(None),
        }
    }

    /// What an officer proves themselves with.
    pub(crate) async fn credentials(&self, id: OfficerId) -> Result<Option<Credentials>, StoreError> {
        let row = sqlx::query("SELECT password, totp, totp_step, locked_until FROM officer WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| {
            Ok(Credentials {
                id,
                password: row.try_get("password")?,
                totp: row.try_get("totp")?,
                totp_step: row.try_get("totp_step")?,
                locked_until: time(row.try_get("locked_until")?),
            })
        })
        .transpose()
    }

    /// How an officer is reached, with the ids of the addresses.
    pub(crate) async fn officer_addresses(&self, id: OfficerId) -> Result<Vec<(i64, Address)>, StoreError> {
        let rows = sqlx::query("SELECT id, channel, value FROM officer_address WHERE officer = $1 ORDER BY id")
            .bind(id.0)
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| {
                let channel: String = row.try_get("channel")?;
                let channel = channel.parse().map_err(StoreError::corrupt)?;
                Ok((row.try_get("id")?, Address { channel, value: row.try_get("value")? }))
            })
            .collect()
    }

    async fn with_grants(&self, row: &AnyRow) -> Result<OfficerRow, StoreError> {
        let id: i64 = row.try_get("id")?;
        let grants = sqlx::query("SELECT role, region FROM officer_grant WHERE officer = $1")
            .bind(id)
            .fetch_all(&self.read)
            .await?;
        let grants: Result<BTreeSet<Grant>, StoreError> = grants
            .iter()
            .map(|row| {
                let (role, region): (String, String) = (row.try_get("role")?, row.try_get("region")?);
                Grant::parse(&format!("{role}:{region}")).ok_or_else(|| StoreError::corrupt("officer grant"))
            })
            .collect();
        let (login, language): (String, String) = (row.try_get("login")?, row.try_get("language")?);
        Ok(OfficerRow {
            id: OfficerId(id),
            login: login.parse().map_err(StoreError::corrupt)?,
            name: row.try_get("name")?,
            language: Language::of_tag(&language).unwrap_or(Language::Chinese),
            active: row.try_get::<String, _>("state")? == "active",
            grants: Grants(grants?),
            created_at: time(row.try_get("created_at")?),
        })
    }
}

/// Adds an officer who has not accepted the invitation yet.
pub(crate) async fn insert_officer(
    tx: &mut Tx,
    login: &Login,
    name: &str,
    language: Language,
    now: DateTime<Utc>,
) -> Result<Option<OfficerId>, StoreError> {
    let id = take_ids(tx, "officer", 1).await?;
    let done = sqlx::query(
        "INSERT INTO officer (id, login, name, language, totp_step, state, failures, locked_until, created_at)
         VALUES ($1, $2, $3, $4, 0, 'invited', 0, 0, $5) ON CONFLICT (login) DO NOTHING",
    )
    .bind(id)
    .bind(login.as_str())
    .bind(name)
    .bind(language.tag())
    .bind(now.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    Ok((done.rows_affected() == 1).then_some(OfficerId(id)))
}

/// Sets how an officer proves themselves; they may sign in from here on.
pub(crate) async fn set_credentials(
    tx: &mut Tx,
    id: OfficerId,
    password: &str,
    totp: &[u8],
    totp_step: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE officer SET password = $2, totp = $3, totp_step = $4, state = 'active', failures = 0, locked_until = 0 WHERE id = $1",
    )
    .bind(id.0)
    .bind(password)
    .bind(totp)
    .bind(totp_step)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Lets an officer sign in, or no longer; their sessions, tokens and invitations end with it.
pub(crate) async fn set_active(tx: &mut Tx, id: OfficerId, active: bool) -> Result<(), StoreError> {
    sqlx::query("UPDATE officer SET state = $2 WHERE id = $1")
        .bind(id.0)
        .bind(if active { "active" } else { "suspended" })
        .execute(&mut *tx)
        .await?;
    if !active {
        for sql in [
            "DELETE FROM session WHERE officer = $1",
            "DELETE FROM api_token WHERE officer = $1",
            "DELETE FROM invitation WHERE officer = $1",
        ] {
            sqlx::query(sql).bind(id.0).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// Whether an officer was suspended, and not restored since.
pub(crate) async fn is_suspended(tx: &mut Tx, id: OfficerId) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM officer WHERE id = $1 AND state = 'suspended'";
    Ok(sqlx::query_scalar::<_, i64>(sql).bind(id.0).fetch_optional(&mut *tx).await?.is_some())
}

/// Ties an officer to the name that another service knows them by; false when somebody else is tied to it.
pub(crate) async fn set_subject(tx: &mut Tx, id: OfficerId, subject: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE officer SET subject = $2
               WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM officer AS other WHERE other.subject = $2 AND other.id <> $1)";
    let done = sqlx::query(sql).bind(id.0).bind(subject).execute(&mut *tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Remembers the step of a one-time code; false when it was used already.
pub(crate) async fn use_totp_step(tx: &mut Tx, id: OfficerId, step: i64) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE officer SET totp_step = $2 WHERE id = $1 AND totp_step < $2")
        .bind(id.0)
        .bind(step)
        .execute(&mut *tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts a failed sign-in; how many there are now.
pub(crate) async fn count_failure(tx: &mut Tx, id: OfficerId) -> Result<i64, StoreError> {
    let sql = "UPDATE officer SET failures = failures + 1 WHERE id = $1 RETURNING failures";
    Ok(sqlx::query_scalar(sql).bind(id.0).fetch_one(&mut *tx).await?)
}

/// Sets how many failures there were, and until when the account rests.
pub(crate) async fn set_failures(
    tx: &mut Tx,
    id: OfficerId,
    failures: i64,
    locked_until: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE officer SET failures = $2, locked_until = $3 WHERE id = $1")
        .bind(id.0)
        .bind(failures)
        .bind(locked_until.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// The officer with this login.
pub(crate) async fn officer_named(tx: &mut Tx, login: &Login) -> Result<Option<OfficerId>, StoreError> {
    let sql = "SELECT id FROM officer WHERE login = $1";
    let id: Option<i64> = sqlx::query_scalar(sql).bind(login.as_str()).fetch_optional(&mut *tx).await?;
    Ok(id.map(OfficerId))
}

/// Gives or takes a role.
pub(crate) async fn set_grant(tx: &mut Tx, id: OfficerId, grant: &Grant, given: bool) -> Result<(), StoreError> {
    let sql = if given {
        "INSERT INTO officer_grant (officer, role, region) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM officer_grant WHERE officer = $1 AND role = $2 AND region = $3"
    };
    sqlx::query(sql).bind(id.0).bind(grant.role.as_str()).bind(grant.place()).execute(&mut *tx).await?;
    Ok(())
}

/// Sets the language of an officer's pages and calls.
pub(crate) async fn set_language(tx: &mut Tx, id: OfficerId, language: Language) -> Result<(), StoreError> {
    sqlx::query("UPDATE officer SET language = $2 WHERE id = $1")
        .bind(id.0)
        .bind(language.tag())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Sets how an officer is reached.
pub(crate) async fn set_addresses(tx: &mut Tx, id: OfficerId, addresses: &[Address]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM officer_address WHERE officer = $1").bind(id.0).execute(&mut *tx).await?;
    for address in addresses {
        let row = take_ids(tx, "officer_address", 1).await?;
        sqlx::query(
            "INSERT INTO officer_address (id, officer, channel, value) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(row)
        .bind(id.0)
        .bind(address.channel.as_str())
        .bind(&address.value)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// How many administrators of the whole service can sign in.
pub(crate) async fn administrators(tx: &mut Tx) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT CAST(COUNT(DISTINCT officer.id) AS BIGINT) FROM officer JOIN officer_grant ON officer_grant.officer = officer.id
         WHERE state = 'active' AND (password IS NOT NULL OR subject IS NOT NULL) AND role = $1 AND region = $2",
    )
    .bind(Role::Administrator.as_str())
    .bind(Grant::EVERYWHERE)
    .fetch_one(&mut *tx)
    .await?)
}
