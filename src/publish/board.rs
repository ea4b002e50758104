//! What is in force and lately was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::Publication;
use crate::cap::{AlertId, MsgType};
use crate::regions::RegionCode;

/// What became of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    InForce,
    /// Officers have stopped it for now.
    Paused,
    /// It tells of an end, or warns nobody here.
    Notice,
    /// Another took its place.
    Replaced {
        /// Which.
        by: AlertId,
        /// When.
        at: DateTime<Utc>,
    },
    /// It was ended, or was wrong.
    Withdrawn {
        /// By which.
        by: AlertId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Its time is over.
    Expired {
        /// Since when.
        at: DateTime<Utc>,
    },
}

impl Standing {
    /// The word in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Paused => "paused",
            Self::Notice => "notice",
            Self::Replaced { .. } => "replaced",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Expired { .. } => "expired",
        }
    }

    /// When it ended, if it did.
    pub const fn ended(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Replaced { at, .. } | Self::Withdrawn { at, .. } | Self::Expired { at } => Some(*at),
            _ => None,
        }
    }

    /// What ended it, if something did.
    pub const fn by(&self) -> Option<&AlertId> {
        match self {
            Self::Replaced { by, .. } | Self::Withdrawn { by, .. } => Some(by),
            _ => None,
        }
    }
}

/// A publication with what became of it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it says.
    pub publication: Arc<Publication>,
    /// Counties where nothing has taken its place.
    pub left: Vec<RegionCode>,
    /// What became of it.
    pub standing: Standing,
}

impl Entry {
    /// A publication as it went out.
    pub fn new(publication: Publication) -> Self {
        let standing = if publication.warns() { Standing::InForce } else { Standing::Notice };
        Self { left: publication.regions.clone(), publication: Arc::new(publication), standing }
    }

    /// Counties that it concerns now: where it still stands, or stood.
    pub fn regions(&self) -> &[RegionCode] {
        if self.standing == Standing::InForce { &self.left } else { &self.publication.regions }
    }

    /// Whether it holds.
    pub fn in_force(&self) -> bool {
        self.standing == Standing::InForce
    }

    /// When anything about it last changed.
    pub fn updated(&self) -> DateTime<Utc> {
        self.standing.ended().unwrap_or(self.publication.at).max(self.publication.at)
    }
}

/// What became of each publication, in the order of `publications`, which is that of their release.
///
/// An older one ends county by county, as its successors are released there: while a jurisdiction has not said yes to the Update,
/// its people see what they were told before.
pub fn standings(publications: &[Arc<Publication>], held: &BTreeSet<i64>, now: DateTime<Utc>) -> Vec<Entry> {
    let mut left: BTreeMap<i64, BTreeSet<&RegionCode>> = BTreeMap::new();
    let mut ended: BTreeMap<i64, &Publication> = BTreeMap::new();
    for publication in publications {
        for old in &publication.replaces {
            let Some(counties) = left.get_mut(old) else { continue };
            match &publication.within {
                None => counties.clear(),
                Some(within) => counties.retain(|code| within.binary_search(code).is_err()),
            }
            if counties.is_empty() {
                ended.entry(*old).or_insert(publication);
            }
        }
        left.insert(publication.release, publication.regions.iter().collect());
    }
    let entry = |publication: &Arc<Publication>| {
        let standing = match ended.get(&publication.release) {
            Some(by) if by.at < publication.expires || !publication.warns() => {
                let (id, at) = (by.id.clone(), by.at);
                match by.shown.msg_type {
                    MsgType::Cancel => Standing::Withdrawn { by: id, at },
                    _ => Standing::Replaced { by: id, at },
                }
            }
            _ if !publication.warns() => Standing::Notice,
            _ if publication.expires <= now => Standing::Expired { at: publication.expires },
            _ if held.contains(&publication.release) => Standing::Paused,
            _ => Standing::InForce,
        };
        let left = left.get(&publication.release).into_iter().flatten().map(|code| (*code).clone()).collect();
        Entry { publication: Arc::clone(publication), left, standing }
    };
    publications.iter().map(entry).collect()
}

/// Everything that is in force, and what ended not long ago.
#[derive(Debug, Clone)]
pub struct Board {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// When anything on it last changed.
    pub updated: DateTime<Utc>,
    /// When the next thing on it changes by itself.
    pub until: Option<DateTime<Utc>>,
    /// Entries, newest first; none that is not shown by itself.
    pub entries: Vec<Entry>,
}

impl Board {
    /// The board of these publications, in the order of their release; what ended longer ago than `keep` is left out.
    pub fn of(publications: &[Arc<Publication>], held: &BTreeSet<i64>, now: DateTime<Utc>, keep: TimeDelta) -> Self {
        let mut entries = standings(publications, held, now);
        entries.retain(|entry| {
            let over = entry.standing.ended().unwrap_or_else(|| match entry.standing {
                Standing::Notice => entry.publication.at,
                _ => now,
            });
            entry.publication.listed && over + keep > now
        });
        entries.reverse();
        let ends = |entry: &Entry| match entry.standing {
            Standing::InForce | Standing::Paused => entry.publication.expires,
            Standing::Notice => entry.publication.at + keep,
            _ => entry.updated() + keep,
        };
        Self {
            at: now,
            updated: entries.iter().map(Entry::updated).max().unwrap_or(now),
            until: entries.iter().map(ends).filter(|at| *at > now).min(),
            entries,
        }
    }

    /// What is in force, gravest first, then newest.
    pub fn in_force(&self) -> Vec<&Entry> {
        let mut list: Vec<&Entry> = self.entries.iter().filter(|entry| entry.in_force()).collect();
        list.sort_by_key(|entry| entry.publication.colour().map_or(u8::MAX, |colour| colour as u8));
        list
    }

    /// How many are in force that should be signed and are not.
    pub fn unsigned(&self) -> usize {
        self.entries.iter().filter(|entry| entry.in_force() && entry.publication.unsigned).count()
    }

    /// What was in force and is no more, newest end first.
    pub fn ended(&self) -> Vec<&Entry> {
        let mut list: Vec<&Entry> = self.entries.iter().filter(|entry| entry.standing.ended().is_some()).collect();
        list.sort_by_key(|entry| std::cmp::Reverse(entry.standing.ended()));
        list
    }
}
