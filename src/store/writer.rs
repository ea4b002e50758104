//! The one connection that writes. As those that read, it is not asked whether it lives after each use: whoever begins finds out.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::any::AnyTransactionManager as Manager;
use sqlx::{AnyConnection, AnyPool, Connection as _, Error, Executor as _, SqlSafeStr as _};
use sqlx_core::transaction::TransactionManager as _;
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::StoreError;
use super::readers::PATIENCE;
use super::record::{Entry, write_lines};

/// Where transactions that write begin, one at a time. Clones share the connection.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    /// Opens it.
    pool: AnyPool,
    pen: Arc<Mutex<Pen>>,
    of_a_file: bool,
}

/// The connection.
#[derive(Debug, Default)]
struct Pen {
    /// None before it is opened, and after it has failed.
    connection: Option<AnyConnection>,
    /// Whether its commits return before they are on disk, once that was said.
    early: Option<bool>,
}

/// A transaction that writes; what is not committed is taken back.
#[derive(Debug)]
pub(crate) struct Tx {
    connection: OwnedMappedMutexGuard<Pen, AnyConnection>,
    open: bool,
    /// What the record will tell of it.
    pub(super) lines: Vec<(DateTime<Utc>, Entry)>,
}

impl Writer {
    /// The writer whose connection this pool opens.
    pub(super) fn new(pool: AnyPool, of_a_file: bool) -> Self {
        Self { pool, pen: Arc::default(), of_a_file }
    }

    /// Begins a transaction when it is its turn; of a file, one whose commit returns `early`, or is on disk by then.
    pub(super) async fn begin(&self, early: bool) -> Result<Tx, Error> {
        let pen = tokio::time::timeout(PATIENCE, Arc::clone(&self.pen).lock_owned()).await;
        let mut pen = pen.map_err(|_| Error::PoolTimedOut)?;
        let begun = match pen.connection.is_some() {
            true => self.begin_with(&mut pen, early).await,
            false => Err(Error::PoolClosed),
        };
        match begun {
            Ok(()) => {}
            // The database itself says no; a server says so too when it has ended the connection.
            Err(error @ Error::Database(_)) if self.of_a_file => return Err(error),
            // It was not open, or has failed since.
            Err(_) => {
                *pen = Pen { connection: Some(self.pool.acquire().await?.detach()), early: None };
                self.begin_with(&mut pen, early).await?;
            }
        }
        let connection = OwnedMutexGuard::try_map(pen, |pen| pen.connection.as_mut()).map_err(|_| Error::PoolClosed)?;
        Ok(Tx { connection, open: true, lines: Vec::new() })
    }

    async fn begin_with(&self, pen: &mut Pen, early: bool) -> Result<(), Error> {
        let Pen { connection: Some(connection), early: was } = pen else { return Err(Error::PoolClosed) };
        if !self.of_a_file {
            return Manager::begin(connection, None).await;
        }
        if *was != Some(early) {
            *was = None;
            connection.execute(if early { "PRAGMA synchronous = NORMAL" } else { "PRAGMA synchronous = FULL" }).await?;
            *was = Some(early);
        }
        Manager::begin(connection, Some("BEGIN IMMEDIATE".into_sql_str())).await
    }

    /// Closes the connection, once nobody uses it.
    pub(super) async fn close(&self) {
        let mut pen = self.pen.lock().await;
        if let Some(connection) = pen.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the store's writing connection does not close");
        }
        self.pool.close().await;
    }
}

impl Tx {
    /// Makes what was written stay, with its lines in the record.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if !self.lines.is_empty() {
            let lines = std::mem::take(&mut self.lines);
            write_lines(&mut self.connection, lines).await?;
        }
        Manager::commit(&mut self.connection).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.open {
            Manager::start_rollback(&mut self.connection);
        }
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}
