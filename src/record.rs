//! The record as a hash chain: a line that is changed, removed or put in between no longer fits the lines after it.

mod kinds;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use kinds::KINDS;

/// What the first line is chained to.
pub const GENESIS: &str = "tocsin";

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number: 1, 2, 3 …
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: a login, a bureau's name after `bureau:`, or `tocsin` for what the program did by itself.
    pub actor: String,
    /// What: `escalation.approve`, `release`, `person.view` …
    pub kind: String,
    /// About what: an alert's id, an officer's login …
    pub subject: String,
    /// The rest, JSON.
    pub detail: String,
    /// SHA-256 over the hash before it and everything above, hex.
    pub hash: String,
}

impl Line {
    /// The head of a table of lines.
    pub const HEAD: [&str; 7] = ["seq", "at", "actor", "kind", "subject", "detail", "hash"];

    /// A row of a table of lines, that no spreadsheet takes for formulas; the time in milliseconds, as it is hashed.
    pub fn cells(&self) -> [String; 7] {
        let (seq, at) = (self.seq.to_string(), self.at.timestamp_millis().to_string());
        let [actor, kind, subject, detail] =
            [&self.actor, &self.kind, &self.subject, &self.detail].map(|t| harmless(t));
        [seq, at, actor, kind, subject, detail, self.hash.clone()]
    }

    /// The hash that this line must have after that one.
    pub fn hash_after(&self, before: &str) -> String {
        let mut bytes = Vec::with_capacity(256);
        let (seq, at) = (self.seq.to_string(), self.at.timestamp_millis().to_string());
        // Each part with its length, so that no two lines read the same.
        for part in [before, &seq, &at, &self.actor, &self.kind, &self.subject, &self.detail] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        crate::hex(ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref())
    }
}

/// A cell that no spreadsheet takes for a formula.
pub(crate) fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A line is missing.
    #[error("缺少第 {0} 行 / line {0} is missing")]
    Missing(i64),
    /// A line is not what was written, or the one before it is not.
    #[error("第 {0} 行被改动 / line {0} was changed, or the line before it")]
    Changed(i64),
    /// The end is not where it should be.
    #[error(
        "末尾被截：应有 {wanted} 行，现有 {found} 行 / the end was cut off: {wanted} lines were written, {found} are there"
    )]
    Cut {
        /// Lines written.
        wanted: i64,
        /// Lines found.
        found: i64,
    },
    /// A line is there that was never counted.
    #[error("第 {0} 行不是本程序写入的 / line {0} was not written by this program")]
    Added(i64),
    /// A line is not the one that was noted down.
    #[error("第 {0} 行与留存的摘要不符 / line {0} is not the one whose hash was noted down")]
    NotAsNoted(i64),
}

impl Broken {
    /// The first line that does not hold.
    pub const fn line(&self) -> i64 {
        match self {
            Self::Missing(line) | Self::Changed(line) | Self::Added(line) | Self::NotAsNoted(line) => *line,
            Self::Cut { found, .. } => *found + 1,
        }
    }
}

/// Walks along the lines of a record.
#[derive(Debug)]
pub struct Chain {
    seq: i64,
    hash: String,
    noted: Option<(i64, String)>,
}

impl Chain {
    /// A walk from the beginning. `noted`: a line's number and hash that somebody kept elsewhere; it proves that not even the
    /// whole record was written anew.
    pub fn new(noted: Option<(i64, String)>) -> Self {
        Self { seq: 0, hash: GENESIS.to_owned(), noted }
    }

    /// A walk that begins after a line that is taken as it stands.
    pub fn after(line: &Line) -> Self {
        Self { seq: line.seq, hash: line.hash.clone(), noted: None }
    }

    /// Whether so many lines were walked, or more.
    ///
    /// # Errors
    /// When lines are missing at the end.
    pub fn end_at_least(&self, written: i64) -> Result<(), Broken> {
        if self.seq >= written { Ok(()) } else { Err(Broken::Cut { wanted: written, found: self.seq }) }
    }

