//! What a drop folder does on disk, each on a thread of its own: a disk that is slow, or hangs, delays its own folder and nobody else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::problem::{Problem, ProblemCode};
use crate::cap::MAX_BYTES;

/// The most files that are taken over at one look.
const AT_ONCE: usize = 200;
/// The longest name, in bytes: file systems hold 255, and a number and a reason have to find room behind it.
const LONGEST_NAME: usize = 230;

/// Size and time of each file at the last look.
type Seen = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// What is asked of the file system; a test gives hands that fail.
#[derive(Clone, Copy)]
pub(super) struct Hands {
    pub(super) read: fn(&Path) -> io::Result<Vec<u8>>,
    pub(super) rename: fn(&Path, &Path) -> io::Result<()>,
}

impl Default for Hands {
    fn default() -> Self {
        Self { read: |path| std::fs::read(path), rename: |from, to| std::fs::rename(from, to) }
    }
}

/// A folder on a disk.
pub(super) struct Disk {
    folder: PathBuf,
    seen: Seen,
    hands: Hands,
}

/// What is taken over.
pub(super) struct Taken {
    /// The files that are not yet put away, by name.
    pub(super) files: Vec<PathBuf>,
    /// Those of them that have just come.
    pub(super) new: Vec<PathBuf>,
    /// Why one of those that wait outside could not be taken over.
    pub(super) left: Option<Problem>,
}

impl Disk {
    pub(super) fn new(folder: PathBuf, hands: Hands) -> Self {
        Self { folder, seen: Seen::new(), hands }
    }

    /// Takes over the files that were the same at two looks; gives all that are taken over and not yet put away.
    pub(super) async fn take_over(&mut self) -> Result<Taken, Problem> {
        let (folder, seen, hands) = (self.folder.clone(), std::mem::take(&mut self.seen), self.hands);
        let (now, taken) = apart(move || take_over(&folder, &seen, hands)).await?;
        self.seen = now;
        Ok(taken)
    }

    /// The bytes of a plain file that is not too large.
    pub(super) async fn read(&self, path: PathBuf) -> Result<Vec<u8>, Problem> {
        let hands = self.hands;
        apart(move || read(&path, hands)).await
    }

    /// Moves a file to where people look for it; what was refused of it stands beside.
    pub(super) async fn put_away(
        &self,
        path: PathBuf,
        place: &'static str,
        reason: Option<String>,
    ) -> Result<(), Problem> {
        let (folder, hands) = (self.folder.join(place), self.hands);
        apart(move || put_away(&path, &folder, reason, hands)).await
    }
}

/// Does something on a thread of its own.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::new(ProblemCode::File, error)))
}

fn take_over(folder: &Path, seen: &Seen, hands: Hands) -> Result<(Seen, Taken), Problem> {
    for name in ["working", "accepted", "refused"] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|e| unusable(&folder, &e))?;
    }
    let working = folder.join("working");
    let (now, ready) = ready(folder, seen)?;
    let (mut new, mut left) = (Vec::new(), None);
    for path in ready {
        if new.len() == AT_ONCE {
            break;
        }
        let Some(name) = path.file_name() else { continue };
        let place = free(&working, name);
        match (hands.rename)(&path, &place) {
            Ok(()) => new.push(place),
            // Whoever put it there took it away again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => left = left.or_else(|| Some(unusable(&path, &error))),
        }
    }
    Ok((now, Taken { files: list(&working)?, new, left }))
}

/// Files that were the same at two looks, the oldest first, with all that there are. Hidden ones are being written; folders are no
/// files.
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
            ready.push((looks.1, path.clone()));
        }
        now.insert(path, looks);
    }
    ready.sort();
    Ok((now, ready.into_iter().map(|(_, path)| path).collect()))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = std::fs::read_dir(folder).map_err(|e| unusable(folder, &e))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn read(path: &Path, hands: Hands) -> Result<Vec<u8>, Problem> {
    let found = std::fs::symlink_metadata(path).map_err(|e| unusable(path, &e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !found.is_file() {
        return Err(Problem::new(ProblemCode::NotAFile, name));
    }
    if found.len() > MAX_BYTES as u64 {
        return Err(Problem::new(ProblemCode::TooLarge, MAX_BYTES / (1024 * 1024)));
    }
    (hands.read)(path).map_err(|e| unusable(path, &e))
}

fn put_away(path: &Path, folder: &Path, reason: Option<String>, hands: Hands) -> Result<(), Problem> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let end = free(folder, name);
    if let Some(reason) = reason {
        let mut beside = end.as_os_str().to_owned();
        beside.push(".reason.txt");
        let beside = PathBuf::from(beside);
        std::fs::write(&beside, reason).map_err(|e| unusable(&beside, &e))?;
    }
    (hands.rename)(path, &end).map_err(|e| unusable(&end, &e))
}

/// A path in a folder that nothing is at: this name, or it with a number.
fn free(folder: &Path, name: &OsStr) -> PathBuf {
    let path = folder.join(short(name));
    let taken = |path: &Path| path.symlink_metadata().is_ok();
    if !taken(&path) {
        return path;
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
    (2..).map(numbered).find(|path| !taken(path)).unwrap_or_else(|| path.clone())
}

/// A name that leaves room behind it: one that is too long is cut.
fn short(name: &OsStr) -> OsString {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let text = name.to_string_lossy();
    let fits = text.char_indices().take_while(|(at, one)| at + one.len_utf8() <= LONGEST_NAME);
    fits.map(|(_, one)| one).collect::<String>().into()
}

fn unusable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(ProblemCode::File, format!("{}: {error}", path.display()))
}
