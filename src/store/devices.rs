//! Devices, what they say of themselves, and accounts at the broker.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::any::AnyRow;
use tocsin_channels::ChannelKind;

use super::alerts::time;
use super::erasure::erase_resident;
use super::places::replace_places;
use super::residents::give_address;
use super::{Place, Store, StoreError, Tx, take_ids};
use crate::delivery::{Address, address_of, unpack};
use crate::devices::{Device, DeviceKind};
use crate::messages::Language;
use crate::organisations::Slug;
use crate::regions::RegionCode;

/// A device on record, with the newest word of it.
#[derive(Debug, Clone)]
pub(crate) struct DeviceRow {
    pub(crate) device: Device,
    /// When it was heard of.
    pub(crate) seen_at: Option<DateTime<Utc>>,
    /// Since when the broker says that it is gone.
    pub(crate) offline_at: Option<DateTime<Utc>>,
    pub(crate) battery: Option<i64>,
    pub(crate) firmware: Option<String>,
    /// What it said and was not understood.
    pub(crate) refused: i64,
    /// Why, the last time.
    pub(crate) problem: Option<String>,
}

/// What is new of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) seen: Option<DateTime<Utc>>,
    pub(crate) offline: Option<DateTime<Utc>>,
    pub(crate) battery: Option<i64>,
    pub(crate) firmware: Option<String>,
    pub(crate) refused: i64,
    pub(crate) problem: Option<String>,
    /// Alerts that it has played, with when.
    pub(crate) played: Vec<(String, DateTime<Utc>)>,
}

const DEVICE: &str =
    "SELECT device.id AS id, device.subscriber AS subscriber, kind, device.name AS name, device.region AS region,
    organisation, drills, seen_at, offline_at, battery, firmware, refused, problem, place.point AS point,
    place.hazards AS hazards, place.wishes AS wishes
    FROM device LEFT JOIN place ON place.subscriber = device.subscriber";

/// The counter that goes up with each change of the broker's accounts.
const ACCOUNTS: &str = "broker_accounts";
/// The counter that holds since when devices are listened to.
const LISTENING: &str = "devices_listening";

