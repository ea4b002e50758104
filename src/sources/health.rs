//! How a source is: one word, since when, and why.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::problem::{Problem, ProblemCode};
use super::schedule::{again, dice};
use crate::store::{SourceRow, Store, StoreError};

/// A source that is not looked at so long after its time is late.
const GRACE: TimeDelta = TimeDelta::minutes(2);

/// One word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It was never looked at.
    Never,
    /// It answered well when it was last asked.
    Ok,
    /// It should have been asked by now: the program does not run, or not well.
    Late,
    /// It did not answer well.
    Failing,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 4] = [Self::Never, Self::Ok, Self::Late, Self::Failing];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Ok => "ok",
            Self::Late => "late",
            Self::Failing => "failing",
        }
    }

    /// The condition of a source.
    pub fn of(row: Option<&SourceRow>, now: DateTime<Utc>) -> Self {
        match row {
            None => Self::Never,
            Some(row) if row.next_at.is_some_and(|next| next + GRACE < now) => Self::Late,
            Some(row) if row.failing_since.is_some() => Self::Failing,
            Some(row) if row.good_at.is_some() => Self::Ok,
            Some(_) => Self::Never,
        }
    }
}

/// A source of config with how it is.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// Its name.
    pub name: String,
    /// The bureau that it speaks as.
    pub bureau: String,
    /// `feed`, `mqtt` or `folder`.
    pub kind: &'static str,
    /// One word.
    pub condition: Condition,
    /// The rest, where it was ever looked at.
    pub row: Option<SourceRow>,
}

impl Health {
    /// How every source of config is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn all(sources: &[SourceConfig], store: &Store, now: DateTime<Utc>) -> Result<Vec<Self>, StoreError> {
        let rows = store.source_rows().await?;
        let of = |source: &SourceConfig| {
            let row = rows.iter().find(|row| row.name == source.name()).cloned();
            Self {
                name: source.name().to_owned(),
                bureau: source.bureau().to_owned(),
                kind: source.kind(),
                condition: Condition::of(row.as_ref(), now),
                row,
            }
        };
        Ok(sources.iter().map(of).collect())
    }

    /// Why it is not well, or what was noticed, in one language (`zh` or `en`).
    pub fn why(&self, language: &str) -> Option<String> {
        let row = self.row.as_ref()?;
        let text = |value: &Value| {
            let code = value.get("code").and_then(Value::as_str).unwrap_or_default();
            Some(format!("{code} {}", value.get(language)?.as_str()?))
        };
        match &row.problem {
            Some(problem) => text(problem),
            None => row.findings.as_array()?.iter().find_map(text),
        }
    }
}

/// What is known of a source, or that nothing is.
pub(super) async fn known(store: &Store, name: &str, kind: &str) -> Result<SourceRow, Problem> {
    let row = store.source_row(name).await.map_err(|error| Problem::new(ProblemCode::Store, error))?;
    let new = || SourceRow { name: name.to_owned(), findings: Value::Array(Vec::new()), ..SourceRow::default() };
    Ok(SourceRow { kind: kind.to_owned(), ..row.unwrap_or_else(new) })
}

/// A source that cannot even begin: it is written where people look.
pub(super) async fn give_up(store: &Store, name: &str, kind: &str, problem: &Problem, now: DateTime<Utc>) {
    let Ok(mut row) = known(store, name, kind).await else {
        return tracing::error!(source = name, %problem, "the source cannot be used");
    };
    bad(&mut row, now, None, problem);
    if let Err(error) = store.save_source(&row, std::iter::empty(), &[]).await {
        tracing::error!(%error, source = name, %problem, "the source cannot be used");
    }
}

/// Waits where a source cannot begin because the store does not answer; false where it is something else, or the end has come.
pub(super) async fn waits(tries: &mut u32, name: &str, problem: &Problem, stop: &CancellationToken) -> bool {
    if problem.code != ProblemCode::Store {
        return false;
    }
    *tries = tries.saturating_add(1);
    tracing::error!(source = name, %problem, "the source waits for the store, and begins then");
    let pause = again(*tries, dice()).to_std().unwrap_or_default();
    tokio::select! {
        () = tokio::time::sleep(pause.min(std::time::Duration::from_secs(60))) => true,
        () = stop.cancelled() => false,
    }
}

/// It answered well.
pub(super) fn good(row: &mut SourceRow, now: DateTime<Utc>, next: Option<DateTime<Utc>>) {
    if let Some(since) = row.failing_since.take() {
        tracing::info!(source = %row.name, since = %since, "the source is well again");
    }
    (row.tried_at, row.good_at, row.next_at, row.failures, row.problem) = (Some(now), Some(now), next, 0, None);
}

/// It did not.
pub(super) fn bad(row: &mut SourceRow, now: DateTime<Utc>, next: Option<DateTime<Utc>>, problem: &Problem) {
    if row.failing_since.is_none() {
        tracing::warn!(source = %row.name, %problem, "the source fails");
    }
    row.failing_since.get_or_insert(now);
    row.failures = row.failures.saturating_add(1);
    (row.tried_at, row.next_at, row.problem) = (Some(now), next, Some(problem.json()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_says_how_a_source_is() {
        let now: DateTime<Utc> = "2026-07-01T00:00:00Z".parse().unwrap();
        let mut row = SourceRow { name: "a".into(), ..SourceRow::default() };
        assert_eq!((Condition::of(None, now), Condition::of(Some(&row), now)), (Condition::Never, Condition::Never));
        good(&mut row, now, Some(now + TimeDelta::minutes(1)));
        assert_eq!(Condition::of(Some(&row), now), Condition::Ok);
        assert_eq!(Condition::of(Some(&row), now + TimeDelta::minutes(4)), Condition::Late);
        let problem = Problem::new(ProblemCode::Status, 500);
        bad(&mut row, now, Some(now), &problem);
        bad(&mut row, now + TimeDelta::seconds(9), Some(now + TimeDelta::seconds(9)), &problem);
        assert_eq!(
            (Condition::of(Some(&row), now), row.failing_since, row.failures),
            (Condition::Failing, Some(now), 2)
        );
        good(&mut row, now, None);
        assert_eq!((row.failures, row.failing_since, Condition::of(Some(&row), now)), (0, None, Condition::Ok));
    }
}
