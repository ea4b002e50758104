//! Parameters that a profile gives a meaning: flags, and layers of others' making.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::cap::alert::{Alert, Info, MsgType};
use crate::cap::finding::{Code, Finding};

/// How a flag is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flag {
    /// The parameter's name.
    name: String,
    /// What it may say, whatever the case of its letters.
    one_of: Vec<String>,
    /// It belongs to an Update that names what it updates.
    #[serde(default)]
    of_updates: bool,
    /// Where one info has it, all have it.
    #[serde(default)]
    in_every_info: bool,
    /// An info has it once.
    #[serde(default)]
    once: bool,
}

impl Flag {
    fn values<'a>(&self, info: &'a Info) -> Vec<&'a str> {
        info.parameters.iter().filter(|one| one.name == self.name).map(|one| one.value.as_str()).collect()
    }

    /// Says where it is not used so.
    pub(super) fn run(&self, alert: &Alert, mut add: impl FnMut(Finding)) {
        let used = alert.infos.iter().any(|info| !self.values(info).is_empty());
        let short = self.name.rsplit(':').next().unwrap_or_default();
        let idle = alert.msg_type != MsgType::Update || alert.references.is_empty();
        if used && self.of_updates && idle {
            add(Finding::new(Code::ProfileFlag, "alert/msgType", format!("{short}: {}", alert.msg_type)));
        }
        for (n, info) in (1..).zip(&alert.infos) {
            let mut find = |what: &str| {
                let path = format!("alert/info[{n}]/parameter");
                add(Finding::new(Code::ProfileFlag, path, format!("{short}: {what}")));
            };
            let values = self.values(info);
            for value in values.iter().filter(|value| !self.one_of.iter().any(|word| word.eq_ignore_ascii_case(value)))
            {
                find(&format!("{value}, {}", self.one_of.join(" | ")));
            }
            match values.len() {
                0 if used && self.in_every_info => find("0"),
                many if many > 1 && self.once => find(&many.to_string()),
                _ => {}
            }
        }
    }
}

/// The layers of an info's values, `layer:OWNER:VERSION`, and the names that begin so and are written otherwise.
pub(super) fn layers(info: &Info) -> (BTreeSet<&str>, Vec<&str>) {
    let codes = info.areas.iter().flat_map(|area| &area.geocodes);
    let pairs = info.parameters.iter().chain(&info.event_codes).chain(codes);
    let (mut layers, mut wrong) = (BTreeSet::new(), Vec::new());
    for name in pairs.map(|pair| pair.name.as_str()).filter(|name| name.starts_with("layer:")) {
        let parts: Vec<&str> = name.split(':').collect();
        match (parts.len() >= 4 && !parts.contains(&""), name.match_indices(':').nth(2)) {
            (true, Some((end, _))) => drop(layers.insert(name.get(..end).unwrap_or_default())),
            _ => wrong.push(name),
        }
    }
    (layers, wrong)
}
