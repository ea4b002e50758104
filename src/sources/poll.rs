//! The round of one feed: ask, compare with what was there before, fetch what is new or changed, hand it in, note it down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::absence;
use super::config::FeedSource;
use super::door::Door;
use super::entry::{GONE, Hands, Job, in_force};
use super::feed::{self, Body, Entry, Feed};
use super::fetch::{FetchLimits, Fetched, Fetcher, Marks};
use super::health;
use super::problem::{Problem, ProblemCode};
use super::schedule::{When, again, dice};
use crate::store::{EntryRow, SourceRow, StoreError};

/// Links of one feed that are fetched at once.
const AT_ONCE: usize = 4;
/// A round spends no longer on entries; those left are the next round's.
const ROUND: Duration = Duration::from_secs(120);
/// Links that a round looks at again although nothing seems to have changed.
const RECHECKS: usize = 20;
/// So much is said of one answer.
const MOST_SAID: usize = 20;
/// An alert's size.
const ALERT_MIB: usize = 4;
/// An entry that is no longer listed is remembered so long, and for as long as an alert of it holds.
const REMEMBERED: TimeDelta = TimeDelta::days(7);
/// So many entries of a feed are remembered beside those that it lists or that are in force: one that shows others each time fills
/// neither memory nor disk.
const MOST_REMEMBERED: usize = 5_000;

/// Polls a feed until told to stop.
pub(super) async fn run(config: FeedSource, door: Arc<Door>, stop: CancellationToken) {
    let (name, own) = (config.name.clone(), Arc::clone(&door));
    let mut tries = 0;
    let poller = loop {
        match Poller::new(config.clone(), Arc::clone(&door)).await {
            Ok(poller) => break poller,
            Err(problem) if health::waits(&mut tries, &name, &problem, &stop).await => {}
            Err(problem) => return health::give_up(&own.store, &name, "feed", &problem, own.now()).await,
        }
    };
    tokio::select! {
        () = Box::pin(poller.rounds()) => {}
        () = stop.cancelled() => {}
    }
}

struct Poller {
    config: FeedSource,
    door: Arc<Door>,
    fetcher: Fetcher,
    when: When,
    row: SourceRow,
    entries: BTreeMap<String, EntryRow>,
    /// What the feed showed the last time; empty after a start.
    listed: Vec<Entry>,
    /// What there was to say of the feed itself then.
    said: Vec<Value>,
    /// Entries to be written.
    changed: BTreeSet<String>,
}

impl Poller {
    async fn new(config: FeedSource, door: Arc<Door>) -> Result<Self, Problem> {
        let fetcher = Fetcher::new(&config.private, config.ca_file.as_deref())?;
        let when = When::of(&config).map_err(|e| Problem::new(ProblemCode::Setup, e))?;
        let row = health::known(&door.store, &config.name, "feed").await?;
        let entries = door.store.source_entries(&config.name).await;
        let entries = entries.map_err(|error| Problem::new(ProblemCode::Store, error))?;
        let entries = entries.into_iter().map(|row| (row.entry.clone(), row)).collect();
        Ok(Self {
            config,
            door,
            fetcher,
            when,
            row,
            entries,
            listed: Vec::new(),
            said: Vec::new(),
            changed: BTreeSet::new(),
        })
    }

    async fn rounds(mut self) {
        loop {
            let asked = self.round().await;
            let now = self.door.now();
            let next = match &asked {
                Ok(()) => self.when.next(now, 0, dice(), None),
                Err(problem) => self.when.next(now, self.row.failures + 1, dice(), problem.wait),
            };
            match asked {
                Ok(()) => health::good(&mut self.row, now, Some(next)),
                Err(problem) => health::bad(&mut self.row, now, Some(next), &problem),
            }
            self.save(now).await;
            let pause = (next - self.door.now()).to_std().unwrap_or(Duration::from_millis(100));
            self.door.sleep(pause).await;
        }
    }

