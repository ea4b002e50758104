//! Statements of a transaction whose answers nobody needs: they are kept, and go to the database with the next one whose answer is
//! needed, or with the commit.
//!
//! Each way to the database and back takes longer than most statements take there, and while a transaction of the writer is open, nobody
//! else writes. To a file they go as one text of several statements; a server takes one at a time.

use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Either, Error, Execute, Executor as _};

/// Texts of so many statements and one more are prepared once for all times.
const OFTEN: usize = 8;

/// What is kept, in order.
#[derive(Default)]
pub(super) struct Later(Vec<Statement>);

/// A statement with what is bound to its places.
pub(super) struct Statement {
    sql: String,
    arguments: AnyArguments,
}

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|one| &one.sql)).finish()
    }
}

impl Statement {
    /// One without places.
    pub(super) fn plain(sql: &str) -> Self {
        Self { sql: sql.to_owned(), arguments: AnyArguments::default() }
    }

    pub(super) fn of<'q>(mut query: impl Execute<'q, Any>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?.unwrap_or_default();
        Ok(Self { sql: query.sql().as_str().to_owned(), arguments })
    }
}

impl Later {
    pub(super) fn push(&mut self, statement: Statement) {
        self.0.push(statement);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes back the last one.
    pub(super) fn pop(&mut self) -> Option<Statement> {
        self.0.pop()
    }

    /// Sends what is kept, and then this statement; gives the answer to this one alone.
    pub(super) async fn send_before(
        &mut self,
        last: Statement,
        connection: &mut AnyConnection,
        joined: bool,
    ) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        use futures_util::TryStreamExt as _;
        let mut kept = std::mem::take(&mut self.0);
        if !joined {
            for one in kept.drain(..) {
                let Statement { sql, arguments } = join(vec![one]);
                connection.execute(sqlx::query_with(AssertSqlSafe(sql), arguments)).await?;
            }
        }
        let before = kept.len();
        kept.push(last);
        let Statement { sql, arguments } = join(kept);
        // A long text hardly comes again.
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(before <= OFTEN);
        let mut answers: Vec<_> = connection.fetch_many(query).try_collect().await?;
        // Each of those kept has changed some rows, and says so.
        let own = answers.iter().enumerate().filter(|(_, answer)| answer.is_left()).nth(before.wrapping_sub(1));
        let own = own.map_or(0, |(at, _)| at + 1);
        Ok(answers.split_off(own))
    }
}

/// One text of several statements, with what is bound to the places of all.
fn join(statements: Vec<Statement>) -> Statement {
    let (mut sql, mut arguments) = (String::new(), AnyArguments::default());
    for one in statements {
        if !sql.is_empty() {
            sql.push_str(";\n");
        }
        renumber(&one.sql, arguments.values.0.len(), &mut sql);
        arguments.values.0.extend(one.arguments.values.0);
    }
    Statement { sql, arguments }
}

/// Adds a statement whose places count from `first` on: `$1` or `?` is `$3` after two of others. Text in quotes is left alone.
fn renumber(sql: &str, first: usize, out: &mut String) {
    let (mut nameless, mut quoted) = (0, false);
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        quoted ^= c == '\'';
        let place = match c {
            '?' if !quoted => {
                nameless += 1;
                nameless
            }
            '$' if !quoted => {
                let mut number = 0;
                while let Some(digit) = rest.peek().and_then(|next| next.to_digit(10)) {
                    number = number * 10 + digit as usize;
                    rest.next();
                }
                number
            }
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push('$');
        out.push_str(&(first + place).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions};

    #[test]
    fn places_are_counted_on_from_statement_to_statement_and_text_in_quotes_is_left_alone() {
        for (sql, first, wanted) in [
            ("INSERT INTO a VALUES ($1, $2, $1)", 0, "INSERT INTO a VALUES ($1, $2, $1)"),
            ("INSERT INTO a VALUES ($1, $12)", 9, "INSERT INTO a VALUES ($10, $21)"),
            ("INSERT INTO a VALUES (?, ?), (?, ?)", 3, "INSERT INTO a VALUES ($4, $5), ($6, $7)"),
            ("UPDATE a SET b = 'why? $1' || 'it''s $2?' || $1", 1, "UPDATE a SET b = 'why? $1' || 'it''s $2?' || $2"),
        ] {
            let mut out = String::new();
            renumber(sql, first, &mut out);
            assert_eq!(out, wanted);
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_there_for_the_next_statement_and_its_answers_are_not_the_next_ones() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        for joined in [true, false] {
            let mut tx = store.begin().await.unwrap();
            tx.joined = joined;
            let put = "INSERT INTO counter (name, value) VALUES ($1, $2)";
            for (name, value) in [("one", 1_i64), ("two", 2), ("three", 3)] {
                tx.later(sqlx::query(put).bind(name).bind(value)).unwrap();
            }
            tx.later(sqlx::query("UPDATE counter SET value = value + $1 WHERE value < $2").bind(10_i64).bind(3_i64))
                .unwrap();
            let sum = "SELECT SUM(value) FROM counter WHERE name IN ($1, $2, $3)";
            let sum: i64 =
                sqlx::query_scalar(sum).bind("one").bind("two").bind("three").fetch_one(&mut tx).await.unwrap();
            assert_eq!(sum, 26);
            tx.later(sqlx::query("UPDATE counter SET value = 0")).unwrap();
            let done = sqlx::query("DELETE FROM counter WHERE name = $1 AND value = $2").bind("one").bind(0_i64);
            assert_eq!(done.execute(&mut tx).await.unwrap().rows_affected(), 1, "{joined}");
            tx.later(sqlx::query(put).bind("two").bind(1_i64)).unwrap();
            let twice = tx.commit().await;
            assert!(twice.is_err(), "a name that is taken, told at the commit");
            let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM counter WHERE name IN ('one', 'two', 'three')")
                .fetch_one(&store.read)
                .await
                .unwrap();
            assert_eq!(left, 0, "all or nothing");
        }
    }
}
