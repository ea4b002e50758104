//! What a drop folder does on disk, each on a thread of its own: a disk that is slow, or hangs, delays its own folder and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::problem::{Problem, ProblemCode};
use crate::cap::MAX_BYTES;

/// The most files that one look treats.
pub(super) const AT_ONCE: usize = 200;
/// The most that it takes over: half of them, so that those which wait get their turn however many come.
const NEW_AT_ONCE: usize = AT_ONCE / 2;
/// The longest name, in bytes: file systems hold 255, and a number and a reason have to find room behind it.
const LONGEST_NAME: usize = 230;
/// The longest ending that a name keeps where it is cut.
const LONGEST_ENDING: usize = 16;

/// What tells a file from itself when it has grown, and from another that is put in its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Mark {
    fn of(found: &Metadata) -> Self {
        Self { modified: found.modified().ok(), length: found.len(), inode: found.ino() }
    }
}

/// Each file at the last look.
type Seen = BTreeMap<PathBuf, Mark>;

/// What is asked of the file system; a test gives hands that fail.
#[derive(Clone, Copy)]
pub(super) struct Hands {
    pub(super) read: fn(&Path) -> io::Result<Vec<u8>>,
    pub(super) rename: fn(&Path, &Path) -> io::Result<()>,
    pub(super) list: fn(&Path) -> io::Result<Vec<PathBuf>>,
}

impl Default for Hands {
    fn default() -> Self {
        Self { read: bounded, rename: |from, to| std::fs::rename(from, to), list: sorted }
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
    /// The files that are not yet put away.
    pub(super) files: BTreeMap<PathBuf, Mark>,
    /// Those of them that have just come.
    pub(super) new: BTreeSet<PathBuf>,
    /// Whether there are more outside, whose turn comes at the next look.
    pub(super) more: bool,
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
    let (now, ready) = ready(folder, seen, hands)?;
    let (mut new, mut more, mut left) = (BTreeSet::new(), false, None);
    for path in ready {
        if new.len() == NEW_AT_ONCE {
            more = true;
            break;
        }
        let Some(name) = path.file_name() else { continue };
        let place = free(&working, name);
        match (hands.rename)(&path, &place) {
            Ok(()) => drop(new.insert(place)),
            // Whoever put it there took it away again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => left = left.or_else(|| Some(unusable(&path, &error))),
        }
    }
    // One that cannot be looked at is tried, and says why.
    let mark = |path: &Path| path.symlink_metadata().map(|found| Mark::of(&found)).unwrap_or_default();
    let files = list(&working, hands)?.into_iter().map(|path| (path.clone(), mark(&path))).collect();
    Ok((now, Taken { files, new, more, left }))
}

/// Files that were the same at two looks, the oldest first, with all that there are. Hidden ones are being written; folders are no
/// files.
fn ready(folder: &Path, seen: &Seen, hands: Hands) -> Result<(Seen, Vec<PathBuf>), Problem> {
    let (mut now, mut ready) = (Seen::new(), Vec::new());
    for path in list(folder, hands)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unfinished = name.starts_with('.') || [".tmp", ".part", ".partial"].iter().any(|end| name.ends_with(end));
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        if unfinished || found.is_dir() {
            continue;
        }
        let mark = Mark::of(&found);
        // What is no plain file does not grow either.
        if seen.get(&path) == Some(&mark) || !found.is_file() {
            ready.push((mark.modified, path.clone()));
        }
        now.insert(path, mark);
    }
    ready.sort();
    Ok((now, ready.into_iter().map(|(_, path)| path).collect()))
}

fn list(folder: &Path, hands: Hands) -> Result<Vec<PathBuf>, Problem> {
    (hands.list)(folder).map_err(|e| unusable(folder, &e))
}

/// What is in a folder, by name.
pub(super) fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

/// A file's bytes, up to one more than is taken: it may have grown since it was looked at.
pub(super) fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(path: &Path, hands: Hands) -> Result<Vec<u8>, Problem> {
    let found = std::fs::symlink_metadata(path).map_err(|e| unusable(path, &e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !found.is_file() {
        return Err(Problem::new(ProblemCode::NotAFile, name));
    }
    let too_large = || Problem::new(ProblemCode::TooLarge, MAX_BYTES / (1024 * 1024));
    if found.len() > MAX_BYTES as u64 {
        return Err(too_large());
    }
    match (hands.read)(path) {
        Ok(bytes) if bytes.len() > MAX_BYTES => Err(too_large()),
        Ok(bytes) => Ok(bytes),
        // Waiting does not mend it; whoever put it there can.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Problem::new(ProblemCode::Denied, name)),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn put_away(path: &Path, folder: &Path, reason: Option<String>, hands: Hands) -> Result<(), Problem> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let end = free(folder, name);
    let beside = reason.is_some().then(|| beside(&end));
    if let (Some(reason), Some(beside)) = (reason, &beside) {
        write_new(beside, reason.as_bytes()).map_err(|e| unusable(beside, &e))?;
    }
    (hands.rename)(path, &end).map_err(|error| {
        if let Some(beside) = beside {
            // Else each try would leave a reason of its own.
            let _ = std::fs::remove_file(beside);
        }
        unusable(&end, &error)
    })
}

/// Where the reason for a file stands.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".reason.txt");
    name.into()
}

/// Writes a file of its own, seen when it is whole. What somebody else has put at its path, a link too, is never written to.
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let hidden = free(path.parent().unwrap_or(Path::new("")), OsStr::new(".reason"));
    File::create_new(&hidden)?.write_all(text).and_then(|()| std::fs::rename(&hidden, path)).inspect_err(|_| {
        let _ = std::fs::remove_file(&hidden);
    })
}

/// A path in a folder that nothing is at, nor where its reason would stand: this name, or it with a number.
fn free(folder: &Path, name: &OsStr) -> PathBuf {
    let path = folder.join(short(name));
    let taken = |path: &Path| path.symlink_metadata().is_ok() || beside(path).symlink_metadata().is_ok();
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

/// A name that leaves room behind it: of one that is too long the stem is cut, and its ending kept.
fn short(name: &OsStr) -> OsString {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let ending = Path::new(name).extension().map(|ending| format!(".{}", ending.to_string_lossy()));
    let ending = ending.filter(|ending| ending.len() <= LONGEST_ENDING).unwrap_or_default();
    let (text, room) = (name.to_string_lossy(), LONGEST_NAME - ending.len());
    let fits = text.char_indices().take_while(|(at, one)| at + one.len_utf8() <= room);
    (fits.map(|(_, one)| one).collect::<String>() + &ending).into()
}

fn unusable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(ProblemCode::File, format!("{}: {error}", path.display()))
}
