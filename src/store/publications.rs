//! What went out to the public, and who reads along.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{QueryBuilder, Row};

use super::alerts::time;
use super::releases::json;
use super::{Store, StoreError, escalation_of, readable, take_ids};
use crate::publish::Publication;
use crate::regions::RegionCode;
use crate::rules::{Audience, Reach};

/// A release of an alert, as far as the public has to do with it.
#[derive(Debug, Clone)]
pub(crate) struct Released {
    pub(crate) id: i64,
    /// The escalation whose officers released it; None where a rule did, or a correction.
    pub(crate) escalation: Option<i64>,
    pub(crate) alert: String,
    /// Its event.
    pub(crate) chain: String,
    pub(crate) regions: Vec<RegionCode>,
    pub(crate) within: Option<Vec<RegionCode>>,
    pub(crate) public: bool,
    pub(crate) at: DateTime<Utc>,
    pub(crate) expires: DateTime<Utc>,
}

/// A publication with its frozen CAP.
#[derive(Debug, Clone)]
pub(crate) struct Printed {
    pub(crate) publication: Publication,
    pub(crate) cap: Vec<u8>,
}

/// A release, or why its row cannot be read.
pub(crate) type OneRelease = Result<Released, StoreError>;

const RELEASED: &str =
    "SELECT release.id AS id, name, release.alert AS alert, COALESCE(alert.chain, '') AS chain, regions, within,
    audience, created_at, release.expires AS expires FROM release LEFT JOIN alert ON alert.id = release.alert";

/// Releases that are stopped just now.
pub(crate) type Held = BTreeSet<i64>;

/// One publication that an outlet has to hand on.
#[derive(Debug, Clone, Serialize)]
pub struct Errand {
    /// Which outlet.
    pub outlet: String,
    /// Which release was published.
    pub release: i64,
    /// `waiting`, `done` or `given_up`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub next_at: DateTime<Utc>,
    /// When that was last tried, or put here.
    pub changed: DateTime<Utc>,
    /// What the other side said last.
    pub detail: Option<String>,
}

/// How an outlet does.
#[derive(Debug, Clone, Serialize)]
pub struct OutletCount {
    /// `webhook/NAME` or `wis2`.
    pub outlet: String,
    /// Still to be handed on.
    pub waiting: i64,
    /// Handed on.
    pub done: i64,
    /// Over before the other side took them.
    pub given_up: i64,
    /// When the oldest that waits was published: how far it is behind.
    pub oldest: Option<DateTime<Utc>>,
    /// When it last failed, and what was said then.
    pub failed: Option<(DateTime<Utc>, String)>,
}

const COLUMNS: &str = "publication.body AS body, alert.chain AS chain";
const FROM: &str = "FROM publication JOIN alert ON alert.id = publication.alert";

