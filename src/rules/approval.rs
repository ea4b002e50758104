//! Who must say yes before an alert goes out, by when, and who is called until somebody does.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use tocsin_channels::ChannelKind;

use super::condition::Span;

/// What an officer looks at an alert as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Is it right: text, level, area.
    Review,
    /// May it go out.
    Sign,
}

impl Stage {
    /// The word in tables and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Sign => "sign",
        }
    }
}

/// Whose officers decide: each approves for its own people, and none waits for another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Provinces.
    #[default]
    Province,
    /// Prefectures.
    Prefecture,
    /// Counties.
    County,
}

/// Who is called, by position on the duty roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// On duty.
    Primary,
    /// Called when the first does not answer.
    Secondary,
    /// Called last.
    Chief,
}

impl Position {
    /// Every position, in the order in which they are called.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Chief];

    /// The word in tables and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Chief => "chief",
        }
    }
}

/// What happens when a step's time is over and nobody has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The next step begins.
    Next,
    /// It goes out if somebody has signed: one signature is enough from here on. Else the next step begins.
    ReleaseSigned,
    /// It goes out without anybody's yes.
    Release,
    /// It waits on, the console shows it as overdue, and the step's officers are called again and again.
    Hold,
    /// It ends without going out.
    Lapse,
}

/// One step of the ladder: somebody is called, and has so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who is called.
    pub page: Position,
    /// By which channels.
    pub by: BTreeSet<ChannelKind>,
    /// How long the step lasts.
    pub within: Span,
    /// What happens then.
    pub then: Then,
}

/// Who must say yes, and the ladder of calls. Named in the rule set, and kept whole with each decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Its name in the rule set.
    pub name: String,
    /// What must be said, each by another officer and never by an author; none for alerts that need nobody.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// The green channel: stages in any order, all officers at once.
    #[serde(default)]
    pub green: bool,
    /// Whose officers decide.
    #[serde(default)]
    pub by: Level,
    /// Who is called, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

impl Approval {
    /// The approval of alerts that need nobody.
    pub fn none() -> Self {
        Self { name: "none".into(), stages: Vec::new(), green: true, by: Level::default(), steps: Vec::new() }
    }

    /// One officer's yes, where a rule set says nothing else.
    pub fn one() -> Self {
        Self { name: "one".into(), stages: vec![Stage::Sign], green: true, by: Level::default(), steps: usual() }
    }

    /// Two officers' yes, where a rule set says nothing else.
    pub fn two() -> Self {
        let stages = vec![Stage::Review, Stage::Sign];
        Self { name: "two".into(), stages, green: true, by: Level::default(), steps: usual() }
    }

    /// Whether nobody needs to be asked.
    pub fn is_none(&self) -> bool {
        self.stages.is_empty()
    }

    /// How many must say yes.
    pub fn officers(&self) -> usize {
        self.stages.len()
    }

    /// The stricter of two: more officers; of equals, the first.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if other.officers() > self.officers() { other } else { self }
    }

    /// How long all steps last.
    pub fn time(&self) -> TimeDelta {
        self.steps.iter().map(|step| step.within.time()).sum()
    }

    /// What is wrong with it, if anything.
    pub(super) fn wrong(&self) -> Option<&'static str> {
        let twice = self.stages.len() > 1 && self.stages.first() == self.stages.get(1);
        let unended = |step: &Step| matches!(step.then, Then::Next | Then::ReleaseSigned);
        match self.steps.last() {
            _ if self.stages.len() > 2 || twice => Some("`stages` is [], [\"sign\"], or [\"review\", \"sign\"]"),
            _ if self.is_none() => None,
            None => Some("`steps` is empty: nobody would be called"),
            Some(last) if unended(last) => Some("the last step needs an end: hold, release or lapse"),
            Some(_) if self.steps.iter().any(|step| step.by.contains(&ChannelKind::Mqtt)) => {
                Some("officers are called by sms, email or push, not by mqtt")
            }
            Some(_) if self.steps.iter().any(|step| step.within.time() <= TimeDelta::zero()) => {
                Some("a step lasts longer than nothing")
            }
            Some(_) => None,
        }
    }
}

fn usual() -> Vec<Step> {
    let by: BTreeSet<_> = [ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push].into();
    let step = |page, minutes, then| Step { page, by: by.clone(), within: Span::minutes(minutes), then };
    vec![
        step(Position::Primary, 3, Then::Next),
        step(Position::Secondary, 3, Then::Next),
        step(Position::Chief, 4, Then::Hold),
    ]
}
