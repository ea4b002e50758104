//! The one connection that writes. As those that read, it is not asked whether it lives after each use: whoever begins finds out.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Either, Error, Execute, Executor, SqlStr};
use tokio::sync::{Mutex, OwnedMutexGuard};

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
    /// Whether a transaction was begun on it, and neither committed nor taken back.
    left_open: bool,
}

/// A transaction that writes; what is not committed is taken back. Its first statement begins it in the database, its last one commits
/// it: neither is a way of its own.
#[derive(Debug)]
pub(crate) struct Tx {
    /// None once it is over.
    pen: Option<OwnedMutexGuard<Pen>>,
    /// Whether the database knows of it.
    begun: bool,
    /// Whether the database takes several statements as one text.
    pub(super) joined: bool,
    /// Something that was kept has been lost on its way: nothing of this must stay.
    broken: bool,
    /// What has been written, and is not yet sent.
    later: Later,
    /// What the record will tell of it.
    pub(super) lines: Vec<(DateTime<Utc>, Entry)>,
    /// The record's last line, its number and hash, where that was asked already.
    pub(super) last_line: Option<(i64, String)>,
}

impl Writer {
    /// The writer whose connection this pool opens.
    pub(super) fn new(pool: AnyPool, of_a_file: bool) -> Self {
        Self { pool, pen: Arc::default(), of_a_file }
    }

    /// Begins a transaction when it is its turn; of a file, one whose commit returns before it is on disk. The database hears of it
    /// with its first statement: whatever must not change meanwhile is read after that.
    pub(super) async fn begin_early(&self) -> Result<Tx, Error> {
        self.begin_as(true).await
    }

    /// Begins a transaction when it is its turn, also for other programs on the same store; its commit is on disk when it returns.
    pub(super) async fn begin(&self) -> Result<Tx, Error> {
        let mut tx = self.begin_as(false).await?;
        match tx.send().await {
            Ok(()) => Ok(tx),
            // The file itself says no.
            Err(error) if self.of_a_file => Err(error),
            // A server may have ended the connection since.
            Err(_) => {
                tx.forget();
                drop(tx);
                let mut tx = self.begin_as(false).await?;
                tx.send().await?;
                Ok(tx)
            }
        }
    }

    async fn begin_as(&self, early: bool) -> Result<Tx, Error> {
        let pen = tokio::time::timeout(PATIENCE, Arc::clone(&self.pen).lock_owned()).await;
        let mut pen = pen.map_err(|_| Error::PoolTimedOut)?;
        if pen.left_open {
            pen.roll_back().await;
        }
        if pen.connection.is_none() {
            *pen = Pen { connection: Some(self.pool.acquire().await?.detach()), ..Pen::default() };
        }
        if self.of_a_file && pen.early != Some(early) {
            pen.early = None;
            let level = if early { "PRAGMA synchronous = NORMAL" } else { "PRAGMA synchronous = FULL" };
            pen.connection()?.execute(level).await?;
            pen.early = Some(early);
        }
        let mut later = Later::default();
        later.push(Statement::plain(if self.of_a_file { "BEGIN IMMEDIATE" } else { "BEGIN" }));
        Ok(Tx {
            pen: Some(pen),
            begun: false,
            joined: self.of_a_file,
            broken: false,
            later,
            lines: Vec::new(),
            last_line: None,
        })
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

impl Pen {
    fn connection(&mut self) -> Result<&mut AnyConnection, Error> {
        self.connection.as_mut().ok_or(Error::PoolClosed)
    }

    /// Takes back what was not committed. A connection of which that is not certain is not used again.
    async fn roll_back(&mut self) {
        let Ok(connection) = self.connection() else { return };
        if let Err(error) = connection.execute("ROLLBACK").await {
            tracing::debug!(%error, "a transaction is over already; its connection is opened anew");
            self.connection = None;
        }
        self.left_open = false;
    }
}

impl Tx {
    /// Writes something whose answer nobody needs: that it cannot be written is told by the next statement, or by the commit.
    pub(crate) fn later<'q>(&mut self, query: impl Execute<'q, Any>) -> Result<(), StoreError> {
        self.later.push(Statement::of(query)?);
        Ok(())
    }

    /// Makes what was written stay, with its lines in the record.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let lines = std::mem::take(&mut self.lines);
        if !lines.is_empty() {
            write_lines(&mut self, lines).await?;
        }
        self.send_before(Statement::plain("COMMIT")).await?;
        self.pen = None;
        Ok(())
    }

    /// Sends what is kept.
    async fn send(&mut self) -> Result<(), Error> {
        match self.later.pop() {
            Some(last) => self.send_before(last).await.map(drop),
            None => Ok(()),
        }
    }

    /// Sends what is kept, and then this statement; gives the answer to this one alone.
    async fn send_before(&mut self, last: Statement) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        if self.broken {
            return Err(Error::PoolClosed);
        }
        let Self { pen, begun, joined, broken, later, .. } = self;
        let connection = pen.as_mut().ok_or(Error::PoolClosed)?.connection()?;
        (*begun, *broken) = (true, true);
        let answers = later.send_before(last, connection, *joined).await?;
        *broken = false;
        Ok(answers)
    }

    /// Of one of which something was lost, nothing more is sent.
    fn connection(&mut self) -> Result<&mut AnyConnection, Error> {
        if self.broken {
            return Err(Error::PoolClosed);
        }
        self.pen.as_mut().ok_or(Error::PoolClosed)?.connection()
    }

    /// Its connection is of no more use.
    fn forget(&mut self) {
        if let Some(mut pen) = self.pen.take() {
            pen.connection = None;
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(mut pen) = self.pen.take().filter(|_| self.begun) else { return };
        pen.left_open = true;
        // At once, where that is possible; else by whoever begins next.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { pen.roll_back().await });
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
            return match self.connection() {
                Ok(connection) => connection.fetch_many(query),
                Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
            };
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
        Box::pin(async move {
            if self.joined && self.later.is_empty() {
                return self.connection()?.fetch_optional(query).await;
            }
            let answers = self.send_before(Statement::of(query)?).await?;
            Ok(answers.into_iter().find_map(Either::right))
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        't: 'e,
    {
        Box::pin(async move { self.connection()?.prepare_with(sql, parameters).await })
    }
}
