//! What is known of sources and of what they show.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::Row;

use super::alerts::time;
use super::{Store, StoreError};
use crate::approval::HOLDS;

/// A source, as it was when it was last looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SourceRow {
    /// Its name in config.
    pub name: String,
    /// `feed`, `mqtt` or `folder`.
    pub kind: String,
    /// The newest answer's ETag.
    pub etag: Option<String>,
    /// The newest answer's Last-Modified.
    pub modified: Option<String>,
    /// The feed's own time.
    pub stamp: Option<DateTime<Utc>>,
    /// When it was last asked.
    pub tried_at: Option<DateTime<Utc>>,
    /// When it last answered well.
    pub good_at: Option<DateTime<Utc>>,
    /// When it will be asked again.
    pub next_at: Option<DateTime<Utc>>,
    /// Since when it does not answer well.
    pub failing_since: Option<DateTime<Utc>>,
    /// How often in a row.
    pub failures: u32,
    /// Why: code, and a sentence in both languages.
    pub problem: Option<Value>,
    /// What was noticed about its newest answer.
    pub findings: Value,
    /// Entries that it showed.
    pub entries: u64,
    /// Alerts taken from it, ever.
    pub taken: u64,
    /// Messages refused from it, ever.
    pub refused: u64,
}

/// An entry that a source shows or showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EntryRow {
    /// Its key in the feed.
    pub(crate) entry: String,
    /// What the feed said of it: its time, link and content, in short.
    pub(crate) stamp: String,
    pub(crate) etag: Option<String>,
    pub(crate) modified: Option<String>,
    /// SHA-256 of what lay behind it.
    pub(crate) digest: String,
    /// `taken`, `refused`, `failed` or `ended`.
    pub(crate) state: String,
    pub(crate) problem: Option<String>,
    /// The alerts that it held.
    pub(crate) alerts: Vec<String>,
    /// Whole answers in a row that did not list it.
    pub(crate) missed: u32,
    pub(crate) tries: u32,
    pub(crate) seen_at: DateTime<Utc>,
    pub(crate) fetched_at: DateTime<Utc>,
    pub(crate) next_at: DateTime<Utc>,
    /// What was agreed on with the bureau when it was handed in, in short.
    pub(crate) agreed: String,
}

impl EntryRow {
    /// Whether it was refused while something else was agreed on than now: the reason may be gone.
    pub(crate) fn was_refused_under_other(&self, agreed: &str) -> bool {
        self.state == "refused" && self.agreed != agreed
    }
}

