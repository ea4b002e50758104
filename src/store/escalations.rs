//! What waits for officers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::any::AnyRow;
use sqlx::{QueryBuilder, Row};

use super::alerts::time;
use super::record::{Entry, record};
use super::{Store, StoreError, Tx, readable, refresh_alert_state, take_ids};
use crate::approval::Escalation;
use crate::regions::RegionCode;
use crate::rules::Lane;
use crate::world::World;

/// An escalation on record.
#[derive(Debug, Clone)]
pub struct EscalationRow<W: World> {
    /// Its id.
    pub id: i64,
    /// Which alert.
    pub alert: String,
    /// How urgent.
    pub lane: Lane,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When nothing more could happen.
    pub closed_at: Option<DateTime<Utc>>,
    /// The machine.
    pub escalation: Escalation<W>,
}

/// Which world an escalation belongs to, for what must look before it knows.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) id: i64,
    pub(crate) world: String,
}

/// Of one that is open, what its place in the queue needs.
#[derive(Debug, Clone)]
pub struct OpenRow {
    /// Its id.
    pub id: i64,
    /// Who decides.
    pub jurisdiction: RegionCode,
    /// How urgent.
    pub lane: Lane,
    /// Whether its author has it again.
    pub returned: bool,
}

/// What the queue shows of one escalation.
#[derive(Debug, Clone)]
pub struct QueueRow<W: World> {
    /// The escalation.
    pub row: EscalationRow<W>,
    /// The alert's headline.
    pub headline: String,
    /// The hazard's slug.
    pub hazard: String,
    /// CAP severity.
    pub severity: String,
    /// `Alert`, `Update`, `Cancel`.
    pub msg_type: String,
}

const COLUMNS: &str = "escalation.id AS id, escalation.alert AS alert, lane, created_at, closed_at, body";

impl Store {
    /// An escalation of this world.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn escalation<W: World>(&self, id: i64) -> Result<Option<EscalationRow<W>>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM escalation WHERE id = $1 AND world = $2");
        let found = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(W::SLUG).fetch_optional(&self.read).await?;
        found.as_ref().map(row).transpose()
    }

    /// The escalations of an alert, by jurisdiction.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn escalations_of<W: World>(&self, alert: &str) -> Result<Vec<EscalationRow<W>>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM escalation WHERE alert = $1 AND world = $2 ORDER BY jurisdiction, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(alert).bind(W::SLUG).fetch_all(&self.read).await?;
        rows.iter().map(row).collect()
    }

    /// Everything that is open, most urgent first, without its words: whose it is can be told by that.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_escalations<W: World>(&self) -> Result<Vec<OpenRow>, StoreError> {
        let mut found = Vec::new();
        // One lane and state at a time, so that the index gives the order: a grave alert that was returned before any light one.
        for lane in Lane::ALL {
            for state in ["approved", "waiting", "returned"] {
                let rows = sqlx::query(
                    "SELECT id, jurisdiction FROM escalation WHERE world = $1 AND state = $2 AND lane = $3 ORDER BY overdue DESC, due_at",
                )
                .bind(W::SLUG)
                .bind(state)
                .bind(i64::from(lane.number()))
                .fetch_all(&self.read)
                .await?;
                for row in &rows {
                    let jurisdiction: &str = row.try_get("jurisdiction")?;
                    let jurisdiction = jurisdiction.parse().map_err(StoreError::corrupt);
                    let Some(jurisdiction) = readable("a jurisdiction", jurisdiction)? else { continue };
                    found.push(OpenRow { id: row.try_get("id")?, jurisdiction, lane, returned: state == "returned" });
                }
            }
        }
        Ok(found)
    }

    /// How many need somebody now: the red cards of the queue.
    pub(crate) async fn unanswered<W: World>(&self) -> Result<i64, StoreError> {
        // The column of what is overdue, by way of its index.
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM escalation
             WHERE world = $1 AND state IN ('approved', 'waiting', 'returned') AND lane IN (0, 1, 2, 3) AND overdue = 1";
        Ok(sqlx::query_scalar(sql).bind(W::SLUG).fetch_one(&self.read).await?)
    }

    /// What the queue shows of these, in their order; who is open no more is left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn queue_rows<W: World>(&self, ids: &[i64]) -> Result<Vec<QueueRow<W>>, StoreError> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(500) {
            let mut sql = QueryBuilder::new(format!(
                "SELECT {COLUMNS}, headline, hazard, severity, msg_type FROM escalation
                 JOIN alert ON alert.id = escalation.alert WHERE closed_at IS NULL AND escalation.id IN ("
            ));
            let mut list = sql.separated(", ");
            for id in some {
                list.push_bind(*id);
            }
            sql.push(") AND world = ").push_bind(W::SLUG);
            for item in &sql.build().fetch_all(&self.read).await? {
                let Some(read) = readable("an escalation in the queue", row(item))? else { continue };
                let shown = QueueRow {
                    row: read,
                    headline: item.try_get("headline")?,
                    hazard: item.try_get("hazard")?,
                    severity: item.try_get("severity")?,
                    msg_type: item.try_get("msg_type")?,
                };
                found.insert(shown.row.id, shown);
            }
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Escalations whose time has come.
    pub(crate) async fn due_escalations(&self, now: DateTime<Utc>, limit: i64) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query("SELECT id, world FROM escalation WHERE due_at <= $1 ORDER BY lane, due_at LIMIT $2")
            .bind(now.timestamp_millis())
            .bind(limit)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(|row| Ok(Due { id: row.try_get("id")?, world: row.try_get("world")? })).collect()
    }
}