    async fn save(&mut self, now: DateTime<Utc>) {
        let listed: BTreeSet<&str> = self.listed.iter().map(|entry| entry.key.as_str()).collect();
        let gone = match self.holding(now).await {
            Ok(holding) => forgotten(&self.entries, &listed, &holding, now - REMEMBERED, MOST_REMEMBERED),
            // What holds is not known: nothing is forgotten.
            Err(_) => Vec::new(),
        };
        let rows = self.changed.iter().filter_map(|key| self.entries.get(key));
        match self.door.store.save_source(&self.row, rows, &gone).await {
            Ok(()) => {
                self.changed.clear();
                gone.iter().for_each(|key| drop(self.entries.remove(key)));
            }
            Err(error) => {
                tracing::error!(%error, source = %self.config.name, "what is known of a source could not be written")
            }
        }
    }

    /// Alerts of long unseen entries that hold all the same: the source was away, and may end them once it is back.
    async fn holding(&self, now: DateTime<Utc>) -> Result<BTreeSet<String>, StoreError> {
        let unseen = self.entries.values().filter(|row| row.seen_at < now - REMEMBERED && in_force(row));
        let alerts: Vec<String> = unseen.flat_map(|row| row.alerts.iter().cloned()).collect();
        self.door.store.holding(&alerts, now).await
    }

    fn limits(&self, mib: usize) -> FetchLimits {
        FetchLimits { time: Duration::from_secs(self.config.timeout_seconds.into()), mib }
    }

    async fn round(&mut self) -> Result<(), Problem> {
        let marks = Marks { etag: self.row.etag.clone(), modified: self.row.modified.clone() };
        let marks = (!self.needs_all()).then_some(&marks);
        let limits = self.limits(usize::try_from(self.config.max_mib).unwrap_or(1));
        match self.fetcher.fetch(&self.config.url, marks, limits).await? {
            Fetched::Same => {
                self.look().await;
            }
            Fetched::New { body, marks, at } => {
                let (area, most) = (self.config.area.clone(), self.config.max_entries);
                // A large feed takes a moment; nobody else waits for it.
                let read = move || feed::read(&body, Some(&at), area.as_deref(), most);
                let feed = tokio::task::spawn_blocking(read).await;
                let feed = feed.map_err(|e| Problem::new(ProblemCode::Unreadable, e))??;
                (self.row.etag, self.row.modified) = (marks.etag, marks.modified);
                self.row.entries = feed.entries.len() as u64;
                self.take(feed).await;
            }
        }
        Ok(())
    }

    /// Whether the whole feed is wanted, not only news of it: an absence is to be confirmed, or entries are to be tried again
    /// whose links are not known any more.
    fn needs_all(&self) -> bool {
        let now = self.door.now();
        let absent = self.config.ends_by_absence && self.entries.values().any(|row| row.missed > 0 && in_force(row));
        let agreed = self.door.agreed(self.config.voice());
        let again = |row: &EntryRow| {
            (row.state == "failed" && row.next_at <= now)
                || self.is_old(row, now)
                || row.was_refused_under_other(&agreed)
        };
        absent || (self.listed.is_empty() && self.entries.values().any(again))
    }

    fn is_old(&self, row: &EntryRow, now: DateTime<Utc>) -> bool {
        row.fetched_at + TimeDelta::seconds(self.config.recheck_seconds.into()) <= now && row.state != "ended"
    }

    async fn take(&mut self, feed: Feed) {
        let old_copy = matches!((feed.stamp, self.row.stamp), (Some(now), Some(before)) if now < before);
        let mut said: Vec<Value> =
            feed.findings.iter().filter_map(|finding| serde_json::to_value(finding).ok()).collect();
        if old_copy {
            said.push(Problem::new(ProblemCode::Stale, "").json());
        } else {
            self.row.stamp = feed.stamp.or(self.row.stamp);
        }
        self.listed = feed.entries;
        let judged = self.config.ends_by_absence && feed.whole && !old_copy;
        self.said = said;
        self.look().await;
        if judged {
            self.count_absent().await;
        }
    }

