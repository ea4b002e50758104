//! Places of residents, and what planning asks of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt};
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row};
use tocsin_channels::ChannelKind;

use super::addresses::{IDS, push_ids};
use super::{Store, StoreError, Tx, readable, take_ids};
use crate::cap::Point;
use crate::regions::RegionCode;
use crate::residents::Wishes;

/// A place as planning reads it.
#[derive(Debug, Clone)]
pub(crate) struct PlaceRow {
    pub(crate) subscriber: i64,
    pub(crate) id: i64,
    pub(crate) hazards: i64,
    pub(crate) wishes: i64,
    /// Read for counties on an alert's edge only.
    pub(crate) point: Option<Point>,
}

/// A place with everything that its owner wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Its row; 0 before it has one.
    #[serde(skip)]
    pub id: i64,
    /// What they call it.
    pub name: String,
    /// Its county.
    pub region: RegionCode,
    /// Where exactly, if they said.
    pub point: Option<Point>,
    /// What they want to be told there.
    pub wishes: Wishes,
}

impl Place {
    /// Whether another is the same spot, or the same county without one.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        self.region == other.region && self.point.map(micro) == other.point.map(micro)
    }
}

impl Store {
    /// The places in a county, by owner, with their points where asked for.
    pub(crate) fn places_in<'a>(
        &'a self,
        region: &'a RegionCode,
        points: bool,
    ) -> impl Stream<Item = Result<PlaceRow, StoreError>> + 'a {
        let sql = if points {
            "SELECT subscriber, id, hazards, wishes, point FROM place WHERE region = $1 ORDER BY subscriber, id"
        } else {
            "SELECT subscriber, id, hazards, wishes FROM place WHERE region = $1 ORDER BY subscriber, id"
        };
        let rows = sqlx::query(sql).bind(region.as_str()).fetch(&self.read).map_err(StoreError::from);
        rows.and_then(move |row| async move {
            let sealed: Option<String> = if points { row.try_get(4)? } else { None };
            Ok(PlaceRow {
                subscriber: row.try_get(0)?,
                id: row.try_get(1)?,
                hazards: row.try_get(2)?,
                wishes: row.try_get(3)?,
                point: sealed.and_then(|sealed| self.open_point(&sealed).inspect_err(log).ok()),
            })
        })
    }

    /// Residents who want to hear nothing for now.
    pub(crate) async fn paused(&self, now: DateTime<Utc>) -> Result<Vec<u64>, StoreError> {
        let ids: Vec<i64> = sqlx::query_scalar("SELECT subscriber FROM resident WHERE paused_until > $1")
            .bind(now.timestamp_millis())
            .fetch_all(&self.read)
            .await?;
        Ok(ids.into_iter().filter_map(|id| u64::try_from(id).ok()).collect())
    }

    /// The addresses of these subscribers, oldest first.
    pub(crate) async fn addresses_of(
        &self,
        subscribers: &[u64],
    ) -> Result<HashMap<u64, Vec<(ChannelKind, u64)>>, StoreError> {
        let mut found: HashMap<u64, Vec<(ChannelKind, u64)>> = HashMap::with_capacity(subscribers.len());
        for ids in subscribers.chunks(IDS) {
            let mut sql = QueryBuilder::new(
                "SELECT subscriber, channel, id FROM address WHERE left_at IS NULL AND subscriber IN ",
            );
            push_ids(&mut sql, ids);
            for row in sql.build().fetch_all(&self.read).await? {
                let (subscriber, channel, id): (i64, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                let whole = |id: i64| u64::try_from(id).unwrap_or_default();
                let channel = readable("an address's channel", channel.parse().map_err(StoreError::corrupt))?;
                found.entry(whole(subscriber)).or_default().extend(channel.map(|channel| (channel, whole(id))));
            }
        }
        for list in found.values_mut() {
            list.sort_unstable_by_key(|(_, id)| *id);
        }
        Ok(found)
    }

    /// What people call these places.
    pub(crate) async fn place_names(&self, ids: &[u64]) -> Result<HashMap<u64, String>, StoreError> {
        let mut names = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(IDS) {
            let mut sql = QueryBuilder::new("SELECT id, name FROM place WHERE id IN ");
            push_ids(&mut sql, ids);
            for row in sql.build().fetch_all(&self.read).await? {
                let (id, name): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                // A name that is damaged is left out of the line: the warning itself must go.
                if let Ok(name) = self.vault.open(&name) {
                    names.insert(u64::try_from(id).unwrap_or_default(), name);
                }
            }
        }
        Ok(names)
    }

    /// The counties of these places.
    pub(crate) async fn regions_of_places(&self, places: &[u64]) -> Result<HashMap<u64, RegionCode>, StoreError> {
        let mut found = HashMap::with_capacity(places.len());
        for ids in places.chunks(IDS) {
            let mut sql = QueryBuilder::new("SELECT id, region FROM place WHERE id IN ");
            push_ids(&mut sql, ids);
            for row in sql.build().fetch_all(&self.read).await? {
                let (id, code): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
                let code = readable("a place's county", code.parse().map_err(StoreError::corrupt))?;
                found.extend(code.map(|code| (u64::try_from(id).unwrap_or_default(), code)));
            }
        }
        Ok(found)
    }

    /// Somebody's places, oldest first.
    pub(crate) async fn places_of(&self, subscriber: i64) -> Result<Vec<Place>, StoreError> {
        let rows =
            sqlx::query("SELECT id, name, region, point, hazards, wishes FROM place WHERE subscriber = $1 ORDER BY id")
                .bind(subscriber)
                .fetch_all(&self.read)
                .await?;
        rows.iter()
            .map(|row| {
                let (name, region): (String, String) = (row.try_get("name")?, row.try_get("region")?);
                let point: Option<String> = row.try_get("point")?;
                Ok(Place {
                    id: row.try_get("id")?,
                    name: self.vault.open(&name)?,
                    region: region.parse().map_err(StoreError::corrupt)?,
                    point: point.map(|sealed| self.open_point(&sealed)).transpose()?,
                    wishes: Wishes::unpack(row.try_get("hazards")?, row.try_get("wishes")?),
                })
            })
            .collect()
    }

    /// What people want to be told, place by place, oldest first. Nothing sealed is read for it.
    pub(crate) async fn wishes_of(&self, subscribers: &[u64]) -> Result<HashMap<u64, Vec<Wishes>>, StoreError> {
        let mut found: HashMap<u64, Vec<Wishes>> = HashMap::new();
        for ids in subscribers.chunks(IDS) {
            let mut sql = QueryBuilder::new("SELECT subscriber, hazards, wishes FROM place WHERE subscriber IN ");
            push_ids(&mut sql, ids);
            sql.push(" ORDER BY id");
            for row in sql.build().fetch_all(&self.read).await? {
                let (subscriber, hazards, wishes): (i64, i64, i64) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                let own = found.entry(u64::try_from(subscriber).unwrap_or_default()).or_default();
                own.push(Wishes::unpack(hazards, wishes));
            }
        }
        Ok(found)
    }

    /// What is wanted at these places.
    pub(crate) async fn wishes_at(&self, places: &[u64]) -> Result<HashMap<u64, Wishes>, StoreError> {
        let mut found = HashMap::with_capacity(places.len());
        for ids in places.chunks(IDS) {
            let mut sql = QueryBuilder::new("SELECT id, hazards, wishes FROM place WHERE id IN ");
            push_ids(&mut sql, ids);
            for row in sql.build().fetch_all(&self.read).await? {
                let (id, hazards, wishes): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                found.insert(u64::try_from(id).unwrap_or_default(), Wishes::unpack(hazards, wishes));
            }
        }
        Ok(found)
    }

    /// Adds places, each with its owner; their ids are not looked at.
    pub(crate) async fn insert_places(&self, tx: &mut Tx, places: &[(i64, Place)]) -> Result<(), StoreError> {
        let first = take_ids(tx, "place", i64::try_from(places.len()).unwrap_or(0)).await?;
        let sealed = places.iter().map(|(_, place)| {
            let point = place.point.map(|point| self.vault.seal(&micro(point))).transpose()?;
            Ok((self.vault.seal(&place.name)?, point))
        });
        let sealed = sealed.collect::<Result<Vec<_>, StoreError>>()?;
        let rows: Vec<_> = (first..).zip(places.iter().zip(&sealed)).collect();
        for rows in rows.chunks(ROWS) {
            let mut sql =
                QueryBuilder::new("INSERT INTO place (id, subscriber, region, hazards, wishes, name, point) ");
            sql.push_values(rows, |mut row, (id, ((subscriber, place), (name, point)))| {
                row.push_bind(*id)
                    .push_bind(*subscriber)
                    .push_bind(place.region.as_str())
                    .push_bind(place.wishes.hazards.bits())
                    .push_bind(place.wishes.pack())
                    .push_bind(name.as_str())
                    .push_bind(point.as_deref());
            });
            sql.build().execute(&mut *tx).await?;
        }
        Ok(())
    }

    pub(super) fn open_point(&self, sealed: &str) -> Result<Point, StoreError> {
        let text = self.vault.open(sealed)?;
        of_micro(&text).ok_or_else(|| StoreError::corrupt("a place's point"))
    }
}

/// Puts other places in the stead of somebody's.
pub(crate) async fn replace_places(
    store: &Store,
    tx: &mut Tx,
    subscriber: i64,
    places: Vec<Place>,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM place WHERE subscriber = $1").bind(subscriber).execute(&mut *tx).await?;
    let places: Vec<_> = places.into_iter().map(|place| (subscriber, place)).collect();
    store.insert_places(tx, &places).await
}

/// A point that is damaged holds up nobody: its owner is told with the county.
fn log(error: &StoreError) {
    tracing::error!(%error, "a place's point is damaged; its county stands for it");
}

/// Rows of one INSERT.
const ROWS: usize = 1_000;

/// Millionths of a degree: a tenth of a metre.
const MICRO: f64 = 1e6;

fn micro(point: Point) -> String {
    format!("{:.0},{:.0}", point.lat * MICRO, point.lon * MICRO)
}

fn of_micro(text: &str) -> Option<Point> {
    let (lat, lon) = text.split_once(',')?;
    let degrees = |text: &str| Some(f64::from(text.parse::<i32>().ok()?) / MICRO);
    Some(Point { lat: degrees(lat)?, lon: degrees(lon)? })
}
