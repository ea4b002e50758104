//! A drop folder. A file is taken over by a rename into `working`, handed in, and moved to `accepted` or `refused`, there with its
//! reason beside it. What a crash leaves in `working` is taken again: the same alert twice is one alert.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::config::FolderSource;
use super::door::{Delivered, Door};
use super::health;
use super::problem::{Problem, ProblemCode};
use super::schedule::{When, dice};
use crate::cap::MAX_BYTES;
use crate::store::SourceRow;

/// Files of one look.
const AT_ONCE: usize = 200;

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
    let mut watch = Watch { config, door, seen: BTreeMap::new() };
    let rounds = async {
        let mut noted = None;
        loop {
            let looked = watch.look(&mut row).await;
            let now = watch.door.now();
            let next = when.next(now, if looked.is_ok() { 0 } else { row.failures + 1 }, dice(), None);
            // An idle folder is noted down once a minute.
            let changed = match looked {
                Ok(did) => {
                    let was_bad = row.failing_since.is_some();
                    health::good(&mut row, now, Some(next + TimeDelta::minutes(1)));
                    did || was_bad || noted.is_none_or(|at| now - at >= TimeDelta::minutes(1))
                }
                Err(problem) => {
                    health::bad(&mut row, now, Some(next), &problem);
                    true
                }
            };
            if changed {
                noted = Some(now);
                if let Err(error) = watch.door.store.save_source(&row, std::iter::empty(), &[]).await {
                    tracing::error!(%error, source = %row.name, "what is known of a source could not be written");
                }
            }
            tokio::time::sleep((next - now).to_std().unwrap_or(Duration::from_secs(1))).await;
        }
    };
    tokio::select! {
        () = Box::pin(rounds) => {}
        () = stop.cancelled() => {}
    }
}

struct Watch {
    config: FolderSource,
    door: Arc<Door>,
    /// Size and time of each file at the last look.
    seen: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
}

/// What became of a file.
enum Outcome {
    Accepted(Delivered),
    Refused(Delivered),
    /// It stays in `working`, for the next look.
    Waits(Problem),
}

impl Watch {
    fn below(&self, name: &str) -> PathBuf {
        self.config.path.join(name)
    }

    /// One look; true where anything was done.
    async fn look(&mut self, row: &mut SourceRow) -> Result<bool, Problem> {
        for name in ["working", "accepted", "refused"] {
            let folder = self.below(name);
            std::fs::create_dir_all(&folder).map_err(|e| unusable(&folder, &e))?;
        }
        for path in self.ready()? {
            let Some(name) = path.file_name() else { continue };
            let own = free(&self.below("working").join(name));
            match std::fs::rename(&path, &own) {
                Ok(()) => {}
                // Whoever put it there took it away again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(&path, &error)),
            }
        }
        let (mut did, mut waits) = (false, None);
        for path in list(&self.below("working"))?.into_iter().take(AT_ONCE) {
            let outcome = Box::pin(self.take(&path)).await;
            did = true;
            let (place, delivered) = match outcome {
                Outcome::Accepted(delivered) => ("accepted", delivered),
                Outcome::Refused(delivered) => ("refused", delivered),
                // What is wrong with this file alone must not hold up those behind it.
                Outcome::Waits(problem) if problem.code == ProblemCode::Refused => {
                    waits.get_or_insert(problem);
                    continue;
                }
                Outcome::Waits(problem) => return Err(problem),
            };
            row.entries += 1;
            row.taken += delivered.new_ones();
            row.refused += delivered.refused.len() as u64;
            row.findings = delivered.refused.iter().map(Problem::json).collect();
            self.put_away(&path, place, &delivered)?;
        }
        waits.map_or(Ok(did), Err)
    }

    /// Files that were the same at two looks. Hidden ones are being written; folders are no files.
    fn ready(&mut self) -> Result<Vec<PathBuf>, Problem> {
        let mut now = BTreeMap::new();
        let mut ready = Vec::new();
        for path in list(&self.config.path)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let unfinished =
                name.starts_with('.') || [".tmp", ".part", ".partial"].iter().any(|end| name.ends_with(end));
            let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
            if unfinished || found.is_dir() {
                continue;
            }
            let looks = (found.len(), found.modified().ok());
            // What is no plain file does not grow either.
            if self.seen.get(&path) == Some(&looks) || !found.is_file() {
                ready.push(path.clone());
            }
            now.insert(path, looks);
        }
        self.seen = now;
        ready.truncate(AT_ONCE);
        Ok(ready)
    }

    async fn take(&self, path: &Path) -> Outcome {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(problem) => {
                self.door.keep_refusal(&self.config.bureau, &problem, path.to_string_lossy().as_bytes()).await;
                return Outcome::Refused(Delivered { refused: vec![problem], ..Delivered::default() });
            }
        };
        let mut delivered = self.door.deliver(self.config.voice(), &bytes, None).await;
        match delivered.not_now.take() {
            Some(problem) => Outcome::Waits(problem),
            None if delivered.taken.is_empty() => Outcome::Refused(delivered),
            None => Outcome::Accepted(delivered),
        }
    }

    /// Moves a file to where people look for it; what was refused of it stands beside.
    fn put_away(&self, path: &Path, place: &str, delivered: &Delivered) -> Result<(), Problem> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let end = free(&self.below(place).join(name));
        if !delivered.refused.is_empty() {
            let mut beside = end.as_os_str().to_owned();
            beside.push(".reason.txt");
            let beside = PathBuf::from(beside);
            std::fs::write(&beside, reason(&delivered.refused)).map_err(|e| unusable(&beside, &e))?;
        }
        std::fs::rename(path, &end).map_err(|e| unusable(&end, &e))
    }
}

fn unusable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(ProblemCode::File, format!("{}: {error}", path.display()))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = std::fs::read_dir(folder).map_err(|e| unusable(folder, &e))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

/// The bytes of a plain file that is not too large.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let found = std::fs::symlink_metadata(path).map_err(|e| unusable(path, &e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !found.is_file() {
        return Err(Problem::new(ProblemCode::NotAFile, name));
    }
    if found.len() > MAX_BYTES as u64 {
        return Err(Problem::new(ProblemCode::TooLarge, MAX_BYTES / (1024 * 1024)));
    }
    std::fs::read(path).map_err(|e| unusable(path, &e))
}

/// A path that nothing is at: this one, or one with a number.
fn free(path: &Path) -> PathBuf {
    let taken = |path: &Path| path.symlink_metadata().is_ok();
    if !taken(path) {
        return path.to_owned();
    }
    let numbered = |n: u32| {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{n}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    (2..).map(numbered).find(|path| !taken(path)).unwrap_or_else(|| path.to_owned())
}

/// Why a file was refused, for the person who put it there.
fn reason(refused: &[Problem]) -> String {
    let mut text = String::new();
    for problem in refused {
        text.push_str(&format!("{}\n{}\n{}\n", problem.code.as_str(), problem.zh(), problem.en()));
        for finding in &problem.findings {
            text.push_str(&format!(
                "  T{} {}\n    {}\n    {}\n",
                finding.code.number(),
                finding.path,
                finding.zh(),
                finding.en()
            ));
        }
        text.push('\n');
    }
    text
}
