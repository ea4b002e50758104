//! Releases and their dispatches.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::any::AnyRow;
use tocsin_channels::ChannelKind;

use super::alerts::time;
use super::chunks::insert_chunks;
use super::dispatches::{NewDispatch, insert_dispatches};
use super::stops::is_any_stopped;
use super::{NewChunk, Store, StoreError, Tx, readable, take_ids, take_ids_of};
use crate::approval::{BY_RULE, HOLDS};
use crate::messages::{Language, Scene};
use crate::regions::RegionCode;
use crate::rules::{Lane, Reach};

/// What a release is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReleaseKind {
    /// An alert to its people.
    Alert,
    /// The alert once more, to those of an earlier release who missed it.
    Resend,
    /// A call to officers.
    Page,
    /// A code or link that proves whose an address is, or a test that its owner asked for.
    Code,
}

impl ReleaseKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Resend => "resend",
            Self::Page => "page",
            Self::Code => "code",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreError> {
        let all = [Self::Alert, Self::Resend, Self::Page, Self::Code];
        all.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| StoreError::corrupt("release kind"))
    }
}

/// A decision that may go out.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) kind: ReleaseKind,
    pub(crate) alert: String,
    /// Whose officers released it; None for all at once.
    pub(crate) jurisdiction: Option<RegionCode>,
    pub(crate) lane: Lane,
    pub(crate) reach: Reach,
    /// Counties of the new area, sorted: the region index of a recipient counts in here.
    pub(crate) regions: Vec<RegionCode>,
    /// Channels that the new area is told by; people told before are told by the channel they were told by.
    pub(crate) channels: BTreeSet<ChannelKind>,
    /// Counties whose people it may tell, sorted; all where None.
    pub(crate) within: Option<Vec<RegionCode>>,
    /// The release whose missed people a resend is for.
    pub(crate) origin: Option<i64>,
    pub(crate) signed_by: String,
    pub(crate) superseded_at: Option<DateTime<Utc>>,
    /// Officers have stopped it.
    pub(crate) held: bool,
    pub(crate) expires: DateTime<Utc>,
    pub(crate) watermark: i64,
    /// What the picture in its mails shows.
    pub(crate) scene: Option<Scene>,
    /// Parts of its row cannot be read: regions, lists or channels are not what they were.
    pub(crate) damaged: bool,
}

/// A release whose chunks are not all written.
#[derive(Debug, Clone)]
pub(crate) struct Unplanned {
    pub(crate) release: Release,
    /// Nothing of it is in chunks, and nothing of its event was released before: nobody can have heard of it.
    pub(crate) first: bool,
}

/// What is left to be written of a release's plan.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) release: i64,
    pub(crate) lane: Lane,
    pub(crate) chunks: Vec<NewChunk>,
    /// Other parts of the alert that people were left to.
    pub(crate) left_to: BTreeSet<i64>,
}

impl Release {
    /// Whether it needed nobody's yes.
    pub(crate) fn by_rule(&self) -> bool {
        self.signed_by == BY_RULE
    }
}

/// A release to be written; its dispatches are its frozen renderings.
#[derive(Debug, Clone)]
pub(crate) struct NewRelease {
    /// Makes it happen once: a second release of this name is refused.
    pub(crate) name: String,
    pub(crate) kind: ReleaseKind,
    pub(crate) alert: String,
    pub(crate) jurisdiction: Option<RegionCode>,
    pub(crate) within: Option<Vec<RegionCode>>,
    pub(crate) origin: Option<i64>,
    pub(crate) lane: Lane,
    pub(crate) reach: Reach,
    pub(crate) regions: Vec<RegionCode>,
    pub(crate) channels: BTreeSet<ChannelKind>,
    pub(crate) expires: DateTime<Utc>,
    pub(crate) signed_by: String,
    pub(crate) dispatches: Vec<NewDispatch>,
    pub(crate) scene: Option<Scene>,
}

/// The name of the release that corrects this one.
pub(crate) fn correction_name(release: i64) -> String {
    format!("correction/{release}")
}

/// The escalation that a release of this name came from, at first or once more for people who joined later.
pub(crate) fn escalation_of(name: &str) -> Option<i64> {
    let id = name.strip_prefix("joined/").unwrap_or(name).strip_prefix("escalation/")?;
    id.split('/').next()?.parse().ok()
}

