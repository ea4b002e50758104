//! Subscribers and their addresses.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{QueryBuilder, Row};
use tocsin_channels::ChannelKind;

use super::unasked::stopped_among;
use super::{Store, StoreError, take_ids};
use crate::delivery::Address;
use crate::messages::Language;
use crate::regions::RegionCode;
use crate::rules::Audience;

/// A subscriber to be added.
#[derive(Debug, Clone)]
pub(crate) struct NewSubscriber {
    pub(crate) audience: Audience,
    pub(crate) region: RegionCode,
    pub(crate) language: Language,
    pub(crate) addresses: Vec<Address>,
}

/// A subscriber on record.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) audience: Audience,
    pub(crate) region: RegionCode,
    pub(crate) language: Language,
    pub(crate) addresses: Vec<Address>,
}

/// What adding did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Added {
    pub(crate) subscribers: u64,
    pub(crate) addresses: u64,
    pub(crate) repeated: u64,
}

/// How many addresses there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddressCount {
    /// Which list.
    pub audience: String,
    /// By which channel.
    pub channel: ChannelKind,
    /// In which language.
    pub language: String,
    /// How many.
    pub addresses: u64,
}

/// Rows of one INSERT: SQLite takes 32,766 values, PostgreSQL 65,535.
pub(super) const ROWS: usize = 1_000;

impl Store {
    /// Adds subscribers in one transaction. An address on record already stays where it is, and one to which STOP was answered stays
    /// away; a subscriber with no new address is not added.
    pub(crate) async fn add_subscribers(&self, new: &[NewSubscriber], now: DateTime<Utc>) -> Result<Added, StoreError> {
        let mut added = Added::default();
        if new.is_empty() {
            return Ok(added);
        }
        let mut tx = self.begin().await?;
        let addresses: usize = new.iter().map(|subscriber| subscriber.addresses.len()).sum();
        let first = take_ids(&mut tx, "subscriber", i64::try_from(new.len()).unwrap_or(0)).await?;
        let first_address = take_ids(&mut tx, "address", i64::try_from(addresses).unwrap_or(0)).await?;
        let rows: Vec<_> = (first..)
            .zip(new)
            .flat_map(|(id, subscriber)| subscriber.addresses.iter().map(move |address| (id, subscriber, address)))
            .zip(first_address..)
            .collect();
        for rows in rows.chunks(ROWS) {
            let stopped = stopped_among(self, &mut tx, rows.iter().map(|((_, _, address), _)| *address)).await?;
            let takes = |address| stopped.is_empty() || !stopped.contains(&self.refused_name(address));
            let rows: Vec<_> = rows.iter().filter(|((_, _, address), _)| takes(address)).collect();
            if rows.is_empty() {
                continue;
            }
            let sealed = rows.iter().map(|((_, _, address), _)| Ok((self.seal(address)?, self.digest(address))));
            let sealed = sealed.collect::<Result<Vec<_>, StoreError>>()?;
            let mut sql = QueryBuilder::new(
                "INSERT INTO address (id, subscriber, audience, channel, language, region, value, digest) ",
            );
            sql.push_values(rows.iter().zip(&sealed), |mut row, (((subscriber, of, address), id), (value, digest))| {
                row.push_bind(*id)
                    .push_bind(*subscriber)
                    .push_bind(of.audience.as_str())
                    .push_bind(address.channel.as_str())
                    .push_bind(of.language.tag())
                    .push_bind(of.region.as_str())
                    .push_bind(value.as_str())
                    .push_bind(digest.as_str());
            });
            sql.push(" ON CONFLICT (audience, channel, digest) DO NOTHING");
            added.addresses += sql.build().execute(&mut tx).await?.rows_affected();
        }
        // Only those who now have an address.
        let ids: Vec<_> = (first..).zip(new).collect();
        for rows in ids.chunks(ROWS) {
            let mut sql = QueryBuilder::new("WITH made (id, audience, region, language, created_at) AS (");
            sql.push_values(rows, |mut row, (id, subscriber)| {
                row.push_bind(*id)
                    .push_bind(subscriber.audience.as_str())
                    .push_bind(subscriber.region.as_str())
                    .push_bind(subscriber.language.tag())
                    .push_bind(now.timestamp_millis());
            });
            sql.push(
                ") INSERT INTO subscriber (id, audience, region, language, created_at)
                 SELECT id, audience, region, language, created_at FROM made
                 WHERE EXISTS (SELECT 1 FROM address WHERE address.subscriber = made.id)",
            );
            added.subscribers += sql.build().execute(&mut tx).await?.rows_affected();
        }
        tx.commit().await?;
        added.repeated = addresses as u64 - added.addresses;
        Ok(added)
    }

