use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cap::{Alert, AlertId, Colour, Hazard, MsgType};
use crate::regions::RegionCode;

/// A release as the world outside may read it. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// Its permanent id: the bureau's own message's, or that of ours where officers changed something.
    pub id: AlertId,
    /// The release; later ones have greater numbers.
    pub release: i64,
    /// The bureau's message.
    pub alert: AlertId,
    /// The first alert of its event.
    pub chain: String,
    /// Which bureau brought it.
    pub bureau: String,
    /// When it went out.
    pub at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires: DateTime<Utc>,
    /// Counties that it speaks of, sorted: those warned, or those where it ends a warning.
    pub regions: Vec<RegionCode>,
    /// Sea areas that it speaks of, sorted.
    pub seas: Vec<RegionCode>,
    /// Counties where it may take another's place, sorted; all where None.
    pub within: Option<Vec<RegionCode>>,
    /// Releases of publications whose place it takes, within `within`.
    pub replaces: Vec<i64>,
    /// Whether the CAP is ours: officers changed words, end or area, or it follows one that they changed.
    pub own: bool,
    /// Whether it is shown by itself; what only lifts an older one in some counties is not.
    pub listed: bool,
    /// What was told was wrong.
    pub correction: bool,
    /// It is ours, should have been signed, and could not be.
    #[serde(default)]
    pub unsigned: bool,
    /// What it says, with what a Cancel without words ends.
    pub shown: Alert,
}

impl Publication {
    /// Whether it says to the same people what became of another.
    pub fn follows(&self, other: &Self) -> bool {
        let same = self.within.is_none() || other.within.is_none() || self.within == other.within;
        same && self.replaces.contains(&other.release)
    }

    /// Whether it says that a danger is over, or was none.
    pub fn is_the_end(&self) -> bool {
        self.shown.is_the_end()
    }

    /// Whether it warns anybody at all.
    pub fn warns(&self) -> bool {
        self.listed
            && matches!(self.shown.msg_type, MsgType::Alert | MsgType::Update)
            && !self.is_the_end()
            && !(self.regions.is_empty() && self.seas.is_empty())
    }

    /// The danger.
    pub fn hazard(&self) -> Hazard {
        Hazard::of_alert(&self.shown)
    }

    /// The level.
    pub fn colour(&self) -> Option<Colour> {
        Colour::of_alert(&self.shown)
    }
}
