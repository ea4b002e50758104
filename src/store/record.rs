//! The record's lines. They are only ever added, each in the transaction of what it tells of.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{QueryBuilder, Row};

use super::alerts::time;
use super::{Store, StoreError, Tx};
use crate::record::{GENESIS, KINDS, Line};

/// Lines about one subject that are read at once.
const AT_ONCE: i64 = 500;
/// Lines written in one statement.
const LINES: usize = 100;

/// What is to be recorded.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) actor: String,
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) detail: serde_json::Value,
}

impl Entry {
    /// An entry about a subject.
    #[expect(clippy::needless_pass_by_value, reason = "a subject is made in place as often as it is at hand")]
    pub(crate) fn new(actor: &str, kind: &'static str, subject: impl ToString, detail: serde_json::Value) -> Self {
        debug_assert!(KINDS.contains(&kind), "{kind} has no words yet: name it in record/kinds.rs");
        Self { actor: actor.to_owned(), kind, subject: subject.to_string(), detail }
    }
}

/// Which lines to show.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RecordFilter {
    /// Lines about this subject.
    pub subject: Option<String>,
    /// Lines of this actor.
    pub actor: Option<String>,
    /// Lines whose kind begins so.
    pub kind: Option<String>,
    /// Lines before this one.
    pub before: Option<i64>,
}

/// Adds a line: it is written, chained to the last one, with the transaction's commit.
pub(crate) fn record(tx: &mut Tx, at: DateTime<Utc>, entry: Entry) {
    tx.lines.push((at, entry));
}

/// Writes a transaction's lines, each chained to the one before.
pub(super) async fn write_lines(tx: &mut Tx, entries: Vec<(DateTime<Utc>, Entry)>) -> Result<(), StoreError> {
    let n = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let bump = sqlx::query(
        "INSERT INTO counter (name, value) VALUES ('record', $1) ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value
         RETURNING value - $1 AS seq, (SELECT hash FROM record WHERE seq = counter.value - $1) AS hash",
    )
    .bind(n);
    let (before, mut hash) = match tx.last_line.take() {
        Some(known) => {
            let sql = "UPDATE counter SET value = value + $1 WHERE name = 'record'";
            tx.later(sqlx::query(sql).bind(n))?;
            known
        }
        None => {
            let row = bump.fetch_one(&mut *tx).await?;
            (row.try_get("seq")?, row.try_get::<Option<_>, _>("hash")?.unwrap_or_else(|| GENESIS.to_owned()))
        }
    };
    let mut lines = Vec::with_capacity(entries.len());
    for (seq, (at, entry)) in (before + 1..).zip(entries) {
        let Entry { actor, kind, subject, detail } = entry;
        let (at, detail) = (time(at.timestamp_millis()), detail.to_string());
        let mut line = Line { seq, at, actor, kind: kind.to_owned(), subject, detail, hash: String::new() };
        line.hash = line.hash_after(&hash);
        hash.clone_from(&line.hash);
        lines.push(line);
    }
    for some in lines.chunks(LINES) {
        let mut sql = QueryBuilder::new("INSERT INTO record (seq, at, actor, kind, subject, detail, hash) ");
        sql.push_values(some, |mut values, line| {
            values.push_bind(line.seq).push_bind(line.at.timestamp_millis()).push_bind(&line.actor);
            values.push_bind(&line.kind).push_bind(&line.subject).push_bind(&line.detail).push_bind(&line.hash);
        });
        tx.later(sql.build())?;
    }
    Ok(())
}

impl Store {
    /// Adds a line about something that changes nothing else.
    pub(crate) async fn record_one(&self, at: DateTime<Utc>, entry: Entry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        record(&mut tx, at, entry);
        tx.commit().await
    }

    /// Lines from this one on, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn record_from(&self, seq: i64, limit: i64) -> Result<Vec<Line>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at, actor, kind, subject, detail, hash FROM record WHERE seq >= $1 ORDER BY seq LIMIT $2",
        )
        .bind(seq)
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(line).collect()
    }

    /// The number of the last line that was ever written, by a counter apart from the lines.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn record_count(&self) -> Result<i64, StoreError> {
        let count: Option<i64> =
            sqlx::query_scalar("SELECT value FROM counter WHERE name = 'record'").fetch_optional(&self.read).await?;
        Ok(count.unwrap_or(0))
    }

    /// Goes through every line about a subject, oldest first, however long the record is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn record_about(
        &self,
        subject: &str,
        mut each: impl FnMut(Line) + Send,
    ) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let rows = sqlx::query(
                "SELECT seq, at, actor, kind, subject, detail, hash FROM record WHERE subject = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            )
            .bind(subject)
            .bind(after)
            .bind(AT_ONCE)
            .fetch_all(&self.read)
            .await?;
            for row in &rows {
                let line = line(row)?;
                after = line.seq;
                each(line);
            }
            if (rows.len() as i64) < AT_ONCE {
                return Ok(());
            }
        }
    }

    /// The newest lines that a filter lets through, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn record_lines(&self, filter: &RecordFilter, limit: i64) -> Result<Vec<Line>, StoreError> {
        let mut sql = QueryBuilder::new("SELECT seq, at, actor, kind, subject, detail, hash FROM record WHERE seq < ");
        sql.push_bind(filter.before.unwrap_or(i64::MAX));
        if let Some(subject) = &filter.subject {
            sql.push(" AND subject = ").push_bind(subject);
        }
        if let Some(actor) = &filter.actor {
            sql.push(" AND actor = ").push_bind(actor);
        }
        if let Some(kind) = &filter.kind {
            sql.push(" AND kind LIKE ").push_bind(format!("{}%", kind.replace(['%', '_'], "")));
        }
        sql.push(" ORDER BY seq DESC LIMIT ").push_bind(limit);
        sql.build().fetch_all(&self.read).await?.iter().map(line).collect()
    }
}

fn line(row: &sqlx::any::AnyRow) -> Result<Line, StoreError> {
    Ok(Line {
        seq: row.try_get("seq")?,
        at: time(row.try_get("at")?),
        actor: row.try_get("actor")?,
        kind: row.try_get("kind")?,
        subject: row.try_get("subject")?,
        detail: row.try_get("detail")?,
        hash: row.try_get("hash")?,
    })
}
