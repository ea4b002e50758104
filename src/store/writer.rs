//! The one connection that writes. As those that read, it is not asked whether it lives after each use: whoever begins finds out.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTransactionManager as Manager, AnyTypeInfo};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Either, Error, Execute, Executor, SqlSafeStr as _, SqlStr};
use sqlx_core::transaction::TransactionManager as _;
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::StoreError;
use super::later::{Later, Statement};
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
    /// Whether the database takes several statements as one text.
    pub(super) joined: bool,
    /// Something that was kept has been lost on its way: nothing of this must stay.
    broken: bool,
    /// What has been written, and is not yet sent.
    later: Later,
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
        Ok(Tx {
            connection,
            open: true,
            joined: self.of_a_file,
            broken: false,
            later: Later::default(),
            lines: Vec::new(),
        })
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
    /// Writes something whose answer nobody needs: that it cannot be written is told by the next statement, or by the commit.
    pub(crate) fn later<'q>(&mut self, query: impl Execute<'q, Any>) -> Result<(), StoreError> {
        self.later.push(Statement::of(query)?);
        Ok(())
    }

    /// Sends what is kept, and then this statement; gives the answer to this one alone.
    async fn send_before(&mut self, last: Statement) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let was = std::mem::replace(&mut self.broken, true);
        let answers = self.later.send_before(last, &mut self.connection, self.joined).await?;
        self.broken = was;
        Ok(answers)
    }

    /// Makes what was written stay, with its lines in the record.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let lines = std::mem::take(&mut self.lines);
        if !lines.is_empty() {
            write_lines(&mut self, lines).await?;
        }
        if let Some(last) = self.later.pop() {
            self.send_before(last).await?;
        }
        if self.broken {
            return Err(StoreError::Stopped);
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

impl<'t> Executor<'t> for &'t mut Tx {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, Any>,
    {
        // A server knows its places by number alone.
        if self.joined && self.later.is_empty() {
            return self.connection.fetch_many(query);
        }
        Box::pin(async_stream::try_stream! {
            for answer in self.send_before(Statement::of(query)?).await? {
                yield answer;
            }
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, Any>,
    {
        if self.joined && self.later.is_empty() {
            return self.connection.fetch_optional(query);
        }
        Box::pin(async move {
            let answers = self.send_before(Statement::of(query)?).await?;
            Ok(answers.into_iter().find_map(Either::right))
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        't: 'e,
    {
        self.connection.prepare_with(sql, parameters)
    }
}
