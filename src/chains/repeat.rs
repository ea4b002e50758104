//! Whether an alert says again what the head of its event says.

use std::collections::BTreeMap;

use crate::cap::{Alert, Colour, Hazard, Info};

/// Whether the new alert says the same as the old one, to last as long or longer. In doubt it does not, and is sent.
///
/// The same: danger, level, severity, urgency, certainty, beginning, what to do in CAP's words, and description and instruction in
/// every language, white space aside. The headline may differ (发布, 继续发布). That both are of the same counties, the caller knows.
pub(crate) fn says_again(old: &Alert, new: &Alert) -> bool {
    let lasts = match (old.expires(), new.expires()) {
        (Some(old), Some(new)) => new >= old,
        (old, new) => old.is_none() && new.is_none(),
    };
    lasts
        && !old.infos.is_empty()
        && old.scope == new.scope
        && old.restriction == new.restriction
        && Colour::of_alert(old) == Colour::of_alert(new)
        && Hazard::of_alert(old) == Hazard::of_alert(new)
        && contents(old) == contents(new)
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