    /// The next line.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn follow(&mut self, line: &Line) -> Result<(), Broken> {
        if line.seq != self.seq + 1 {
            return Err(Broken::Missing(self.seq + 1));
        }
        if line.hash != line.hash_after(&self.hash) {
            return Err(Broken::Changed(line.seq));
        }
        if self.noted.as_ref().is_some_and(|(seq, hash)| *seq == line.seq && *hash != line.hash) {
            return Err(Broken::NotAsNoted(line.seq));
        }
        self.seq = line.seq;
        self.hash.clone_from(&line.hash);
        Ok(())
    }

    /// The end: the last line's number and hash.
    ///
    /// # Errors
    /// When lines are missing there.
    pub fn end(self, written: i64) -> Result<(i64, String), Broken> {
        let wanted = self.noted.as_ref().map_or(written, |(seq, _)| written.max(*seq));
        match self.seq {
            seq if seq > wanted => Err(Broken::Added(wanted + 1)),
            seq if seq < wanted => Err(Broken::Cut { wanted, found: seq }),
            seq => Ok((seq, self.hash)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(n: i64) -> Vec<Line> {
        let mut before = GENESIS.to_owned();
        (1..=n)
            .map(|seq| {
                let at = DateTime::from_timestamp(1_000_000 + seq, 0).unwrap();
                let (actor, kind) = ("li".to_owned(), "escalation.approve".to_owned());
                let mut line =
                    Line { seq, at, actor, kind, subject: "a".into(), detail: "{}".into(), hash: String::new() };
                line.hash = line.hash_after(&before);
                before.clone_from(&line.hash);
                line
            })
            .collect()
    }

    fn walk(lines: &[Line], written: i64, noted: Option<(i64, String)>) -> Result<(i64, String), Broken> {
        let mut chain = Chain::new(noted);
        for line in lines {
            chain.follow(line)?;
        }
        chain.end(written)
    }

    #[test]
    fn whatever_is_changed_is_seen() {
        let good = lines(5);
        assert_eq!(walk(&good, 5, None), Ok((5, good[4].hash.clone())));
        let broken = |edit: fn(&mut Vec<Line>)| {
            let mut lines = good.clone();
            edit(&mut lines);
            walk(&lines, 5, None).unwrap_err()
        };
        assert_eq!(broken(|l| l[2].actor = "wang".into()), Broken::Changed(3));
        assert_eq!(broken(|l| l[2].detail = "{\"a\":1}".into()), Broken::Changed(3));
        assert_eq!(broken(|l| drop(l.remove(2))), Broken::Missing(3));
        assert_eq!(broken(|l| l.swap(1, 2)), Broken::Missing(2));
        let mut longer = lines(6);
        assert_eq!(walk(&longer, 5, None), Err(Broken::Added(6)), "a line that fits, and was never counted");
        longer[5].hash = String::new();
        assert_eq!(walk(&longer, 5, None), Err(Broken::Changed(6)));
        assert_eq!(broken(|l| drop(l.pop())), Broken::Cut { wanted: 5, found: 4 });
        assert_eq!(walk(&lines(0), 0, None), Ok((0, GENESIS.into())));
        // Written anew from line 2 on, every hash right: only a note kept elsewhere shows it.
        let mut forged = good.clone();
        forged[1].actor = "wang".into();
        for at in 1..5 {
            forged[at].hash = forged[at].hash_after(&forged[at - 1].hash.clone());
        }
        assert!(walk(&forged, 5, None).is_ok());
        assert_eq!(walk(&forged, 5, Some((3, good[2].hash.clone()))), Err(Broken::NotAsNoted(3)));
        assert_eq!(walk(&good[..2], 2, Some((3, good[2].hash.clone()))), Err(Broken::Cut { wanted: 3, found: 2 }));
    }
}
