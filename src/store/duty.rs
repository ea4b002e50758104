//! Who is on duty.

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::alerts::time;
use super::{Store, StoreError, Tx, take_ids};
use crate::approval::{Override, Roster, Rotation};
use crate::officers::OfficerId;
use crate::regions::RegionCode;
use crate::rules::Position;

impl Store {
    /// Everything on the duty roster; overrides that are over are left out.
    pub(crate) async fn roster(&self, now: DateTime<Utc>) -> Result<Roster, StoreError> {
        let rows = sqlx::query("SELECT id, jurisdiction, position, officers, days, starts_at FROM rotation ORDER BY jurisdiction, position")
            .fetch_all(&self.read)
            .await?;
        let mut roster = Roster::default();
        for row in &rows {
            let officers: String = row.try_get("officers")?;
            roster.rotations.push(Rotation {
                id: row.try_get("id")?,
                jurisdiction: region(row.try_get("jurisdiction")?)?,
                position: position(row.try_get("position")?)?,
                officers: serde_json::from_str(&officers).map_err(StoreError::corrupt)?,
                days: u16::try_from(row.try_get::<i64, _>("days")?).unwrap_or(1),
                starts: time(row.try_get("starts_at")?),
            });
        }
        let rows = sqlx::query("SELECT id, jurisdiction, position, officer, from_at, to_at FROM duty_override WHERE to_at > $1 ORDER BY from_at")
            .bind(now.timestamp_millis())
            .fetch_all(&self.read)
            .await?;
        for row in &rows {
            roster.overrides.push(Override {
                id: row.try_get("id")?,
                jurisdiction: region(row.try_get("jurisdiction")?)?,
                position: position(row.try_get("position")?)?,
                officer: OfficerId(row.try_get("officer")?),
                from: time(row.try_get("from_at")?),
                to: time(row.try_get("to_at")?),
            });
        }
        Ok(roster)
    }
}

/// Sets the rotation of a position.
pub(crate) async fn set_rotation(tx: &mut Tx, rotation: &Rotation) -> Result<(), StoreError> {
    let id = take_ids(tx, "rotation", 1).await?;
    sqlx::query(
        "INSERT INTO rotation (id, jurisdiction, position, officers, days, starts_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (jurisdiction, position) DO UPDATE SET officers = excluded.officers, days = excluded.days, starts_at = excluded.starts_at",
    )
    .bind(id)
    .bind(rotation.jurisdiction.as_str())
    .bind(rotation.position.as_str())
    .bind(serde_json::to_string(&rotation.officers).map_err(StoreError::corrupt)?)
    .bind(i64::from(rotation.days))
    .bind(rotation.starts.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Adds an override.
pub(crate) async fn insert_override(tx: &mut Tx, new: &Override) -> Result<(), StoreError> {
    let id = take_ids(tx, "duty_override", 1).await?;
    sqlx::query("INSERT INTO duty_override (id, jurisdiction, position, officer, from_at, to_at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(new.jurisdiction.as_str())
        .bind(new.position.as_str())
        .bind(new.officer.0)
        .bind(new.from.timestamp_millis())
        .bind(new.to.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Takes a rotation away; gives whose it was.
pub(crate) async fn end_rotation(tx: &mut Tx, id: i64) -> Result<Option<RegionCode>, StoreError> {
    let own: Option<String> =
        sqlx::query_scalar("SELECT jurisdiction FROM rotation WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
    sqlx::query("DELETE FROM rotation WHERE id = $1").bind(id).execute(&mut *tx).await?;
    own.as_deref().map(region).transpose()
}

/// Ends an override, whether it has begun or not; gives whose it was, where it was not over.
pub(crate) async fn end_override(tx: &mut Tx, id: i64, at: DateTime<Utc>) -> Result<Option<RegionCode>, StoreError> {
    let own: Option<String> = sqlx::query_scalar("SELECT jurisdiction FROM duty_override WHERE id = $1 AND to_at > $2")
        .bind(id)
        .bind(at.timestamp_millis())
        .fetch_optional(&mut *tx)
        .await?;
    sqlx::query("UPDATE duty_override SET to_at = $2 WHERE id = $1 AND to_at > $2")
        .bind(id)
        .bind(at.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    own.as_deref().map(region).transpose()
}

fn region(code: &str) -> Result<RegionCode, StoreError> {
    code.parse().map_err(StoreError::corrupt)
}

fn position(word: &str) -> Result<Position, StoreError> {
    let found = Position::ALL.into_iter().find(|position| position.as_str() == word);
    found.ok_or_else(|| StoreError::corrupt(format!("duty position {word}")))
}
