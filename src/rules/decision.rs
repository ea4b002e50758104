use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tocsin_channels::ChannelKind;

use super::approval::Approval;
use crate::regions::RegionCode;

/// How urgent a release is: 0 Extreme, 1 Severe, 2 Moderate and sign-up codes, 3 the rest and drills. Lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Lane(u8);

impl Lane {
    /// Extreme danger: overtakes everything.
    pub const EXTREME: Self = Self(0);
    /// Severe danger.
    pub const SEVERE: Self = Self(1);
    /// Moderate danger.
    pub const MODERATE: Self = Self(2);
    /// All the rest, drills too.
    pub const REST: Self = Self(3);
    /// Every lane, gravest first.
    pub const ALL: [Self; 4] = [Self::EXTREME, Self::SEVERE, Self::MODERATE, Self::REST];

    /// The lane's number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A number that is no lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no priority: use 0 (Extreme), 1 (Severe), 2 (Moderate) or 3 (the rest)")]
pub struct NoSuchLane(u8);

impl TryFrom<u8> for Lane {
    type Error = NoSuchLane;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number <= 3 { Ok(Self(number)) } else { Err(NoSuchLane(number)) }
    }
}

impl From<Lane> for u8 {
    fn from(lane: Lane) -> Self {
        lane.0
    }
}

/// Which list of subscribers is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// Residents.
    Public,
    /// Officials and responsible persons only.
    Officials,
    /// The list of a drill: the only one that an Exercise may reach.
    Drill,
}

impl Audience {
    /// Every audience.
    pub const ALL: [Self; 3] = [Self::Public, Self::Officials, Self::Drill];

    /// The word used in tables and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Officials => "officials",
            Self::Drill => "drill",
        }
    }
}

/// Whom a release may reach. The drill's list and the people's lists cannot stand in one: a live alert that reaches a drill's
/// people, or an exercise that reaches the public, cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Audience>", into = "BTreeSet<Audience>")]
pub enum Reach {
    /// People, for a real danger.
    Live {
        /// Residents.
        public: bool,
        /// Officials and responsible persons.
        officials: bool,
    },
    /// The drill's list, and nothing else.
    Exercise,
}

impl Reach {
    /// Nobody.
    pub const NOBODY: Self = Self::Live { public: false, officials: false };

    /// The lists that are told.
    pub fn lists(self) -> Vec<Audience> {
        match self {
            Self::Exercise => vec![Audience::Drill],
            Self::Live { public, officials } => [(public, Audience::Public), (officials, Audience::Officials)]
                .into_iter()
                .filter_map(|(told, list)| told.then_some(list))
                .collect(),
        }
    }

    /// Whether no list is told.
    pub fn is_empty(self) -> bool {
        self == Self::NOBODY
    }

    /// Both together; None for a live one and an exercise.
    #[must_use]
    pub fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Exercise, Self::Exercise) => Some(Self::Exercise),
            (Self::Live { public: a, officials: b }, Self::Live { public: c, officials: d }) => {
                Some(Self::Live { public: a || c, officials: b || d })
            }
            _ => None,
        }
    }

    /// Whether every list of the other is told too.
    pub fn covers(self, other: Self) -> bool {
        self.with(other) == Some(self)
    }
}

/// A live list and the drill's in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the drill's list and a live list cannot be told by one release")]
pub struct Crossed;

impl TryFrom<BTreeSet<Audience>> for Reach {
    type Error = Crossed;

    fn try_from(lists: BTreeSet<Audience>) -> Result<Self, Self::Error> {
        let (public, officials) = (lists.contains(&Audience::Public), lists.contains(&Audience::Officials));
        match lists.contains(&Audience::Drill) {
            true if public || officials => Err(Crossed),
            true => Ok(Self::Exercise),
            false => Ok(Self::Live { public, officials }),
        }
    }
}

impl From<Reach> for BTreeSet<Audience> {
    fn from(reach: Reach) -> Self {
        reach.lists().into_iter().collect()
    }
}

/// What one rule said of an alert, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// The rule's name.
    pub rule: String,
    /// Whether its condition held.
    pub matched: bool,
    /// Each part of the condition with what it found, one a line, in the order of the file.
    pub why: Vec<String>,
}

/// What the rules said of one alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Counties to be told, sorted; empty when nothing goes out.
    pub regions: Vec<RegionCode>,
    /// Which lists; none when nothing goes out.
    #[serde(rename = "audience")]
    pub reach: Reach,
    /// Which channels; empty when nothing goes out.
    pub channels: BTreeSet<ChannelKind>,
    /// How urgent.
    pub lane: Lane,
    /// Who must say yes.
    pub approval: Approval,
    /// Template set that a rule asked for, before the hazard's own.
    pub template: Option<String>,
    /// Every rule with its verdict, in the file's order.
    pub rules: Vec<RuleVerdict>,
    /// Why nothing goes out, in Chinese and English; None when something does.
    pub withheld: Option<Withheld>,
}

/// Why an alert that was accepted goes to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// Status `Test`, `Draft` or `System`: for machines, never for people.
    NotForPeople,
    /// `expires` has passed.
    Expired,
    /// Scope `Private`: its addresses are not subscribers here.
    PrivateScope,
    /// No area of it lies on the map.
    NoRegion,
    /// No rule matched.
    NoRule,
    /// `Ack` or `Error`: it answers a message and warns nobody.
    NoWarning,
    /// Its event has moved on: something newer of it is on record.
    Late,
}

impl Withheld {
    /// The reason in Chinese.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::NotForPeople => "状态为 Test、System 或 Draft，只供机器，不发给公众",
            Self::Expired => "预警已过有效期",
            Self::PrivateScope => "范围为 Private，收件人不在此订阅",
            Self::NoRegion => "预警区域不涉及本图任何区县",
            Self::NoRule => "没有规则适用",
            Self::NoWarning => "Ack 或 Error 是对消息的答复，不是预警",
            Self::Late => "同一事件已有更新的消息",
        }
    }

    /// The reason in English.
    pub const fn en(self) -> &'static str {
        match self {
            Self::NotForPeople => "its status is Test, System or Draft: for machines, never for people",
            Self::Expired => "it has expired",
            Self::PrivateScope => "its scope is Private, and its addressees are no subscribers here",
            Self::NoRegion => "no county of the map lies in its areas",
            Self::NoRule => "no rule matched",
            Self::NoWarning => "Ack and Error answer a message and warn nobody",
            Self::Late => "something newer of the same event is on record",
        }
    }
}