impl Store {
    /// Grows with every release and every line of the record: while it stays, nothing that is published has changed.
    pub(crate) async fn publish_version(&self) -> Result<i64, StoreError> {
        let sql = "SELECT CAST(COALESCE(SUM(value), 0) AS BIGINT) FROM counter WHERE name IN ('release', 'record')";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.read).await?)
    }

    /// Releases of alerts that the press has not looked at, oldest first, each by itself: a row that cannot be read holds up no
    /// other. Ids follow the order of commits.
    pub(crate) async fn released_after(&self, seen: i64, limit: i64) -> Result<Vec<(i64, OneRelease)>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{RELEASED} WHERE release.id > $1 AND kind = 'alert' ORDER BY release.id LIMIT $2"
        ));
        let rows = sqlx::query(sql).bind(seen).bind(limit).fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, released(row)))).collect()
    }

    /// One release of an alert.
    pub(crate) async fn released(&self, id: i64) -> Result<OneRelease, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{RELEASED} WHERE release.id = $1"));
        Ok(released(&sqlx::query(sql).bind(id).fetch_one(&self.read).await?))
    }

    /// The last release that an outlet has taken into its own hands; None for one that is new.
    pub(crate) async fn outlet_seen(&self, outlet: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT seen FROM outlet WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(outlet).fetch_optional(&self.read).await?)
    }

    /// Keeps what the press made of releases, if anything, and that it has looked at them: all or none. To be on disk before anybody is
    /// shown it.
    pub(crate) async fn print(&self, sheet: &[(i64, Option<&Printed>)]) -> Result<(), StoreError> {
        let mut tx = self.begin_early().await?;
        if !sheet.is_empty() {
            print(&mut tx, sheet).await?;
        }
        if let Some(last) = sheet.iter().map(|(release, _)| *release).max() {
            set_seen(&mut tx, "press", last).await?;
        }
        tx.commit().await
    }

    /// The number of the newest publication, in the order in which they were made.
    pub(crate) async fn last_printed(&self) -> Result<i64, StoreError> {
        let sql = "SELECT value FROM counter WHERE name = 'printed'";
        Ok(sqlx::query_scalar(sql).fetch_optional(&self.read).await?.unwrap_or(0))
    }

    /// A publication by its permanent id.
    pub(crate) async fn printed(&self, id: &str) -> Result<Option<Printed>, StoreError> {
        let sql =
            sqlx::AssertSqlSafe(format!("SELECT {COLUMNS}, publication.cap AS cap {FROM} WHERE publication.id = $1"));
        sqlx::query(sql).bind(id).fetch_optional(&self.read).await?.as_ref().map(printed).transpose()
    }

    /// The newest publication of an alert whose id begins so.
    pub(crate) async fn printed_beginning(&self, short: &str) -> Result<Option<Publication>, StoreError> {
        // Up to the text that follows every id with this beginning: the index is of use.
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} {FROM} WHERE publication.alert >= $1 AND publication.alert < $2
             ORDER BY publication.release DESC LIMIT 1"
        ));
        let row = sqlx::query(sql).bind(short).bind(format!("{short}~")).fetch_optional(&self.read).await?;
        row.as_ref().map(publication).transpose()
    }

    /// The publication of a release.
    pub(crate) async fn printed_release(&self, release: i64) -> Result<Option<Printed>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS}, publication.cap AS cap {FROM} WHERE publication.release = $1"
        ));
        sqlx::query(sql).bind(release).fetch_optional(&self.read).await?.as_ref().map(printed).transpose()
    }

    /// The publications of these alerts, oldest first. A row that cannot be read is told, and left out.
    pub(crate) async fn printed_of(&self, alerts: &[String]) -> Result<Vec<Publication>, StoreError> {
        let sql = format!("SELECT {COLUMNS} {FROM} WHERE publication.alert = $1");
        let mut found = Vec::new();
        for alert in alerts {
            for row in &sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(alert).fetch_all(&self.read).await? {
                found.extend(readable("a publication", publication(row))?);
            }
        }
        found.sort_by_key(|publication| publication.release);
        Ok(found)
    }

    /// The publications of an event chain, oldest first. A row that cannot be read is told, and left out.
    pub(crate) async fn printed_in_chain(&self, chain: &str) -> Result<Vec<Publication>, StoreError> {
        let sql =
            sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} {FROM} WHERE alert.chain = $1 ORDER BY publication.release"));
        let rows = sqlx::query(sql).bind(chain).fetch_all(&self.read).await?;
        rows.iter().filter_map(|row| readable("a publication", publication(row)).transpose()).collect()
    }

    /// Publications made after one, of chains of which one ends at this time or later, by release; with the number of the last made. A
    /// row that cannot be read is told, and left out.
    pub(crate) async fn printed_since(
        &self,
        printed: i64,
        ends: DateTime<Utc>,
    ) -> Result<(Vec<Publication>, i64), StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS}, publication.printed AS printed {FROM} WHERE publication.printed > $1 AND EXISTS
                 (SELECT 1 FROM alert AS a JOIN publication AS p ON p.alert = a.id WHERE a.chain = alert.chain AND p.expires >= $2)"
        ));
        let rows = sqlx::query(sql).bind(printed).bind(ends.timestamp_millis()).fetch_all(&self.read).await?;
        let (mut all, mut last) = (Vec::new(), printed);
        for row in &rows {
            last = last.max(row.try_get("printed")?);
            all.extend(readable("a publication", publication(row))?);
        }
        // Sorted in SQL, it would go through all that was ever published.
        all.sort_by_key(|publication: &Publication| publication.release);
        Ok((all, last))
    }

    /// A page of the archive: publications before a release, newest first. A row that cannot be read is told, and left out.
    pub(crate) async fn printed_before(&self, release: i64, limit: i64) -> Result<Vec<Publication>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} {FROM} WHERE publication.release < $1 ORDER BY publication.release DESC LIMIT $2"
        ));
        let rows = sqlx::query(sql).bind(release).bind(limit).fetch_all(&self.read).await?;
        rows.iter().filter_map(|row| readable("a publication", publication(row)).transpose()).collect()
    }

    /// Published releases that are stopped, and would not be over.
    pub(crate) async fn held_publications(&self, ends: DateTime<Utc>) -> Result<Held, StoreError> {
        let sql = "SELECT release.id FROM release CROSS JOIN publication
             WHERE release.held_at IS NOT NULL AND publication.release = release.id AND publication.expires >= $1";
        let held: Vec<i64> = sqlx::query_scalar(sql).bind(ends.timestamp_millis()).fetch_all(&self.read).await?;
        Ok(held.into_iter().collect())
    }

    /// Whether an officer has stopped a release.
    pub(crate) async fn is_release_held(&self, release: i64) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM release WHERE id = $1 AND held_at IS NOT NULL";
        Ok(sqlx::query_scalar::<_, i64>(sql).bind(release).fetch_optional(&self.read).await?.is_some())
    }

    /// Gives an outlet its errands up to a release; an outlet that is new begins after it.
    pub(crate) async fn give_errands(
        &self,
        outlet: &str,
        releases: &[i64],
        seen: i64,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for release in releases {
            sqlx::query(
                "INSERT INTO errand (outlet, release, state, attempts, next_at, changed) VALUES ($1, $2, 'waiting', 0, $3, $3)
                 ON CONFLICT DO NOTHING",
            )
            .bind(outlet)
            .bind(release)
            .bind(now.timestamp_millis())
            .execute(&mut tx)
            .await?;
        }
        set_seen(&mut tx, outlet, seen).await?;
        tx.commit().await
    }

    /// Errands of an outlet whose time has come, oldest first.
    pub(crate) async fn due_errands(
        &self,
        outlet: &str,
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Errand>, StoreError> {
        let rows = sqlx::query(
            "SELECT outlet, release, state, attempts, next_at, changed, detail FROM errand
             WHERE outlet = $1 AND state = 'waiting' AND next_at <= $2 ORDER BY release LIMIT $3",
        )
        .bind(outlet)
        .bind(now.timestamp_millis())
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(errand).collect()
    }

    /// Writes what became of a try.
    pub(crate) async fn set_errand(&self, errand: &Errand) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE errand SET state = $3, attempts = $4, next_at = $5, changed = $6, detail = $7
             WHERE outlet = $1 AND release = $2",
        )
        .bind(&errand.outlet)
        .bind(errand.release)
        .bind(&errand.state)
        .bind(errand.attempts)
        .bind(errand.next_at.timestamp_millis())
        .bind(errand.changed.timestamp_millis())
        .bind(errand.detail.as_deref())
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }

    /// The newest errands of an outlet, newest first: its log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn errands(&self, outlet: &str, limit: i64) -> Result<Vec<Errand>, StoreError> {
        let rows = sqlx::query(
            "SELECT outlet, release, state, attempts, next_at, changed, detail FROM errand
             WHERE outlet = $1 ORDER BY release DESC LIMIT $2",
        )
        .bind(outlet)
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(errand).collect()
    }

    /// How each outlet does, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn outlets(&self) -> Result<Vec<OutletCount>, StoreError> {
        let rows = sqlx::query(
            "SELECT name,
                 CAST(COUNT(CASE WHEN state = 'waiting' THEN 1 END) AS BIGINT) AS waiting,
                 CAST(COUNT(CASE WHEN state = 'done' THEN 1 END) AS BIGINT) AS done,
                 CAST(COUNT(CASE WHEN state = 'given_up' THEN 1 END) AS BIGINT) AS given_up,
                 MIN(CASE WHEN state = 'waiting' THEN publication.at END) AS oldest
             FROM outlet LEFT JOIN errand ON errand.outlet = outlet.name
                 LEFT JOIN publication ON publication.release = errand.release
             WHERE name <> 'press' GROUP BY name ORDER BY name",
        )
        .fetch_all(&self.read)
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let outlet: String = row.try_get("name")?;
            found.push(OutletCount {
                waiting: row.try_get("waiting")?,
                done: row.try_get("done")?,
                given_up: row.try_get("given_up")?,
                oldest: row.try_get::<Option<i64>, _>("oldest")?.map(time),
                failed: self.last_failure(&outlet).await?,
                outlet,
            });
        }
        Ok(found)
    }

    /// What an outlet's other side said when it last did not take something.
    async fn last_failure(&self, outlet: &str) -> Result<Option<(DateTime<Utc>, String)>, StoreError> {
        let row = sqlx::query(
            "SELECT changed, detail FROM errand WHERE outlet = $1 AND state <> 'done' AND detail IS NOT NULL
             ORDER BY changed DESC LIMIT 1",
        )
        .bind(outlet)
        .fetch_optional(&self.read)
        .await?;
        row.map(|row| Ok((time(row.try_get("changed")?), row.try_get("detail")?))).transpose()
    }
}

