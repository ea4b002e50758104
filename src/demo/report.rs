//! What the demo shows at its end, and whether its numbers hold.

use std::collections::BTreeMap;

use serde::Serialize;
use tocsin_channels::ChannelKind;
use tocsin_sinks::Counts;

use crate::delivery::StateCounts;

/// The demo's outcome, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) alerts: u64,
    pub(super) residents: u64,
    /// Deliveries planned: the states add up to it.
    pub(super) audience: u64,
    /// Deliveries that a provider took.
    pub(super) messages: u64,
    pub(super) states: StateCounts,
    pub(super) channels: BTreeMap<ChannelKind, ChannelReport>,
    pub(super) sinks: BTreeMap<&'static str, Counts>,
    pub(super) seconds: f64,
}

/// One channel's share.
#[derive(Debug, Default, Serialize)]
pub(super) struct ChannelReport {
    pub(super) messages: u64,
    pub(super) states: StateCounts,
}

impl Report {
    pub(super) fn new(
        (alerts, residents, seconds): (u64, u64, f64),
        channels: &BTreeMap<ChannelKind, StateCounts>,
        sinks: &[(&'static str, Counts)],
    ) -> Self {
        let mut states = StateCounts::default();
        channels.values().for_each(|counts| states += *counts);
        let channel = |(kind, counts): (&ChannelKind, &StateCounts)| {
            (*kind, ChannelReport { messages: counts.accepted, states: *counts })
        };
        Self {
            alerts,
            residents,
            audience: states.total(),
            messages: states.accepted,
            states,
            channels: channels.iter().map(channel).collect(),
            sinks: sinks.iter().copied().collect(),
            seconds,
        }
    }

    /// What does not hold, in words; empty when all is well.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for kind in ChannelKind::ALL {
            let ours = self.channels.get(&kind).map_or(0, |channel| channel.messages);
            let theirs = self.sinks.get(kind.as_str()).map_or(0, |counts| counts.messages);
            if ours != theirs {
                complaints.push(format!("{kind}: {ours} messages by our record, {theirs} by the sink's"));
            }
            if ours == 0 {
                complaints.push(format!("{kind}: nothing was sent"));
            }
        }
        if self.states.open() > 0 {
            complaints.push(format!("{} deliveries have no end", self.states.open()));
        }
        complaints
    }
}