impl Store {
    /// Every device, by region and id.
    pub(crate) async fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{DEVICE} ORDER BY device.region, device.id"));
        sqlx::query(sql).fetch_all(&self.read).await?.iter().map(|row| self.device_row(row)).collect()
    }

    /// One device.
    pub(crate) async fn device(&self, id: &Slug) -> Result<Option<DeviceRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{DEVICE} WHERE device.id = $1"));
        let row = sqlx::query(sql).bind(id.as_str()).fetch_optional(&self.read).await?;
        row.as_ref().map(|row| self.device_row(row)).transpose()
    }

    fn device_row(&self, row: &AnyRow) -> Result<DeviceRow, StoreError> {
        let text = |column: &str| -> Result<String, StoreError> { Ok(row.try_get(column)?) };
        let at = |column: &str| -> Result<_, StoreError> { Ok(row.try_get::<Option<i64>, _>(column)?.map(time)) };
        let organisation: Option<String> = row.try_get("organisation")?;
        let point: Option<String> = row.try_get("point")?;
        let (hazards, wishes): (Option<i64>, Option<i64>) = (row.try_get("hazards")?, row.try_get("wishes")?);
        let wishes = crate::residents::Wishes::unpack(hazards.unwrap_or(-1), wishes.unwrap_or(3));
        Ok(DeviceRow {
            device: Device {
                id: text("id")?.parse().map_err(StoreError::corrupt)?,
                kind: DeviceKind::parse(&text("kind")?).ok_or_else(|| StoreError::corrupt("device kind"))?,
                name: text("name")?,
                region: text("region")?.parse().map_err(StoreError::corrupt)?,
                point: point.map(|sealed| self.open_point(&sealed)).transpose()?,
                organisation: organisation.map(|code| code.parse().map_err(StoreError::corrupt)).transpose()?,
                lowest: wishes.lowest,
                drills: row.try_get::<i64, _>("drills")? != 0,
            },
            seen_at: at("seen_at")?,
            offline_at: at("offline_at")?,
            battery: row.try_get("battery")?,
            firmware: row.try_get("firmware")?,
            refused: row.try_get("refused")?,
            problem: row.try_get("problem")?,
        })
    }

    /// Writes what devices said, together; gives who is not on record.
    pub(crate) async fn note_devices(&self, news: &BTreeMap<String, News>) -> Result<BTreeSet<String>, StoreError> {
        let alerts: BTreeSet<&str> =
            news.values().flat_map(|one| &one.played).map(|(alert, _)| alert.as_str()).collect();
        // By alert and address: the releases that told it, and as which recipient.
        let mut told: HashMap<(&str, u64), Vec<(i64, u64)>> = HashMap::new();
        for alert in alerts {
            for (release, recipient) in self.told_by_mqtt(alert).await? {
                told.entry((alert, address_of(recipient))).or_default().push((release, recipient));
            }
        }
        let mut strangers = BTreeSet::new();
        let mut tx = self.begin().await?;
        for (id, one) in news {
            let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
            let done = sqlx::query(
                "UPDATE device SET seen_at = COALESCE($2, seen_at), refused = refused + $6,
                     offline_at = CASE WHEN CAST($3 AS BIGINT) IS NOT NULL THEN COALESCE(offline_at, $3)
                                       WHEN CAST($2 AS BIGINT) IS NOT NULL THEN NULL ELSE offline_at END,
                     battery = COALESCE($4, battery), firmware = COALESCE($5, firmware), problem = COALESCE($7, problem)
                 WHERE id = $1",
            )
            .bind(id)
            .bind(millis(one.seen))
            .bind(millis(one.offline))
            .bind(one.battery)
            .bind(one.firmware.as_deref())
            .bind(one.refused)
            .bind(one.problem.as_deref())
            .execute(&mut tx)
            .await?;
            if done.rows_affected() == 0 {
                strangers.insert(id.clone());
                continue;
            }
            for (alert, at) in &one.played {
                for address in own_addresses(&mut tx, id).await? {
                    for (release, recipient) in told.get(&(alert.as_str(), address)).into_iter().flatten() {
                        sqlx::query(
                            "INSERT INTO acknowledgement (release, recipient, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                        )
                        .bind(release)
                        .bind(i64::try_from(*recipient).unwrap_or(-1))
                        .bind(at.timestamp_millis())
                        .execute(&mut tx)
                        .await?;
                    }
                }
            }
        }
        tx.commit().await?;
        Ok(strangers)
    }

    /// Whom an alert's releases tell by MQTT, as `(release, recipient)`; regions' topics are not among them.
    async fn told_by_mqtt(&self, alert: &str) -> Result<Vec<(i64, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT chunk.release AS release, chunk.body AS body FROM chunk JOIN release ON release.id = chunk.release
             WHERE release.alert = $1 AND chunk.channel = $2",
        )
        .bind(alert)
        .bind(ChannelKind::Mqtt.as_str())
        .fetch_all(&self.read)
        .await?;
        let mut told = Vec::new();
        for row in &rows {
            let (release, body): (i64, Vec<u8>) = (row.try_get("release")?, row.try_get("body")?);
            let members = unpack(&body).ok_or_else(|| StoreError::corrupt(format!("a chunk of release {release}")))?;
            told.extend(members.iter().filter(|member| !member.is_region()).map(|member| (release, member.id)));
        }
        Ok(told)
    }

    /// The devices that an alert was for, by id, with when each played it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn devices_played(&self, alert: &str) -> Result<Vec<(String, Option<DateTime<Utc>>)>, StoreError> {
        let told: BTreeSet<i64> =
            self.told_by_mqtt(alert).await?.iter().filter_map(|(_, id)| i64::try_from(address_of(*id)).ok()).collect();
        let rows = sqlx::query(
            "SELECT device.id AS id, address.id AS address, (SELECT MIN(acknowledgement.at) FROM acknowledgement
                 JOIN release ON release.id = acknowledgement.release
                 WHERE release.alert = $1 AND acknowledgement.recipient = address.id) AS at
             FROM device JOIN address ON address.subscriber = device.subscriber ORDER BY device.id",
        )
        .bind(alert)
        .fetch_all(&self.read)
        .await?;
        let mut found = Vec::new();
        for row in &rows {
            if told.contains(&row.try_get::<i64, _>("address")?) {
                found.push((row.try_get("id")?, row.try_get::<Option<i64>, _>("at")?.map(time)));
            }
        }
        Ok(found)
    }

    /// Since when devices are listened to without a break; None while nobody listens.
    pub(crate) async fn listening_since(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(Some(self.counter(LISTENING).await?).filter(|at| *at > 0).map(time))
    }

    /// How often the broker's accounts have changed.
    pub(crate) async fn accounts_version(&self) -> Result<i64, StoreError> {
        self.counter(ACCOUNTS).await
    }

    /// Accounts at the broker with their hashes, by name.
    pub(crate) async fn accounts(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = sqlx::query("SELECT name, hash FROM broker_account").fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Regions in which somebody was called, with since when.
    pub(crate) async fn device_alarms(&self) -> Result<BTreeMap<RegionCode, DateTime<Utc>>, StoreError> {
        let rows = sqlx::query("SELECT region, since FROM device_alarm").fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                let region: String = row.try_get(0)?;
                Ok((region.parse().map_err(StoreError::corrupt)?, time(row.try_get(1)?)))
            })
            .collect()
    }

    async fn counter(&self, name: &'static str) -> Result<i64, StoreError> {
        let value: Option<i64> = sqlx::query_scalar("SELECT value FROM counter WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.read)
            .await?;
        Ok(value.unwrap_or(0))
    }
}

async fn own_addresses(tx: &mut Tx, id: &str) -> Result<Vec<u64>, StoreError> {
    let sql =
        "SELECT address.id FROM device JOIN address ON address.subscriber = device.subscriber WHERE device.id = $1";
    let ids: Vec<i64> = sqlx::query_scalar(sql).bind(id).fetch_all(&mut *tx).await?;
    Ok(ids.into_iter().filter_map(|id| u64::try_from(id).ok()).collect())
}