    /// Looks at every listed entry that is new, changed, due again, or was not looked at for long.
    async fn look(&mut self) {
        let jobs = self.jobs(self.door.now());
        let (due, mut results) = (jobs.len(), Vec::new());
        {
            let hands = Hands {
                door: &self.door,
                fetcher: &self.fetcher,
                voice: self.config.voice(),
                area: self.config.area.as_deref(),
                limits: self.limits(ALERT_MIB),
            };
            let work = stream::iter(jobs).map(|job| Box::pin(hands.handle(job))).buffer_unordered(AT_ONCE);
            let all = work.for_each(|done| {
                results.push(done);
                std::future::ready(())
            });
            if tokio::time::timeout(ROUND, all).await.is_err() {
                tracing::warn!(source = %self.config.name, "the round ended before all entries were looked at; the next one goes on");
            }
        }
        if results.len() < due {
            // What was not looked at has no row yet: the next answer must be a whole one, even after a restart.
            (self.row.etag, self.row.modified) = (None, None);
        }
        for done in results {
            self.row.taken += done.delivered.new_ones();
            self.row.refused += done.delivered.refused.len() as u64;
            for row in done.rows {
                self.note(row);
            }
        }
        self.drop_gone();
        let mut said = self.said.clone();
        for row in self.listed.iter().filter_map(|entry| self.entries.get(&entry.key)) {
            if said.len() >= MOST_SAID {
                break;
            }
            if row.state == "ended" {
                said.push(Problem::new(ProblemCode::CameBack, row.alerts.join(" ")).json());
            }
            said.extend(row.problem.as_deref().and_then(|text| serde_json::from_str(text).ok()));
        }
        self.row.findings = Value::Array(said);
    }

    /// What an entry no longer holds, but another listed one does, is not gone.
    fn drop_gone(&mut self) {
        let rows = self.listed.iter().filter_map(|entry| self.entries.get(&entry.key));
        let held: BTreeSet<String> = rows.flat_map(|row| row.alerts.iter().cloned()).collect();
        for (key, row) in &mut self.entries {
            if key.starts_with(GONE) && row.state != "ended" && row.alerts.iter().all(|alert| held.contains(alert)) {
                row.state = "ended".into();
                self.changed.insert(key.clone());
            }
        }
    }

    fn note(&mut self, row: EntryRow) {
        self.changed.insert(row.entry.clone());
        self.entries.insert(row.entry.clone(), row);
    }

    fn jobs(&mut self, now: DateTime<Utc>) -> Vec<Job> {
        let (mut jobs, mut rechecks) = (Vec::new(), Vec::new());
        let agreed = self.door.agreed(self.config.voice());
        for entry in &self.listed {
            let Some(old) = self.entries.get(&entry.key) else {
                jobs.push(Job { entry: entry.clone(), old: None, recheck: false });
                continue;
            };
            let again = old.stamp != entry.stamp
                || (old.state == "failed" && old.next_at <= now)
                || old.was_refused_under_other(&agreed);
            let recheck =
                !again && matches!(entry.body, Body::Link(_)) && old.state != "failed" && self.is_old(old, now);
            if again {
                jobs.push(Job { entry: entry.clone(), old: Some(old.clone()), recheck });
            } else if recheck {
                rechecks.push(Job { entry: entry.clone(), old: Some(old.clone()), recheck });
            } else if old.seen_at + TimeDelta::hours(1) < now {
                // Else it would be forgotten while it is still listed.
                self.changed.insert(entry.key.clone());
            }
        }
        for key in &self.changed {
            if let Some(row) = self.entries.get_mut(key) {
                row.seen_at = now;
            }
        }
        rechecks.sort_by_key(|job| job.old.as_ref().map(|row| row.fetched_at));
        jobs.extend(rechecks.into_iter().take(RECHECKS));
        jobs
    }

