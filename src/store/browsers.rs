//! Residents' browsers: what they have shown, whether their subscriptions live, and how one takes another's place.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, QueryBuilder, Row};
use tocsin_channels::ChannelKind;

use super::addresses::{IDS, push_ids};
use super::alerts::time;
use super::unasked::forget_unasked;
use super::{Store, StoreError, Tx};
use crate::delivery::Address;
use crate::messages::Language;

/// What somebody has done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Their browser has shown it.
    Shown,
    /// They have opened it.
    Opened,
    /// They say that they are safe.
    Safe,
}

impl Deed {
    /// The deed of a word.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "shown" => Some(Self::Shown),
            "opened" => Some(Self::Opened),
            "safe" => Some(Self::Safe),
            _ => None,
        }
    }
}

/// A deed, of whom, with which release's message, when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) release: i64,
    pub(crate) recipient: u64,
    pub(crate) deed: Deed,
    pub(crate) at: DateTime<Utc>,
}

/// How many have seen an alert's messages, as far as their devices say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SeenCount {
    /// Shown on a device.
    pub shown: u64,
    /// Opened.
    pub opened: u64,
    /// Said to be safe.
    pub safe: u64,
}

/// A browser whose subscription has ended, and whose owner does not know.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    pub(crate) address: i64,
    pub(crate) subscriber: i64,
    pub(crate) language: Language,
}

impl Store {
    /// Records deeds together. What is known already stays as it is.
    pub(crate) async fn acknowledge_all(&self, deeds: &[Done]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for done in deeds {
            let at = done.at.timestamp_millis();
            let when = |deed: Deed| (done.deed == deed).then_some(at);
            sqlx::query(
                "INSERT INTO acknowledgement (release, recipient, at, opened_at, safe_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (release, recipient) DO UPDATE SET
                     opened_at = COALESCE(acknowledgement.opened_at, excluded.opened_at),
                     safe_at = COALESCE(acknowledgement.safe_at, excluded.safe_at)",
            )
            .bind(done.release)
            .bind(i64::try_from(done.recipient).unwrap_or(-1))
            .bind(at)
            .bind(when(Deed::Opened))
            .bind(when(Deed::Safe))
            .execute(&mut tx)
            .await?;
        }
        tx.commit().await
    }

    /// When each of a release's recipients was shown it, as far as their devices say.
    pub(crate) async fn shown_at(&self, release: i64) -> Result<HashMap<u64, DateTime<Utc>>, StoreError> {
        let rows = sqlx::query("SELECT recipient, at FROM acknowledgement WHERE release = $1")
            .bind(release)
            .fetch_all(&self.read)
            .await?;
        let one = |row: &sqlx::any::AnyRow| {
            let recipient: i64 = row.try_get("recipient")?;
            Ok((u64::try_from(recipient).unwrap_or_default(), super::alerts::time(row.try_get("at")?)))
        };
        rows.iter().map(one).collect()
    }

    /// What somebody's devices have reported of messages to them, oldest first.
    pub(crate) async fn reports_of(&self, subscriber: i64) -> Result<Vec<Value>, StoreError> {
        let rows = sqlx::query(
            "SELECT release.alert AS alert, acknowledgement.at AS at, opened_at, safe_at
             FROM acknowledgement JOIN release ON release.id = acknowledgement.release
             WHERE recipient IN (SELECT id FROM address WHERE subscriber = $1)
                 OR recipient IN (SELECT id + 2305843009213693952 FROM address WHERE subscriber = $1)
             ORDER BY acknowledgement.at, release.id",
        )
        .bind(subscriber)
        .fetch_all(&self.read)
        .await?;
        let when = |at: Option<i64>| at.map(time);
        let one = |row: &sqlx::any::AnyRow| {
            Ok(json!({
                "message": row.try_get::<String, _>("alert")?,
                "shown_at": time(row.try_get("at")?),
                "opened_at": when(row.try_get("opened_at")?),
                "safe_at": when(row.try_get("safe_at")?),
            }))
        };
        rows.iter().map(one).collect()
    }