/// Writes a release with its renderings; the audience is frozen at the newest address.
pub(crate) async fn insert_release(tx: &mut Tx, new: &NewRelease, now: DateTime<Utc>) -> Result<i64, StoreError> {
    let renderings = i64::try_from(new.dispatches.len()).unwrap_or(i64::MAX);
    let [id, dispatch] = take_ids_of(tx, [("release", 1), ("dispatch", renderings)]).await?;
    let query = sqlx::query(
        "INSERT INTO release (id, name, kind, alert, jurisdiction, lane, audience, regions, within, channels, origin,
             signed_by, created_at, expires, watermark, scene)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, (SELECT COALESCE(MAX(id), 0) FROM address), $15)",
    )
    .bind(id)
    .bind(&new.name)
    .bind(new.kind.as_str())
    .bind(&new.alert)
    .bind(new.jurisdiction.as_ref().map(RegionCode::as_str))
    .bind(i64::from(new.lane.number()))
    .bind(json(&new.reach)?)
    .bind(json(&new.regions)?)
    .bind(new.within.as_ref().map(json).transpose()?)
    .bind(json(&new.channels)?)
    .bind(new.origin)
    .bind(&new.signed_by)
    .bind(now.timestamp_millis())
    .bind(new.expires.timestamp_millis())
    .bind(new.scene.as_ref().map(json).transpose()?);
    tx.later(query)?;
    insert_dispatches(tx, (id, dispatch), &new.dispatches)?;
    Ok(id)
}

const COLUMNS: &str =
    "id, name, kind, alert, jurisdiction, lane, audience, regions, within, channels, origin, signed_by,
    superseded_at, held_at, created_at, expires, watermark, scene";

