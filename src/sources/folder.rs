//! A drop folder. A file is taken over by a rename into `working`, handed in, and moved to `accepted` or `refused`, there with its
//! reason beside it, as what is accepted and tells nobody has. What a crash leaves in `working` is taken again: the same alert twice is one alert. A file that cannot be read or
//! moved waits there and is tried again, and holds up none of the others; it is refused only for what is in it, or where its owner does
//! not let us read it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::config::FolderSource;
use super::disk::{AT_ONCE, Disk, Hands, Mark, Taken};
use super::door::{Delivered, Door};
use super::health;
use super::problem::{Problem, ProblemCode};
use super::schedule::{When, again, dice};
use crate::cap::{Code, Finding};
use crate::intake::Receipt;
use crate::store::SourceRow;

/// The longest pause of a file that there was only too much to do for, or whose texts were just being changed.
const SOON: TimeDelta = TimeDelta::seconds(30);

/// Watches a folder until told to stop.
pub(super) async fn run(config: FolderSource, door: Arc<Door>, stop: CancellationToken) {
    let when = When::Every(TimeDelta::seconds(config.every_seconds.into()));
    let mut tries = 0;
    let mut row = loop {
        match health::known(&door.store, &config.name, "folder").await {
            Ok(row) => break row,
            Err(problem) if health::waits(&mut tries, &config.name, &problem, &stop).await => {}
            Err(problem) => return health::give_up(&door.store, &config.name, "folder", &problem, door.now()).await,
        }
    };
    let mut watch = Watch::new(config, door, Hands::default());
    let rounds = async {
        let (mut noted, mut failures) = (None, 0_u32);
        loop {
            let looked = watch.look(&mut row).await;
            let now = watch.door.now();
            // A file that waits has a pause of its own; the folder is looked at as ever.
            failures = if looked.is_ok() { 0 } else { failures.saturating_add(1) };
            let next = when.next(now, failures, dice(), None);
            let (Looked { did, more }, problem) = match looked {
                Ok(looked) => (looked, watch.problem.as_ref()),
                Err(ref problem) => (Looked { did: true, more: false }, Some(problem)),
            };
            let was_bad = row.failing_since.is_some();
            // An idle folder is noted down once a minute.
            match problem {
                Some(problem) => health::bad(&mut row, now, Some(next), problem),
                None => health::good(&mut row, now, Some(next + TimeDelta::minutes(1))),
            }
            if did || was_bad != problem.is_some() || noted.is_none_or(|at| now - at >= TimeDelta::minutes(1)) {
                noted = Some(now);
                if let Err(error) = watch.door.store.save_source(&row, std::iter::empty(), &[]).await {
                    tracing::error!(%error, source = %row.name, "what is known of a source could not be written");
                }
            }
            if !more {
                tokio::time::sleep((next - now).to_std().unwrap_or(Duration::from_secs(1))).await;
            }
        }
    };
    tokio::select! {
        () = Box::pin(rounds) => {}
        () = stop.cancelled() => {}
    }
}

/// What a look came to.
struct Looked {
    /// Anything was done.
    did: bool,
    /// There was more than fits into one look: the next one follows at once.
    more: bool,
}

/// Whose turn it is first; of each kind, the oldest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// It has just come.
    New(Option<SystemTime>),
    /// An earlier look did not come to it.
    Left(Option<SystemTime>),
    /// It is tried again.
    Again(DateTime<Utc>),
}

struct Watch {
    config: FolderSource,
    door: Arc<Door>,
    disk: Disk,
    /// Files in `working` that have to be tried again.
    waits: BTreeMap<PathBuf, Waits>,
    /// Why a file waits, where one does.
    problem: Option<Problem>,
}

/// A file that could not be read, handed in or moved, for no fault of what is in it.
struct Waits {
    /// Which file of its name.
    mark: Mark,
    problem: Problem,
    tries: u32,
    next: DateTime<Utc>,
    /// It is handed in; it only has to be moved.
    settled: Option<Settled>,
}

/// What became of a file.
#[derive(Clone)]
struct Settled {
    /// Where it goes.
    place: &'static str,
    /// What was refused of it, or tells nobody.
    why: Option<String>,
}

impl Watch {
    fn new(config: FolderSource, door: Arc<Door>, hands: Hands) -> Self {
        let disk = Disk::new(config.path.clone(), hands);
        Self { config, door, disk, waits: BTreeMap::new(), problem: None }
    }

