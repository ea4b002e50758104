//! Event chains: who stands with whom, and why.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, Row};

use super::addresses::IDS;
use super::alerts::{COLUMNS, row};
use super::{AlertRow, AlertState, Store, StoreError, Tx, readable};
use crate::chains::Why;

/// A new alert, as what is on record may know it.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer<'a> {
    pub(crate) id: &'a str,
    /// What successors call it that name it by its identifier alone.
    pub(crate) also_named: [&'a str; 2],
    /// Where it may belong to an alert without being told so.
    pub(crate) like: Option<Like<'a>>,
}

/// Alerts of one bureau, danger, sender and world that stand at the head of their events, and warn at this time or end what was sent
/// before it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Like<'a> {
    pub(crate) bureau: &'a str,
    pub(crate) hazard: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) status: &'a str,
    pub(crate) at: DateTime<Utc>,
}

/// What the record knows of a new alert.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kin {
    /// It is on record itself.
    pub(crate) is_known: bool,
    /// Alerts that name it, as what they replace.
    pub(crate) naming: Vec<String>,
    /// Alerts that are like it, each with where it is.
    pub(crate) alike: Vec<(String, serde_json::Value)>,
}

impl Store {
    /// Alerts that name one of these: as what they replace, or only in passing.
    pub(crate) async fn naming(&self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for some in ids.chunks(IDS) {
            let mut sql = QueryBuilder::new(
                "SELECT alert FROM alert_reference WHERE why NOT IN ('answer', 'ignored') AND refers_to IN (",
            );
            let mut names = sql.separated(", ");
            for id in some {
                names.push_bind(id);
            }
            sql.push(")");
            found.extend(sql.build_query_scalar::<String>().fetch_all(&self.read).await?);
        }
        Ok(found)
    }

    /// A bureau's alerts of these incidents.
    pub(crate) async fn of_incidents(&self, bureau: &str, incidents: &[String]) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for incident in incidents {
            let more: Vec<String> = sqlx::query_scalar(
                "SELECT alert.id FROM alert JOIN alert_incident ON alert_incident.alert = alert.id
                 WHERE incident = $1 AND bureau = $2",
            )
            .bind(incident)
            .bind(bureau)
            .fetch_all(&self.read)
            .await?;
            found.extend(more);
        }
        Ok(found)
    }

    /// What incidents an alert belongs to.
    pub(crate) async fn incidents(&self, alert: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT incident FROM alert_incident WHERE alert = $1 ORDER BY incident";
        Ok(sqlx::query_scalar(sql).bind(alert).fetch_all(&self.read).await?)
    }

    /// Why an event's alerts stand in it: for each, which alert it was joined to and by what.
    pub(crate) async fn why_in_chain(&self, chain: &str) -> Result<BTreeMap<String, Vec<(String, Why)>>, StoreError> {
        let rows = sqlx::query(
            "SELECT alert_reference.alert AS alert, refers_to, why FROM alert_reference
             JOIN alert ON alert.id = alert_reference.alert WHERE chain = $1 ORDER BY refers_to",
        )
        .bind(chain)
        .fetch_all(&self.read)
        .await?;
        let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in &rows {
            let why: String = row.try_get("why")?;
            // An alert that stands with another one for a reason that cannot be read speaks to its people all the same.
            let read = Why::parse(&why).ok_or_else(|| StoreError::corrupt(format!("reference `{why}`")));
            let why = readable("a reference", read)?.unwrap_or(Why::References);
            found.entry(row.try_get("alert")?).or_default().push((row.try_get("refers_to")?, why));
        }
        Ok(found)
    }

    /// The alerts whose content this one says again, and those that they said again.
    pub(crate) async fn repeats(&self, alert: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "WITH RECURSIVE same (id) AS (
                 SELECT repeats FROM alert_repeat WHERE alert = $1
                 UNION
                 SELECT repeats FROM alert_repeat JOIN same ON alert_repeat.alert = same.id)
             SELECT id FROM same",
        )
        .bind(alert)
        .fetch_all(&self.read)
        .await?)
    }

    /// What a correction takes back: what it names itself, and nothing older.
    pub(crate) async fn corrected_by(&self, correction: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT refers_to FROM alert_reference WHERE alert = $1 AND why = 'references'";
        Ok(sqlx::query_scalar(sql).bind(correction).fetch_all(&self.read).await?)
    }

    /// An event by its name or by any of its alerts, oldest first; empty when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn chain_of(&self, id: &str) -> Result<Vec<AlertRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM alert WHERE chain = COALESCE((SELECT chain FROM alert WHERE id = $1), $1) ORDER BY sent, id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_all(&self.read).await?;
        rows.iter().map(row).collect()
    }
}