    /// Counts what a whole answer does not list, and ends what was not listed often enough. Alerts are judged, not entries: what
    /// another listed entry holds is there. An entry that nobody could read may hold anything, so then nothing is judged.
    async fn count_absent(&mut self) {
        let listed: BTreeSet<&str> = self.listed.iter().map(|entry| entry.key.as_str()).collect();
        let Some(held) = held(&listed, &self.entries) else {
            // Once it is read, the list is wanted whole again: that it is as it was says nothing of what it leaves out.
            if self.entries.values().any(|row| in_force(row) && !listed.contains(row.entry.as_str())) {
                (self.row.etag, self.row.modified) = (None, None);
            }
            return;
        };
        let there = |row: &EntryRow| {
            listed.contains(row.entry.as_str()) || row.alerts.iter().all(|alert| held.contains(alert.as_str()))
        };
        let judged = || self.entries.values().filter(|row| in_force(row) && feed::is_stable(&row.entry));
        let open: Vec<_> = judged().map(|row| (row.entry.as_str(), row.missed)).collect();
        let there = judged().filter(|row| there(row)).map(|row| row.entry.as_str()).collect();
        let judgement = absence::judge(&open, &there);
        let missed: Vec<_> = judgement.missed.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect();
        let over: Vec<_> = judgement.over.iter().map(|key| (*key).to_owned()).collect();
        let held: BTreeSet<String> = held.into_iter().map(str::to_owned).collect();
        for (key, missed) in missed {
            if let Some(row) = self.entries.get_mut(&key) {
                row.missed = missed;
                self.changed.insert(key);
            }
        }
        for key in over {
            self.end_entry(&key, &held).await;
        }
    }

    /// Ends what an entry held. Where that fails, it stays open, is told, and tried again after a pause.
    async fn end_entry(&mut self, key: &str, held: &BTreeSet<String>) {
        let now = self.door.now();
        let Some(mut row) = self.entries.get(key).filter(|row| row.tries == 0 || row.next_at <= now).cloned() else {
            return;
        };
        let mut open = None;
        for alert in row.alerts.iter().filter(|alert| !held.contains(*alert)) {
            if let Err(problem) = self.door.end(self.config.voice(), alert).await {
                tracing::error!(source = %self.config.name, alert.id = %alert, %problem, "an alert that is no longer listed could not be ended");
                open = Some(problem);
            }
        }
        match open {
            None => (row.state, row.tries, row.problem) = ("ended".into(), 0, None),
            Some(problem) => {
                row.tries = row.tries.saturating_add(1);
                row.next_at = now + again(row.tries, dice());
                row.problem = Some(problem.json().to_string());
                if let Some(said) = self.row.findings.as_array_mut() {
                    said.insert(0, problem.json());
                }
            }
        }
        self.note(row);
    }
}

/// Which entries are forgotten: what was not seen since `before`, and what is too much. Too much is never what is listed, or in force:
/// that is what an absence is told by. Before the list is known, nothing is too much. However long it was not seen, an entry whose
/// alert is among `holding` stays.
fn forgotten(
    entries: &BTreeMap<String, EntryRow>,
    listed: &BTreeSet<&str>,
    holding: &BTreeSet<String>,
    before: DateTime<Utc>,
    most: usize,
) -> Vec<String> {
    let spare = |row: &EntryRow| !listed.is_empty() && !listed.contains(row.entry.as_str()) && !in_force(row);
    let seen = entries.values().filter(|row| spare(row)).map(|row| row.seen_at).collect();
    let since = crowded_out(seen, most);
    let holds = |row: &EntryRow| in_force(row) && row.alerts.iter().any(|alert| holding.contains(alert));
    let unseen = |row: &EntryRow| row.seen_at < before && !holds(row);
    let gone = entries.values().filter(|row| unseen(row) || (spare(row) && row.seen_at < since));
    gone.map(|row| row.entry.clone()).collect()
}

