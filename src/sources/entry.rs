//! One entry of a feed: what lies behind it is fetched, compared with what was there before, and handed in.

use chrono::{DateTime, Utc};

use super::door::{Delivered, Door, Voice};
use super::feed::{self, Body, Entry};
use super::fetch::{FetchLimits, Fetched, Fetcher, Marks};
use super::problem::Problem;
use super::schedule::{again, dice};
use crate::store::EntryRow;

/// How the keys of rows begin that hold what an entry held before.
pub(super) const GONE: &str = "gone:";

/// What an entry's handling needs.
pub(super) struct Hands<'a> {
    pub(super) door: &'a Door,
    pub(super) fetcher: &'a Fetcher,
    pub(super) voice: Voice<'a>,
    pub(super) area: Option<&'a str>,
    pub(super) limits: FetchLimits,
}

/// An entry that is to be looked at.
pub(super) struct Job {
    pub(super) entry: Entry,
    pub(super) old: Option<EntryRow>,
    /// Nothing about it has changed; only what lies behind its link may have.
    pub(super) recheck: bool,
}

/// What came of it: rows to be written, and what was handed in.
pub(super) struct Done {
    pub(super) rows: Vec<EntryRow>,
    pub(super) delivered: Delivered,
}

/// What is in force of an entry: it holds alerts, and was not ended.
pub(super) fn in_force(row: &EntryRow) -> bool {
    !row.alerts.is_empty() && row.state != "ended"
}

impl Hands<'_> {
    /// Looks at an entry.
    pub(super) async fn handle(&self, job: Job) -> Done {
        let now = self.door.now();
        let fresh = || EntryRow { entry: job.entry.key.clone(), state: "failed".into(), ..EntryRow::default() };
        let mut row = job.old.clone().unwrap_or_else(fresh);
        (row.seen_at, row.fetched_at) = (now, now);
        row.stamp.clone_from(&job.entry.stamp);
        let body = match self.body(&job).await {
            Ok(Some(body)) => body,
            Ok(None) => return unchanged(row),
            Err(problem) => {
                // What was taken before stays taken while it is looked at again.
                if !(job.recheck && matches!(row.state.as_str(), "taken" | "refused")) {
                    fail(&mut row, &problem, now);
                }
                row.problem = Some(about(&problem, &job.entry));
                return done(row);
            }
        };
        let (bytes, marks) = body;
        (row.etag, row.modified) = (marks.etag, marks.modified);
        let digest = feed::digest(&bytes);
        let agreed = self.door.agreed(self.voice);
        if digest == row.digest
            && !row.was_refused_under_other(&agreed)
            && matches!(row.state.as_str(), "taken" | "refused" | "ended")
        {
            return unchanged(row);
        }
        let mut delivered = match &job.entry.body {
            Body::Here(_, format) => {
                let mut delivered = Delivered::default();
                self.door.hand_in(self.voice, &bytes, *format, &mut delivered).await;
                delivered
            }
            Body::Link(_) => self.door.deliver(self.voice, &bytes, self.area).await,
        };
        let mut rows = settle(&mut row, &mut delivered, &job.entry, digest, now);
        row.agreed = agreed;
        rows.push(row);
        Done { rows, delivered }
    }

    /// What lies behind an entry; None where it is as it was.
    async fn body(&self, job: &Job) -> Result<Option<(Vec<u8>, Marks)>, Problem> {
        let link = match &job.entry.body {
            Body::Here(bytes, _) => return Ok(Some((bytes.clone(), Marks::default()))),
            Body::Link(link) => link,
        };
        // Of what failed or changed everything is wanted.
        let marks = job.old.as_ref().filter(|_| job.recheck);
        let marks = marks.map(|row| Marks { etag: row.etag.clone(), modified: row.modified.clone() });
        match self.fetcher.fetch(link, marks.as_ref(), self.limits).await? {
            Fetched::Same => Ok(None),
            Fetched::New { body, marks, .. } => Ok(Some((body, marks))),
        }
    }
}

/// Notes down what became of an entry's content. Alerts that it no longer holds get rows of their own, which no feed lists.
fn settle(
    row: &mut EntryRow,
    delivered: &mut Delivered,
    entry: &Entry,
    digest: String,
    now: DateTime<Utc>,
) -> Vec<EntryRow> {
    let problem = delivered.not_now.as_ref().or(delivered.refused.first());
    let told = problem.map(|problem| about(problem, entry));
    if let Some(problem) = &delivered.not_now {
        fail(row, problem, now);
        row.problem = told;
        return Vec::new();
    }
    let ids: Vec<String> = delivered.ids().map(ToString::to_string).collect();
    let mut orphans = Vec::new();
    if !ids.is_empty() {
        let gone = row.alerts.iter().filter(|id| !ids.contains(id));
        orphans.extend(gone.map(|id| EntryRow {
            entry: format!("{GONE}{id}"),
            state: "taken".into(),
            alerts: vec![id.clone()],
            seen_at: now,
            fetched_at: now,
            ..EntryRow::default()
        }));
        let again = row.state == "ended" && delivered.new_ones() == 0;
        row.state = if again { "ended" } else { "taken" }.into();
        row.alerts = ids;
        row.missed = 0;
    } else if delivered.early {
        let problem = delivered.refused.first();
        problem.into_iter().for_each(|problem| fail(row, problem, now));
    } else {
        row.state = "refused".into();
    }
    if row.state != "failed" {
        (row.digest, row.tries) = (digest, 0);
    }
    row.problem = told;
    orphans
}

fn fail(row: &mut EntryRow, problem: &Problem, now: DateTime<Utc>) {
    row.state = "failed".into();
    row.tries = row.tries.saturating_add(1);
    let wish =
        chrono::TimeDelta::seconds(problem.wait.and_then(|wait| i64::try_from(wait.min(3_600)).ok()).unwrap_or(0));
    row.next_at = now + again(row.tries, dice()).max(wish);
}

/// A problem with the entry that it is about.
fn about(problem: &Problem, entry: &Entry) -> String {
    let mut json = problem.json();
    if let Some(members) = json.as_object_mut() {
        let place = match &entry.body {
            Body::Link(link) => link.to_string(),
            Body::Here(..) => entry.key.clone(),
        };
        members.insert("path".into(), place.chars().take(300).collect::<String>().into());
    }
    json.to_string()
}

/// An entry that is as it was: what hindered looking at it hinders no longer.
fn unchanged(mut row: EntryRow) -> Done {
    if row.state != "refused" {
        row.problem = None;
    }
    done(row)
}

fn done(row: EntryRow) -> Done {
    Done { rows: vec![row], delivered: Delivered::default() }
}
