//! Whom a release leaves out: they have heard the same, or will in time.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_channels::ChannelKind;

use super::told::Heard;
use crate::messages::Variant;

/// As long as a pause between two tries may be: whoever waits no longer is on the way.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Who has heard something or is about to, and who will when they wake.
#[derive(Debug, Default)]
pub(super) struct Spared {
    heard: Heard,
    asleep: BTreeMap<DateTime<Utc>, Heard>,
}

impl Spared {
    /// Somebody has heard it, or is about to.
    pub(super) fn hears(&mut self, what: (ChannelKind, Variant), recipient: u64) {
        self.heard.entry(what).or_default().insert(recipient);
    }

    /// Somebody waits for it until then.
    pub(super) fn waits(
        &mut self,
        what: (ChannelKind, Variant),
        recipient: u64,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        let heard = if until <= now + PAUSE { &mut self.heard } else { self.asleep.entry(until).or_default() };
        heard.entry(what).or_default().insert(recipient);
    }

    /// What somebody heard last on a channel was something else.
    pub(super) fn forget(&mut self, channel: ChannelKind, recipient: u64) {
        let all = std::iter::once(&mut self.heard).chain(self.asleep.values_mut()).flatten();
        all.filter(|((own, _), _)| *own == channel).for_each(|(_, set)| _ = set.remove(recipient));
    }

    /// Whether somebody has heard it, or will no later than then; now where that is None.
    pub(super) fn holds(&self, what: (ChannelKind, Variant), recipient: u64, by: Option<DateTime<Utc>>) -> bool {
        let asleep = by.into_iter().flat_map(|by| self.asleep.range(..=by)).map(|(_, heard)| heard);
        let mut all = std::iter::once(&self.heard).chain(asleep);
        all.any(|heard| heard.get(&what).is_some_and(|set| set.contains(recipient)))
    }
}
