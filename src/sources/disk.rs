//! What a drop folder does on disk, each on a thread of its own: a disk that is slow, or hangs, delays its own folder and nobody else.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::problem::{Problem, ProblemCode};
use crate::cap::MAX_BYTES;

/// Files of one look.
const AT_ONCE: usize = 200;

/// Size and time of each file at the last look.
type Seen = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// A folder on a disk.
pub(super) struct Disk {
    folder: PathBuf,
    seen: Seen,
}

impl Disk {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, seen: Seen::new() }
    }

    /// Takes over the files that were the same at two looks; gives all that are taken over and not yet put away.
    pub(super) async fn take_over(&mut self) -> Result<Vec<PathBuf>, Problem> {
        let (folder, seen) = (self.folder.clone(), std::mem::take(&mut self.seen));
        let (now, taken) = apart(move || take_over(&folder, &seen)).await?;
        self.seen = now;
        Ok(taken)
    }

    /// The bytes of a plain file that is not too large.
    pub(super) async fn read(&self, path: PathBuf) -> Result<Vec<u8>, Problem> {
        apart(move || read(&path)).await
    }

    /// Moves a file to where people look for it; what was refused of it stands beside.
    pub(super) async fn put_away(
        &self,
        path: PathBuf,
        place: &'static str,
        reason: Option<String>,
    ) -> Result<(), Problem> {
        let folder = self.folder.join(place);
        apart(move || put_away(&path, &folder, reason)).await
    }
}

/// Does something on a thread of its own.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::new(ProblemCode::File, error)))
}

fn take_over(folder: &Path, seen: &Seen) -> Result<(Seen, Vec<PathBuf>), Problem> {
    for name in ["working", "accepted", "refused"] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|e| unusable(&folder, &e))?;
    }
    let working = folder.join("working");
    let (now, ready) = ready(folder, seen)?;
    for path in ready {
        let Some(name) = path.file_name() else { continue };
        match std::fs::rename(&path, free(&working.join(name))) {
            Ok(()) => {}
            // Whoever put it there took it away again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(&path, &error)),
        }
    }
    let mut taken = list(&working)?;
    taken.truncate(AT_ONCE);
    Ok((now, taken))
}

/// Files that were the same at two looks, with all that there are. Hidden ones are being written; folders are no files.
fn ready(folder: &Path, seen: &Seen) -> Result<(Seen, Vec<PathBuf>), Problem> {
    let (mut now, mut ready) = (Seen::new(), Vec::new());
    for path in list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unfinished = name.starts_with('.') || [".tmp", ".part", ".partial"].iter().any(|end| name.ends_with(end));
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        if unfinished || found.is_dir() {
            continue;
        }
        let looks = (found.len(), found.modified().ok());
        // What is no plain file does not grow either.
        if seen.get(&path) == Some(&looks) || !found.is_file() {
            ready.push(path.clone());
        }
        now.insert(path, looks);
    }
    ready.truncate(AT_ONCE);
    Ok((now, ready))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = std::fs::read_dir(folder).map_err(|e| unusable(folder, &e))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

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

fn put_away(path: &Path, folder: &Path, reason: Option<String>) -> Result<(), Problem> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let end = free(&folder.join(name));
    if let Some(reason) = reason {
        let mut beside = end.as_os_str().to_owned();
        beside.push(".reason.txt");
        let beside = PathBuf::from(beside);
        std::fs::write(&beside, reason).map_err(|e| unusable(&beside, &e))?;
    }
    std::fs::rename(path, &end).map_err(|e| unusable(&end, &e))
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

fn unusable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(ProblemCode::File, format!("{}: {error}", path.display()))
}
