//! Alerts and refusals.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{QueryBuilder, Row};

use super::{Store, StoreError, Tx, insert_incidents, insert_link, readable};
use crate::cap;
use crate::chains::Why;
use crate::regions::{Located, RegionCode};

/// Where an alert stands on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Goes to nobody; the decision says why.
    Withheld,
    /// Waits for officers.
    Waiting,
    /// Released by some jurisdictions; others have not decided.
    Partly,
    /// Goes out, or has gone out.
    Released,
    /// No officer let it go out.
    Closed,
}

impl AlertState {
    /// The word in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Withheld => "withheld",
            Self::Waiting => "waiting",
            Self::Partly => "partly",
            Self::Released => "released",
            Self::Closed => "closed",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreError> {
        [Self::Withheld, Self::Waiting, Self::Partly, Self::Released, Self::Closed]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| StoreError::corrupt(format!("alert state `{word}`")))
    }
}

/// An alert's row without its raw bytes.
#[derive(Debug, Clone, Serialize)]
pub struct AlertRow {
    /// Made of sender, identifier and sent.
    pub id: String,
    /// As sent.
    pub sender: String,
    /// As sent.
    pub identifier: String,
    /// As sent, in UTC.
    pub sent: DateTime<Utc>,
    /// `Alert`, `Update` or `Cancel`.
    pub msg_type: String,
    /// `Actual`, `Exercise`, ...
    pub status: String,
    /// The hazard's slug.
    pub hazard: String,
    /// The gravest severity.
    pub severity: String,
    /// One line for lists.
    pub headline: String,
    /// When the alert ends.
    pub expires: Option<DateTime<Utc>>,
    /// Which bureau's token brought it.
    pub bureau: String,
    /// When it was on disk.
    pub received_at: DateTime<Utc>,
    /// `accepted` or `remarks`.
    pub verdict: String,
    /// Where it stands.
    pub state: AlertState,
    /// The first alert of its event chain.
    pub chain: String,
    /// The alert that took its place.
    pub superseded_by: Option<String>,
    /// Whether it says that its event is over; None where that was not yet written when it came.
    #[serde(skip)]
    pub ends: Option<bool>,
    /// What the reader found, JSON.
    pub findings: serde_json::Value,
    /// What the rules said, JSON.
    pub decision: serde_json::Value,
}

/// What is recorded of a new alert, beside its row's own facts.
#[derive(Debug, Clone)]
pub(crate) struct NewAlert<'a> {
    pub(crate) row: &'a AlertRow,
    pub(crate) format: &'a str,
    pub(crate) raw: &'a [u8],
    pub(crate) located: &'a str,
    /// What it says, in short.
    pub(crate) says: &'a str,
    pub(crate) links: &'a [(String, Why)],
    pub(crate) incidents: &'a [String],
}

/// An alert on record with all that came with it.
#[derive(Debug, Clone)]
pub(crate) struct WholeAlert {
    pub(crate) row: AlertRow,
    /// What was found of its areas.
    pub(crate) located: Located,
    pub(crate) raw: Vec<u8>,
    /// `xml` or `json`.
    pub(crate) format: String,
}

pub(super) const COLUMNS: &str =
    "id, sender, identifier, sent, msg_type, status, hazard, severity, headline, expires, bureau,
    received_at, verdict, findings, state, decision, chain, superseded_by, ends";

pub(crate) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

pub(super) fn row(row: &AnyRow) -> Result<AlertRow, StoreError> {
    let json = |name: &str| -> Result<serde_json::Value, StoreError> {
        let text: Option<String> = row.try_get(name)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    };
    Ok(AlertRow {
        id: row.try_get("id")?,
        sender: row.try_get("sender")?,
        identifier: row.try_get("identifier")?,
        sent: time(row.try_get("sent")?),
        msg_type: row.try_get("msg_type")?,
        status: row.try_get("status")?,
        hazard: row.try_get("hazard")?,
        severity: row.try_get("severity")?,
        headline: row.try_get("headline")?,
        expires: row.try_get::<Option<i64>, _>("expires")?.map(time),
        bureau: row.try_get("bureau")?,
        received_at: time(row.try_get("received_at")?),
        verdict: row.try_get("verdict")?,
        // Taken for released where it cannot be read: then whatever comes after it tells its people.
        state: readable("an alert's state", AlertState::parse(row.try_get("state")?))?.unwrap_or(AlertState::Released),
        chain: row.try_get("chain")?,
        superseded_by: row.try_get("superseded_by")?,
        ends: row.try_get::<Option<i64>, _>("ends")?.map(|ends| ends != 0),
        findings: json("findings")?,
        decision: json("decision")?,
    })
}

