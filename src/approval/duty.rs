//! Who is on duty. Pure: rotations, overrides and a time give names.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::officers::OfficerId;
use crate::regions::RegionCode;
use crate::rules::Position;

/// Officers who take turns in one position of one jurisdiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Its id in the store.
    pub id: i64,
    /// Whose people.
    pub jurisdiction: RegionCode,
    /// Who of the ladder.
    pub position: Position,
    /// In the order of their turns.
    pub officers: Vec<OfficerId>,
    /// Days of one turn.
    pub days: u16,
    /// When the first turn began; turns change at this time of day. China has no summer time, so a day is 24 hours.
    pub starts: DateTime<Utc>,
}

/// Somebody stands in for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Its id in the store; the newest of several wins.
    pub id: i64,
    /// Whose people.
    pub jurisdiction: RegionCode,
    /// Who of the ladder.
    pub position: Position,
    /// Who stands in.
    pub officer: OfficerId,
    /// From.
    pub from: DateTime<Utc>,
    /// To, not included.
    pub to: DateTime<Utc>,
}

impl Rotation {
    /// Whose turn it is, and until when.
    pub fn turn(&self, at: DateTime<Utc>) -> Option<(OfficerId, DateTime<Utc>)> {
        let length = TimeDelta::days(i64::from(self.days.max(1)));
        let turns = (at - self.starts).num_milliseconds().div_euclid(length.num_milliseconds());
        let count = i64::try_from(self.officers.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(turns.rem_euclid(count)).ok()?;
        let end = self.starts + TimeDelta::milliseconds((turns + 1) * length.num_milliseconds());
        Some((*self.officers.get(index)?, end))
    }
}

/// The roster: every rotation and override.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// Turns.
    pub rotations: Vec<Rotation>,
    /// Exceptions.
    pub overrides: Vec<Override>,
}

impl Roster {
    /// Who is on duty in this position, and until when that holds.
    pub fn on_duty(
        &self,
        jurisdiction: &RegionCode,
        position: Position,
        at: DateTime<Utc>,
    ) -> Option<(OfficerId, DateTime<Utc>)> {
        let own = |code: &RegionCode, of: Position| code == jurisdiction && of == position;
        let stands_in = self
            .overrides
            .iter()
            .filter(|o| own(&o.jurisdiction, o.position) && o.from <= at && at < o.to)
            .max_by_key(|o| o.id);
        if let Some(stands_in) = stands_in {
            return Some((stands_in.officer, stands_in.to));
        }
        let (officer, end) =
            self.rotations.iter().find(|r| own(&r.jurisdiction, r.position)).and_then(|rotation| rotation.turn(at))?;
        let next = self.overrides.iter().filter(|o| own(&o.jurisdiction, o.position) && o.from > at).map(|o| o.from);
        Some((officer, next.min().map_or(end, |next| next.min(end))))
    }
}

impl Roster {
    /// Every position that somebody is set for, by jurisdiction.
    pub fn positions(&self) -> BTreeSet<(RegionCode, Position)> {
        let turns = self.rotations.iter().map(|r| (r.jurisdiction.clone(), r.position));
        turns.chain(self.overrides.iter().map(|o| (o.jurisdiction.clone(), o.position))).collect()
    }