/// Writes a new escalation.
pub(crate) async fn insert_escalation<W: World>(
    tx: &mut Tx,
    alert: &str,
    lane: Lane,
    escalation: &Escalation<W>,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let id = take_ids(tx, "escalation", 1).await?;
    sqlx::query(
        "INSERT INTO escalation (id, alert, world, jurisdiction, state, lane, body, created_at, due_at, overdue)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id)
    .bind(alert)
    .bind(W::SLUG)
    .bind(escalation.jurisdiction.as_str())
    .bind(escalation.state.as_str())
    .bind(i64::from(lane.number()))
    .bind(serde_json::to_string(escalation).map_err(StoreError::corrupt)?)
    .bind(now.timestamp_millis())
    .bind(escalation.next_look().map(|at| at.timestamp_millis()))
    .bind(i64::from(escalation.is_unanswered()))
    .execute(&mut *tx)
    .await?;
    Ok(id)
}

/// Reads an escalation inside a transaction: nobody else changes it until that ends.
pub(crate) async fn escalation_in<W: World>(tx: &mut Tx, id: i64) -> Result<Option<EscalationRow<W>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM escalation WHERE id = $1 AND world = $2");
    let found = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(W::SLUG).fetch_optional(&mut *tx).await?;
    found.as_ref().map(row).transpose()
}

/// Writes what became of an escalation.
pub(crate) async fn update_escalation<W: World>(
    tx: &mut Tx,
    id: i64,
    escalation: &Escalation<W>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let closed = (!escalation.state.is_open()).then(|| now.timestamp_millis());
    sqlx::query("UPDATE escalation SET state = $2, body = $3, due_at = $4, closed_at = $5, overdue = $6 WHERE id = $1")
        .bind(id)
        .bind(escalation.state.as_str())
        .bind(serde_json::to_string(escalation).map_err(StoreError::corrupt)?)
        .bind(escalation.next_look().map(|at| at.timestamp_millis()))
        .bind(closed)
        .bind(i64::from(escalation.is_unanswered()))
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Whether something of an alert still waits for officers.
pub(crate) async fn is_open(tx: &mut Tx, alert: &str) -> Result<bool, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM escalation WHERE alert = $1 AND state IN ('approved', 'waiting', 'returned')";
    let n: i64 = sqlx::query_scalar(sql).bind(alert).fetch_one(&mut *tx).await?;
    Ok(n > 0)
}