impl Store {
    /// An alert by its id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alert(&self, id: &str) -> Result<Option<AlertRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM alert WHERE id = $1"));
        sqlx::query(sql).bind(id).fetch_optional(&self.read).await?.as_ref().map(row).transpose()
    }

    /// The newest alerts, newest first, received before `before` where given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alerts(&self, before: Option<DateTime<Utc>>, limit: u16) -> Result<Vec<AlertRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM alert WHERE received_at < $1 ORDER BY received_at DESC, id LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(before.map_or(i64::MAX, |at| at.timestamp_millis()))
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(row).collect()
    }

    /// Warnings that went out since then whose decision names one of these regions, or that have a shape and name one of those `beside`;
    /// newest first, those after `last`.
    pub(crate) async fn alerts_sent_out(
        &self,
        (regions, beside): (&[RegionCode], &[RegionCode]),
        since: DateTime<Utc>,
        last: Option<&(DateTime<Utc>, String)>,
        limit: i64,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let (at, id) = last.map_or((i64::MAX, ""), |(at, id)| (at.timestamp_millis(), id.as_str()));
        let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM alert WHERE received_at >= "));
        sql.push_bind(since.timestamp_millis()).push(" AND received_at <= ").push_bind(at);
        sql.push(" AND (received_at < ").push_bind(at).push(" OR id > ").push_bind(id.to_owned());
        sql.push(") AND status = 'Actual' AND msg_type <> 'Cancel' AND state IN ('released', 'partly') AND (");
        for region in regions {
            sql.push("decision LIKE ").push_bind(format!("%\"{region}\"%")).push(" OR ");
        }
        sql.push("(located LIKE '%\"how\":\"polygon\"%' OR located LIKE '%\"how\":\"circle\"%') AND (");
        for region in beside {
            sql.push("decision LIKE ").push_bind(format!("%\"{region}\"%")).push(" OR ");
        }
        sql.push("1 = 0)) ORDER BY received_at DESC, id LIMIT ").push_bind(limit);
        sql.build().fetch_all(&self.read).await?.iter().map(row).collect()
    }

    /// What was found of an alert's areas, JSON.
    pub(crate) async fn located(&self, id: &str) -> Result<serde_json::Value, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT located FROM alert WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.read)
            .await?
            .flatten();
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// What an alert says, in short; None where that was not yet written when it came.
    pub(crate) async fn says(&self, id: &str) -> Result<Option<String>, StoreError> {
        let says = sqlx::query_scalar("SELECT says FROM alert WHERE id = $1").bind(id);
        Ok(says.fetch_optional(&self.read).await?.flatten())
    }

    /// An alert with what was found of its areas, its bytes and how these are written.
    pub(crate) async fn whole_alert(&self, id: &str) -> Result<Option<WholeAlert>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS}, located, raw, format FROM alert LEFT JOIN alert_raw ON alert_raw.alert = alert.id WHERE id = $1"
        ));
        let found = sqlx::query(sql).bind(id).fetch_optional(&self.read).await?;
        found
            .map(|found| {
                let located: Option<String> = found.try_get("located")?;
                let located = located.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                Ok(WholeAlert {
                    row: row(&found)?,
                    located,
                    raw: found.try_get("raw")?,
                    format: found.try_get("format")?,
                })
            })
            .transpose()
    }

    /// An alert's bytes as they came, with their format (`xml` or `json`).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alert_raw(&self, id: &str) -> Result<Option<(Vec<u8>, String)>, StoreError> {
        let row =
            sqlx::query("SELECT raw, format FROM alert JOIN alert_raw ON alert_raw.alert = alert.id WHERE id = $1")
                .bind(id)
                .fetch_optional(&self.read)
                .await?;
        row.map(|row| Ok((row.try_get("raw")?, row.try_get("format")?))).transpose()
    }

    /// An alert on record, as it reads; None where there is none, or its bytes cannot be read any more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn alert_as_read(&self, id: &str) -> Result<Option<cap::Alert>, StoreError> {
        let Some((raw, format)) = self.alert_raw(id).await? else { return Ok(None) };
        Ok(as_read(&raw, &format))
    }

    /// Alerts of one status whose headline, identifier, sender or id holds these words, or that reach or name a region whose code
    /// is like one of `places` (`3301__` is like 330106), newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn search_alerts(
        &self,
        status: &str,
        (words, places): (&str, &[String]),
        before: Option<DateTime<Utc>>,
        limit: i64,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let pattern = format!("%{}%", words.trim().replace(['%', '_'], ""));
        let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM alert WHERE status = "));
        sql.push_bind(status).push(" AND received_at < ");
        sql.push_bind(before.map_or(i64::MAX, |at| at.timestamp_millis())).push(" AND (");
        for column in ["headline", "identifier", "sender", "id"] {
            sql.push(column).push(" LIKE ").push_bind(&pattern).push(" OR ");
        }
        for place in places {
            let place = format!("%\"{}\"%", place.replace(['%', '"'], ""));
            sql.push("decision LIKE ").push_bind(place.clone()).push(" OR located LIKE ").push_bind(place).push(" OR ");
        }
        sql.push("1 = 0) ORDER BY received_at DESC, id LIMIT ").push_bind(limit);
        sql.build().fetch_all(&self.read).await?.iter().map(row).collect()
    }

    /// The alerts of an event chain, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn chain(&self, chain: &str) -> Result<Vec<AlertRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM alert WHERE chain = $1 ORDER BY sent, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(chain).fetch_all(&self.read).await?;
        rows.iter().map(row).collect()
    }

    /// These alerts, those that are on record.
    pub(crate) async fn alerts_by_id(&self, ids: &[String]) -> Result<Vec<AlertRow>, StoreError> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.alert(id).await?);
        }
        Ok(found)
    }

    /// These alerts and every one that they replace.
    pub(crate) async fn with_older(&self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        let mut all = std::collections::BTreeSet::new();
        for id in ids {
            all.insert(id.clone());
            all.extend(self.replaced_by(id).await?);
        }
        Ok(all.into_iter().collect())
    }

    /// Every alert that this one replaces, directly or through those that it replaces, oldest first.
    pub(crate) async fn replaced_by(&self, id: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "WITH RECURSIVE older (id) AS (
                 SELECT refers_to FROM alert_reference WHERE alert = $1 AND why NOT IN ('split', 'answer', 'ignored')
                 UNION
                 SELECT refers_to FROM alert_reference JOIN older ON alert_reference.alert = older.id
                 WHERE why NOT IN ('split', 'answer', 'ignored'))
             SELECT alert.id FROM alert JOIN older ON alert.id = older.id WHERE alert.id <> $1 ORDER BY sent, alert.id",
        )
        .bind(id)
        .fetch_all(&self.read)
        .await?)
    }
}