    /// Who is on duty one after the other from `from` to `to`, each with the time when it begins.
    pub fn turns(
        &self,
        jurisdiction: &RegionCode,
        position: Position,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, Option<OfficerId>)> {
        let mut found: Vec<(DateTime<Utc>, Option<OfficerId>)> = Vec::new();
        let mut at = from;
        while at < to {
            let now = self.on_duty(jurisdiction, position, at);
            let who = now.map(|(officer, _)| officer);
            if found.last().is_none_or(|(_, last)| *last != who) {
                found.push((at, who));
            }
            // Where nobody is, the next one to stand in is a change; another override may begin before this one ends.
            let own = |o: &&Override| o.jurisdiction == *jurisdiction && o.position == position && o.from > at;
            let next = self.overrides.iter().filter(own).map(|o| o.from).min();
            at = [now.map(|(_, end)| end), next].into_iter().flatten().min().unwrap_or(to);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn turns_change_at_eight_in_beijing_and_an_override_stands_in() {
        let jurisdiction: RegionCode = "310000".parse().unwrap();
        let rotation = Rotation {
            id: 1,
            jurisdiction: jurisdiction.clone(),
            position: Position::Primary,
            officers: vec![OfficerId(1), OfficerId(2), OfficerId(3)],
            days: 7,
            starts: at("2026-07-06T08:00:00+08:00"),
        };
        let mut roster = Roster { rotations: vec![rotation], overrides: Vec::new() };
        let who = |roster: &Roster, when: &str| {
            roster.on_duty(&jurisdiction, Position::Primary, at(when)).map(|(officer, _)| officer.0)
        };
        assert_eq!(who(&roster, "2026-07-13T07:59:59+08:00"), Some(1));
        assert_eq!(who(&roster, "2026-07-13T08:00:00+08:00"), Some(2));
        assert_eq!(who(&roster, "2026-07-27T08:00:00+08:00"), Some(1), "the first again");
        assert_eq!(
            who(&roster, "2026-07-06T07:59:59+08:00"),
            Some(3),
            "before the first turn the ring goes on backwards"
        );
        for (id, officer) in [(1, 9), (2, 8)] {
            roster.overrides.push(Override {
                id,
                jurisdiction: jurisdiction.clone(),
                position: Position::Primary,
                officer: OfficerId(officer),
                from: at("2026-07-14T20:00:00+08:00"),
                to: at("2026-07-15T08:00:00+08:00"),
            });
        }
        assert_eq!(who(&roster, "2026-07-14T19:59:59+08:00"), Some(2));
        assert_eq!(who(&roster, "2026-07-14T20:00:00+08:00"), Some(8), "the newest override holds");
        assert_eq!(who(&roster, "2026-07-15T08:00:00+08:00"), Some(2));
        let until = roster.on_duty(&jurisdiction, Position::Primary, at("2026-07-14T10:00:00+08:00")).unwrap().1;
        assert_eq!(until, at("2026-07-14T20:00:00+08:00"));
        assert_eq!(roster.on_duty(&jurisdiction, Position::Chief, at("2026-07-14T10:00:00+08:00")), None);
    }

    #[test]
    fn a_day_shows_each_change_within_it() {
        let place: RegionCode = "310000".parse().unwrap();
        let starts = at("2026-07-06T08:00:00+08:00");
        let rotation = |officers| Rotation {
            id: 1,
            jurisdiction: place.clone(),
            position: Position::Primary,
            officers,
            days: 1,
            starts,
        };
        let swap = |id: i64, officer: i64, position, from: &str, to: &str| {
            let (from, to) = (at(from), at(to));
            Override { id, jurisdiction: place.clone(), position, officer: OfficerId(officer), from, to }
        };
        let roster = Roster {
            rotations: vec![rotation(vec![OfficerId(1), OfficerId(2)])],
            overrides: vec![
                swap(1, 9, Position::Primary, "2026-07-07T20:00:00+08:00", "2026-07-07T22:00:00+08:00"),
                swap(2, 8, Position::Primary, "2026-07-07T21:00:00+08:00", "2026-07-07T21:30:00+08:00"),
                swap(3, 7, Position::Chief, "2026-07-07T10:00:00+08:00", "2026-07-07T11:00:00+08:00"),
            ],
        };
        let (from, to) = (at("2026-07-07T00:00:00+08:00"), at("2026-07-08T00:00:00+08:00"));
        let day = |position| -> Vec<(String, Option<i64>)> {
            let clock = |at: DateTime<Utc>| (at + TimeDelta::hours(8)).format("%H:%M").to_string();
            roster.turns(&place, position, from, to).iter().map(|(at, who)| (clock(*at), who.map(|o| o.0))).collect()
        };
        let list = |turns: &[(&str, Option<i64>)]| -> Vec<(String, Option<i64>)> {
            turns.iter().map(|(at, who)| ((*at).to_owned(), *who)).collect()
        };
        let primary = [
            ("00:00", Some(1)),
            ("08:00", Some(2)),
            ("20:00", Some(9)),
            ("21:00", Some(8)),
            ("21:30", Some(9)),
            ("22:00", Some(2)),
        ];
        assert_eq!(day(Position::Primary), list(&primary));
        assert_eq!(day(Position::Chief), list(&[("00:00", None), ("10:00", Some(7)), ("11:00", None)]));
        assert_eq!(roster.positions().len(), 2, "a position without a rotation has its row too");
    }
}
