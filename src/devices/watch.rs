//! Calls the officers of a region in which too many devices are silent: once, until it is well again there.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::presence::{Share, shares, shares_of_heard};
use super::registry::Devices;
use crate::approval::{Desk, DeskError};
use crate::messages::{Language, PageFacts};
use crate::officers::Role;
use crate::regions::{Region, RegionCode};
use crate::store::{Entry, OfficerRow, StoreError, record, set_alarm};

/// Devices are looked through this often.
const ROUND: Duration = Duration::from_secs(2);

/// Watches until told to stop.
pub(crate) async fn watch(devices: Arc<Devices>, desk: Arc<Desk>, stop: CancellationToken) {
    loop {
        if let Err(error) = devices.look(&desk).await {
            tracing::error!(%error, "silent devices cannot be looked for; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Devices {
    /// Compares each region with what was called before.
    pub(super) async fn look(&self, desk: &Desk) -> Result<(), DeskError> {
        let (rows, listening) = self.all().await?;
        // While nobody listens nobody knows, and our own silence is told elsewhere.
        let Some(listening) = listening else { return Ok(()) };
        let policy = self.policy.load_full();
        let alarms = self.store.device_alarms().await?;
        let shares = shares(&rows, &policy.map);
        for (region, share) in &shares {
            if share.is_grave(self.percent, self.least) && !alarms.contains_key(region) {
                self.call(desk, region, *share).await?;
            }
        }
        let back = shares_of_heard(rows, listening, self.rule, self.clock.now(), &policy.map);
        for region in alarms.keys() {
            let share = back.get(region).copied().unwrap_or_default();
            if !share.is_grave(self.percent, self.least) {
                self.note(region, share, false).await?;
            }
        }
        Ok(())
    }

    async fn call(&self, desk: &Desk, region: &RegionCode, share: Share) -> Result<(), DeskError> {
        let policy = self.policy.load_full();
        let tends = |officer: &&OfficerRow| officer.active && officer.grants.may(Role::Operator, region, &policy.map);
        let officers = self.store.officers().await?;
        let mut reached = 0;
        for officer in officers.iter().filter(tends) {
            let facts = facts(policy.map.get(region), share, officer);
            reached += desk.tell(officer, "device.call", &facts).await?;
        }
        if reached == 0 {
            tracing::error!(region = %region, silent = share.silent, devices = share.devices,
                "many devices are silent, and no operator of the region has an address");
        }
        // Noted last: a crash before calls twice, never not at all.
        Ok(self.note(region, share, true).await?)
    }

    async fn note(&self, region: &RegionCode, share: Share, silent: bool) -> Result<(), StoreError> {
        let now = self.clock.now();
        let kind = if silent { "device.silent" } else { "device.alive" };
        let mut tx = self.store.begin().await?;
        set_alarm(&mut tx, region, silent.then_some(now)).await?;
        let detail = json!({"silent": share.silent, "devices": share.devices});
        record(&mut tx, now, Entry::new("tocsin", kind, region, detail));
        tx.commit().await
    }
}

fn facts(region: Option<&Region>, share: Share, officer: &OfficerRow) -> PageFacts {
    let chinese = officer.language == Language::Chinese;
    let pick = |zh: String, en: String| if chinese { zh } else { en };
    let Share { silent, devices } = share;
    PageFacts {
        headline: pick(
            format!("{devices} 台警报设备中有 {silent} 台失联"),
            format!("{silent} of {devices} warning devices are silent"),
        ),
        jurisdiction: region.map_or_else(String::new, |region| region.name_in(officer.language).to_owned()),
        asked: pick("查看失联设备".into(), "Look at the silent devices".into()),
        until: "--:--".into(),
        then: pick("无后续".into(), "nothing happens".into()),
        called: officer.name.clone(),
        topic: format!("devices{}", region.map_or("", |region| region.code.as_str())),
        ..PageFacts::default()
    }
}