/// What the record knows that may belong to a new alert; asked at once, with the beginning of the transaction
/// that writes it: nobody else writes from then on. Where the record ends is asked along.
pub(crate) async fn kin(tx: &mut Tx, new: &Newcomer<'_>) -> Result<Kin, StoreError> {
    let [also, too] = new.also_named;
    let like = new.like.unwrap_or_default();
    let rows = sqlx::query(
        "SELECT 'own' AS kin, id, NULL AS located FROM alert WHERE id = $1
         UNION ALL SELECT 'names', alert, NULL FROM alert_reference
             WHERE why NOT IN ('answer', 'ignored') AND refers_to IN ($1, $2, $3)
         UNION ALL SELECT * FROM (SELECT 'like', id, located FROM alert
             WHERE bureau = $4 AND hazard = $5 AND sender = $6 AND status = $7
             AND superseded_by IS NULL AND ((msg_type IN ('Alert', 'Update') AND (expires IS NULL OR expires > $8))
             OR (msg_type = 'Cancel' AND sent >= $8)) ORDER BY sent DESC, id LIMIT 1000) AS alike
         UNION ALL SELECT 'line', hash, CAST(seq AS TEXT) FROM record
             WHERE seq = (SELECT value FROM counter WHERE name = 'record')",
    )
    .bind(new.id)
    .bind(also)
    .bind(too)
    .bind(like.bureau)
    .bind(like.hazard)
    .bind(like.sender)
    .bind(like.status)
    .bind(like.at.timestamp_millis())
    .fetch_all(&mut *tx)
    .await?;
    let mut kin = Kin::default();
    for row in &rows {
        let id: String = row.try_get("id")?;
        match row.try_get("kin")? {
            "own" => kin.is_known = true,
            "names" => kin.naming.push(id),
            // Where the record ends, for the lines that will tell of the alert.
            "line" => {
                let seq: String = row.try_get("located")?;
                tx.last_line = seq.parse().ok().filter(|_| tx.joined).map(|seq| (seq, id));
            }
            _ => {
                let located: Option<String> = row.try_get("located")?;
                let located = located.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                kin.alike.push((id, located));
            }
        }
    }
    Ok(kin)
}

/// Writes that an alert stands with another one.
pub(crate) fn insert_link(tx: &mut Tx, alert: &str, other: &str, why: Why) -> Result<(), StoreError> {
    tx.later(
        sqlx::query("INSERT INTO alert_reference (alert, refers_to, why) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(alert)
            .bind(other)
            .bind(why.as_str()),
    )
}

/// Writes what incidents an alert belongs to.
pub(crate) fn insert_incidents(tx: &mut Tx, alert: &str, incidents: &[String]) -> Result<(), StoreError> {
    for incident in incidents {
        tx.later(
            sqlx::query("INSERT INTO alert_incident (alert, incident) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(alert)
                .bind(incident),
        )?;
    }
    Ok(())
}

/// Writes that an alert says what an older one said.
pub(crate) fn insert_repeat(tx: &mut Tx, alert: &str, repeats: &str) -> Result<(), StoreError> {
    tx.later(
        sqlx::query("INSERT INTO alert_repeat (alert, repeats) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(alert)
            .bind(repeats),
    )
}

/// Two events turn out to be one.
pub(crate) fn merge_chain(tx: &mut Tx, from: &str, into: &str) -> Result<(), StoreError> {
    tx.later(sqlx::query("UPDATE alert SET chain = $2 WHERE chain = $1").bind(from).bind(into))
}

/// Sets where an alert stands.
pub(crate) fn set_alert_state(tx: &mut Tx, id: &str, state: AlertState) -> Result<(), StoreError> {
    tx.later(sqlx::query("UPDATE alert SET state = $2 WHERE id = $1").bind(id).bind(state.as_str()))
}
