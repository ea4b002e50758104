//! Organisations, their contacts and webhooks.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::alerts::time;
use super::erasure::{erase_resident, keep_departures};
use super::residents::insert_resident;
use super::unasked::stopped_among;
use super::{Place, Store, StoreError, Tx, replace_places, take_ids};
use crate::cap::Colour;
use crate::delivery::Address;
use crate::messages::Language;
use crate::organisations::{Organisation, OrganisationKind, Slug};

/// A contact to be added.
#[derive(Debug, Clone)]
pub(crate) struct NewContact {
    pub(crate) organisation: Slug,
    pub(crate) name: String,
    pub(crate) duty: String,
    pub(crate) language: Language,
    /// The text that they agreed to, and when.
    pub(crate) consent: (String, DateTime<Utc>),
    /// SHA-256 of the file, hex; empty where somebody typed it in.
    pub(crate) source: String,
    pub(crate) entered_by: String,
    pub(crate) addresses: Vec<Address>,
    pub(crate) places: Vec<Place>,
}

/// A contact on record.
#[derive(Debug, Clone)]
pub(crate) struct ContactRow {
    pub(crate) subscriber: i64,
    pub(crate) name: String,
    pub(crate) duty: String,
    pub(crate) source: String,
    pub(crate) entered_by: String,
    pub(crate) consent: String,
    pub(crate) consent_at: DateTime<Utc>,
    /// Those that they have not left.
    pub(crate) addresses: Vec<Address>,
}

/// A webhook of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookRow {
    pub(crate) organisation: Slug,
    pub(crate) name: Slug,
    pub(crate) url: String,
    pub(crate) secret: String,
}

const ORGANISATION: &str = "SELECT code, name, kind, regions, lowest, created_at FROM organisation";

impl Store {
    /// Every organisation, by code.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn organisations(&self) -> Result<Vec<Organisation>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{ORGANISATION} ORDER BY code"));
        sqlx::query(sql).fetch_all(&self.read).await?.iter().map(organisation).collect()
    }

    /// One organisation.
    pub(crate) async fn organisation(&self, code: &Slug) -> Result<Option<Organisation>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{ORGANISATION} WHERE code = $1"));
        sqlx::query(sql).bind(code.as_str()).fetch_optional(&self.read).await?.as_ref().map(organisation).transpose()
    }

    /// Who is told for an organisation, oldest first.
    pub(crate) async fn contacts(&self, code: &Slug) -> Result<Vec<ContactRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT contact.subscriber AS subscriber, name, duty, source, entered_by, consent, consent_at
             FROM contact JOIN resident ON resident.subscriber = contact.subscriber
             WHERE organisation = $1 ORDER BY contact.subscriber",
        )
        .bind(code.as_str())
        .fetch_all(&self.read)
        .await?;
        let mut contacts = Vec::with_capacity(rows.len());
        for row in &rows {
            let (subscriber, name): (i64, String) = (row.try_get("subscriber")?, row.try_get("name")?);
            let addresses = self.own_addresses(subscriber).await?;
            contacts.push(ContactRow {
                subscriber,
                name: self.vault.open(&name)?,
                duty: row.try_get("duty")?,
                source: row.try_get("source")?,
                entered_by: row.try_get("entered_by")?,
                consent: row.try_get("consent")?,
                consent_at: time(row.try_get("consent_at")?),
                addresses: addresses.into_iter().map(|(_, address)| address).collect(),
            });
        }
        Ok(contacts)
    }

    /// How many contacts each organisation has.
    pub(crate) async fn contact_counts(&self) -> Result<std::collections::BTreeMap<String, i64>, StoreError> {
        let rows = sqlx::query("SELECT organisation, CAST(COUNT(*) AS BIGINT) FROM contact GROUP BY organisation")
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Every organisation's webhooks.
    pub(crate) async fn hooks(&self) -> Result<Vec<HookRow>, StoreError> {
        let rows =
            sqlx::query("SELECT organisation, name, url, secret FROM organisation_hook ORDER BY organisation, name")
                .fetch_all(&self.read)
                .await?;
        rows.iter()
            .map(|row| {
                let text = |column: &str| -> Result<String, StoreError> { Ok(row.try_get(column)?) };
                Ok(HookRow {
                    organisation: text("organisation")?.parse().map_err(StoreError::corrupt)?,
                    name: text("name")?.parse().map_err(StoreError::corrupt)?,
                    url: self.vault.open(&text("url")?)?,
                    secret: self.vault.open(&text("secret")?)?,
                })
            })
            .collect()
    }
}