/// Ends what still waits of an alert that a newer one replaces, in the jurisdictions that are meant, and says where the alert
/// stands then. Returns the jurisdictions.
pub(crate) async fn withdraw_escalations<W: World>(
    tx: &mut Tx,
    alert: &str,
    by: &str,
    now: DateTime<Utc>,
    meant: impl Fn(&RegionCode) -> bool,
) -> Result<Vec<RegionCode>, StoreError> {
    let open = sqlx::query(
        "SELECT id, jurisdiction FROM escalation
         WHERE alert = $1 AND world = $2 AND state IN ('approved', 'waiting', 'returned')",
    )
    .bind(alert)
    .bind(W::SLUG)
    .fetch_all(&mut *tx)
    .await?;
    let mut ended = Vec::new();
    for row in &open {
        let (id, jurisdiction): (i64, &str) = (row.try_get("id")?, row.try_get("jurisdiction")?);
        let Some(jurisdiction) = readable("a jurisdiction", jurisdiction.parse().map_err(StoreError::corrupt))? else {
            continue;
        };
        if !meant(&jurisdiction) {
            continue;
        }
        let detail = serde_json::json!({"escalation": id, "jurisdiction": jurisdiction, "by": by});
        record(tx, now, Entry::new("tocsin", "escalation.replaced", alert, detail));
        match readable("an escalation that is replaced", escalation_in::<W>(tx, id).await)?.flatten() {
            Some(mut row) => {
                row.escalation.replaced(by);
                update_escalation(tx, id, &row.escalation, now).await?;
            }
            None => close_unread(tx, id, now).await?,
        }
        ended.push(jurisdiction);
    }
    if !ended.is_empty() {
        refresh_alert_state(tx, alert)?;
    }
    Ok(ended)
}

/// Closes an escalation whose words cannot be read: nothing of it goes out any more.
async fn close_unread(tx: &mut Tx, id: i64, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query("UPDATE escalation SET state = 'withdrawn', due_at = NULL, closed_at = $2 WHERE id = $1")
        .bind(id)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

fn row<W: World>(row: &AnyRow) -> Result<EscalationRow<W>, StoreError> {
    let body: String = row.try_get("body")?;
    let lane: i64 = row.try_get("lane")?;
    let lane = u8::try_from(lane).ok().and_then(|lane| Lane::try_from(lane).ok());
    Ok(EscalationRow {
        id: row.try_get("id")?,
        alert: row.try_get("alert")?,
        lane: lane.ok_or_else(|| StoreError::corrupt("escalation lane"))?,
        created_at: time(row.try_get("created_at")?),
        closed_at: row.try_get::<Option<i64>, _>("closed_at")?.map(time),
        escalation: serde_json::from_str(&body).map_err(|e| StoreError::corrupt(format!("escalation: {e}")))?,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::rules::{Approval, Level, Position, Span, Stage, Step, Then};
    use crate::store::StoreOptions;
    use crate::world::Live;

    /// A new one of this many minutes.
    fn begin(minutes: u16, now: DateTime<Utc>) -> Escalation<Live> {
        let within = Span::minutes(minutes);
        let step = Step { page: Position::Primary, by: std::collections::BTreeSet::new(), within, then: Then::Hold };
        let approval = Approval {
            name: "test".into(),
            stages: vec![Stage::Sign],
            green: false,
            by: Level::Province,
            steps: vec![step],
        };
        let code = || "310101".parse().unwrap();
        let area = (vec![code()], vec![code()]);
        Escalation::begin("310000".parse().unwrap(), area, approval, [], now + TimeDelta::days(1), now).0
    }

    #[tokio::test]
    async fn what_is_overdue_stands_first_in_its_lane() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut tx = store.begin().await.unwrap();
        let mut ids = Vec::new();
        for (lane, minutes) in [(Lane::SEVERE, 5), (Lane::SEVERE, 60), (Lane::EXTREME, 90)] {
            ids.push(insert_escalation(&mut tx, "a", lane, &begin(minutes, now), now).await.unwrap());
        }
        tx.commit().await.unwrap();
        let order = async || {
            let open = store.open_escalations::<Live>().await.unwrap();
            open.iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert_eq!(order().await, [ids[2], ids[0], ids[1]], "the gravest, then by time left");
        let mut tx = store.begin().await.unwrap();
        let mut late = escalation_in::<Live>(&mut tx, ids[1]).await.unwrap().unwrap().escalation;
        let then = now + TimeDelta::minutes(60);
        late.tick(then);
        update_escalation(&mut tx, ids[1], &late, then).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(order().await, [ids[2], ids[1], ids[0]], "held for an hour more, and before what was never overdue");
    }
}
