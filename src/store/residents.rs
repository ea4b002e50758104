//! Residents who signed up themselves: sign-ups that wait, sessions, what is theirs, and its end.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use tocsin_channels::ChannelKind;

use super::alerts::time;
use super::unasked::prune_unasked;
use super::{Store, StoreError, Tx, take_ids};
use crate::delivery::Address;
use crate::messages::Language;

/// A resident on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResidentRow {
    pub(crate) subscriber: i64,
    /// The language of what is sent.
    pub(crate) language: Language,
    /// The language of the pages, by its tag.
    pub(crate) tongue: String,
    pub(crate) consent: String,
    pub(crate) consent_at: DateTime<Utc>,
    pub(crate) paused_until: DateTime<Utc>,
}

/// A sign-up to be kept until it is confirmed.
#[derive(Debug, Clone)]
pub(crate) struct NewSignUp<'a> {
    /// Digest of the form's token.
    pub(crate) token: &'a str,
    /// Digest of the link, for mails.
    pub(crate) link: Option<&'a str>,
    /// Digest of the code, for short messages.
    pub(crate) code: Option<&'a str>,
    /// What was asked for; sealed here.
    pub(crate) body: &'a str,
    /// The address's digest.
    pub(crate) digest: &'a str,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Tables that hold rows of a release to one person, to be emptied with it.
const OF_RELEASE: [&str; 7] = [
    "DELETE FROM send_window WHERE chunk IN (SELECT id FROM chunk WHERE release = $1)",
    "DELETE FROM outcome WHERE chunk IN (SELECT id FROM chunk WHERE release = $1)",
    "DELETE FROM chunk WHERE release = $1",
    "DELETE FROM dispatch WHERE release = $1",
    "DELETE FROM acknowledgement WHERE release = $1",
    "DELETE FROM release WHERE id = $1",
    "DELETE FROM personal_release WHERE release = $1",
];