impl Store {
    /// The most urgent releases of these lanes whose chunks are not all written, and that are not put off; `most` of them. One whose row
    /// cannot be read holds up no other.
    pub(crate) async fn unplanned(
        &self,
        lanes: std::ops::RangeInclusive<u8>,
        put_off: &BTreeSet<i64>,
        most: usize,
    ) -> Result<Vec<Unplanned>, StoreError> {
        let page = most + put_off.len();
        let sql = format!(
            "SELECT {COLUMNS}, CAST(CASE WHEN EXISTS (SELECT 1 FROM chunk WHERE chunk.release = release.id)
                 OR EXISTS (SELECT 1 FROM release AS other WHERE other.alert = release.alert AND other.id <> release.id)
                 OR EXISTS (SELECT 1 FROM alert_reference WHERE alert_reference.alert = release.alert)
                 OR EXISTS (SELECT 1 FROM alert_repeat WHERE alert_repeat.alert = release.alert) THEN 0 ELSE 1 END AS BIGINT) AS first
             FROM release WHERE planned_at IS NULL AND lane BETWEEN $1 AND $2 AND (lane > $3 OR id > $4)
             ORDER BY lane, id LIMIT {page}"
        );
        let (mut found, mut after) = (Vec::new(), (i64::from(*lanes.start()), 0_i64));
        loop {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(after.0).bind(i64::from(*lanes.end()));
            let rows = query.bind(after.0).bind(after.1).fetch_all(&self.read).await?;
            for row in &rows {
                after = (row.try_get("lane")?, row.try_get("id")?);
                if put_off.contains(&after.1) {
                    continue;
                }
                if let Some(release) = readable("a release that waits to be planned", release(row))? {
                    found.push(Unplanned { release, first: row.try_get::<i64, _>("first")? == 1 });
                }
                if found.len() == most {
                    return Ok(found);
                }
            }
            if rows.len() < page {
                return Ok(found);
            }
        }
    }

    /// A release by its id; where its row is damaged, what can be read of it: what is planned goes on.
    pub(crate) async fn release(&self, id: i64) -> Result<Option<Release>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM release WHERE id = $1")))
            .bind(id)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(release_or_remains).transpose()
    }

    /// The corrections of these releases, oldest first: one for each that has one.
    pub(crate) async fn corrections_of(&self, releases: &[Release]) -> Result<Vec<String>, StoreError> {
        let mut corrections: Vec<(i64, String)> = Vec::new();
        for release in releases.iter().filter(|release| release.superseded_at.is_some()) {
            let found = sqlx::query("SELECT id, alert FROM release WHERE name = $1")
                .bind(correction_name(release.id))
                .fetch_optional(&self.read)
                .await?;
            if let Some(row) = found {
                corrections.push((row.try_get("id")?, row.try_get("alert")?));
            }
        }
        corrections.sort_unstable();
        Ok(corrections.into_iter().map(|(_, alert)| alert).collect())
    }

    /// The releases of these alerts, oldest first. Of a row that cannot be read, what can be: who was told by it stands in its chunks.
    pub(crate) async fn releases_of(&self, alerts: &[String]) -> Result<Vec<Release>, StoreError> {
        let mut found = Vec::new();
        for alert in alerts {
            let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM release WHERE alert = $1 AND kind IN ('alert', 'resend')"
            )))
            .bind(alert)
            .fetch_all(&self.read)
            .await?;
            for row in &rows {
                found.push(release_or_remains(row)?);
            }
        }
        found.sort_by_key(|release| release.id);
        Ok(found)
    }

    /// Writes the last chunks of some releases, and marks them as planned: their chunks hold the whole audience. One of which an other
    /// part that people were left to was stopped meanwhile is not marked, nor one that goes on since: it is planned once more, unless it
    /// is over.
    pub(crate) async fn end_plans(&self, plans: &[Planned], at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.begin_early().await?;
        insert_chunks(&mut tx, plans.iter().flat_map(|plan| &plan.chunks), at).await?;
        for plan in plans {
            if is_any_stopped(&mut tx, &plan.left_to).await? {
                continue;
            }
            let query = sqlx::query(
                "UPDATE release SET planned_at = $2 WHERE id = $1 AND (held_at IS NOT NULL OR superseded_at IS NOT NULL
                     OR NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.release = $1 AND chunk.state = 3))",
            );
            tx.later(query.bind(plan.release).bind(at.timestamp_millis()))?;
        }
        tx.commit().await
    }

    /// Whether a release's whole audience is in chunks.
    pub(crate) async fn is_whole(&self, release: i64) -> Result<bool, StoreError> {
        let planned: Option<i64> =
            sqlx::query_scalar("SELECT id FROM release WHERE id = $1 AND planned_at IS NOT NULL")
                .bind(release)
                .fetch_optional(&self.read)
                .await?;
        Ok(planned.is_some())
    }

    /// Whether an alert's whole audience is in chunks; false while it is not released.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_planned(&self, alert: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT CAST(COUNT(*) AS BIGINT) AS released, CAST(COUNT(planned_at) AS BIGINT) AS planned FROM release WHERE alert = $1",
        )
        .bind(alert)
        .fetch_one(&self.read)
        .await?;
        let (released, planned): (i64, i64) = (row.try_get("released")?, row.try_get("planned")?);
        Ok(released > 0 && released == planned)
    }

    /// Throws away recipients and outcomes of releases that ended before this time; their counts stay. Returns how many.
    pub(crate) async fn prune(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let old: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM release WHERE expires < $1 AND planned_at IS NOT NULL
             AND EXISTS (SELECT 1 FROM chunk WHERE chunk.release = release.id AND LENGTH(body) > 1)
             AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.release = release.id AND state <> 2)",
        )
        .bind(before.timestamp_millis())
        .fetch_all(&self.read)
        .await?;
        for release in &old {
            let mut tx = self.begin().await?;
            for sql in [
                "DELETE FROM send_window WHERE chunk IN (SELECT id FROM chunk WHERE release = $1)",
                "DELETE FROM outcome WHERE chunk IN (SELECT id FROM chunk WHERE release = $1)",
                "DELETE FROM chunk_why WHERE chunk IN (SELECT id FROM chunk WHERE release = $1)",
                "DELETE FROM ladder WHERE chunk IN (SELECT id FROM chunk WHERE release = $1)",
                "DELETE FROM acknowledgement WHERE release = $1",
            ] {
                sqlx::query(sql).bind(release).execute(&mut tx).await?;
            }
            // A body of one byte is an empty list of recipients.
            sqlx::query("UPDATE chunk SET body = $2, finals = NULL WHERE release = $1")
                .bind(release)
                .bind(&[1_u8][..])
                .execute(&mut tx)
                .await?;
            tx.commit().await?;
        }
        Ok(old.len() as u64)
    }
}

