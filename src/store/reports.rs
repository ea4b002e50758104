//! What pages ask of deliveries and sources.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::alerts::time;
use super::{Store, StoreError};
use crate::delivery::{DeliveryState, StateCounts, unpack};
use crate::regions::RegionCode;

/// Deliveries in each state, by region; None for people who are no longer in the area.
pub(crate) type RegionCounts = BTreeMap<Option<RegionCode>, StateCounts>;

/// What was counted of chunks that have come to their end: they change no more.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    finished: HashSet<i64>,
    counts: RegionCounts,
}

/// What came from one bureau.
#[derive(Debug, Clone)]
pub(crate) struct SourceCount {
    pub(crate) bureau: String,
    pub(crate) seen: Option<DateTime<Utc>>,
    pub(crate) taken: u64,
    pub(crate) remarks: u64,
    pub(crate) refused: u64,
}

impl Store {
    /// How many deliveries of an alert are in each state, by region. What the tally has counted to its end is not read again.
    pub(crate) async fn states_by_region(&self, alert: &str, tally: &mut Tally) -> Result<RegionCounts, StoreError> {
        let mut open = RegionCounts::new();
        for release in self.releases_of(&[alert.to_owned()]).await? {
            for chunk in self.chunk_ids(release.id).await? {
                if tally.finished.contains(&chunk) {
                    continue;
                }
                let Some(view) = self.chunk(chunk, true).await? else { continue };
                let recipients = unpack(&view.body).ok_or_else(|| StoreError::corrupt(format!("chunk {chunk}")))?;
                let counts = if view.finished { &mut tally.counts } else { &mut open };
                for (recipient, state) in recipients.iter().zip(view.members.states()) {
                    let region = release.regions.get(usize::from(recipient.region)).cloned();
                    *counts.entry(region).or_default().slot(*state) += 1;
                }
                if view.finished {
                    tally.finished.insert(chunk);
                }
            }
        }
        for (region, counts) in &tally.counts {
            *open.entry(region.clone()).or_default() += *counts;
        }
        Ok(open)
    }

    /// Addresses that an alert did not reach, in regions that the asker may see, at most so many.
    pub(crate) async fn missed(
        &self,
        alert: &str,
        limit: usize,
        may_see: impl Fn(&RegionCode) -> bool,
    ) -> Result<Vec<(String, DeliveryState)>, StoreError> {
        let mut found = Vec::new();
        for release in self.releases_of(&[alert.to_owned()]).await? {
            for chunk in self.chunk_ids(release.id).await? {
                let Some(view) = self.chunk(chunk, true).await? else { continue };
                let recipients = unpack(&view.body).ok_or_else(|| StoreError::corrupt(format!("chunk {chunk}")))?;
                let mut missed = recipients.into_iter().zip(view.members.states().iter().copied()).collect::<Vec<_>>();
                missed.retain(|(recipient, state)| {
                    let region = release.regions.get(usize::from(recipient.region)).or(release.jurisdiction.as_ref());
                    matches!(state, DeliveryState::Failed | DeliveryState::Unknown | DeliveryState::Expired)
                        && region.is_some_and(&may_see)
                });
                missed.truncate(limit - found.len());
                let ids: Vec<u64> = missed.iter().filter_map(|(recipient, _)| recipient.address()).collect();
                let values = self.values(&ids).await?;
                for (recipient, state) in missed {
                    let known = recipient.address().and_then(|id| values.get(&id).cloned());
                    // Who has left since is counted, and not shown.
                    found.push((known.unwrap_or(recipient.to), state));
                }
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// When the first and the newest window of each release of an alert went out, by jurisdiction.
    pub(crate) async fn send_times(
        &self,
        alert: &str,
    ) -> Result<Vec<(Option<String>, DateTime<Utc>, DateTime<Utc>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT release.jurisdiction AS jurisdiction, MIN(send_window.at) AS first, MAX(send_window.at) AS last
             FROM release JOIN chunk ON chunk.release = release.id JOIN send_window ON send_window.chunk = chunk.id
             WHERE release.alert = $1 AND kind IN ('alert', 'resend') GROUP BY release.id, release.jurisdiction ORDER BY release.id",
        )
        .bind(alert)
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                let (first, last): (i64, i64) = (row.try_get("first")?, row.try_get("last")?);
                Ok((row.try_get("jurisdiction")?, time(first), time(last)))
            })
            .collect()
    }

    /// Whether a release of an alert is stopped.
    pub(crate) async fn is_held(&self, alert: &str) -> Result<bool, StoreError> {
        let held: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM release WHERE alert = $1 AND held_at IS NOT NULL AND superseded_at IS NULL LIMIT 1",
        )
        .bind(alert)
        .fetch_optional(&self.read)
        .await?;
        Ok(held.is_some())
    }

    /// Where the parts of an alert stand, as `(id, state)`.
    pub(crate) async fn escalation_states(&self, alert: &str) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query("SELECT id, state FROM escalation WHERE alert = $1 ORDER BY id")
            .bind(alert)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("state")?))).collect()
    }

    /// What came from each bureau.
    pub(crate) async fn sources(&self) -> Result<Vec<SourceCount>, StoreError> {
        let rows = sqlx::query(
            "SELECT bureau, MAX(at) AS seen, CAST(SUM(taken) AS BIGINT) AS taken, CAST(SUM(remarks) AS BIGINT) AS remarks,
                 CAST(SUM(refused) AS BIGINT) AS refused
             FROM (SELECT bureau, received_at AS at, 1 AS taken, CASE WHEN verdict = 'remarks' THEN 1 ELSE 0 END AS remarks,
                       0 AS refused FROM alert
                   UNION ALL SELECT bureau, at, 0, 0, 1 FROM refusal) AS seen_of
             GROUP BY bureau ORDER BY bureau",
        )
        .fetch_all(&self.read)
        .await?;
        let whole = |n: i64| u64::try_from(n).unwrap_or(0);
        rows.iter()
            .map(|row| {
                Ok(SourceCount {
                    bureau: row.try_get("bureau")?,
                    seen: row.try_get::<Option<i64>, _>("seen")?.map(time),
                    taken: whole(row.try_get("taken")?),
                    remarks: whole(row.try_get("remarks")?),
                    refused: whole(row.try_get("refused")?),
                })
            })
            .collect()
    }
}
