//! Where an escalation stands, and who has said what about it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::officers::OfficerId;
use crate::rules::Stage;

/// Where an escalation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// For officers to decide.
    Waiting,
    /// For its author to mend.
    Returned {
        /// Who gave it back.
        by: String,
        /// Why.
        reason: String,
    },
    /// Everyone has said yes; it goes out as soon as its messages can be made.
    Approved,
    /// It goes out.
    Released {
        /// Who signed, or which rule.
        by: String,
    },
    /// Refused for good.
    Rejected {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// Taken back, or replaced by a newer alert.
    Withdrawn {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// Its time was over first.
    Expired,
}

impl State {
    /// The word in tables.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Returned { .. } => "returned",
            Self::Approved => "approved",
            Self::Released { .. } => "released",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Whether something can still happen.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::Returned { .. } | Self::Approved)
    }
}

/// Somebody's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose.
    pub by: OfficerId,
    /// Their name.
    pub name: String,
    /// As what.
    pub stage: Stage,
    /// When.
    pub at: DateTime<Utc>,
    /// In which step of the ladder.
    #[serde(default)]
    pub step: usize,
}

/// Somebody who has said that they look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Who.
    pub by: OfficerId,
    /// Their name.
    pub name: String,
    /// When.
    pub at: DateTime<Utc>,
    /// In which step of the ladder.
    pub step: usize,
}