/// What bytes on record say, by the format that stands with them; None where they cannot be read any more.
pub(crate) fn as_read(raw: &[u8], format: &str) -> Option<cap::Alert> {
    if format == "json" { cap::read_json(raw) } else { cap::read(raw) }.alert
}

/// Writes a new alert, which is not on record: whoever writes has looked.
pub(crate) fn insert_alert(tx: &mut Tx, new: &NewAlert<'_>) -> Result<(), StoreError> {
    let alert = new.row;
    let query = sqlx::query(
        "INSERT INTO alert (id, sender, identifier, sent, msg_type, status, hazard, severity, headline, expires, bureau,
             received_at, format, verdict, findings, state, located, decision, chain, superseded_by, ends, says)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
    )
    .bind(&alert.id)
    .bind(&alert.sender)
    .bind(&alert.identifier)
    .bind(alert.sent.timestamp_millis())
    .bind(&alert.msg_type)
    .bind(&alert.status)
    .bind(&alert.hazard)
    .bind(&alert.severity)
    .bind(&alert.headline)
    .bind(alert.expires.map(|at| at.timestamp_millis()))
    .bind(&alert.bureau)
    .bind(alert.received_at.timestamp_millis())
    .bind(new.format)
    .bind(&alert.verdict)
    .bind(alert.findings.to_string())
    .bind(alert.state.as_str())
    .bind(new.located)
    .bind(alert.decision.to_string())
    .bind(&alert.chain)
    .bind(alert.superseded_by.as_deref())
    .bind(alert.ends.map(i64::from))
    .bind(new.says);
    tx.later(query)?;
    tx.later(sqlx::query("INSERT INTO alert_raw (alert, raw) VALUES ($1, $2)").bind(&alert.id).bind(new.raw))?;
    for (other, why) in new.links {
        insert_link(tx, &alert.id, other, *why)?;
    }
    insert_incidents(tx, &alert.id, new.incidents)
}

/// Marks an alert as replaced, and closes its releases: no window of theirs opens after this transaction commits.
pub(crate) fn supersede(tx: &mut Tx, old: &str, by: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
    tx.later(
        sqlx::query("UPDATE alert SET superseded_by = $2 WHERE id = $1 AND superseded_by IS NULL").bind(old).bind(by),
    )?;
    tx.later(
        sqlx::query("UPDATE release SET superseded_at = $2 WHERE alert = $1 AND superseded_at IS NULL")
            .bind(old)
            .bind(at.timestamp_millis()),
    )?;
    Ok(())
}

/// Sets where an alert stands by what became of its parts.
pub(crate) fn refresh_alert_state(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    tx.later(sqlx::query(
        "UPDATE alert SET state = CASE
             WHEN EXISTS (SELECT 1 FROM escalation WHERE escalation.alert = alert.id AND escalation.state IN ('approved', 'waiting', 'returned'))
             THEN CASE WHEN EXISTS (SELECT 1 FROM release WHERE release.alert = alert.id) THEN 'partly' ELSE 'waiting' END
             WHEN EXISTS (SELECT 1 FROM release WHERE release.alert = alert.id) THEN 'released'
             ELSE 'closed' END
         WHERE id = $1 AND state <> 'withheld'",
    )
    .bind(id))?;
    Ok(())
}
