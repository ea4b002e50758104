//! What officers write before they submit it, and what waits for a second administrator.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::alerts::time;
use super::{Store, StoreError, Tx, take_ids};
use crate::officers::OfficerId;
use crate::world::World;

/// A draft on record.
#[derive(Debug, Clone)]
pub(crate) struct DraftRow {
    pub(crate) id: i64,
    pub(crate) author: OfficerId,
    /// The jurisdiction it is written for; colleagues there see it when it is shared.
    pub(crate) region: String,
    pub(crate) shared: bool,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) updated_at: DateTime<Utc>,
    /// The alert that it became.
    pub(crate) alert: Option<String>,
}

/// A grave setting that waits for a second administrator.
#[derive(Debug, Clone)]
pub(crate) struct ProposalRow {
    pub(crate) id: i64,
    pub(crate) body: String,
    pub(crate) by: OfficerId,
    pub(crate) at: DateTime<Utc>,
}

const COLUMNS: &str = "id, author, region, shared, title, body, updated_at, alert";

impl Store {
    /// A draft of this world.
    pub(crate) async fn draft<W: World>(&self, id: i64) -> Result<Option<DraftRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM draft WHERE id = $1 AND world = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(W::SLUG).fetch_optional(&self.read).await?;
        row.as_ref().map(draft).transpose()
    }

    /// Drafts not submitted yet: those that this officer wrote, then those that others share; newest first, at most 500.
    pub(crate) async fn drafts<W: World>(&self, officer: OfficerId) -> Result<Vec<DraftRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM draft WHERE world = $1 AND alert IS NULL AND (author = $2 OR shared = 1)
             ORDER BY CASE WHEN author = $2 THEN 0 ELSE 1 END, updated_at DESC LIMIT 500"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(W::SLUG).bind(officer.0).fetch_all(&self.read).await?;
        rows.iter().map(draft).collect()
    }

    /// Writes a draft, new where its id is 0; gives its id. None where it was saved since `seen`: nothing is written then.
    pub(crate) async fn save_draft<W: World>(&self, draft: &DraftRow, seen: i64) -> Result<Option<i64>, StoreError> {
        let mut tx = self.begin().await?;
        let id = if draft.id == 0 { take_ids(&mut tx, "draft", 1).await? } else { draft.id };
        let done = sqlx::query(
            "INSERT INTO draft (id, world, author, region, shared, title, body, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (id) DO UPDATE SET region = excluded.region, shared = excluded.shared, title = excluded.title,
                 body = excluded.body, updated_at = excluded.updated_at
                 WHERE draft.alert IS NULL AND draft.updated_at = $9",
        )
        .bind(id)
        .bind(W::SLUG)
        .bind(draft.author.0)
        .bind(&draft.region)
        .bind(i64::from(draft.shared))
        .bind(&draft.title)
        .bind(&draft.body)
        .bind(draft.updated_at.timestamp_millis())
        .bind(seen)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok((done.rows_affected() == 1).then_some(id))
    }

    /// Ties a draft to the alert that it becomes, false when it became one before; or sets it free again.
    pub(crate) async fn tie_draft(&self, id: i64, alert: Option<&str>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let sql = match alert {
            Some(_) => "UPDATE draft SET alert = $2 WHERE id = $1 AND alert IS NULL",
            None => "UPDATE draft SET alert = $2 WHERE id = $1",
        };
        let done = sqlx::query(sql).bind(id).bind(alert).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Grave settings that wait, oldest first.
    pub(crate) async fn proposals(&self) -> Result<Vec<ProposalRow>, StoreError> {
        let rows = sqlx::query("SELECT id, body, by_officer, at FROM proposal WHERE state = 'open' ORDER BY id")
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(proposal).collect()
    }
}

fn draft(row: &AnyRow) -> Result<DraftRow, StoreError> {
    Ok(DraftRow {
        id: row.try_get("id")?,
        author: OfficerId(row.try_get("author")?),
        region: row.try_get("region")?,
        shared: row.try_get::<i64, _>("shared")? == 1,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        updated_at: time(row.try_get("updated_at")?),
        alert: row.try_get("alert")?,
    })
}

fn proposal(row: &AnyRow) -> Result<ProposalRow, StoreError> {
    Ok(ProposalRow {
        id: row.try_get("id")?,
        body: row.try_get("body")?,
        by: OfficerId(row.try_get("by_officer")?),
        at: time(row.try_get("at")?),
    })
}

/// Keeps a grave setting for a second administrator.
pub(crate) async fn insert_proposal(
    tx: &mut Tx,
    kind: &str,
    body: &str,
    by: OfficerId,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let id = take_ids(tx, "proposal", 1).await?;
    sqlx::query("INSERT INTO proposal (id, kind, body, by_officer, at, state) VALUES ($1, $2, $3, $4, $5, 'open')")
        .bind(id)
        .bind(kind)
        .bind(body)
        .bind(by.0)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(id)
}

/// A proposal that waits, inside the transaction that decides it.
pub(crate) async fn open_proposal(tx: &mut Tx, id: i64) -> Result<Option<ProposalRow>, StoreError> {
    let row = sqlx::query("SELECT id, body, by_officer, at FROM proposal WHERE id = $1 AND state = 'open'")
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    row.as_ref().map(proposal).transpose()
}

/// Every proposal that waits, inside the transaction that ends some.
pub(crate) async fn open_proposals(tx: &mut Tx) -> Result<Vec<ProposalRow>, StoreError> {
    let sql = "SELECT id, body, by_officer, at FROM proposal WHERE state = 'open' ORDER BY id";
    let rows = sqlx::query(sql).fetch_all(&mut *tx).await?;
    rows.iter().map(proposal).collect()
}

/// Decides a proposal.
pub(crate) async fn decide_proposal(
    tx: &mut Tx,
    id: i64,
    state: &str,
    by: OfficerId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE proposal SET state = $2, decided_by = $3, decided_at = $4 WHERE id = $1")
        .bind(id)
        .bind(state)
        .bind(by.0)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}