/// Writes the one chunk of a release whose recipients are known already, and marks it planned.
pub(crate) async fn insert_planned_chunk(
    tx: &mut Tx,
    release: i64,
    lane: Lane,
    (channel, language): (ChannelKind, Language),
    (body, n): (&[u8], usize),
    (now, not_before): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(), StoreError> {
    let sql = "SELECT id FROM dispatch WHERE release = $1 AND channel = $2 AND language = $3";
    let dispatch: Option<i64> = sqlx::query_scalar(sql)
        .bind(release)
        .bind(channel.as_str())
        .bind(language.tag())
        .fetch_optional(&mut *tx)
        .await?;
    let dispatch = dispatch.ok_or_else(|| StoreError::corrupt("a chunk without its dispatch"))?;
    let id = take_ids(tx, "chunk", 1).await?;
    sqlx::query(
        "INSERT INTO chunk (id, dispatch, release, channel, lane, n, body, state, not_before, attempt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0)",
    )
    .bind(id)
    .bind(dispatch)
    .bind(release)
    .bind(channel.as_str())
    .bind(i64::from(lane.number()))
    .bind(i64::try_from(n).unwrap_or(0))
    .bind(body)
    .bind(not_before.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE release SET planned_at = $2 WHERE id = $1")
        .bind(release)
        .bind(now.timestamp_millis())
        .execute(&mut *tx)
        .await?;
    Ok(())
}

fn release(row: &AnyRow) -> Result<Release, StoreError> {
    let lane: i64 = row.try_get("lane")?;
    let lane = u8::try_from(lane).ok().and_then(|lane| Lane::try_from(lane).ok());
    let moment = |name: &str| -> Result<_, StoreError> { Ok(row.try_get::<Option<i64>, _>(name)?.map(time)) };
    let jurisdiction: Option<String> = row.try_get("jurisdiction")?;
    let within: Option<String> = row.try_get("within")?;
    let within = within.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Release {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: ReleaseKind::parse(row.try_get("kind")?)?,
        alert: row.try_get("alert")?,
        jurisdiction: jurisdiction.map(|code| code.parse()).transpose().map_err(StoreError::corrupt)?,
        within: within.map_err(|e| StoreError::corrupt(format!("column within: {e}")))?,
        origin: row.try_get("origin")?,
        signed_by: row.try_get("signed_by")?,
        superseded_at: moment("superseded_at")?,
        held: moment("held_at")?.is_some(),
        lane: lane.ok_or_else(|| StoreError::corrupt("release lane"))?,
        reach: parse(row, "audience")?,
        regions: parse(row, "regions")?,
        channels: parse(row, "channels")?,
        expires: time(row.try_get("expires")?),
        watermark: row.try_get("watermark")?,
        scene: row.try_get::<Option<String>, _>("scene")?.as_deref().and_then(scene),
        damaged: false,
    })
}

/// A release that was; where its row is damaged, as much of it as can be read, and of the rest what leaves nobody out.
fn release_or_remains(row: &AnyRow) -> Result<Release, StoreError> {
    let error = match release(row) {
        Err(error @ StoreError::Corrupt { .. }) => error,
        read => return read,
    };
    let id = row.try_get("id")?;
    tracing::error!(%error, release = id, "a release's row is damaged; who was told by it stands in its chunks");
    let lane: Option<i64> = row.try_get("lane").ok();
    let lane = lane.and_then(|lane| Lane::try_from(u8::try_from(lane).ok()?).ok());
    let jurisdiction: Option<String> = row.try_get("jurisdiction").ok().flatten();
    let text = |name: &str| row.try_get::<String, _>(name).unwrap_or_default();
    let moment = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(time));
    // Whatever stands there stops it, for statements too: no window of it opens, and so nobody is left to it.
    let done = |name: &str| moment(name).unwrap_or(Some(DateTime::UNIX_EPOCH));
    Ok(Release {
        id,
        name: text("name"),
        kind: ReleaseKind::parse(&text("kind")).unwrap_or(ReleaseKind::Alert),
        alert: row.try_get("alert")?,
        jurisdiction: jurisdiction.and_then(|code| code.parse().ok()),
        within: parse(row, "within").ok(),
        origin: row.try_get("origin").ok().flatten(),
        signed_by: text("signed_by"),
        superseded_at: done("superseded_at"),
        held: done("held_at").is_some(),
        lane: lane.unwrap_or(Lane::EXTREME),
        // An exercise's release reaches the drill's list whatever stands here.
        reach: parse(row, "audience").unwrap_or(Reach::Live { public: true, officials: true }),
        regions: parse(row, "regions").unwrap_or_default(),
        channels: parse(row, "channels").unwrap_or_else(|_| ChannelKind::ALL.into()),
        expires: (moment("expires").ok().flatten())
            .or_else(|| Some(moment("created_at").ok().flatten()? + HOLDS))
            .unwrap_or(DateTime::<Utc>::MAX_UTC - HOLDS),
        watermark: row.try_get("watermark").unwrap_or_default(),
        scene: None,
        damaged: true,
    })
}

/// A picture that cannot be made out is no reason to hold back the words.
fn scene(text: &str) -> Option<Scene> {
    serde_json::from_str(text)
        .inspect_err(|error| tracing::error!(%error, "the picture of a release cannot be read"))
        .ok()
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::corrupt)
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|e| StoreError::corrupt(format!("column {column}: {e}")))
}