    /// One look. What is wrong with one file holds up none of the others; where the store takes nothing, all of them wait.
    async fn look(&mut self, row: &mut SourceRow) -> Result<Looked, Problem> {
        let Taken { files, new, more, left } = self.disk.take_over().await?;
        // What a file of the same name came to before says nothing of one that was put in its place.
        self.waits.retain(|path, waits| files.get(path) == Some(&waits.mark));
        let mut due = self.due(files, &new);
        let looked = Looked { did: !due.is_empty(), more: more || due.len() > AT_ONCE };
        due.truncate(AT_ONCE);
        for (path, mark) in due {
            let before = self.waits.remove(&path);
            let (tries, settled) = before.map_or((0, None), |before| (before.tries, before.settled));
            let Err((problem, settled)) = self.treat(&path, settled, row).await else { continue };
            let all_wait = settled.is_none() && !matches!(problem.code, ProblemCode::Refused | ProblemCode::File);
            let tries = tries.saturating_add(1);
            tracing::warn!(source = %self.config.name, file = %path.display(), tries, %problem, "a file waits");
            let next = self.door.now() + pause(problem.code, tries, dice());
            self.waits.insert(path, Waits { mark, problem: problem.clone(), tries, next, settled });
            if all_wait {
                return Err(problem);
            }
        }
        self.problem = left.or_else(|| self.waits.values().next().map(|waits| waits.problem.clone()));
        Ok(looked)
    }

    /// The files whose turn it is, in order: a backlog holds up nothing that comes meanwhile.
    fn due(&self, files: BTreeMap<PathBuf, Mark>, new: &BTreeSet<PathBuf>) -> Vec<(PathBuf, Mark)> {
        let now = self.door.now();
        let turn = |path: &Path, mark: &Mark| match self.waits.get(path) {
            Some(waits) => (waits.next <= now).then_some(Turn::Again(waits.next)),
            None if new.contains(path) => Some(Turn::New(mark.modified)),
            None => Some(Turn::Left(mark.modified)),
        };
        let mut due: Vec<_> =
            files.into_iter().filter_map(|(path, mark)| Some((turn(&path, &mark)?, path, mark))).collect();
        due.sort();
        due.into_iter().map(|(_, path, mark)| (path, mark)).collect()
    }

    /// Hands a file in, unless that is done, and moves it. Where that fails: why, and what is done already.
    async fn treat(
        &self,
        path: &Path,
        settled: Option<Settled>,
        row: &mut SourceRow,
    ) -> Result<(), (Problem, Option<Settled>)> {
        let settled = match settled {
            Some(settled) => settled,
            None => Box::pin(self.take(path, row)).await.map_err(|problem| (problem, None))?,
        };
        let moved = self.disk.put_away(path.to_owned(), settled.place, settled.why.clone()).await;
        moved.map_err(|problem| (problem, Some(settled)))
    }

    async fn take(&self, path: &Path, row: &mut SourceRow) -> Result<Settled, Problem> {
        let delivered = match self.disk.read(path.to_owned()).await {
            Ok(bytes) => self.door.deliver(self.config.voice(), &bytes, None).await,
            // The disk's fault, not that of what is in it.
            Err(problem) if problem.code == ProblemCode::File => return Err(problem),
            Err(problem) => {
                self.door.keep_refusal(&self.config.bureau, &problem, path.to_string_lossy().as_bytes()).await;
                Delivered { refused: vec![problem], ..Delivered::default() }
            }
        };
        if let Some(problem) = delivered.not_now {
            return Err(problem);
        }
        row.entries += 1;
        row.taken += delivered.new_ones();
        row.refused += delivered.refused.len() as u64;
        row.findings = delivered.refused.iter().map(Problem::json).collect();
        let place = if delivered.taken.is_empty() { "refused" } else { "accepted" };
        let why = Some(reason(&delivered)).filter(|text| !text.is_empty());
        Ok(Settled { place, why })
    }
}

/// How long a file waits after so many tries.
fn pause(code: ProblemCode, tries: u32, dice: f64) -> TimeDelta {
    let pause = again(tries, dice);
    // What is refused for good does not wait.
    if code == ProblemCode::Refused { pause.min(SOON) } else { pause }
}

/// Why a file was refused, or what is in it tells nobody, for the person who put it there; empty where all is well.
fn reason(delivered: &Delivered) -> String {
    let mut text = String::new();
    for problem in &delivered.refused {
        say(&mut text, problem.code.as_str(), (&problem.zh(), &problem.en()), &problem.findings);
    }
    for Receipt { id, withheld, findings, .. } in &delivered.taken {
        let ends_nothing = findings.iter().any(|finding| finding.code == Code::NothingReplaced);
        match withheld {
            Some((zh, en)) => {
                let (zh, en) = (format!("已收下，但不发给任何人：{zh}"), format!("taken, and goes to nobody: {en}"));
                say(&mut text, id.as_str(), (&zh, &en), findings);
            }
            None if ends_nothing => say(&mut text, id.as_str(), ("已收下", "taken"), findings),
            None => {}
        }
    }
    text
}

fn say(text: &mut String, about: &str, (zh, en): (&str, &str), findings: &[Finding]) {
    text.push_str(&format!("{about}\n{zh}\n{en}\n"));
    for finding in findings {
        let number = finding.code.number();
        text.push_str(&format!("  T{number} {}\n    {}\n    {}\n", finding.path, finding.zh(), finding.en()));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
