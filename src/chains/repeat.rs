//! Whether an alert says again what the head of its event says.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::cap::{Alert, Colour, Hazard, Info};

/// What an alert says, in short: two say the same where this is the same. In doubt it is not, and the later one is sent.
///
/// The same: danger, level, severity, urgency, certainty, beginning, what to do in CAP's words, and description and instruction in
/// every language, white space aside. The headline may differ (发布, 继续发布). That both are of the same counties, the caller knows.
pub(crate) fn says(alert: &Alert) -> String {
    let head = (&alert.scope, &alert.restriction, Colour::of_alert(alert), Hazard::of_alert(alert).slug());
    let said = format!("{head:?} {:?}", contents(alert));
    crate::hex(ring::digest::digest(&ring::digest::SHA256, said.as_bytes()).as_ref())
}

/// Whether what ends at `new` lasts as long as what ends at `old`, or longer.
pub(crate) fn lasts(old: Option<DateTime<Utc>>, new: Option<DateTime<Utc>>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => new >= old,
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// What an alert says, apart from where, until when, and in which headline; each with how often it is said.
fn contents(alert: &Alert) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for info in &alert.infos {
        *found.entry(content(info)).or_default() += 1;
    }
    found
}

fn content(info: &Info) -> String {
    let plain = |text: &Option<String>| text.as_deref().map(|text| text.split_whitespace().collect::<String>());
    format!(
        "{} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        info.language.to_ascii_lowercase(),
        Hazard::of(info).slug(),
        info.severity,
        info.urgency,
        info.certainty,
        info.response_types,
        info.onset.map(|at| at.timestamp()),
        plain(&info.description),
        plain(&info.instruction),
    )
}
