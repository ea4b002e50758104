//! One fsync for many commits. An alert's transaction is committed without one, so that the next need not wait for the disk; whoever is
//! to be told that it is on disk waits for an fsync of the write-ahead log that began after the commit, together with all others who
//! wait then.
//!
//! The log is one file, written from front to back: every later commit with an fsync, the intent before a message leaves among them,
//! puts what is before it on disk too. So nothing that follows from an alert is on disk, or on its way, unless the alert is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::StoreError;

/// Who syncs the write-ahead log. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Syncer(Option<Arc<Log>>);

/// What can be put on disk.
trait Fsync: std::fmt::Debug + Send + Sync {
    fn fsync(&self) -> io::Result<()>;
}

impl Fsync for File {
    fn fsync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Where a disk is busy, it is asked again no sooner than this after it was asked last: more wait by then, and share the answer.
const SPACING: Duration = Duration::from_millis(3);

/// What is on disk.
#[derive(Debug, Default)]
struct Done {
    /// How many of those who asked.
    asked: u64,
    /// Since when.
    at: Option<Instant>,
}

#[derive(Debug)]
struct Log {
    file: Box<dyn Fsync>,
    /// How often somebody asked.
    asked: AtomicU64,
    /// Up to which of them it is on disk.
    done: Arc<Mutex<Done>>,
    /// The disk has failed once: what it says of the same file afterwards is not worth much.
    failed: AtomicBool,
}

/// The write-ahead log of a store's file: SQLite keeps it beside the file itself, not beside a link to it.
fn log_of(database: &Path) -> io::Result<PathBuf> {
    let mut name = std::fs::canonicalize(database)?.into_os_string();
    name.push("-wal");
    Ok(name.into())
}

impl Syncer {
    /// Of a store's file, whose log is there. That both are, and under these names, is on disk when it returns.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let name = log_of(database)?;
        let file = File::options().read(true).write(true).open(&name)?;
        file.sync_all()?;
        if let Some(folder) = name.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self::over(Box::new(file)))
    }

    fn over(file: Box<dyn Fsync>) -> Self {
        let (asked, done, failed) = (AtomicU64::new(0), Arc::default(), AtomicBool::new(false));
        Self(Some(Arc::new(Log { file, asked, done, failed })))
    }

    /// Whether commits may leave the fsync to it.
    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the disk has failed: nothing is taken any more.
    pub(super) fn has_failed(&self) -> bool {
        self.0.as_ref().is_some_and(|log| log.failed.load(Ordering::SeqCst))
    }

    /// Returns when everything that was committed before is on disk.
    pub(super) async fn wait(&self) -> Result<(), StoreError> {
        let Some(log) = &self.0 else { return Ok(()) };
        let mine = log.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = Arc::clone(&log.done).lock_owned().await;
        if done.asked >= mine {
            return Ok(());
        }
        if let Some(early) = done.at.and_then(|at| SPACING.checked_sub(at.elapsed())) {
            tokio::time::sleep(early).await;
        }
        // A disk says once that it has failed. Lock and verdict go with the work, so that it is heard also where nobody waits any more.
        let log = Arc::clone(log);
        let work = tokio::task::spawn_blocking(move || log.sync(&mut done));
        work.await.map_err(|_| StoreError::Disk).flatten()
    }
}

impl Log {
    fn sync(&self, done: &mut Done) -> Result<(), StoreError> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(StoreError::Disk);
        }
        let all = self.asked.load(Ordering::SeqCst);
        match self.file.fsync() {
            Ok(()) => {
                *done = Done { asked: all, at: Some(Instant::now()) };
                Ok(())
            }
            Err(error) => {
                self.failed.store(true, Ordering::SeqCst);
                tracing::error!(%error, "the disk has failed; nothing more is taken before a restart");
                Err(StoreError::Disk)
            }
        }
    }
}

#[cfg(test)]
impl Syncer {
    /// As if the disk had failed.
    pub(super) fn fail(&self) {
        if let Some(log) = &self.0 {
            log.failed.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn many_who_wait_at_once_share_what_is_synced_and_a_failed_disk_is_not_believed_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("t.db");
        std::fs::write(&database, "x").unwrap();
        assert!(Syncer::of(&database).is_err(), "there is no log");
        std::fs::write(folder.path().join("t.db-wal"), "x").unwrap();
        let syncer = Syncer::of(&database).unwrap();
        let waiting: Vec<_> = (0..100).map(|_| syncer.clone()).collect();
        let tasks: Vec<_> = waiting.into_iter().map(|one| tokio::spawn(async move { one.wait().await })).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let log = syncer.0.as_ref().unwrap();
        assert_eq!((log.asked.load(Ordering::SeqCst), log.done.lock().await.asked), (100, 100));
        syncer.fail();
        assert!(syncer.has_failed());
        assert!(matches!(syncer.wait().await, Err(StoreError::Disk)));
    }

    /// Fails once, when it is let go, as Linux tells a failure once to each open file; says when it has begun.
    #[derive(Debug)]
    struct FailsOnce {
        begun: std::sync::mpsc::Sender<()>,
        go: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
        failed: AtomicBool,
    }

    impl Fsync for FailsOnce {
        fn fsync(&self) -> io::Result<()> {
            if self.failed.swap(true, Ordering::SeqCst) {
                return Ok(());
            }
            self.begun.send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
            Err(io::Error::from_raw_os_error(5))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_failure_of_the_disk_is_heard_also_where_whoever_asked_waits_no_more() {
        let ((begun, has_begun), (let_go, go)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let syncer = Syncer::over(Box::new(FailsOnce { begun, go: go.into(), failed: AtomicBool::new(false) }));
        let own = syncer.clone();
        let first = tokio::spawn(async move { own.wait().await });
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let own = syncer.clone();
        let second = tokio::spawn(async move { own.wait().await });
        let_go.send(()).unwrap();
        assert!(matches!(second.await.unwrap(), Err(StoreError::Disk)));
        assert!(matches!(syncer.wait().await, Err(StoreError::Disk)), "nor is it believed later");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn behind_a_link_the_log_that_is_written_is_synced_not_an_old_one_beside_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("disk").join("t.db"), folder.path().join("t.db"));
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let stale = folder.path().join("t.db-wal");
        std::fs::write(&stale, "").unwrap();
        let options = crate::store::StoreOptions { url: format!("sqlite://{}", link.display()), max_size_mib: None };
        let store = crate::store::Store::open(&options).await.unwrap();
        let log = log_of(&link).unwrap();
        assert_eq!(log, std::fs::canonicalize(folder.path()).unwrap().join("disk").join("t.db-wal"));
        assert!(store.syncer.is_there());
        let sizes = || [&log, &stale].map(|path| std::fs::metadata(path).unwrap().len());
        assert!(sizes()[0] > 0 && sizes()[1] == 0, "{:?}", sizes());
        let shown = format!("{:?}", store.syncer);
        assert!(!cfg!(target_os = "linux") || shown.contains(&format!("{:?}", log)), "{shown}");
    }

    #[tokio::test]
    async fn only_what_begins_early_leaves_the_fsync_to_later() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = crate::store::Store::open(&crate::store::StoreOptions { url, max_size_mib: None }).await.unwrap();
        assert!(store.syncer.is_there());
        // 1 is NORMAL, 2 is FULL.
        for (early, level) in [(false, 2_i64), (true, 1), (false, 2)] {
            let mut tx = if early { store.begin_early().await } else { store.begin().await }.unwrap();
            let now: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut tx).await.unwrap();
            assert_eq!(now, level);
            tx.commit().await.unwrap();
        }
        store.on_disk().await.unwrap();
    }
}
