//! Until when an alert holds, as its page says at the top.

use chrono::{DateTime, Utc};

use super::alert::named;
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::store::EscalationRow;
use crate::web::page::Moment;
use crate::web::words::Words;
use crate::world::World;

/// A part's own end.
pub(super) struct End {
    pub(super) id: i64,
    pub(super) place: String,
    pub(super) at: Moment,
}

/// Until when it holds, and the parts that hold otherwise. The end that officers gave is the alert's where all of it has that one.
pub(super) fn ends<W: World>(
    policy: &Policy,
    rows: &[EscalationRow<W>],
    bureau: Option<DateTime<Utc>>,
    decided: &[RegionCode],
    words: Words,
    now: DateTime<Utc>,
) -> (Option<DateTime<Utc>>, Vec<End>) {
    let end = |row: &EscalationRow<W>| row.escalation.amendment.expires.or(bureau);
    // What needed nobody's yes goes out with the bureau's end.
    let asked = |code: &RegionCode| rows.iter().any(|row| row.escalation.regions.contains(code));
    let common = rows.first().map(end).filter(|first| rows.iter().all(|row| end(row) == *first));
    if let Some(common) = common.filter(|_| decided.iter().all(asked)) {
        return (common, Vec::new());
    }
    let other = |row: &EscalationRow<W>| {
        let e = &row.escalation;
        let at = end(row).filter(|at| Some(*at) != bureau)?;
        let twin = rows.iter().any(|other| other.id != row.id && other.escalation.jurisdiction == e.jurisdiction);
        // Parts of one jurisdiction are told apart by their counties.
        let codes = if twin { e.regions.as_slice() } else { std::slice::from_ref(&e.jurisdiction) };
        let names: Vec<_> = codes.iter().map(|code| named(policy, code, words).name).collect();
        Some(End { id: row.id, place: names.join(words.pick("、", ", ")), at: Moment::new(at, now, words) })
    };
    (bureau, rows.iter().filter_map(other).collect())
}
