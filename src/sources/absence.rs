//! What it means that an alert is no longer listed: nothing, until whole and healthy answers have said so often enough.

use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, Utc};

use crate::cap::{Alert, MsgType, Reference};

/// So many whole answers in a row must leave an entry out.
const CONFIRMED: u32 = 2;
/// So many, where most of what was in force is gone at once.
const WELL_CONFIRMED: u32 = 5;

/// What a whole answer says of the entries in force.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement<'a> {
    /// Entries whose count changes, with the new one.
    pub(super) missed: Vec<(&'a str, u32)>,
    /// Entries that are over.
    pub(super) over: Vec<&'a str>,
}

/// Counts a whole, healthy and fresh answer. `open` are the entries in force with how often each was missed in a row.
pub(super) fn judge<'a>(open: &[(&'a str, u32)], listed: &BTreeSet<&str>) -> Judgement<'a> {
    let gone = open.iter().filter(|(entry, _)| !listed.contains(entry)).count();
    // A feed that drops most of what it had is more likely broken than the weather fine.
    let needed = if gone * 2 > open.len() { WELL_CONFIRMED } else { CONFIRMED };
    let mut judgement = Judgement::default();
    for (entry, missed) in open {
        let now = if listed.contains(entry) { 0 } else { missed + 1 };
        if now != *missed {
            judgement.missed.push((entry, now));
        }
        if now >= needed {
            judgement.over.push(entry);
        }
    }
    judgement
}

/// The Cancel that says it.
pub(super) fn cancel(old: &Alert, id: &str, source: &str, now: DateTime<Utc>) -> Alert {
    let seconds = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now);
    let sent = FixedOffset::east_opt(8 * 3_600).map_or(seconds.fixed_offset(), |zone| seconds.with_timezone(&zone));
    Alert {
        version: crate::cap::Version::V1_2,
        identifier: format!("absence-{id}"),
        sender: "tocsin".into(),
        sent,
        msg_type: MsgType::Cancel,
        source: Some(source.to_owned()),
        codes: Vec::new(),
        note: Some(format!(
            "来源 {source} 连续多次的完整列表中已无此预警 / no longer in the complete list of source {source}, several times in a row"
        )),
        references: vec![Reference { sender: old.sender.clone(), identifier: old.identifier.clone(), sent: old.sent }],
        // People are told in the words of the alert that they were told.
        infos: Vec::new(),
        unknown: Vec::new(),
        ..old.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over<'a>(open: &[(&'a str, u32)], listed: &[&str]) -> Vec<&'a str> {
        judge(open, &listed.iter().copied().collect()).over
    }

    #[test]
    fn two_whole_answers_in_a_row_end_it_and_one_that_lists_it_begins_anew() {
        assert_eq!(over(&[("a", 0), ("b", 0), ("c", 0)], &["b", "c"]), [""; 0]);
        assert_eq!(over(&[("a", 1), ("b", 0), ("c", 0)], &["b", "c"]), ["a"]);
        let seen = judge(&[("a", 1), ("b", 0)], &["a", "b"].into());
        assert_eq!(seen, Judgement { missed: vec![("a", 0)], over: vec![] });
    }

    #[test]
    fn most_of_them_at_once_takes_five() {
        assert_eq!(over(&[("a", 1), ("b", 1), ("c", 0)], &["c"]), [""; 0]);
        assert_eq!(over(&[("a", 3), ("b", 3), ("c", 0)], &["c"]), [""; 0]);
        assert_eq!(over(&[("a", 4), ("b", 4), ("c", 0)], &["c"]), ["a", "b"]);
        assert_eq!(over(&[("a", 1)], &[]), [""; 0], "the only one is most of them");
        assert_eq!(over(&[("a", 1), ("b", 0)], &["b"]), ["a"], "half is not most");
    }
}