/// Puts a device on record, or other words for one that is there.
pub(crate) async fn insert_device(
    store: &Store,
    tx: &mut Tx,
    device: &Device,
    place: Place,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let known: Option<i64> = sqlx::query_scalar("SELECT subscriber FROM device WHERE id = $1")
        .bind(device.id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let address = Address { channel: ChannelKind::Mqtt, value: format!("device/{}", device.id) };
    let subscriber = match known {
        Some(subscriber) => subscriber,
        None => {
            let subscriber = take_ids(tx, "subscriber", 1).await?;
            sqlx::query(
                "INSERT INTO subscriber (id, audience, region, language, created_at) VALUES ($1, 'public', '', $2, $3)",
            )
            .bind(subscriber)
            .bind(Language::Chinese.tag())
            .bind(now.timestamp_millis())
            .execute(&mut *tx)
            .await?;
            give_address(store, tx, subscriber, &address, Language::Chinese).await?;
            subscriber
        }
    };
    sqlx::query(
        "INSERT INTO device (id, subscriber, kind, name, region, organisation, drills, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name,
             region = excluded.region, organisation = excluded.organisation, drills = excluded.drills",
    )
    .bind(device.id.as_str())
    .bind(subscriber)
    .bind(device.kind.as_str())
    .bind(&device.name)
    .bind(device.region.as_str())
    .bind(device.organisation.as_ref().map(Slug::as_str))
    .bind(i64::from(device.drills))
    .bind(now.timestamp_millis())
    .execute(&mut *tx)
    .await?;
    replace_places(store, tx, subscriber, vec![place]).await?;
    list_for_drills(store, tx, subscriber, &address, device).await
}

/// A device that takes part in drills is on the drill's list too, by its county; any other is not.
async fn list_for_drills(
    store: &Store,
    tx: &mut Tx,
    subscriber: i64,
    address: &Address,
    device: &Device,
) -> Result<(), StoreError> {
    let digest = store.digest(address);
    if !device.drills {
        sqlx::query("DELETE FROM address WHERE audience = 'drill' AND channel = 'mqtt' AND digest = $1")
            .bind(&digest)
            .execute(&mut *tx)
            .await?;
        return Ok(());
    }
    let id = take_ids(tx, "address", 1).await?;
    sqlx::query(
        "INSERT INTO address (id, subscriber, audience, channel, language, region, value, digest)
         VALUES ($1, $2, 'drill', 'mqtt', $3, $4, $5, $6)
         ON CONFLICT (audience, channel, digest) DO UPDATE SET
             subscriber = excluded.subscriber, region = excluded.region, left_at = NULL",
    )
    .bind(id)
    .bind(subscriber)
    .bind(Language::Chinese.tag())
    .bind(device.region.as_str())
    .bind(store.seal(address)?)
    .bind(&digest)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Deletes a device with everything of it; false if there is none.
pub(crate) async fn delete_device(tx: &mut Tx, id: &Slug) -> Result<bool, StoreError> {
    let gone: Option<i64> = sqlx::query_scalar("DELETE FROM device WHERE id = $1 RETURNING subscriber")
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(subscriber) = gone else { return Ok(false) };
    erase_resident(tx, subscriber, &[]).await?;
    Ok(true)
}

/// Sets an account's hash, or takes the account away; either way, somebody's rights may have changed.
pub(crate) async fn set_account(tx: &mut Tx, name: &str, hash: Option<&str>) -> Result<(), StoreError> {
    match hash {
        Some(hash) => {
            let sql = "INSERT INTO broker_account (name, hash) VALUES ($1, $2)
                       ON CONFLICT (name) DO UPDATE SET hash = excluded.hash";
            sqlx::query(sql).bind(name).bind(hash).execute(&mut *tx).await?;
        }
        None => {
            sqlx::query("DELETE FROM broker_account WHERE name = $1").bind(name).execute(&mut *tx).await?;
        }
    }
    touch_accounts(tx).await
}

/// Says that somebody's rights at the broker may have changed.
pub(crate) async fn touch_accounts(tx: &mut Tx) -> Result<(), StoreError> {
    take_ids(tx, ACCOUNTS, 1).await.map(drop)
}

/// Notes since when devices are listened to; None for nobody listens.
pub(crate) async fn set_listening(store: &Store, since: Option<DateTime<Utc>>) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let sql =
        "INSERT INTO counter (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sqlx::query(sql).bind(LISTENING).bind(since.map_or(0, |at| at.timestamp_millis())).execute(&mut tx).await?;
    tx.commit().await
}

/// Notes that somebody was called for a region, or that all is well there again.
pub(crate) async fn set_alarm(
    tx: &mut Tx,
    region: &RegionCode,
    since: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    match since {
        Some(since) => {
            let sql = "INSERT INTO device_alarm (region, since) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            sqlx::query(sql).bind(region.as_str()).bind(since.timestamp_millis()).execute(&mut *tx).await?;
        }
        None => {
            sqlx::query("DELETE FROM device_alarm WHERE region = $1").bind(region.as_str()).execute(&mut *tx).await?;
        }
    }
    Ok(())
}
