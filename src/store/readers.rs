//! Connections for reading.
//!
//! sqlx's pool asks each connection that comes back to it whether it lives. On SQLite that is a second way to the connection's thread for
//! every statement, about a file that cannot go away: its connections are kept here instead. A server's connections stay in the pool.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, TryStreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Either, Error, Execute, Executor, SqlStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that read at once.
pub(super) const READERS: u32 = 4;
/// Nobody waits longer for one.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where statements that change nothing are run. Clones share the connections.
#[derive(Debug, Clone)]
pub(crate) enum Readers {
    /// They live in sqlx's pool.
    Pooled(AnyPool),
    /// They live here.
    Kept(Kept),
}

/// Connections to a file.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Opens them.
    pool: AnyPool,
    /// Those that nobody uses.
    idle: Arc<Mutex<Vec<AnyConnection>>>,
    free: Arc<Semaphore>,
}

/// One of them in use.
struct Lent {
    connection: Option<AnyConnection>,
    idle: Arc<Mutex<Vec<AnyConnection>>>,
    /// Whether its statement has run to its end.
    done: bool,
    permit: Option<OwnedSemaphorePermit>,
}

impl Readers {
    /// Readers whose connections this pool opens, and keeps where they are not a file's.
    pub(super) fn new(pool: AnyPool, of_a_file: bool) -> Self {
        if of_a_file {
            Self::Kept(Kept { pool, idle: Arc::default(), free: Arc::new(Semaphore::new(READERS as usize)) })
        } else {
            Self::Pooled(pool)
        }
    }

    /// For several statements that must see the same.
    pub(super) const fn pool(&self) -> &AnyPool {
        match self {
            Self::Pooled(pool) => pool,
            Self::Kept(kept) => &kept.pool,
        }
    }

    /// Closes every connection, once nobody uses it.
    pub(super) async fn close(&self) {
        match self {
            Self::Pooled(pool) => pool.close().await,
            Self::Kept(kept) => kept.close().await,
        }
    }
}

impl Kept {
    async fn lend(&self) -> Result<Lent, Error> {
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.free).acquire_owned()).await;
        let permit = permit.map_err(|_| Error::PoolTimedOut)?.map_err(|_| Error::PoolClosed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.pool.acquire().await?.detach(),
        };
        Ok(Lent { connection: Some(connection), idle: Arc::clone(&self.idle), done: false, permit: Some(permit) })
    }

    async fn close(&self) {
        let all = self.free.acquire_many(READERS).await;
        self.free.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a connection of the store does not close");
            }
        }
        self.pool.close().await;
    }
}

impl Lent {
    fn get(&mut self) -> Result<&mut AnyConnection, Error> {
        self.connection.as_mut().ok_or(Error::PoolClosed)
    }

    /// One that has failed does not come back.
    fn checked<T>(&mut self, answer: Result<T, Error>) -> Result<T, Error> {
        self.done = true;
        answer.inspect_err(|_| self.connection = None)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let (idle, permit) = (Arc::clone(&self.idle), self.permit.take());
        let back = move |connection| {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
        };
        if self.done {
            back(connection);
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Whoever asked went away in the middle: the connection's thread may be at it for a while, and nobody is to wait behind that.
            runtime.spawn(async move {
                if connection.ping().await.is_ok() {
                    back(connection);
                }
            });
        }
    }
}

impl<'p> Executor<'p> for &'p Readers {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let kept = match self {
            Readers::Pooled(pool) => return pool.fetch_many(query),
            Readers::Kept(kept) => kept,
        };
        Box::pin(async_stream::try_stream! {
            let mut lent = kept.lend().await?;
            let failed = {
                let mut rows = lent.get()?.fetch_many(query);
                loop {
                    match rows.try_next().await {
                        Ok(Some(row)) => yield row,
                        Ok(None) => break None,
                        Err(error) => break Some(error),
                    }
                }
            };
            lent.checked(failed.map_or(Ok(()), Err))?;
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            match self {
                Readers::Pooled(pool) => pool.fetch_optional(query).await,
                Readers::Kept(kept) => {
                    let mut lent = kept.lend().await?;
                    let answer = lent.get()?.fetch_optional(query).await;
                    lent.checked(answer)
                }
            }
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            match self {
                Readers::Pooled(pool) => pool.prepare_with(sql, parameters).await,
                Readers::Kept(kept) => {
                    let mut lent = kept.lend().await?;
                    let answer = lent.get()?.prepare_with(sql, parameters).await;
                    lent.checked(answer)
                }
            }
        })
    }
}