impl Store {
    /// Every source that was ever looked at.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn source_rows(&self) -> Result<Vec<SourceRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, kind, etag, modified, stamp, tried_at, good_at, next_at, failing_since, failures, problem, findings,
                 entries, taken, refused FROM source ORDER BY name",
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                let at = |name: &str| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(name)?.map(time));
                let number = |name: &str| Ok::<_, StoreError>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0));
                let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
                Ok(SourceRow {
                    name: row.try_get("name")?,
                    kind: row.try_get("kind")?,
                    etag: row.try_get("etag")?,
                    modified: row.try_get("modified")?,
                    stamp: at("stamp")?,
                    tried_at: at("tried_at")?,
                    good_at: at("good_at")?,
                    next_at: at("next_at")?,
                    failing_since: at("failing_since")?,
                    failures: u32::try_from(number("failures")?).unwrap_or(u32::MAX),
                    problem: row.try_get::<Option<String>, _>("problem")?.map(|text| json(&text)),
                    findings: json(row.try_get("findings")?),
                    entries: number("entries")?,
                    taken: number("taken")?,
                    refused: number("refused")?,
                })
            })
            .collect()
    }

    /// One source.
    pub(crate) async fn source_row(&self, name: &str) -> Result<Option<SourceRow>, StoreError> {
        Ok(self.source_rows().await?.into_iter().find(|row| row.name == name))
    }

    /// The entries of a source.
    pub(crate) async fn source_entries(&self, source: &str) -> Result<Vec<EntryRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT entry, stamp, etag, modified, digest, state, problem, alerts, missed, tries, seen_at, fetched_at, next_at,
                 agreed
             FROM source_entry WHERE source = $1 ORDER BY entry",
        )
        .bind(source)
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                let count = |name: &str| Ok::<_, StoreError>(u32::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0));
                let alerts: String = row.try_get("alerts")?;
                Ok(EntryRow {
                    entry: row.try_get("entry")?,
                    stamp: row.try_get("stamp")?,
                    etag: row.try_get("etag")?,
                    modified: row.try_get("modified")?,
                    digest: row.try_get("digest")?,
                    state: row.try_get("state")?,
                    problem: row.try_get("problem")?,
                    alerts: alerts.split_whitespace().map(str::to_owned).collect(),
                    missed: count("missed")?,
                    tries: count("tries")?,
                    seen_at: time(row.try_get("seen_at")?),
                    fetched_at: time(row.try_get("fetched_at")?),
                    next_at: time(row.try_get("next_at")?),
                    agreed: row.try_get("agreed")?,
                })
            })
            .collect()
    }

    /// Writes how a source is and what changed of its entries, and forgets entries.
    pub(crate) async fn save_source<'a>(
        &self,
        source: &SourceRow,
        entries: impl Iterator<Item = &'a EntryRow> + Send,
        gone: &[String],
    ) -> Result<(), StoreError> {
        let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO source (name, kind, etag, modified, stamp, tried_at, good_at, next_at, failing_since, failures, problem,
                 findings, entries, taken, refused)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, etag = excluded.etag, modified = excluded.modified,
                 stamp = excluded.stamp, tried_at = excluded.tried_at, good_at = excluded.good_at, next_at = excluded.next_at,
                 failing_since = excluded.failing_since, failures = excluded.failures, problem = excluded.problem,
                 findings = excluded.findings, entries = excluded.entries, taken = excluded.taken, refused = excluded.refused",
        )
        .bind(&source.name)
        .bind(&source.kind)
        .bind(source.etag.as_deref())
        .bind(source.modified.as_deref())
        .bind(millis(source.stamp))
        .bind(millis(source.tried_at))
        .bind(millis(source.good_at))
        .bind(millis(source.next_at))
        .bind(millis(source.failing_since))
        .bind(i64::from(source.failures))
        .bind(source.problem.as_ref().map(Value::to_string))
        .bind(source.findings.to_string())
        .bind(whole(source.entries))
        .bind(whole(source.taken))
        .bind(whole(source.refused))
        .execute(&mut tx)
        .await?;
        for entry in entries {
            sqlx::query(
                "INSERT INTO source_entry (source, entry, stamp, etag, modified, digest, state, problem, alerts, missed, tries,
                     seen_at, fetched_at, next_at, agreed)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                 ON CONFLICT (source, entry) DO UPDATE SET stamp = excluded.stamp, etag = excluded.etag,
                     modified = excluded.modified, digest = excluded.digest, state = excluded.state, problem = excluded.problem,
                     alerts = excluded.alerts, missed = excluded.missed, tries = excluded.tries, seen_at = excluded.seen_at,
                     fetched_at = excluded.fetched_at, next_at = excluded.next_at, agreed = excluded.agreed",
            )
            .bind(&source.name)
            .bind(&entry.entry)
            .bind(&entry.stamp)
            .bind(entry.etag.as_deref())
            .bind(entry.modified.as_deref())
            .bind(&entry.digest)
            .bind(&entry.state)
            .bind(entry.problem.as_deref())
            .bind(entry.alerts.join(" "))
            .bind(i64::from(entry.missed))
            .bind(i64::from(entry.tries))
            .bind(entry.seen_at.timestamp_millis())
            .bind(entry.fetched_at.timestamp_millis())
            .bind(entry.next_at.timestamp_millis())
            .bind(&entry.agreed)
            .execute(&mut tx)
            .await?;
        }
        for entry in gone {
            sqlx::query("DELETE FROM source_entry WHERE source = $1 AND entry = $2")
                .bind(&source.name)
                .bind(entry)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await
    }

    /// Those of these alerts that hold at this time: neither over, nor replaced.
    pub(crate) async fn holding(&self, alerts: &[String], now: DateTime<Utc>) -> Result<BTreeSet<String>, StoreError> {
        let mut found = BTreeSet::new();
        for alert in alerts {
            // One without an end holds for as long as it is told.
            let sql = "SELECT id FROM alert WHERE id = $1 AND superseded_by IS NULL AND msg_type IN ('Alert', 'Update')
                 AND COALESCE(expires, received_at + $3) > $2";
            let holds: Option<String> = sqlx::query_scalar(sql)
                .bind(alert)
                .bind(now.timestamp_millis())
                .bind(HOLDS.num_milliseconds())
                .fetch_optional(&self.read)
                .await?;
            found.extend(holds);
        }
        Ok(found)
    }

    /// The newest alert of a bureau with this identifier, whatever its sender and time: some senders refer to it by nothing else.
    pub(crate) async fn alert_named(&self, bureau: &str, identifier: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT id FROM alert WHERE bureau = $1 AND identifier = $2 ORDER BY received_at DESC, id LIMIT 1",
        )
        .bind(bureau)
        .bind(identifier)
        .fetch_optional(&self.read)
        .await?)
    }
}