async fn print(tx: &mut super::Tx, sheet: &[(i64, Option<&Printed>)]) -> Result<(), StoreError> {
    let made: Vec<_> = sheet.iter().filter_map(|(release, printed)| Some((*release, (*printed)?))).collect();
    if !made.is_empty() {
        let first = take_ids(tx, "printed", i64::try_from(made.len()).unwrap_or(i64::MAX)).await?;
        let bodies = made.iter().map(|(_, one)| json(&one.publication)).collect::<Result<Vec<_>, _>>()?;
        let mut sql =
            QueryBuilder::new("INSERT INTO publication (release, id, alert, at, expires, body, cap, printed) ");
        sql.push_values((first..).zip(made.iter().zip(&bodies)), |mut values, (number, ((release, one), body))| {
            let Printed { publication, cap } = one;
            values.push_bind(*release).push_bind(publication.id.as_str()).push_bind(publication.alert.as_str());
            values.push_bind(publication.at.timestamp_millis()).push_bind(publication.expires.timestamp_millis());
            values.push_bind(body).push_bind(cap.as_slice()).push_bind(number);
        });
        let done = sql.push(" ON CONFLICT DO NOTHING").build().execute(&mut *tx).await?;
        if done.rows_affected() != made.len() as u64 {
            let releases: Vec<i64> = made.iter().map(|(release, _)| *release).collect();
            return Err(StoreError::corrupt(format!("a publication of releases {releases:?} is there already")));
        }
    }
    let mut sql = QueryBuilder::new("DELETE FROM unpublished WHERE release IN (");
    let mut releases = sql.separated(", ");
    for (release, _) in sheet {
        releases.push_bind(*release);
    }
    sql.push(")").build().execute(&mut *tx).await?;
    Ok(())
}

