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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on record by it would be told once more after a change of any name in it.
    #[test]
    fn what_is_said_has_the_same_summary_in_every_version() {
        let raw = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>a</identifier><sender>s</sender>\
            <sent>2026-07-01T10:00:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>\
            <info><language>zh-CN</language><category>Met</category><event>台风</event><responseType>Shelter</responseType>\
            <urgency>Expected</urgency><severity>Severe</severity><certainty>Likely</certainty>\
            <onset>2026-07-01T12:00:00+08:00</onset><headline>台风橙色预警</headline><description>大 风</description>\
            <instruction>留在室内</instruction><area><areaDesc>x</areaDesc></area></info></alert>";
        let read = |raw: &str| crate::cap::read(raw.as_bytes()).alert.unwrap();
        let said = says(&read(raw));
        assert_eq!(said, "ac46d809ca8399d5992b9182c35c95278cb0cc1833bda92db8ad887790835093");
        assert_eq!(
            says(&read(&raw.replace("大 风", "大风").replace("橙色预警", "橙色预警继续"))),
            said,
            "spaces and headline"
        );
        assert_ne!(says(&read(&raw.replace("大 风", "大雨"))), said);
        assert_ne!(says(&read(&raw.replace("Severe", "Extreme"))), said);
    }
}