    /// Imported subscribers with an id above this one, by id, with the addresses that they have not left. Residents who signed up
    /// themselves are not for files: they have an export of their own.
    pub(crate) async fn subscribers_after(&self, after: i64, limit: i64) -> Result<Vec<Stored>, StoreError> {
        let rows = sqlx::query(
            "SELECT subscriber.id AS id, subscriber.audience AS audience, subscriber.region AS region,
                 subscriber.language AS language, channel, value
             FROM (SELECT * FROM subscriber WHERE id > $1 AND region <> '' ORDER BY id LIMIT $2) AS subscriber
             JOIN address ON address.subscriber = subscriber.id WHERE left_at IS NULL ORDER BY subscriber.id, address.id",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        let mut found: BTreeMap<i64, Stored> = BTreeMap::new();
        for row in &rows {
            let id: i64 = row.try_get("id")?;
            let text = |name: &str| -> Result<String, StoreError> { Ok(row.try_get(name)?) };
            let channel = text("channel")?.parse().map_err(StoreError::corrupt)?;
            let address = Address { channel, value: self.vault.open(&text("value")?)? };
            if let Some(stored) = found.get_mut(&id) {
                stored.addresses.push(address);
                continue;
            }
            let list = text("audience")?;
            let audience = Audience::ALL.into_iter().find(|audience| audience.as_str() == list);
            let stored = Stored {
                id,
                audience: audience.ok_or_else(|| StoreError::corrupt("subscriber audience"))?,
                region: text("region")?.parse().map_err(StoreError::corrupt)?,
                language: Language::of_tag(&text("language")?)
                    .ok_or_else(|| StoreError::corrupt("subscriber language"))?,
                addresses: vec![address],
            };
            found.insert(id, stored);
        }
        Ok(found.into_values().collect())
    }

    /// How many addresses there are, by list, channel and language.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn address_counts(&self) -> Result<Vec<AddressCount>, StoreError> {
        let rows = sqlx::query(
            "SELECT audience, channel, language, CAST(COUNT(*) AS BIGINT) AS n FROM address WHERE left_at IS NULL
             GROUP BY audience, channel, language ORDER BY audience, channel, language",
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                let channel: String = row.try_get("channel")?;
                Ok(AddressCount {
                    audience: row.try_get("audience")?,
                    channel: channel.parse().map_err(StoreError::corrupt)?,
                    language: row.try_get("language")?,
                    addresses: u64::try_from(row.try_get::<i64, _>("n")?).unwrap_or(0),
                })
            })
            .collect()
    }

    /// How many addresses of these lists are in these regions, by channel and language. Residents count with every address of theirs,
    /// though each is told by one: it is the most that can be reached.
    pub(crate) async fn audience_size(
        &self,
        audiences: impl IntoIterator<Item = Audience>,
        regions: &[RegionCode],
    ) -> Result<BTreeMap<(ChannelKind, Language), u64>, StoreError> {
        const IMPORTED: &str = " AND region IN (";
        const RESIDENTS: &str = " AND region = '' AND subscriber IN (SELECT subscriber FROM place WHERE region IN (";
        // Those who take part in drills: their bit is the highest.
        let drills = format!(
            " AND region = '' AND subscriber IN (SELECT subscriber FROM place WHERE wishes >= {} AND region IN (",
            crate::residents::DRILLS
        );
        let mut sizes = BTreeMap::new();
        for audience in audiences {
            let own = (audience, IMPORTED, ")");
            let residents = match audience {
                Audience::Public => Some((audience, RESIDENTS, "))")),
                Audience::Drill => Some((Audience::Public, drills.as_str(), "))")),
                Audience::Officials => None,
            };
            for (audience, whose, end) in [Some(own), residents].into_iter().flatten() {
                self.count_in(&mut sizes, audience, regions, (whose, end)).await?;
            }
        }
        Ok(sizes)
    }

    /// Adds those of one list who live in these regions, as a clause says.
    async fn count_in(
        &self,
        sizes: &mut BTreeMap<(ChannelKind, Language), u64>,
        audience: Audience,
        regions: &[RegionCode],
        (whose, end): (&str, &str),
    ) -> Result<(), StoreError> {
        for regions in regions.chunks(500) {
            let mut sql = QueryBuilder::new(
                "SELECT channel, language, CAST(COUNT(*) AS BIGINT) AS n FROM address WHERE left_at IS NULL AND audience = ",
            );
            sql.push_bind(audience.as_str());
            // Every channel and language is named, so that the index leads to the regions and nobody else is counted.
            let mut kinds = sql.push(" AND channel IN (").separated(", ");
            for kind in ChannelKind::ALL {
                kinds.push_bind(kind.as_str());
            }
            let mut tags = sql.push(") AND language IN (").separated(", ");
            for language in Language::ALL {
                tags.push_bind(language.tag());
            }
            sql.push(")").push(whose);
            let mut list = sql.separated(", ");
            for region in regions {
                list.push_bind(region.as_str());
            }
            sql.push(end).push(" GROUP BY channel, language");
            for row in sql.build().fetch_all(&self.read).await? {
                let (channel, language): (String, String) = (row.try_get("channel")?, row.try_get("language")?);
                let channel = channel.parse().map_err(StoreError::corrupt)?;
                let language = Language::of_tag(&language).ok_or_else(|| StoreError::corrupt("address language"))?;
                let n: i64 = row.try_get("n")?;
                *sizes.entry((channel, language)).or_default() += u64::try_from(n).unwrap_or(0);
            }
        }
        Ok(())
    }

    /// Takes an address out of every list for good; false if it was not there, or had left.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn leave(&self, address: u64, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("UPDATE address SET left_at = $2 WHERE id = $1 AND left_at IS NULL")
            .bind(i64::try_from(address).unwrap_or(-1))
            .bind(now.timestamp_millis())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}