impl Store {
    /// The resident of an address, by its digest, while they have not left with it.
    pub(crate) async fn resident_by(&self, address: &Address) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT resident.subscriber FROM address JOIN resident ON resident.subscriber = address.subscriber
             WHERE audience = 'public' AND channel = $1 AND digest = $2",
        )
        .bind(address.channel.as_str())
        .bind(self.digest(address))
        .fetch_optional(&self.read)
        .await?)
    }

    /// A resident.
    pub(crate) async fn resident(&self, subscriber: i64) -> Result<Option<ResidentRow>, StoreError> {
        let row = sqlx::query("SELECT language, consent, consent_at, paused_until FROM resident WHERE subscriber = $1")
            .bind(subscriber)
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| {
            let language: String = row.try_get("language")?;
            Ok(ResidentRow {
                subscriber,
                // A language of pages only: what is sent comes in English.
                language: Language::of_tag(&language).unwrap_or(Language::English),
                tongue: language,
                consent: row.try_get("consent")?,
                consent_at: time(row.try_get("consent_at")?),
                paused_until: time(row.try_get("paused_until")?),
            })
        })
        .transpose()
    }

    /// Somebody's addresses that they have not left, oldest first.
    pub(crate) async fn own_addresses(&self, subscriber: i64) -> Result<Vec<(i64, Address)>, StoreError> {
        let rows =
            sqlx::query("SELECT id, channel, value FROM address WHERE subscriber = $1 AND left_at IS NULL ORDER BY id")
                .bind(subscriber)
                .fetch_all(&self.read)
                .await?;
        rows.iter()
            .map(|row| {
                let (channel, value): (String, String) = (row.try_get("channel")?, row.try_get("value")?);
                let channel = channel.parse().map_err(StoreError::corrupt)?;
                Ok((row.try_get("id")?, Address { channel, value: self.vault.open(&value)? }))
            })
            .collect()
    }

    /// The digests of all of somebody's addresses, those that they have left too.
    pub(crate) async fn all_digests(&self, subscriber: i64) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT digest FROM address WHERE subscriber = $1")
            .bind(subscriber)
            .fetch_all(&self.read)
            .await?)
    }

    /// What is known of what was sent unasked to somebody's addresses, by its names.
    pub(crate) async fn unasked_names(&self, subscriber: i64) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT channel, value FROM address WHERE subscriber = $1")
            .bind(subscriber)
            .fetch_all(&self.read)
            .await?;
        let mut names = Vec::with_capacity(rows.len());
        for row in &rows {
            let (channel, value): (String, String) = (row.try_get("channel")?, row.try_get("value")?);
            // One that is damaged is found by nobody any more.
            let Ok(value) = self.vault.open(&value) else { continue };
            let channel = channel.parse().map_err(StoreError::corrupt)?;
            let address = Address { channel, value };
            names.extend([self.unasked_name(&address), self.refused_name(&address)]);
        }
        Ok(names)
    }

    /// What is kept of somebody as an organisation's contact.
    pub(crate) async fn contact_of(&self, subscriber: i64) -> Result<Option<Value>, StoreError> {
        let sql = "SELECT organisation, name, duty, source, entered_by FROM contact WHERE subscriber = $1";
        let row = sqlx::query(sql).bind(subscriber).fetch_optional(&self.read).await?;
        row.map(|row| {
            let text = |name: &str| Ok::<String, StoreError>(row.try_get(name)?);
            Ok(json!({
                "organisation": text("organisation")?,
                "name": self.vault.open(&text("name")?)?,
                "duty": text("duty")?,
                "file_sha256": text("source")?,
                "entered_by": text("entered_by")?,
            }))
        })
        .transpose()
    }

    /// Keeps a sign-up until it is confirmed; gives its id.
    pub(crate) async fn insert_sign_up(
        &self,
        tx: &mut Tx,
        new: &NewSignUp<'_>,
        now: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let id = take_ids(tx, "sign_up", 1).await?;
        sqlx::query(
            "INSERT INTO sign_up (id, token, link, code, tries, body, digest, created_at, expires_at)
             VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(new.token)
        .bind(new.link)
        .bind(new.code)
        .bind(self.vault.seal(new.body)?)
        .bind(new.digest)
        .bind(now.timestamp_millis())
        .bind(new.expires_at.timestamp_millis())
        .execute(&mut *tx)
        .await?;
        Ok(id)
    }

    /// Whether a sign-up waits under this digest of a form's token or of a link.
    pub(crate) async fn waits_for_proof(&self, digest: &str) -> Result<bool, StoreError> {
        let id: Option<i64> = sqlx::query_scalar("SELECT id FROM sign_up WHERE token = $1 OR link = $1")
            .bind(digest)
            .fetch_optional(&self.read)
            .await?;
        Ok(id.is_some())
    }

    /// Uses up one try of a form's code, while there are tries and time; gives the code's digest and what was asked for.
    pub(crate) async fn try_code(
        &self,
        tx: &mut Tx,
        token: &str,
        tries: i64,
        now: DateTime<Utc>,
    ) -> Result<Option<(String, String)>, StoreError> {
        let row = sqlx::query(
            "UPDATE sign_up SET tries = tries + 1 WHERE token = $1 AND tries < $2 AND expires_at > $3
             AND code IS NOT NULL RETURNING code, body",
        )
        .bind(token)
        .bind(tries)
        .bind(now.timestamp_millis())
        .fetch_optional(&mut *tx)
        .await?;
        row.map(|row| {
            let body: String = row.try_get("body")?;
            Ok((row.try_get("code")?, self.vault.open(&body)?))
        })
        .transpose()
    }

    /// Takes the sign-up of a link out, while it holds: it works once.
    pub(crate) async fn take_link(
        &self,
        tx: &mut Tx,
        link: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<String>, StoreError> {
        let sealed: Option<String> =
            sqlx::query_scalar("DELETE FROM sign_up WHERE link = $1 AND expires_at > $2 RETURNING body")
                .bind(link)
                .bind(now.timestamp_millis())
                .fetch_optional(&mut *tx)
                .await?;
        Ok(sealed.map(|sealed| self.vault.open(&sealed)).transpose()?)
    }

    /// Counts one more use of something within a time, unless it was used as often as allowed; false then.
    pub(crate) async fn count_use(
        &self,
        tx: &mut Tx,
        name: &str,
        (most, within): (i64, chrono::TimeDelta),
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let n: i64 = sqlx::query_scalar(
            "INSERT INTO usage_count (name, since, n) VALUES ($1, $2, 1)
             ON CONFLICT (name) DO UPDATE SET
                 n = CASE WHEN usage_count.since <= $3 THEN 1 ELSE usage_count.n + 1 END,
                 since = CASE WHEN usage_count.since <= $3 THEN excluded.since ELSE usage_count.since END
             RETURNING n",
        )
        .bind(name)
        .bind(now.timestamp_millis())
        .bind((now - within).timestamp_millis())
        .fetch_one(&mut *tx)
        .await?;
        Ok(n <= most)
    }

    /// How often something was used since then.
    pub(crate) async fn uses(&self, name: &str, since: DateTime<Utc>) -> Result<i64, StoreError> {
        let n: Option<i64> = sqlx::query_scalar("SELECT n FROM usage_count WHERE name = $1 AND since > $2")
            .bind(name)
            .bind(since.timestamp_millis())
            .fetch_optional(&self.read)
            .await?;
        Ok(n.unwrap_or(0))
    }

    /// Whose session this is, with its form token, while it holds.
    pub(crate) async fn resident_session(
        &self,
        digest: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<(i64, String)>, StoreError> {
        let row = sqlx::query("SELECT subscriber, csrf FROM resident_session WHERE digest = $1 AND expires_at > $2")
            .bind(digest)
            .bind(now.timestamp_millis())
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| Ok((row.try_get("subscriber")?, row.try_get("csrf")?))).transpose()
    }

    /// Releases to somebody alone that are tests, newest first.
    pub(crate) async fn tests_of(&self, subscriber: i64, limit: i64) -> Result<Vec<(i64, DateTime<Utc>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT release, at FROM personal_release WHERE subscriber = $1 AND digest = '' ORDER BY release DESC LIMIT $2",
        )
        .bind(subscriber)
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("release")?, time(row.try_get("at")?)))).collect()
    }

    /// When each chunk's newest answer was recorded.
    pub(crate) async fn answered_at(&self, chunk: i64) -> Result<Option<DateTime<Utc>>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar("SELECT MAX(at) FROM outcome WHERE chunk = $1")
            .bind(chunk)
            .fetch_one(&self.read)
            .await?;
        Ok(at.map(time))
    }

    /// Throws away what nobody confirmed, sessions and counts that are over, and releases to one person; gives how many sign-ups.
    pub(crate) async fn prune_residents(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query("DELETE FROM sign_up WHERE created_at < $1")
            .bind(before.timestamp_millis())
            .execute(&mut tx)
            .await?
            .rows_affected();
        sqlx::query("DELETE FROM resident_session WHERE expires_at < $1")
            .bind(now.timestamp_millis())
            .execute(&mut tx)
            .await?;
        sqlx::query("DELETE FROM usage_count WHERE since < $1")
            .bind((now - chrono::TimeDelta::days(8)).timestamp_millis())
            .execute(&mut tx)
            .await?;
        prune_unasked(&mut tx, now).await?;
        let old: Vec<i64> = sqlx::query_scalar("SELECT release FROM personal_release WHERE at < $1")
            .bind(before.timestamp_millis())
            .fetch_all(&mut tx)
            .await?;
        for release in old {
            forget_release(&mut tx, release).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}

/// Makes a resident; gives their id.
pub(crate) async fn insert_resident(
    tx: &mut Tx,
    (language, tongue): (Language, &str),
    consent: &str,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let id = take_ids(tx, "subscriber", 1).await?;
    sqlx::query(
        "INSERT INTO subscriber (id, audience, region, language, created_at) VALUES ($1, 'public', '', $2, $3)",
    )
    .bind(id)
    .bind(language.tag())
    .bind(now.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    sqlx::query("INSERT INTO resident (subscriber, language, consent, consent_at) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(tongue)
        .bind(consent)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(id)
}

/// Gives an address to a resident who has proved that it is theirs. One that was imported, or had left, is theirs now under its
/// old id, so that whoever was told by it is told of the end.
pub(crate) async fn give_address(
    store: &Store,
    tx: &mut Tx,
    subscriber: i64,
    address: &Address,
    language: Language,
) -> Result<(), StoreError> {
    let id = take_ids(tx, "address", 1).await?;
    sqlx::query(
        "INSERT INTO address (id, subscriber, audience, channel, language, region, value, digest)
         VALUES ($1, $2, 'public', $3, $4, '', $5, $6)
         ON CONFLICT (audience, channel, digest) DO UPDATE SET
             subscriber = excluded.subscriber, language = excluded.language, region = '', value = excluded.value,
             left_at = NULL, gone_at = NULL, told_at = NULL",
    )
    .bind(id)
    .bind(subscriber)
    .bind(address.channel.as_str())
    .bind(language.tag())
    .bind(store.seal(address)?)
    .bind(store.digest(address))
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Takes a sign-up out: it was confirmed.
pub(crate) async fn end_sign_up(tx: &mut Tx, token: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sign_up WHERE token = $1").bind(token).execute(&mut *tx).await?;
    Ok(())
}

/// Forgets how often something was used.
pub(crate) async fn forget_use(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM usage_count WHERE name = $1").bind(name).execute(&mut *tx).await?;
    Ok(())
}

/// Begins a resident's session.
pub(crate) async fn insert_resident_session(
    tx: &mut Tx,
    digest: &str,
    subscriber: i64,
    csrf: &str,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO resident_session (digest, subscriber, csrf, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(digest)
        .bind(subscriber)
        .bind(csrf)
        .bind(expires_at.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Ends a resident's session.
pub(crate) async fn end_resident_session(tx: &mut Tx, digest: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM resident_session WHERE digest = $1").bind(digest).execute(&mut *tx).await?;
    Ok(())
}

/// Notes that a release goes to one person alone.
pub(crate) async fn insert_personal_release(
    tx: &mut Tx,
    release: i64,
    digest: &str,
    subscriber: i64,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO personal_release (release, digest, subscriber, at) VALUES ($1, $2, $3, $4)")
        .bind(release)
        .bind(digest)
        .bind(subscriber)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Sets until when somebody wants to hear nothing, and in which language pages speak to them.
pub(crate) async fn set_resident(
    tx: &mut Tx,
    subscriber: i64,
    tongue: &str,
    paused_until: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE resident SET language = $2, paused_until = $3 WHERE subscriber = $1")
        .bind(subscriber)
        .bind(tongue)
        .bind(paused_until.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Takes one of somebody's own addresses away; false if it is not theirs.
pub(crate) async fn remove_own_address(tx: &mut Tx, subscriber: i64, address: i64) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM address WHERE id = $1 AND subscriber = $2")
        .bind(address)
        .bind(subscriber)
        .execute(&mut *tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What somebody's tests are counted by.
pub(crate) fn test_name(subscriber: i64) -> String {
    format!("test-{subscriber}")
}

pub(super) async fn forget_release(tx: &mut Tx, release: i64) -> Result<(), StoreError> {
    for sql in OF_RELEASE {
        sqlx::query(AssertSqlSafe(sql)).bind(release).execute(&mut *tx).await?;
    }
    Ok(())
}

/// The channels that somebody can sign up by themselves.
pub(crate) const OWN: [ChannelKind; 3] = [ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push];
