//! Event chains: which alerts speak of one event, which of them stands at its head, and what says the same again. Pure: what is
//! on record is an argument. `docs/chains.md` says what is done in each case.

mod place;
mod repeat;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
pub(crate) use place::{Place, place};
pub(crate) use repeat::{lasts, says};
use serde::Serialize;

use crate::cap::{Alert, AlertId, Hazard, MsgType, Status};
use crate::regions::RegionCode;

/// An alert without an end counts as in force for so long.
const HOLDS: TimeDelta = TimeDelta::hours(24);

/// Why an alert stands with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It names it.
    References,
    /// Both are of one incident.
    Incident,
    /// Same sender and danger, and its area holds the other's.
    Likeness,
    /// It takes the place of the event's head without naming it.
    Place,
    /// It names it, and another message of another area has taken its place: two events from here on.
    Split,
    /// It answers it: Ack or Error.
    Answer,
    /// It names itself, or what was sent later: that counts for nothing.
    Ignored,
}

impl Why {
    const ALL: [Self; 7] =
        [Self::References, Self::Incident, Self::Likeness, Self::Place, Self::Split, Self::Answer, Self::Ignored];

    /// The word in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::References => "references",
            Self::Incident => "incident",
            Self::Likeness => "likeness",
            Self::Place => "place",
            Self::Split => "split",
            Self::Answer => "answer",
            Self::Ignored => "ignored",
        }
    }

    /// The reason of a word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == word)
    }
}

/// What a message does in its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A warning that says nothing of older ones.
    Warns,
    /// A warning in the place of an older one.
    Updates,
    /// The end.
    Ends,
    /// Ack or Error: no part of the event, though on record with it.
    Answers,
}

/// What chains look at of an alert.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) chain: String,
    pub(crate) sender: String,
    /// Seconds since 1970: CAP knows no fractions.
    pub(crate) sent: i64,
    pub(crate) part: Part,
    /// None where it names none that we know: such alerts are like nothing.
    pub(crate) hazard: Option<Hazard>,
    pub(crate) counties: BTreeSet<RegionCode>,
    pub(crate) expires: Option<DateTime<Utc>>,
    pub(crate) incidents: Vec<String>,
    /// What it names, without itself and what is later than itself.
    pub(crate) refers_to: Vec<String>,
    /// What it names all the same.
    pub(crate) ignored: Vec<String>,
    /// Something has taken its place.
    pub(crate) superseded: bool,
}

impl Member {
    /// What there is to know of an alert in these counties. It is a chain of its own until it is placed.
    pub(crate) fn of(alert: &Alert, counties: BTreeSet<RegionCode>) -> Self {
        let id = AlertId::of(alert).to_string();
        let sent = alert.sent.timestamp();
        let (mut refers_to, mut ignored) = (Vec::new(), Vec::new());
        for reference in &alert.references {
            let named = AlertId::of_reference(reference).to_string();
            let good = named != id && reference.sent.timestamp() <= sent;
            let list = if good { &mut refers_to } else { &mut ignored };
            if !list.contains(&named) {
                list.push(named);
            }
        }
        Self {
            chain: id.clone(),
            id,
            sender: alert.sender.clone(),
            sent,
            part: match alert.msg_type {
                MsgType::Ack | MsgType::Error => Part::Answers,
                _ if alert.is_the_end() => Part::Ends,
                MsgType::Update => Part::Updates,
                _ => Part::Warns,
            },
            hazard: Some(Hazard::of_alert(alert)).filter(|hazard| *hazard != Hazard::Other),
            counties,
            expires: alert.expires().map(|at| at.to_utc()),
            incidents: alert.incidents.clone(),
            refers_to,
            ignored,
            superseded: false,
        }
    }

    /// Whether it names nothing at all, well or badly.
    pub(crate) fn names_nothing(&self) -> bool {
        self.refers_to.is_empty() && self.ignored.is_empty()
    }

    fn ends(&self) -> bool {
        self.part == Part::Ends
    }

    /// Whether it warns at this second.
    fn in_force_at(&self, second: i64) -> bool {
        let end = self.expires.map_or(self.sent + HOLDS.num_seconds(), |at| at.timestamp());
        !self.ends() && end > second
    }
}

/// Whether an alert is one that people are meant to see, and so has a place in an event.
pub(crate) fn takes_part(alert: &Alert) -> bool {
    matches!(alert.msg_type, MsgType::Alert | MsgType::Update | MsgType::Cancel)
        && matches!(alert.status, Status::Actual | Status::Exercise)
}