    /// How many have seen an alert's messages.
    pub(crate) async fn seen(&self, alert: &str) -> Result<SeenCount, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS shown, COUNT(opened_at) AS opened, COUNT(safe_at) AS safe FROM acknowledgement
             WHERE release IN (SELECT id FROM release WHERE alert = $1 AND kind IN ('alert', 'resend'))",
        )
        .bind(alert)
        .fetch_one(&self.read)
        .await?;
        let count = |name: &str| Ok::<_, StoreError>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0));
        Ok(SeenCount { shown: count("shown")?, opened: count("opened")?, safe: count("safe")? })
    }

    /// Ends addresses whose push service does not know them any more, each with what was sent to: a browser that has moved meanwhile
    /// lives. Their owners are told elsewhere, if they can be.
    pub(crate) async fn end_gone(&self, gone: &[(u64, String)], now: DateTime<Utc>) -> Result<u64, StoreError> {
        if gone.is_empty() {
            return Ok(0);
        }
        let (mut tx, mut ended) = (self.begin().await?, 0);
        for (id, value) in gone {
            let sent_to = Address { channel: ChannelKind::Push, value: value.clone() };
            let done = sqlx::query(
                "UPDATE address SET left_at = $3, gone_at = $3
                 WHERE id = $1 AND digest = $2 AND channel = 'push' AND left_at IS NULL",
            )
            .bind(i64::try_from(*id).unwrap_or(-1))
            .bind(self.digest(&sent_to))
            .bind(now.timestamp_millis())
            .execute(&mut tx)
            .await?;
            ended += done.rows_affected();
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Whose these addresses are, or were until their push service did not know them any more. Those who have left are not among them:
    /// they asked not to be told.
    pub(crate) async fn owners(&self, ids: &[u64]) -> Result<HashMap<u64, u64>, StoreError> {
        let mut owners = HashMap::new();
        for ids in ids.chunks(IDS) {
            let mut sql = QueryBuilder::new(
                "SELECT id, subscriber FROM address WHERE (left_at IS NULL OR gone_at IS NOT NULL) AND id IN ",
            );
            push_ids(&mut sql, ids);
            for row in sql.build().fetch_all(&self.read).await? {
                let (id, subscriber): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
                owners.insert(u64::try_from(id).unwrap_or_default(), u64::try_from(subscriber).unwrap_or_default());
            }
        }
        Ok(owners)
    }

    /// Ended subscriptions whose owners have not been told.
    pub(crate) async fn gone_untold(&self, limit: i64) -> Result<Vec<Gone>, StoreError> {
        let rows = sqlx::query(
            "SELECT address.id AS id, address.subscriber AS subscriber, subscriber.language AS language
             FROM address JOIN subscriber ON subscriber.id = address.subscriber
             WHERE gone_at IS NOT NULL AND told_at IS NULL ORDER BY gone_at LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        let gone = |row: &sqlx::any::AnyRow| {
            let language: String = row.try_get("language")?;
            // One that is damaged holds up nobody.
            let language = Language::of_tag(&language).unwrap_or(Language::Chinese);
            Ok(Gone { address: row.try_get("id")?, subscriber: row.try_get("subscriber")?, language })
        };
        rows.iter().map(gone).collect()
    }

    /// How many subscriptions have ended, and of how many the owner could not be told.
    pub(crate) async fn gone_count(&self) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS gone, COUNT(CASE WHEN told_at = 0 THEN 1 END) AS unheard FROM address WHERE gone_at IS NOT NULL",
        )
        .fetch_one(&self.read)
        .await?;
        let whole = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok((whole(row.try_get("gone")?), whole(row.try_get("unheard")?)))
    }

    /// Residents who cannot be reached any more: they have left with the last of their addresses, or it was a browser that is gone, for so
    /// long.
    pub(crate) async fn lost_residents(&self, before: DateTime<Utc>, limit: i64) -> Result<Vec<i64>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT DISTINCT address.subscriber FROM address JOIN resident ON resident.subscriber = address.subscriber
             WHERE left_at < $1 AND NOT EXISTS (
                 SELECT 1 FROM address AS other WHERE other.subscriber = address.subscriber
                     AND (other.left_at IS NULL OR other.left_at >= $1))
             LIMIT $2",
        )
        .bind(before.timestamp_millis())
        .bind(limit)
        .fetch_all(&self.read)
        .await?)
    }

    /// Gives addresses that are new here a time for their first check, apart from one another; gives how many there were.
    pub(crate) async fn plan_checks(&self, first: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let none: Option<i64> =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT id FROM address WHERE check_at = 0 AND {LIVES} LIMIT 1")))
                .fetch_optional(&self.read)
                .await?;
        if none.is_none() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        // A minute of a day for each, so that a list that was imported at once is not asked about at once.
        let sql = format!(
            "UPDATE address SET check_at = $1 + (id % 1440) * 60000
             WHERE id IN (SELECT id FROM address WHERE check_at = 0 AND {LIVES} LIMIT $2)"
        );
        let done = sqlx::query(AssertSqlSafe(sql)).bind(first.timestamp_millis()).bind(limit).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// Browsers from which nothing was heard for so long that their push service is to be asked.
    pub(crate) async fn due_checks(&self, now: DateTime<Utc>, limit: i64) -> Result<Vec<(u64, String)>, StoreError> {
        let sql = format!(
            "SELECT id, value FROM address WHERE check_at > 0 AND check_at <= $1 AND {LIVES} ORDER BY check_at LIMIT $2"
        );
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(now.timestamp_millis()).bind(limit).fetch_all(&self.read).await?;
        let one = |row: &sqlx::any::AnyRow| {
            let (id, value): (i64, String) = (row.try_get("id")?, row.try_get("value")?);
            Ok((u64::try_from(id).unwrap_or_default(), self.vault.open(&value).unwrap_or_default()))
        };
        rows.iter().map(one).collect()
    }

    /// Sets when these are to be checked next.
    pub(crate) async fn check_again(&self, ids: &[u64], at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for ids in ids.chunks(IDS) {
            let mut sql = QueryBuilder::new("UPDATE address SET check_at = ");
            sql.push_bind(at.timestamp_millis()).push(" WHERE channel = 'push' AND id IN ");
            push_ids(&mut sql, ids);
            sql.build().execute(&mut tx).await?;
        }
        tx.commit().await
    }

    /// Whose browser an address is, while it has not ended.
    pub(crate) async fn browser(&self, address: i64) -> Result<Option<i64>, StoreError> {
        self.owner(address, LIVES).await
    }

    /// Whose browser an address is that may take a new subscription: it lives, or is gone and its owner has not left.
    pub(crate) async fn moving_browser(&self, address: i64) -> Result<Option<i64>, StoreError> {
        self.owner(address, MOVES).await
    }

    async fn owner(&self, address: i64, condition: &str) -> Result<Option<i64>, StoreError> {
        let sql = format!("SELECT subscriber FROM address WHERE id = $1 AND audience = 'public' AND {condition}");
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(address).fetch_optional(&self.read).await?)
    }

    /// Puts a browser's new subscription in the old one's place: whoever was told by the old one is told on by the new one. One that was
    /// thought gone lives again: whoever knows the old one is it. A second time changes nothing. False if the old one is not there any
    /// more, or the new one is another's already.
    pub(crate) async fn swap_browser(
        &self,
        tx: &mut Tx,
        address: i64,
        (old, new): (&Address, &Address),
    ) -> Result<bool, StoreError> {
        let taken: Option<i64> =
            sqlx::query_scalar("SELECT id FROM address WHERE audience = 'public' AND channel = 'push' AND digest = $1")
                .bind(self.digest(new))
                .fetch_optional(&mut *tx)
                .await?;
        if taken.is_some_and(|taken| taken != address) {
            return Ok(false);
        }
        let sql = format!(
            "UPDATE address SET value = $3, digest = $4, left_at = NULL, gone_at = NULL, told_at = NULL
             WHERE id = $1 AND digest IN ($2, $4) AND {MOVES}"
        );
        let done = sqlx::query(AssertSqlSafe(sql))
            .bind(address)
            .bind(self.digest(old))
            .bind(self.seal(new)?)
            .bind(self.digest(new))
            .execute(&mut *tx)
            .await?;
        // What went to it alone goes with it when its owner deletes everything.
        sqlx::query("UPDATE personal_release SET digest = $2 WHERE digest = $1")
            .bind(self.digest(old))
            .bind(self.digest(new))
            .execute(&mut *tx)
            .await?;
        forget_unasked(tx, &self.digest(old)).await?;
        Ok(done.rows_affected() == 1)
    }
}

/// Whether a lost resident still is, where they are deleted: they may have come back since they were found, or be about to.
pub(crate) async fn is_lost(tx: &mut Tx, subscriber: i64, before: DateTime<Utc>) -> Result<bool, StoreError> {
    let back: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM address WHERE subscriber = $1 AND (left_at IS NULL OR left_at >= $2
             OR EXISTS (SELECT 1 FROM sign_up WHERE sign_up.digest = address.digest)) LIMIT 1",
    )
    .bind(subscriber)
    .bind(before.timestamp_millis())
    .fetch_optional(&mut *tx)
    .await?;
    Ok(back.is_none())
}

/// Notes that the owner of an ended subscription was told, or that nobody could be.
pub(crate) async fn told_of_end(tx: &mut Tx, address: i64, at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
    sqlx::query("UPDATE address SET told_at = $2 WHERE id = $1")
        .bind(address)
        .bind(at.map_or(0, |at| at.timestamp_millis()))
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Written as in the index.
const LIVES: &str = "channel = 'push' AND left_at IS NULL";
const MOVES: &str = "channel = 'push' AND (left_at IS NULL OR gone_at IS NOT NULL)";
