//! What is retained at the broker because it is in force: kept here too, because a broker that is killed forgets retained
//! messages that it acknowledged.

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
    /// The state's JSON.
    pub payload: String,
    /// When it is over.
    pub expires: SystemTime,
}

/// States by topic. Clones share them. There are as many as regions times hazards.
#[derive(Debug, Clone, Default)]
pub(super) struct States(Arc<Mutex<BTreeMap<String, (Bytes, SystemTime)>>>);

impl States {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Bytes, SystemTime)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, topic: &str, payload: Bytes, expires: SystemTime) {
        self.lock().insert(topic.to_owned(), (payload, expires));
    }

    pub(super) fn remove(&self, topic: &str) {
        self.lock().remove(topic);
    }

    /// Everything in force now.
    pub(super) fn all(&self, now: SystemTime) -> Vec<(String, Bytes, SystemTime)> {
        let states = self.lock();
        let live = states.iter().filter(|(_, (_, expires))| *expires > now);
        live.map(|(topic, (payload, expires))| (topic.clone(), payload.clone(), *expires)).collect()
    }

    /// Takes out what is over, and returns its topics.
    pub(super) fn take_expired(&self, now: SystemTime) -> Vec<String> {
        let mut states = self.lock();
        let over: Vec<_> =
            states.iter().filter(|(_, (_, expires))| *expires <= now).map(|(topic, _)| topic.clone()).collect();
        over.iter().for_each(|topic| drop(states.remove(topic)));
        over
    }
}
