//! Who lives, who is silent. Pure: the time is an argument.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::regions::{RegionCode, RegionKind, RegionMap};
use crate::store::DeviceRow;

/// When a device counts as silent.
#[derive(Debug, Clone, Copy)]
pub struct PresenceRule {
    /// A device says so often that it lives.
    pub heartbeat: TimeDelta,
    /// So many missed ones make it silent.
    pub missed: i32,
}

impl PresenceRule {
    /// So long may a device say nothing.
    pub(crate) fn patience(self) -> TimeDelta {
        self.heartbeat * self.missed
    }

    /// Whether we have listened long enough to know who is back: after a break everybody seems alive at first.
    pub(crate) fn knows_who_is_back(self, listening: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now - listening > self.patience()
    }
}

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It says that it lives.
    Alive,
    /// Not any more, since then.
    Silent(DateTime<Utc>),
    /// It was never heard of.
    Never,
    /// Nobody listens just now, so nobody knows.
    Unknown,
}

impl Presence {
    /// How a device is, given since when devices are listened to: while we were away its heartbeats went by unheard.
    pub(crate) fn of(
        row: &DeviceRow,
        listening: Option<DateTime<Utc>>,
        rule: PresenceRule,
        now: DateTime<Utc>,
    ) -> Self {
        if let Some(since) = row.offline_at {
            return Self::Silent(since);
        }
        let Some(seen) = row.seen_at else { return Self::Never };
        let Some(listening) = listening else { return Self::Unknown };
        if now - seen.max(listening) > rule.patience() { Self::Silent(seen) } else { Self::Alive }
    }

    /// The word in metrics and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent(_) => "silent",
            Self::Never => "never",
            Self::Unknown => "unknown",
        }
    }
}

/// How many devices of a region there are, and how many of them are silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) devices: usize,
    pub(crate) silent: usize,
}

impl Share {
    /// Whether somebody must look: more than so many percent, and not one or two alone.
    pub(crate) const fn is_grave(self, percent: usize, least: usize) -> bool {
        self.silent >= least && self.silent * 100 > self.devices * percent
    }
}

/// The shares, where after a break only those who were heard since then count as back: at first everybody seems alive.
pub(crate) fn shares_of_heard(
    rows: Vec<(DeviceRow, Presence)>,
    listening: DateTime<Utc>,
    rule: PresenceRule,
    now: DateTime<Utc>,
    map: &RegionMap,
) -> BTreeMap<RegionCode, Share> {
    let knows = rule.knows_who_is_back(listening, now);
    let heard = |row: &DeviceRow| knows || row.seen_at.is_some_and(|seen| seen >= listening);
    let strict = rows.into_iter().map(|(row, presence)| match presence {
        Presence::Alive if !heard(&row) => (row, Presence::Silent(listening)),
        _ => (row, presence),
    });
    shares(&strict.collect::<Vec<_>>(), map)
}

/// The shares by prefecture, or by province where a county has none; devices that were never heard of are not counted: they are still
/// being mounted.
pub(crate) fn shares(rows: &[(DeviceRow, Presence)], map: &RegionMap) -> BTreeMap<RegionCode, Share> {
    let mut shares: BTreeMap<RegionCode, Share> = BTreeMap::new();
    for (row, presence) in rows.iter().filter(|(_, presence)| *presence != Presence::Never) {
        let region = &row.device.region;
        let above = map.get(region).filter(|region| region.kind == RegionKind::County).and_then(|r| r.parent.clone());
        let share = shares.entry(above.unwrap_or_else(|| region.clone())).or_default();
        share.devices += 1;
        share.silent += usize::from(matches!(presence, Presence::Silent(_)));
    }
    shares
}
