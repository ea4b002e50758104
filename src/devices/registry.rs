//! Devices kept: by administrators of their counties, each change on record.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tocsin_channels::ChannelKind;

use super::{Counts, Device, Presence, PresenceRule};
use crate::broker;
use crate::clock::Clock;
use crate::config::DevicesConfig;
use crate::messages::Language;
use crate::organisations::{KeepError, Slug, actor, may};
use crate::policy::Policy;
use crate::regions::RegionKind;
use crate::residents::Wishes;
use crate::seal::random_token;
use crate::store::{
    DeviceRow, Entry, OfficerRow, Place, Store, StoreError, Tx, delete_device, insert_device, record, set_account,
    touch_accounts,
};

/// Keeps devices.
pub struct Devices {
    pub(super) store: Store,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) clock: Arc<dyn Clock>,
    /// When a device counts as silent.
    pub rule: PresenceRule,
    /// Of how many percent silent in a region somebody is called.
    pub(super) percent: usize,
    /// And of how many at least.
    pub(super) least: usize,
    /// What was refused since the start.
    pub(crate) counts: Arc<Counts>,
}

impl Devices {
    /// The devices of this store.
    pub fn new(store: Store, policy: Arc<ArcSwap<Policy>>, clock: Arc<dyn Clock>, config: &DevicesConfig) -> Self {
        let rule = PresenceRule {
            heartbeat: TimeDelta::seconds(i64::from(config.heartbeat_seconds.max(1))),
            missed: i32::from(config.missed.max(1)),
        };
        let (percent, least) = (usize::from(config.alarm_percent), usize::from(config.alarm_least.max(1)));
        Self { store, policy, clock, rule, percent, least, counts: Arc::default() }
    }

    /// Every device and how it is, with since when they are listened to.
    pub(crate) async fn all(&self) -> Result<(Vec<(DeviceRow, Presence)>, Option<DateTime<Utc>>), StoreError> {
        let (listening, now) = (self.store.listening_since().await?, self.clock.now());
        let rows = self.store.devices().await?.into_iter();
        let with = |row: DeviceRow| {
            let presence = Presence::of(&row, listening, self.rule, now);
            (row, presence)
        };
        Ok((rows.map(with).collect(), listening))
    }

    /// Puts a device on record, or changes one. A new one gets an account: its name and password, shown this once.
    ///
    /// # Errors
    /// When its words cannot be, or it is not theirs to do.
    pub async fn put(&self, device: &Device, by: Option<&OfficerRow>) -> Result<Option<(String, String)>, KeepError> {
        let before = self.store.device(&device.id).await?;
        let device = self.checked(device, before.as_ref().map(|row| &row.device), by).await?;
        let mut tx = self.store.begin().await?;
        let made = self.write(&mut tx, &device, before.is_none(), by).await?;
        tx.commit().await?;
        Ok(made)
    }

    pub(super) async fn write(
        &self,
        tx: &mut Tx,
        device: &Device,
        new: bool,
        by: Option<&OfficerRow>,
    ) -> Result<Option<(String, String)>, KeepError> {
        let now = self.clock.now();
        let wishes = Wishes {
            lowest: device.lowest,
            channels: vec![ChannelKind::Mqtt],
            languages: vec![Language::Chinese],
            ..Wishes::default()
        };
        let (name, region) = (device.name.clone(), device.region.clone());
        let place = Place { id: 0, name, region, point: device.point, wishes };
        insert_device(&self.store, tx, device, place, now).await?;
        let kind = if new { "device.create" } else { "device.change" };
        record(tx, now, Entry::new(actor(by), kind, &device.id, json!({"device": device})));
        if !new {
            touch_accounts(tx).await?;
            return Ok(None);
        }
        let (account, password) = (broker::device_account(&device.id), random_token()?);
        set_account(tx, &account, Some(&broker::hash(&password)?)).await?;
        Ok(Some((account, password)))
    }

    pub(super) async fn checked(
        &self,
        device: &Device,
        before: Option<&Device>,
        by: Option<&OfficerRow>,
    ) -> Result<Device, KeepError> {
        let policy = self.policy.load_full();
        let name: String = device.name.trim().chars().filter(|c| !c.is_control()).take(60).collect();
        if name.is_empty() {
            return Err(KeepError::input("请写明安装地点 / say where it stands"));
        }
        let county = policy.map.get(&device.region).filter(|region| region.kind == RegionKind::County);
        let county = county.ok_or_else(|| {
            KeepError::input(format!("{} 不是区县 / {} is no county of the map", device.region, device.region))
        })?;
        if let Some(found) = device.point.and_then(|point| policy.map.county_at(point))
            && found.code != county.code
        {
            return Err(KeepError::input(format!(
                "该坐标在{}，不在{} / the point lies in {}, not in {}",
                found.name, county.name, found.name_en, county.name_en
            )));
        }
        if let Some(code) = &device.organisation
            && self.store.organisation(code).await?.is_none()
        {
            return Err(KeepError::input(format!("没有单位 {code} / there is no organisation {code}")));
        }
        may(by, std::slice::from_ref(&device.region), &policy.map)?;
        may(by, before.map_or(&[], |before| std::slice::from_ref(&before.region)), &policy.map)?;
        Ok(Device { name, ..device.clone() })
    }

    /// A new password for a device: the old one ends as soon as the broker has read its files again.
    ///
    /// # Errors
    /// When there is no such device, or it is not theirs to do.
    pub async fn renew(&self, id: &Slug, by: Option<&OfficerRow>) -> Result<(String, String), KeepError> {
        self.owned(id, by).await?;
        let (account, password) = (broker::device_account(id), random_token()?);
        let hash = broker::hash(&password)?;
        let mut tx = self.store.begin().await?;
        set_account(&mut tx, &account, Some(&hash)).await?;
        let detail = json!({"account": account});
        record(&mut tx, self.clock.now(), Entry::new(actor(by), "device.account", id, detail));
        tx.commit().await?;
        Ok((account, password))
    }

    /// Takes a device off the record, with its account.
    ///
    /// # Errors
    /// When there is no such device, or it is not theirs to do.
    pub async fn end(&self, id: &Slug, by: Option<&OfficerRow>) -> Result<(), KeepError> {
        self.owned(id, by).await?;
        let mut tx = self.store.begin().await?;
        delete_device(&mut tx, id).await?;
        set_account(&mut tx, &broker::device_account(id), None).await?;
        record(&mut tx, self.clock.now(), Entry::new(actor(by), "device.end", id, json!({})));
        Ok(tx.commit().await?)
    }

    async fn owned(&self, id: &Slug, by: Option<&OfficerRow>) -> Result<DeviceRow, KeepError> {
        let row = self.store.device(id).await?.ok_or(KeepError::Unknown)?;
        may(by, std::slice::from_ref(&row.device.region), &self.policy.load().map)?;
        Ok(row)
    }
}