/// Since when an entry must have been seen where there are more than `most`: the longest unseen go first. Those of one round were seen
/// at one time: they go together.
fn crowded_out(mut seen: Vec<DateTime<Utc>>, most: usize) -> DateTime<Utc> {
    seen.sort_unstable();
    let last = seen.len().checked_sub(most + 1).and_then(|n| seen.get(n));
    last.map_or(DateTime::<Utc>::MIN_UTC, |at| *at + TimeDelta::milliseconds(1))
}

/// The alerts of all listed entries; None where one of them was not read, or not well.
fn held<'a>(listed: &BTreeSet<&str>, entries: &'a BTreeMap<String, EntryRow>) -> Option<BTreeSet<&'a str>> {
    let mut held = BTreeSet::new();
    for key in listed {
        let row = entries.get(*key).filter(|row| row.state != "failed" && !row.alerts.is_empty())?;
        held.extend(row.alerts.iter().map(String::as_str));
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_to_be_absent_while_one_listed_entry_was_not_read() {
        let row = |state: &str, alerts: &[&str]| EntryRow {
            state: state.into(),
            alerts: alerts.iter().map(|alert| (*alert).to_owned()).collect(),
            ..EntryRow::default()
        };
        let read =
            BTreeMap::from([("a".to_owned(), row("taken", &["1", "2"])), ("b".to_owned(), row("taken", &["3"]))]);
        assert_eq!(held(&["a"].into(), &read), Some(["1", "2"].into()));
        assert_eq!(held(&["a", "new"].into(), &read), None);
        for unread in [row("failed", &["3"]), row("failed", &[]), row("refused", &[])] {
            let entries = BTreeMap::from([("a".to_owned(), row("taken", &["1"])), ("b".to_owned(), unread)]);
            assert_eq!(held(&["a", "b"].into(), &entries), None);
        }
    }

    #[test]
    fn of_too_many_entries_the_longest_unseen_are_forgotten() {
        let at = |n: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(n);
        let seen = || vec![at(3), at(1), at(1), at(2)];
        let left = |most| {
            let since = crowded_out(seen(), most);
            seen().into_iter().filter(|seen| *seen >= since).count()
        };
        assert_eq!([0, 1, 2, 3, 4, 9].map(left), [0, 1, 2, 2, 4, 4]);
    }

    #[test]
    fn what_is_listed_or_in_force_is_never_too_much_and_nothing_is_before_the_list_is_known() {
        let at = |n: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(n);
        let row = |entry: &str, state: &str, seen: i64| {
            let alerts = if state == "refused" { Vec::new() } else { vec![entry.to_owned()] };
            let row =
                EntryRow { entry: entry.into(), state: state.into(), alerts, seen_at: at(seen), ..EntryRow::default() };
            (entry.to_owned(), row)
        };
        let entries = BTreeMap::from([
            row("ended", "ended", 3),
            row("in force", "taken", 1),
            row("listed", "refused", 1),
            row("new", "refused", 4),
            row("refused", "refused", 2),
        ]);
        let gone = |listed: &[&str], before: i64, most| {
            forgotten(&entries, &listed.iter().copied().collect(), &BTreeSet::new(), at(before), most)
        };
        assert_eq!(gone(&["listed"], 0, 0), ["ended", "new", "refused"]);
        assert_eq!(gone(&["listed"], 0, 1), ["ended", "refused"]);
        assert_eq!(gone(&["listed"], 0, 3), [""; 0]);
        assert_eq!(gone(&[], 0, 0), [""; 0], "nobody knows yet what is listed");
        assert_eq!(gone(&[], 2, 0), ["in force", "listed"], "not seen for long");
        let holding = ["in force", "ended", "refused"].map(str::to_owned).into();
        let gone = forgotten(&entries, &BTreeSet::new(), &holding, at(9), 0);
        assert_eq!(gone, ["ended", "listed", "new", "refused"], "not seen for long, and what is in force holds still");
    }
}