fn organisation(row: &AnyRow) -> Result<Organisation, StoreError> {
    let text = |column: &str| -> Result<String, StoreError> { Ok(row.try_get(column)?) };
    let colour = text("lowest")?;
    Ok(Organisation {
        code: text("code")?.parse().map_err(StoreError::corrupt)?,
        name: text("name")?,
        kind: OrganisationKind::parse(&text("kind")?).ok_or_else(|| StoreError::corrupt("organisation kind"))?,
        regions: serde_json::from_str(&text("regions")?).map_err(StoreError::corrupt)?,
        lowest: Colour::ALL
            .into_iter()
            .find(|one| one.as_str() == colour)
            .ok_or_else(|| StoreError::corrupt("organisation lowest"))?,
        created_at: time(row.try_get("created_at")?),
    })
}

/// Writes an organisation, or other words for one that is there.
pub(crate) async fn put_organisation(tx: &mut Tx, one: &Organisation) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO organisation (code, name, kind, regions, lowest, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (code) DO UPDATE SET name = excluded.name, kind = excluded.kind, regions = excluded.regions,
             lowest = excluded.lowest",
    )
    .bind(one.code.as_str())
    .bind(&one.name)
    .bind(one.kind.as_str())
    .bind(serde_json::to_string(&one.regions).map_err(StoreError::corrupt)?)
    .bind(one.lowest.as_str())
    .bind(one.created_at.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Deletes an organisation; its contacts must be gone.
pub(crate) async fn delete_organisation(tx: &mut Tx, code: &Slug) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM organisation_hook WHERE organisation = $1").bind(code.as_str()).execute(&mut *tx).await?;
    sqlx::query("UPDATE device SET organisation = NULL WHERE organisation = $1")
        .bind(code.as_str())
        .execute(&mut *tx)
        .await?;
    let gone = sqlx::query("DELETE FROM organisation WHERE code = $1").bind(code.as_str()).execute(&mut *tx).await?;
    Ok(gone.rows_affected() == 1)
}

/// Adds a contact with those of their addresses that nobody has, that nobody has left or answered STOP to: a file brings nobody back.
/// Gives how many; without one there is no contact.
pub(crate) async fn insert_contact(store: &Store, tx: &mut Tx, new: &NewContact) -> Result<usize, StoreError> {
    let (consent, at) = (&new.consent.0, new.consent.1);
    let subscriber = insert_resident(tx, (new.language, new.language.tag()), consent, at).await?;
    let mut added = 0;
    let stopped = stopped_among(store, tx, new.addresses.iter()).await?;
    for address in new.addresses.iter().filter(|address| !stopped.contains(&store.refused_name(address))) {
        let id = take_ids(tx, "address", 1).await?;
        let done = sqlx::query(
            "INSERT INTO address (id, subscriber, audience, channel, language, region, value, digest)
             VALUES ($1, $2, 'public', $3, $4, '', $5, $6) ON CONFLICT (audience, channel, digest) DO NOTHING",
        )
        .bind(id)
        .bind(subscriber)
        .bind(address.channel.as_str())
        .bind(new.language.tag())
        .bind(store.seal(address)?)
        .bind(store.digest(address))
        .execute(&mut *tx)
        .await?;
        added += usize::from(done.rows_affected() == 1);
    }
    if added == 0 {
        erase_resident(tx, subscriber, &[]).await?;
        return Ok(0);
    }
    replace_places(store, tx, subscriber, new.places.clone()).await?;
    sqlx::query(
        "INSERT INTO contact (subscriber, organisation, name, duty, source, entered_by) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(subscriber)
    .bind(new.organisation.as_str())
    .bind(store.vault.seal(&new.name)?)
    .bind(&new.duty)
    .bind(&new.source)
    .bind(&new.entered_by)
    .execute(&mut *tx)
    .await?;
    Ok(added)
}

/// Deletes a contact with everything of theirs; that they have left holds.
pub(crate) async fn delete_contact(tx: &mut Tx, subscriber: i64) -> Result<(), StoreError> {
    keep_departures(tx, subscriber).await?;
    erase_resident(tx, subscriber, &[]).await
}

/// Writes a webhook, or another address and secret for one that is there.
pub(crate) async fn insert_hook(store: &Store, tx: &mut Tx, hook: &HookRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO organisation_hook (organisation, name, url, secret) VALUES ($1, $2, $3, $4)
         ON CONFLICT (organisation, name) DO UPDATE SET url = excluded.url, secret = excluded.secret",
    )
    .bind(hook.organisation.as_str())
    .bind(hook.name.as_str())
    .bind(store.vault.seal(&hook.url)?)
    .bind(store.vault.seal(&hook.secret)?)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Deletes a webhook; false if there is none. Its log stays.
pub(crate) async fn delete_hook(tx: &mut Tx, organisation: &Slug, name: &Slug) -> Result<bool, StoreError> {
    let gone = sqlx::query("DELETE FROM organisation_hook WHERE organisation = $1 AND name = $2")
        .bind(organisation.as_str())
        .bind(name.as_str())
        .execute(&mut *tx)
        .await?;
    Ok(gone.rows_affected() == 1)
}