/// An outlet's number never falls: what is late does not bring back what came after it.
pub(super) async fn set_seen(tx: &mut super::Tx, outlet: &str, seen: i64) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO outlet (name, seen) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE
             SET seen = CASE WHEN excluded.seen > outlet.seen THEN excluded.seen ELSE outlet.seen END",
    )
    .bind(outlet)
    .bind(seen)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

fn released(row: &AnyRow) -> Result<Released, StoreError> {
    let json = |column: &str, text: &str| -> Result<_, StoreError> {
        serde_json::from_str(text).map_err(|e| StoreError::corrupt(format!("column {column}: {e}")))
    };
    let name: String = row.try_get("name")?;
    let within: Option<String> = row.try_get("within")?;
    let reach: Reach = serde_json::from_str(row.try_get("audience")?).map_err(StoreError::corrupt)?;
    Ok(Released {
        id: row.try_get("id")?,
        escalation: escalation_of(&name),
        alert: row.try_get("alert")?,
        chain: row.try_get("chain")?,
        regions: json("regions", row.try_get("regions")?)?,
        within: within.map(|text| json("within", &text)).transpose()?,
        public: reach.lists().contains(&Audience::Public),
        at: time(row.try_get("created_at")?),
        expires: time(row.try_get("expires")?),
    })
}

fn printed(row: &AnyRow) -> Result<Printed, StoreError> {
    Ok(Printed { publication: publication(row)?, cap: row.try_get("cap")? })
}

fn publication(row: &AnyRow) -> Result<Publication, StoreError> {
    let body: String = row.try_get("body")?;
    let mut publication: Publication =
        serde_json::from_str(&body).map_err(|e| StoreError::corrupt(format!("publication: {e}")))?;
    // Chains may be joined later; the alert's row knows.
    publication.chain = row.try_get("chain")?;
    Ok(publication)
}

fn errand(row: &AnyRow) -> Result<Errand, StoreError> {
    Ok(Errand {
        outlet: row.try_get("outlet")?,
        release: row.try_get("release")?,
        state: row.try_get("state")?,
        attempts: row.try_get("attempts")?,
        next_at: time(row.try_get("next_at")?),
        changed: time(row.try_get("changed")?),
        detail: row.try_get("detail")?,
    })
}
