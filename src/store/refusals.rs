//! What was sent to us and not taken, and how much of it is kept.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::Row;

use super::alerts::time;
use super::record::{Entry, record};
use super::{Store, StoreError, take_ids};

/// The newest refusals of a bureau that are kept: whoever sends nonsense without end does not fill the disk.
pub(crate) const MOST_REFUSALS: i64 = 1_000;
/// So many of a bureau's have a line in the record within an hour: that only ever grows.
const MOST_LINES: (i64, TimeDelta) = (60, TimeDelta::hours(1));
/// So much of each is kept, bytes.
const KEPT: usize = 65_536;

impl Store {
    /// Keeps what was not taken, its first 64 KiB, with the reason; the bureau's oldest go where there are too many.
    pub(crate) async fn record_refusal(
        &self,
        at: DateTime<Utc>,
        bureau: &str,
        code: &str,
        findings: &str,
        digest: &str,
        raw: &[u8],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let kept: Option<i64> = sqlx::query_scalar("SELECT id FROM refusal WHERE bureau = $1 AND digest = $2 LIMIT 1")
            .bind(bureau)
            .bind(digest)
            .fetch_optional(&mut tx)
            .await?;
        let id = take_ids(&mut tx, "refusal", 1).await?;
        sqlx::query(
            "INSERT INTO refusal (id, at, bureau, code, findings, digest, raw) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id)
        .bind(at.timestamp_millis())
        .bind(bureau)
        .bind(code)
        .bind(findings)
        .bind(digest)
        .bind(raw.get(..KEPT).unwrap_or(raw))
        .execute(&mut tx)
        .await?;
        // What was kept of it goes in time; that it was refused, and why, stays on record.
        // The same again says nothing new.
        let lines = format!("refusals/{bureau}");
        if kept.is_none() && self.count_use(&mut tx, &lines, MOST_LINES, at).await? {
            let detail = serde_json::json!({"code": code, "digest": digest});
            record(&mut tx, at, Entry::new(&format!("bureau:{bureau}"), "alert.refuse", digest, detail));
        }
        sqlx::query(
            "DELETE FROM refusal WHERE bureau = $1 AND id <=
                 (SELECT id FROM refusal WHERE bureau = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
        )
        .bind(bureau)
        .bind(MOST_REFUSALS)
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }

    /// The newest refusals, as `(at, bureau, code, findings)`.
    pub(crate) async fn refusals(&self, limit: i64) -> Result<Vec<(DateTime<Utc>, String, String, Value)>, StoreError> {
        let rows = sqlx::query("SELECT at, bureau, code, findings FROM refusal ORDER BY id DESC LIMIT $1")
            .bind(limit)
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| {
                let findings: String = row.try_get("findings")?;
                let findings = serde_json::from_str(&findings).unwrap_or_default();
                Ok((time(row.try_get("at")?), row.try_get("bureau")?, row.try_get("code")?, findings))
            })
            .collect()
    }

    /// Throws away what is older than this and nobody waits for: refusals, errands that are done or given up, notes of what was never
    /// published, messages of subscriptions that are no more. What waits stays. Returns how many rows.
    pub(crate) async fn prune_logs(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut gone = 0;
        for sql in [
            "DELETE FROM refusal WHERE at < $1",
            "DELETE FROM errand WHERE state <> 'waiting' AND changed < $1",
            "DELETE FROM unpublished WHERE release IN (SELECT id FROM release WHERE expires < $1)",
            "DELETE FROM notice WHERE since < $1",
        ] {
            let mut tx = self.begin().await?;
            gone += sqlx::query(sql).bind(before.timestamp_millis()).execute(&mut tx).await?.rows_affected();
            tx.commit().await?;
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Errand, StoreOptions};

    async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        (Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap(), folder)
    }

    async fn count(store: &Store, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&store.read).await.unwrap()
    }

    #[tokio::test]
    async fn a_bureau_that_sends_nonsense_without_end_fills_no_disk_and_pushes_out_nobody_else() {
        let (store, _folder) = store().await;
        let at = DateTime::UNIX_EPOCH;
        store.record_refusal(at, "quiet", "too-large", "[]", "d", b"one").await.unwrap();
        for n in 0..MOST_REFUSALS + 50 {
            store.record_refusal(at, "hostile", "too-large", "[]", &n.to_string(), &[b'x'; 100]).await.unwrap();
        }
        assert_eq!(count(&store, "SELECT COUNT(*) FROM refusal WHERE bureau = 'hostile'").await, MOST_REFUSALS);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM refusal WHERE bureau = 'quiet'").await, 1);
        let lines = "SELECT COUNT(*) FROM record WHERE actor = 'bureau:hostile'";
        assert_eq!(count(&store, lines).await, MOST_LINES.0, "nor the record");
        let newest: String = sqlx::query_scalar("SELECT digest FROM refusal ORDER BY id DESC LIMIT 1")
            .fetch_one(&store.read)
            .await
            .unwrap();
        assert_eq!(newest, (MOST_REFUSALS + 49).to_string(), "the newest stay");
        store.record_refusal(at, "quiet", "too-large", "[]", "d", &[b'x'; 100_000]).await.unwrap();
        let quiet = "SELECT COUNT(*) FROM record WHERE actor = 'bureau:quiet'";
        assert_eq!(count(&store, quiet).await, 1, "the same again is no news");
        store.record_refusal(at + MOST_LINES.1, "hostile", "too-large", "[]", "later", b"").await.unwrap();
        assert_eq!(count(&store, lines).await, MOST_LINES.0 + 1, "an hour later it is told again");
        assert_eq!(count(&store, "SELECT MAX(LENGTH(raw)) FROM refusal").await, i64::try_from(KEPT).unwrap());
    }

    #[tokio::test]
    async fn logs_are_thrown_away_and_what_waits_is_not() {
        let (store, _folder) = store().await;
        let at = |day: i64| DateTime::UNIX_EPOCH + chrono::TimeDelta::days(day);
        store.record_refusal(at(1), "a", "too-large", "[]", "old", b"").await.unwrap();
        store.record_refusal(at(100), "a", "too-large", "[]", "new", b"").await.unwrap();
        store.give_errands("webhook/x", &[1, 2, 3, 4], 4, at(1)).await.unwrap();
        for (release, state, day) in [(1, "done", 1), (2, "given_up", 1), (3, "waiting", 1), (4, "done", 100)] {
            let (outlet, state) = ("webhook/x".into(), state.into());
            let errand =
                Errand { outlet, release, state, attempts: 1, next_at: at(day), changed: at(day), detail: None };
            store.set_errand(&errand).await.unwrap();
        }
        assert_eq!(store.prune_logs(at(50)).await.unwrap(), 3);
        let left: Vec<i64> =
            store.errands("webhook/x", 10).await.unwrap().iter().map(|errand| errand.release).collect();
        assert_eq!(left, [4, 3]);
        assert_eq!(store.refusals(10).await.unwrap().len(), 1);
    }
}
