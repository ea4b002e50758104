//! What devices say, sorted as it comes: what is kept, what is refused, and that nobody talks too much. Quick, and bounded.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::said::{Refusal, Said, read, whose};
use crate::organisations::Slug;
use crate::store::News;

/// A device may say so many things at once, and then one a second.
const BURST: f64 = 20.0;
/// Devices whose talk is remembered; strangers at an open broker could name any number.
const REMEMBERED: usize = 100_000;

/// What was refused since the start, by reason.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; Refusal::ALL.len()]);

impl Counts {
    pub(super) fn add(&self, refusal: Refusal) {
        let at = Refusal::ALL.iter().position(|known| *known == refusal);
        if let Some(count) = at.and_then(|at| self.0.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each reason with its count.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.iter().zip(&self.0).map(|(refusal, count)| (refusal.as_str(), count.load(Ordering::Relaxed)))
    }
}

/// What a device may still say.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: DateTime<Utc>,
}

/// What came and is not written yet.
#[derive(Debug, Default)]
pub(super) struct Ear {
    buckets: HashMap<String, Bucket>,
    news: BTreeMap<String, News>,
}

impl Ear {
    /// Takes a message; true when it is kept, and must not be acknowledged before it is written.
    pub(super) fn hear(
        &mut self,
        prefix: &str,
        (topic, payload, retained): (&str, &[u8], bool),
        counts: &Counts,
        now: DateTime<Utc>,
    ) -> bool {
        let found = whose(topic, prefix).and_then(|(id, word)| Some((id.parse::<Slug>().ok()?, word)));
        let Some((id, word)) = found else {
            counts.add(Refusal::Topic);
            return false;
        };
        let id = String::from(id);
        // Each word has a measure of its own: what the broker kept of a device's heartbeats while we were away must not drown what it
        // has played.
        let measure = if matches!(word, "state" | "heartbeat" | "played") { word } else { "?" };
        let said = match self.may_speak(&format!("{id}/{measure}"), now) {
            true => read(word, payload),
            false => Err(Refusal::Flood),
        };
        if self.news.len() >= REMEMBERED && !self.news.contains_key(&id) {
            counts.add(Refusal::Flood);
            return false;
        }
        let news = self.news.entry(id).or_default();
        match said {
            Ok(said) => {
                note(news, said, retained, now);
                true
            }
            Err(refusal) => {
                counts.add(refusal);
                news.refused += 1;
                news.problem = Some(refusal.as_str().to_owned());
                false
            }
        }
    }

    fn may_speak(&mut self, id: &str, now: DateTime<Utc>) -> bool {
        if self.buckets.len() >= REMEMBERED {
            // Whoever was quiet for a while has all of it again anyway.
            self.buckets.retain(|_, bucket| refilled(*bucket, now) < BURST);
        }
        if self.buckets.len() >= REMEMBERED && !self.buckets.contains_key(id) {
            return false;
        }
        let bucket = self.buckets.entry(id.to_owned()).or_insert(Bucket { left: BURST, at: now });
        let left = refilled(*bucket, now);
        *bucket = Bucket { left: if left >= 1.0 { left - 1.0 } else { left }, at: now };
        left >= 1.0
    }

    /// Gives away what came, to be written.
    pub(super) fn take(&mut self) -> BTreeMap<String, News> {
        std::mem::take(&mut self.news)
    }
}

fn refilled(bucket: Bucket, now: DateTime<Utc>) -> f64 {
    let seconds = (now - bucket.at).as_seconds_f64().max(0.0);
    (bucket.left + seconds).min(BURST)
}

fn note(news: &mut News, said: Said, retained: bool, now: DateTime<Utc>) {
    match said {
        // A word that the broker kept says what was, not what is.
        Said::Online if retained => {}
        Said::Online => (news.seen, news.offline) = (Some(now), None),
        Said::Offline => (news.seen, news.offline) = (None, Some(now)),
        Said::Heartbeat { battery, firmware } => {
            (news.seen, news.offline) = (Some(now), None);
            news.battery = battery.or(news.battery);
            news.firmware = firmware.or_else(|| news.firmware.take());
        }
        Said::Played { alert } => {
            (news.seen, news.offline) = (Some(now), None);
            news.played.push((alert, now));
        }
    }
}
