use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::{Fault, Faults};

/// What a sink has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages taken.
    pub messages: u64,
    /// Messages of them that came a second time, where keys are kept.
    pub repeats: u64,
    /// Messages answered with a fault.
    pub faults: u64,
}

/// A counter that all connections of a sink share.
#[derive(Debug, Clone)]
pub struct Tally(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    messages: AtomicU64,
    repeats: AtomicU64,
    faults: AtomicU64,
    offered: AtomicU64,
    bad: Faults,
    healed: AtomicBool,
    /// How often each key came; None when keys are not kept.
    keys: Option<Mutex<HashMap<String, u32>>>,
    /// When the first message came.
    first: Mutex<Option<Instant>>,
    last_text: Mutex<String>,
}

impl Tally {
    /// Keeps counts only.
    pub fn counting() -> Self {
        Self::new(false, Faults::default())
    }

    /// Keeps the key of every message too, to find repeats and misses.
    pub fn keeping_keys() -> Self {
        Self::new(true, Faults::default())
    }

    /// With faults.
    pub fn faulty(faults: Faults) -> Self {
        Self::new(true, faults)
    }

    fn new(keys: bool, bad: Faults) -> Self {
        Self(Arc::new(Inner {
            messages: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            offered: AtomicU64::new(0),
            bad,
            healed: AtomicBool::new(false),
            keys: keys.then(Mutex::default),
            first: Mutex::default(),
            last_text: Mutex::default(),
        }))
    }

    /// What has been counted.
    pub fn counts(&self) -> Counts {
        Counts {
            messages: self.0.messages.load(Ordering::Relaxed),
            repeats: self.0.repeats.load(Ordering::Relaxed),
            faults: self.0.faults.load(Ordering::Relaxed),
        }
    }

    /// How often each key came; empty when keys are not kept.
    pub fn keys(&self) -> HashMap<String, u32> {
        self.0.keys.as_ref().map(|keys| keys.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// When the first message came.
    pub fn first_at(&self) -> Option<Instant> {
        *self.0.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last message's text, where keys are kept.
    pub fn last_text(&self) -> String {
        self.0.last_text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No fault from now on.
    pub fn heal(&self) {
        self.0.healed.store(true, Ordering::Relaxed);
    }

    /// Whether the next message is to meet a fault.
    pub(crate) fn fault(&self) -> Option<Fault> {
        if self.0.bad.every == 0 || self.0.healed.load(Ordering::Relaxed) {
            return None;
        }
        let nth = self.0.offered.fetch_add(1, Ordering::Relaxed) + 1;
        nth.is_multiple_of(self.0.bad.every).then(|| {
            self.0.faults.fetch_add(1, Ordering::Relaxed);
            self.0.bad.with
        })
    }

    /// Whether keys and texts are wanted.
    pub(crate) fn wants_keys(&self) -> bool {
        self.0.keys.is_some()
    }

    /// Counts a message.
    pub(crate) fn take(&self, key: &str, text: &[u8]) {
        if self.0.messages.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.0.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        if let Some(keys) = &self.0.keys {
            let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
            let times = keys.entry(key.to_owned()).or_default();
            *times += 1;
            if *times > 1 {
                self.0.repeats.fetch_add(1, Ordering::Relaxed);
            }
            *self.0.last_text.lock().unwrap_or_else(PoisonError::into_inner) =
                String::from_utf8_lossy(text).into_owned();
        }
    }
}
