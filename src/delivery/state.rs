//! The closed list of what can become of a delivery.

use serde::{Deserialize, Serialize};

/// Where one delivery stands. Every recipient of a frozen audience is in exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Its turn has not come, or it will be tried again.
    Waiting,
    /// In a window whose answers are not recorded yet.
    Sending,
    /// Handed to the provider.
    Accepted,
    /// The address or the content was refused for good.
    Failed,
    /// The person has asked not to be told.
    OptedOut,
    /// The alert ended first; nothing left for this person.
    Expired,
    /// A newer alert took its place; nothing left for this person.
    Superseded,
    /// It may have been sent: bytes left, no answer came, and it was not repeated.
    Unknown,
}

impl DeliveryState {
    /// Every state, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Sending,
        Self::Accepted,
        Self::Failed,
        Self::OptedOut,
        Self::Expired,
        Self::Superseded,
        Self::Unknown,
    ];

    /// The word in tables, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::OptedOut => "opted_out",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Unknown => "unknown",
        }
    }

    /// One byte for the record. Never renumbered.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The state of a recorded byte.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether this person was told, or may have been: an Update or Cancel must reach them.
    pub const fn may_have_been_told(self) -> bool {
        matches!(self, Self::Accepted | Self::Unknown | Self::Sending)
    }
}

/// How many deliveries are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateCounts {
    /// See [`DeliveryState::Waiting`].
    pub waiting: u64,
    /// See [`DeliveryState::Sending`].
    pub sending: u64,
    /// See [`DeliveryState::Accepted`].
    pub accepted: u64,
    /// See [`DeliveryState::Failed`].
    pub failed: u64,
    /// See [`DeliveryState::OptedOut`].
    pub opted_out: u64,
    /// See [`DeliveryState::Expired`].
    pub expired: u64,
    /// See [`DeliveryState::Superseded`].
    pub superseded: u64,
    /// See [`DeliveryState::Unknown`].
    pub unknown: u64,
}

impl StateCounts {
    /// The counts of these states.
    pub fn of(states: impl IntoIterator<Item = DeliveryState>) -> Self {
        let mut counts = Self::default();
        for state in states {
            *counts.slot(state) += 1;
        }
        counts
    }

    /// How many are in this state.
    pub fn get(&self, state: DeliveryState) -> u64 {
        let mut copy = *self;
        *copy.slot(state)
    }

    /// The counter of this state.
    pub fn slot(&mut self, state: DeliveryState) -> &mut u64 {
        match state {
            DeliveryState::Waiting => &mut self.waiting,
            DeliveryState::Sending => &mut self.sending,
            DeliveryState::Accepted => &mut self.accepted,
            DeliveryState::Failed => &mut self.failed,
            DeliveryState::OptedOut => &mut self.opted_out,
            DeliveryState::Expired => &mut self.expired,
            DeliveryState::Superseded => &mut self.superseded,
            DeliveryState::Unknown => &mut self.unknown,
        }
    }

    /// All of them: the audience.
    pub fn total(&self) -> u64 {
        DeliveryState::ALL.iter().map(|state| self.get(*state)).sum()
    }

    /// Those whose end is not known yet.
    pub fn open(&self) -> u64 {
        self.waiting + self.sending
    }
}

impl std::ops::AddAssign for StateCounts {
    fn add_assign(&mut self, other: Self) {
        for state in DeliveryState::ALL {
            *self.slot(state) += other.get(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_to_the_audience() {
        let counts = StateCounts::of(DeliveryState::ALL);
        assert_eq!(counts.total(), 8);
        assert_eq!(counts.open(), 2);
    }
}
