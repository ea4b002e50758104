//! How much was sent to an address that its owner has not confirmed, and whether they want none of it any more.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::QueryBuilder;
use tocsin_channels::ChannelKind;

use super::subscribers::ROWS;
use super::{Store, StoreError, Tx};
use crate::delivery::Address;

/// What nobody asked for in so long is forgotten; no pause is longer.
const KEPT: TimeDelta = TimeDelta::days(400);
/// The longest pause.
const LONGEST: TimeDelta = TimeDelta::days(30);

impl Store {
    /// What an address is counted by here.
    pub(crate) fn unasked_name(&self, address: &Address) -> String {
        self.digest(&address.folded())
    }

    /// What an address is refused by: its own spelling, capitals aside. Where dots count, what is folded with it may be somebody else's,
    /// who has refused nothing.
    pub(crate) fn refused_name(&self, address: &Address) -> String {
        match address.channel {
            ChannelKind::Email => self.vault.digest("refused", &address.value.to_ascii_lowercase()),
            _ => self.digest(address),
        }
    }

    /// Counts one more message to an address without its owner having confirmed one; false if it may get none now. The first `share` are
    /// free, then each pause is twice as long as the one before, `first` at first.
    pub(crate) async fn count_unasked(
        &self,
        tx: &mut Tx,
        address: &Address,
        (share, first): (i64, TimeDelta),
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO unasked (digest, n, last_at, pause) VALUES ($1, 1, $2, 0)
             ON CONFLICT (digest) DO UPDATE SET n = unasked.n + 1, last_at = excluded.last_at, pause = CASE
                 WHEN unasked.n + 1 < $3 THEN 0
                 WHEN unasked.pause = 0 THEN $4
                 WHEN unasked.pause * 2 > $5 THEN $5
                 ELSE unasked.pause * 2 END
             WHERE unasked.refused_at IS NULL AND unasked.last_at + unasked.pause <= excluded.last_at",
        )
        .bind(self.unasked_name(address))
        .bind(now.timestamp_millis())
        .bind(share)
        .bind(first.num_milliseconds())
        .bind(LONGEST.num_milliseconds())
        .execute(&mut *tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether an address's owner wants nothing unasked, by the name of its refusal; None where nothing is known of it.
    pub(crate) async fn has_refused(&self, name: &str) -> Result<Option<bool>, StoreError> {
        let row: Option<Option<i64>> = sqlx::query_scalar("SELECT refused_at FROM unasked WHERE digest = $1")
            .bind(name)
            .fetch_optional(&self.read)
            .await?;
        Ok(row.map(|refused_at| refused_at.is_some()))
    }
}

/// Those of these numbers to which "no more warnings" was answered: no list brings them in. Whoever wants no codes to a mailbox has said
/// nothing of warnings.
pub(super) async fn stopped_among(
    store: &Store,
    tx: &mut Tx,
    addresses: impl Iterator<Item = &Address>,
) -> Result<HashSet<String>, StoreError> {
    let numbers = addresses.filter(|address| address.channel == ChannelKind::Sms);
    let names: Vec<String> = numbers.map(|address| store.refused_name(address)).collect();
    let mut stopped = HashSet::new();
    for names in names.chunks(ROWS) {
        let mut sql = QueryBuilder::new("SELECT digest FROM unasked WHERE refused_at IS NOT NULL AND digest IN (");
        let mut list = sql.separated(", ");
        for name in names {
            list.push_bind(name.as_str());
        }
        sql.push(")");
        stopped.extend(sql.build_query_scalar::<String>().fetch_all(&mut *tx).await?);
    }
    Ok(stopped)
}

/// An address's owner wants nothing unasked any more; false if they had said so before.
pub(crate) async fn refuse(tx: &mut Tx, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO unasked (digest, n, last_at, pause, refused_at) VALUES ($1, 0, $2, 0, $2)
         ON CONFLICT (digest) DO UPDATE SET refused_at = excluded.refused_at WHERE unasked.refused_at IS NULL",
    )
    .bind(name)
    .bind(now.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// They have changed their mind, and the address is theirs: by either name, they have a whole share again.
pub(crate) async fn allow_again(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE unasked SET refused_at = NULL, n = 0, pause = 0 WHERE digest = $1")
        .bind(name)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// An address's owner has confirmed it: what was sent before was not unasked.
pub(crate) async fn forget_unasked(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM unasked WHERE digest = $1").bind(name).execute(&mut *tx).await?;
    Ok(())
}

/// An address's owner is gone: what is counted goes too. That they want nothing unasked holds for ever.
pub(crate) async fn forget_unrefused(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM unasked WHERE digest = $1 AND refused_at IS NULL").bind(name).execute(&mut *tx).await?;
    Ok(())
}

/// Forgets counts of long ago.
pub(super) async fn prune_unasked(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM unasked WHERE refused_at IS NULL AND last_at < $1")
        .bind((now - KEPT).timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}
