//! One fsync for many commits. An alert's transaction is committed without one, so that the next need not wait for the disk; whoever is
//! to be told that it is on disk waits for an fsync of the write-ahead log that began after the commit, together with all others who
//! wait then.
//!
//! The log is one file, written from front to back: every later commit with an fsync, the intent before a message leaves among them,
//! puts what is before it on disk too. So nothing that follows from an alert is on disk, or on its way, unless the alert is.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::StoreError;

/// Who syncs the write-ahead log. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Syncer(Option<Arc<Log>>);

#[derive(Debug)]
struct Log {
    file: Arc<File>,
    /// How often somebody asked.
    asked: AtomicU64,
    /// Up to which of them it is on disk.
    done: Mutex<u64>,
    /// The disk has failed once: what it says of the same file afterwards is not worth much.
    failed: AtomicBool,
}

impl Syncer {
    /// Of a store's file, whose log is there.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        let file = Arc::new(File::options().read(true).write(true).open(name)?);
        let (asked, done, failed) = (AtomicU64::new(0), Mutex::new(0), AtomicBool::new(false));
        Ok(Self(Some(Arc::new(Log { file, asked, done, failed }))))
    }

    /// Whether commits may leave the fsync to it.
    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Returns when everything that was committed before is on disk.
    pub(super) async fn wait(&self) -> Result<(), StoreError> {
        let Some(log) = &self.0 else { return Ok(()) };
        let mine = log.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = log.done.lock().await;
        if *done >= mine {
            return Ok(());
        }
        let all = log.asked.load(Ordering::SeqCst);
        let file = Arc::clone(&log.file);
        let synced = tokio::task::spawn_blocking(move || file.sync_data()).await.map_err(io::Error::other).flatten();
        if let Err(error) = synced {
            log.failed.store(true, Ordering::SeqCst);
            tracing::error!(%error, "the disk has failed; nothing more is taken before a restart");
        }
        if log.failed.load(Ordering::SeqCst) {
            return Err(StoreError::Disk);
        }
        *done = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn many_who_wait_at_once_share_what_is_synced_and_a_failed_disk_is_not_believed_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("t.db");
        assert!(Syncer::of(&database).is_err(), "there is no log");
        std::fs::write(folder.path().join("t.db-wal"), "x").unwrap();
        let syncer = Syncer::of(&database).unwrap();
        let waiting: Vec<_> = (0..100).map(|_| syncer.clone()).collect();
        let tasks: Vec<_> = waiting.into_iter().map(|one| tokio::spawn(async move { one.wait().await })).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let log = syncer.0.as_ref().unwrap();
        assert_eq!((log.asked.load(Ordering::SeqCst), *log.done.lock().await), (100, 100));
        log.failed.store(true, Ordering::SeqCst);
        assert!(matches!(syncer.wait().await, Err(StoreError::Disk)));
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
            let now: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *tx).await.unwrap();
            assert_eq!(now, level);
            tx.commit().await.unwrap();
        }
        store.on_disk().await.unwrap();
    }
}
