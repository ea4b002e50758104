//! What an address says: sealed on disk, opened just before a message leaves, and found again by its digest.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row};

use super::{Store, StoreError};
use crate::delivery::Address;

/// Ids asked for in one query; the list is filled up to a power of two, so that the database knows a handful of texts.
pub(super) const IDS: usize = 1_024;
/// Old rows sealed in one transaction.
const BATCH: i64 = 2_000;

impl Store {
    /// An address as it is stored.
    pub(crate) fn seal(&self, address: &Address) -> Result<String, StoreError> {
        Ok(self.vault.seal(&address.value)?)
    }

    /// What an address is found again by.
    pub(crate) fn digest(&self, address: &Address) -> String {
        self.vault.digest(address.channel.as_str(), &address.value)
    }

    /// What these addresses say; those who have left or are gone are not among them. One that is damaged says nothing: it must not
    /// hold up the others.
    pub(crate) async fn values(&self, ids: &[u64]) -> Result<HashMap<u64, String>, StoreError> {
        let mut values = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(IDS) {
            let mut sql = QueryBuilder::new("SELECT id, value FROM address WHERE left_at IS NULL AND id IN ");
            push_ids(&mut sql, ids);
            for row in sql.build().fetch_all(&self.read).await? {
                let (id, value): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                let value = self.vault.open(&value).unwrap_or_else(|error| {
                    tracing::error!(%error, address.id = id, "an address is damaged, and cannot be told");
                    String::new()
                });
                values.insert(u64::try_from(id).unwrap_or_default(), value);
            }
        }
        Ok(values)
    }

    /// Takes an address out of every list for good, for somebody who has written from it; false if it is in none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn leave_by(&self, address: &Address, now: chrono::DateTime<chrono::Utc>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let done =
            sqlx::query("UPDATE address SET left_at = $3 WHERE channel = $1 AND digest = $2 AND left_at IS NULL")
                .bind(address.channel.as_str())
                .bind(self.digest(address))
                .bind(now.timestamp_millis())
                .execute(&mut tx)
                .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Whether this is the key that the store was sealed with; a new store takes it.
    pub(super) async fn check_key(&self, path: &std::path::Path) -> Result<(), StoreError> {
        let mark = self.vault.digest("mark", "tocsin");
        let known: Option<String> =
            sqlx::query_scalar("SELECT mark FROM seal LIMIT 1").fetch_optional(&self.read).await?;
        match known {
            Some(known) if known == mark => Ok(()),
            Some(_) => Err(StoreError::WrongKey(path.display().to_string())),
            None => {
                let mut tx = self.begin().await?;
                sqlx::query("INSERT INTO seal (mark) VALUES ($1) ON CONFLICT DO NOTHING")
                    .bind(mark)
                    .execute(&mut tx)
                    .await?;
                tx.commit().await
            }
        }
    }

    /// Seals the addresses that an older version wrote. It may stop anywhere and start again.
    pub(super) async fn seal_old_addresses(&self) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        while self.has_old_addresses().await? {
            let mut tx = self.begin().await?;
            let rows = sqlx::query(
                "SELECT id, channel, value FROM address WHERE id > $1 AND value NOT LIKE ':%' ORDER BY id LIMIT $2",
            )
            .bind(after)
            .bind(BATCH)
            .fetch_all(&mut tx)
            .await?;
            for row in &rows {
                let (id, channel, value): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                after = id;
                let address = Address { channel: channel.parse().map_err(StoreError::corrupt)?, value };
                sqlx::query("UPDATE address SET value = $2, digest = $3 WHERE id = $1")
                    .bind(id)
                    .bind(self.seal(&address)?)
                    .bind(self.digest(&address))
                    .execute(&mut tx)
                    .await?;
            }
            if rows.is_empty() {
                sqlx::query("UPDATE counter SET value = 0 WHERE name = 'address_to_seal'").execute(&mut tx).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    async fn has_old_addresses(&self) -> Result<bool, StoreError> {
        let old: Option<i64> = sqlx::query_scalar("SELECT value FROM counter WHERE name = 'address_to_seal'")
            .fetch_optional(&self.read)
            .await?;
        Ok(old == Some(1))
    }
}

/// A list of ids in brackets, filled up with its last one.
pub(super) fn push_ids(sql: &mut QueryBuilder<sqlx::Any>, ids: &[u64]) {
    sql.push("(");
    let mut list = sql.separated(", ");
    let last = ids.last().copied().unwrap_or_default();
    for id in ids.iter().copied().chain(std::iter::repeat(last)).take(ids.len().next_power_of_two()) {
        list.push_bind(i64::try_from(id).unwrap_or(-1));
    }
    sql.push(")");
}
