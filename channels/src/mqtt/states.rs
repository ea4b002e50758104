//! What is retained at the broker because it is in force: kept here too, because a broker that is killed forgets retained
//! messages that it acknowledged, and because several events may be in force in one place: the gravest is shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

/// A state in force, as the program knows it at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// `region/CODE` or `drill/CODE`.
    pub to: String,
    /// The hazard's slug.
    pub hazard: String,
    /// The event.
    pub chain: String,
    /// How grave, 0 the gravest.
    pub rank: u8,
    /// The state's JSON.
    pub payload: String,
    /// When it is over.
    pub expires: SystemTime,
}

/// One event's state.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) rank: u8,
    pub(super) payload: Bytes,
    pub(super) expires: SystemTime,
}

/// States by topic and event. Clones share them. There are as many as regions, hazards and events in force.
#[derive(Debug, Clone, Default)]
pub(super) struct States(Arc<Mutex<BTreeMap<String, BTreeMap<String, State>>>>);

impl States {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, BTreeMap<String, State>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or ends an event's state; returns what the topic must show now, None for nothing.
    pub(super) fn change(&self, topic: &str, chain: &str, state: Option<State>) -> Option<State> {
        let mut states = self.lock();
        let events = states.entry(topic.to_owned()).or_default();
        match state {
            Some(state) => drop(events.insert(chain.to_owned(), state)),
            None => drop(events.remove(chain)),
        }
        let shown = gravest(events);
        if shown.is_none() {
            states.remove(topic);
        }
        shown
    }

    /// Ends an event on the other topics below `place`: it may have changed its hazard. Returns them with what each must show now.
    pub(super) fn end_elsewhere(&self, place: &str, topic: &str, chain: &str) -> Vec<(String, Option<State>)> {
        let mut states = self.lock();
        let mut changed = Vec::new();
        for (other, events) in states.range_mut(place.to_owned()..).take_while(|(other, _)| other.starts_with(place)) {
            if other != topic && events.remove(chain).is_some() {
                changed.push((other.clone(), gravest(events)));
            }
        }
        states.retain(|_, events| !events.is_empty());
        changed
    }

    /// What every topic must show now.
    pub(super) fn all(&self, now: SystemTime) -> Vec<(String, State)> {
        let live = |events: &BTreeMap<String, State>| {
            gravest(&events.iter().filter(|(_, s)| s.expires > now).map(|(c, s)| (c.clone(), s.clone())).collect())
        };
        self.lock().iter().filter_map(|(topic, events)| Some((topic.clone(), live(events)?))).collect()
    }

    /// Takes out what is over; returns the topics concerned, with what each must show now.
    pub(super) fn take_expired(&self, now: SystemTime) -> Vec<(String, Option<State>)> {
        let mut states = self.lock();
        let mut changed = Vec::new();
        states.retain(|topic, events| {
            let before = events.len();
            events.retain(|_, state| state.expires > now);
            if events.len() < before {
                changed.push((topic.clone(), gravest(events)));
            }
            !events.is_empty()
        });
        changed
    }
}

/// The gravest, and of equals the one that lasts longest.
fn gravest(events: &BTreeMap<String, State>) -> Option<State> {
    events.values().min_by_key(|state| (state.rank, std::cmp::Reverse(state.expires))).cloned()
}
