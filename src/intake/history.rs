//! An event through time: its alerts in order, why each belongs to it, what each changed, and the level from when to when.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::join;
use crate::cap::{Alert, Colour};
use crate::chains::Why;
use crate::regions::RegionCode;
use crate::store::{AlertRow, AlertState, Store, StoreError};

/// Alerts of an event that are shown: the newest.
const SHOWN: usize = 200;

/// An event.
#[derive(Debug, Clone, Serialize)]
pub struct History {
    /// Its name: the id of its first alert on record.
    pub chain: String,
    /// The alert that stands for it now; None where nothing but answers is on record.
    pub head: Option<String>,
    /// Whether the head says that it is over.
    pub ended: bool,
    /// The level from each time on, oldest first; None is the end.
    pub levels: Vec<LevelSince>,
    /// Its alerts, by when they were sent; the newest 200.
    pub alerts: Vec<Link>,
}

/// A level, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelSince {
    /// When the alert was sent that says so.
    pub since: DateTime<Utc>,
    /// `blue`, `yellow`, `orange`, `red`; `unknown` where the alert names none; None where the event has ended.
    pub level: Option<String>,
    /// The alert that says so.
    pub alert: String,
}

/// An alert in its event.
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// Its id.
    pub id: String,
    /// When it was sent.
    pub sent: DateTime<Utc>,
    /// When it was on disk here.
    pub received_at: DateTime<Utc>,
    /// `Alert`, `Update`, `Cancel`, `Ack`, `Error`.
    pub msg_type: String,
    /// Which bureau's it is.
    pub bureau: String,
    /// One line.
    pub headline: String,
    /// Its level, where it has one.
    pub level: Option<String>,
    /// When it ends.
    pub expires: Option<DateTime<Utc>>,
    /// Where it stands.
    pub state: AlertState,
    /// What has taken its place.
    pub superseded_by: Option<String>,
    /// What it was joined to, and why.
    pub joined: Vec<Join>,
    /// The alert whose content it says again.
    pub repeats: Option<String>,
    /// What is other than in the alert before: `level`, `area`, `end`, `words`.
    pub changed: Vec<&'static str>,
}

/// What an alert was joined to.
#[derive(Debug, Clone, Serialize)]
pub struct Join {
    /// The other alert; it may not be on record.
    pub alert: String,
    /// Why.
    pub why: Why,
}

impl History {
    /// The event of this name, or that this alert belongs to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of(store: &Store, id: &str) -> Result<Option<Self>, StoreError> {
        let rows = store.chain_of(id).await?;
        let Some(chain) = rows.first().map(|row| row.chain.clone()) else { return Ok(None) };
        let mut why = store.why_in_chain(&chain).await?;
        let mut history = Self { chain, head: None, ended: false, levels: Vec::new(), alerts: Vec::new() };
        let mut before: Option<Said> = None;
        let skip = rows.len().saturating_sub(SHOWN);
        for row in rows.into_iter().skip(skip) {
            let joined = why.remove(&row.id).unwrap_or_default();
            let joined = joined.into_iter().map(|(alert, why)| Join { alert, why }).collect();
            let said = Said::of(store, &row).await?;
            let counts = matches!(row.msg_type.as_str(), "Alert" | "Update" | "Cancel");
            let mut changed = Vec::new();
            if counts {
                changed = before.as_ref().map(|before| said.changes(before)).unwrap_or_default();
                if row.superseded_by.is_none() {
                    history.head = Some(row.id.clone());
                    history.ended = said.ends;
                }
                let level = (!said.ends).then(|| said.level.clone().unwrap_or_else(|| "unknown".to_owned()));
                if history.levels.last().map(|last| &last.level) != Some(&level) {
                    history.levels.push(LevelSince { since: row.sent, level, alert: row.id.clone() });
                }
            }
            let repeats = store.repeats(&row.id).await?.into_iter().next();
            history.alerts.push(link(row, joined, repeats, changed, said.level.clone()));
            if counts {
                before = Some(said);
            }
        }
        Ok(Some(history))
    }
}

fn link(
    row: AlertRow,
    joined: Vec<Join>,
    repeats: Option<String>,
    changed: Vec<&'static str>,
    level: Option<String>,
) -> Link {
    Link {
        id: row.id,
        sent: row.sent,
        received_at: row.received_at,
        msg_type: row.msg_type,
        bureau: row.bureau,
        headline: row.headline,
        level,
        expires: row.expires,
        state: row.state,
        superseded_by: row.superseded_by,
        joined,
        repeats,
        changed,
    }
}

/// What an alert said, as far as changes go.
struct Said {
    ends: bool,
    level: Option<String>,
    counties: BTreeSet<RegionCode>,
    expires: Option<DateTime<Utc>>,
    words: Vec<(Option<String>, Option<String>)>,
}

impl Said {
    async fn of(store: &Store, row: &AlertRow) -> Result<Self, StoreError> {
        let alert = store.alert_as_read(&row.id).await?;
        let words = |alert: &Alert| {
            alert.infos.iter().map(|info| (info.description.clone(), info.instruction.clone())).collect()
        };
        Ok(Self {
            ends: alert.as_ref().is_some_and(Alert::is_the_end),
            level: alert.as_ref().and_then(Colour::of_alert).map(|colour| colour.as_str().to_owned()),
            counties: join::counties_of(&store.located(&row.id).await?),
            expires: row.expires,
            words: alert.as_ref().map(words).unwrap_or_default(),
        })
    }

    /// What is other than before. An end says nothing of level and area.
    fn changes(&self, before: &Self) -> Vec<&'static str> {
        let ends = self.ends;
        [
            ("level", !ends && self.level != before.level),
            ("area", !ends && self.counties != before.counties),
            ("end", self.expires != before.expires),
            ("words", self.words != before.words),
        ]
        .into_iter()
        .filter_map(|(what, differs)| differs.then_some(what))
        .collect()
    }
}

/// The warnings before an alert in its event that have neither expired nor were ended. What another event comes of too is left out: a
/// Cancel that named it would end that one as well.
pub(crate) async fn standing_with(
    store: &Store,
    alert: &AlertRow,
    now: DateTime<Utc>,
) -> Result<Vec<AlertRow>, StoreError> {
    let chain = store.chain(&alert.chain).await?;
    let own = |row: &&AlertRow| row.id != alert.id && row.bureau == alert.bureau && row.status == alert.status;
    let before: Vec<&AlertRow> = chain.iter().filter(own).filter(|row| row.sent <= alert.sent).collect();
    let ended = before.iter().filter(|row| row.msg_type == "Cancel").map(|row| row.sent).max();
    let mut standing = Vec::new();
    for row in before {
        let warns = matches!(row.msg_type.as_str(), "Alert" | "Update") && row.expires.is_none_or(|end| end > now);
        let followers = store.naming(std::slice::from_ref(&row.id)).await?;
        let elsewhere = store.alerts_by_id(&followers).await?.iter().any(|follower| follower.chain != alert.chain);
        if warns && ended.is_none_or(|end| row.sent >= end) && !elsewhere {
            standing.push(row.clone());
        }
    }
    Ok(standing)
}
