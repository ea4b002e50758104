//! A line of the record in words: what was done, and its facts.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::stages::stage;
use super::values;
use crate::regions::{RegionCode, RegionMap};
use crate::web::page::clock;
use crate::web::words::Words;

/// What was done. None for a kind that this program does not write: an older one may have.
pub(super) fn done(kind: &str, detail: &Value, t: Words) -> Option<&'static str> {
    stage(kind, detail, t).or_else(|| other(kind, t))
}

/// What is no step of an alert.
fn other(kind: &str, t: Words) -> Option<&'static str> {
    Some(match kind {
        "alert.refuse" => t.s("an alert refused"),
        "device.account" => t.s("device: a new account"),
        "device.alive" => t.s("devices heard again"),
        "device.call" => t.s("officers called about silent devices"),
        "device.change" => t.s("device changed"),
        "device.create" => t.s("device registered"),
        "device.end" => t.s("device removed"),
        "device.silent" => t.s("many devices silent"),
        "draft.mail" => t.s("draft mailed"),
        "duty.override" => t.s("somebody stands in"),
        "duty.override.end" => t.s("standing in ended"),
        "duty.rotation" => t.s("duty rotation set"),
        "duty.rotation.end" => t.s("duty rotation removed"),
        "duty.test" => t.s("officer called as a test"),
        "officer.accept" => t.s("invitation accepted"),
        "officer.addresses" => t.s("officer's addresses changed"),
        "officer.language" => t.s("officer's language changed"),
        "officer.grant" => t.s("role given"),
        "officer.invite" => t.s("officer invited"),
        "officer.invite-again" => t.s("officer invited again"),
        "officer.restore" => t.s("officer may sign in again"),
        "officer.revoke" => t.s("role taken away"),
        "officer.suspend" => t.s("officer may sign in no more"),
        "officer.tie" => t.s("officer tied to the organisation's sign-in"),
        "organisation.account" => t.s("organisation: a new MQTT account"),
        "organisation.change" => t.s("organisation changed"),
        "organisation.contact" => t.s("contact added"),
        "organisation.contact-end" => t.s("contact removed"),
        "organisation.contact-known" => t.s("contact to be added was signed up already"),
        "organisation.create" => t.s("organisation added"),
        "organisation.end" => t.s("organisation removed"),
        "organisation.hook" => t.s("webhook set"),
        "organisation.hook-end" => t.s("webhook removed"),
        "organisation.import" => t.s("contacts imported"),
        "passkey.add" => t.s("passkey added"),
        "passkey.end" => t.s("passkey removed"),
        "person.export" => t.s("addresses of residents exported"),
        "person.import" => t.s("addresses of residents imported"),
        "person.view" => t.s("data of people looked at"),
        "proof" => t.s("identity proved again"),
        "proof.failed" => t.s("wrong code"),
        "proposal" => t.s("proposed to a second administrator"),
        "proposal.agree" => t.s("proposal agreed to"),
        "proposal.refuse" => t.s("proposal refused"),
        "resident.address-removed" => t.s("resident removed an address"),
        "resident.allow-again" => t.s("mailbox takes mails to confirm again"),
        "resident.browser-gone" => t.s("resident's browser is gone"),
        "resident.browser-moved" => t.s("resident's browser renewed its subscription"),
        "resident.change" => t.s("resident changed places or wishes"),
        "resident.erase" => t.s("resident's data deleted"),
        "resident.export" => t.s("resident took their data along"),
        "resident.leave" => t.s("resident left"),
        "resident.pause" => t.s("resident paused, or goes on"),
        "resident.refuse" => t.s("mailbox takes no mails to confirm"),
        "resident.sign-in" => t.s("resident opened their settings"),
        "resident.sign-up" => t.s("resident signed up"),
        "resident.stop" => t.s("resident left by short message"),
        "resident.test" => t.s("resident asked for a test"),
        "settings" => t.s("settings took effect"),
        "settings.words" => t.s("agreed words do for this version no more: shipped ones are used"),
        "sign-in" => t.s("signed in"),
        "sign-in.failed" => t.s("sign-in failed"),
        "sign-out" => t.s("signed out"),
        "token.end" => t.s("token ended"),
        _ => return None,
    })
}

/// Who reads the facts of a line.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) map: &'a RegionMap,
    pub(super) now: DateTime<Utc>,
    pub(super) t: Words,
}

impl Reader<'_> {
    /// The facts of a line, each with its name; what has none is left out.
    pub(super) fn facts(self, detail: &Value) -> Vec<(String, String)> {
        let Value::Object(all) = detail else { return Vec::new() };
        let fact = |(key, value): (&String, &Value)| {
            let text = self.told(key, value);
            (!text.is_empty()).then(|| (name(key, self.t).map_or_else(|| key.clone(), str::to_owned), text))
        };
        all.iter().filter_map(fact).collect()
    }

    /// A value as it is read: lists by commas, what lies within others in brackets.
    fn told(self, key: &str, value: &Value) -> String {
        let t = self.t;
        let all = |texts: Vec<String>| texts.join(t.s(", "));
        match value {
            // A role has no region where it is for all of them.
            Value::Null if key == "region" => t.s("everywhere").to_owned(),
            Value::Null => String::new(),
            Value::Bool(true) => t.s("yes").to_owned(),
            Value::Bool(false) => t.s("no").to_owned(),
            Value::Number(number) => number.to_string(),
            Value::String(text) if key == "scopes" => all(text.split(' ').map(|one| self.text(key, one)).collect()),
            Value::String(text) => self.text(key, text),
            Value::Array(list) => {
                all(list.iter().map(|one| self.told(key, one)).filter(|one| !one.is_empty()).collect())
            }
            // A grant.
            Value::Object(grant) if grant.contains_key("role") => {
                ["role", "region"].map(|key| self.told(key, &value[key])).join(" ")
            }
            Value::Object(_) => {
                let facts = self.facts(value).into_iter().map(|(name, text)| format!("{name} {text}"));
                let facts: Vec<_> = facts.collect();
                if facts.is_empty() { String::new() } else { format!("({})", all(facts)) }
            }
        }
    }

    /// A text: the program's words in the reader's, regions by their names, times on Beijing's clocks.
    fn text(self, key: &str, text: &str) -> String {
        if let Some(word) = values::word(key, text, self.t) {
            return word.to_owned();
        }
        if let Some(region) = text.parse::<RegionCode>().ok().and_then(|code| self.map.get(&code)) {
            return region.name_in(self.t.language).to_owned();
        }
        if matches!(key, "error" | "signed_by") {
            return self.t.both(text).to_owned();
        }
        DateTime::parse_from_rfc3339(text).map_or_else(|_| text.to_owned(), |at| clock(at.to_utc(), self.now))
    }
}

/// What a fact is called.
fn name(key: &str, t: Words) -> Option<&'static str> {
    Some(match key {
        "account" => t.s("account"),
        "address" => t.s("address"),
        "addresses" => t.s("addresses"),
        "administrators" => t.s("administrators"),
        "all" => t.s("everybody"),
        "amendment" => t.s("changed to"),
        "approval" => t.s("approval"),
        "audience" => t.s("people"),
        "behind" => t.s("behind"),
        "bureau" => t.s("bureau"),
        "by" => t.s("by"),
        "called" => t.s("called"),
        "chain" => t.s("event"),
        "changes" => t.s("changes"),
        "channel" => t.s("channel"),
        "channels" => t.s("channels"),
        "code" => t.s("code"),
        "consent" => t.s("consent"),
        "consent_at" => t.s("agreed at"),
        "contacts" => t.s("contacts"),
        "correction" => t.s("correction"),
        "counties" => t.s("counties"),
        "days" => t.s("days"),
        "decision" => t.s("decision"),
        "description" => t.s("description"),
        "device" => t.s("device"),
        "devices" => t.s("devices"),
        "digest" => t.s("digest"),
        "draft" => t.s("draft"),
        "drills" => t.s("takes part in drills"),
        "duty" => t.s("duty"),
        "en" => t.s("in English"),
        "error" => t.s("error"),
        "escalation" => t.s("part"),
        "event" => t.s("event"),
        "everywhere" => t.s("everywhere"),
        "expires" => t.s("ends"),
        "failures" => t.s("failures"),
        "file_sha256" => t.s("file's digest"),
        "from" => t.s("from"),
        "grant" => t.s("role"),
        "grants" => t.s("roles"),
        "headline" => t.s("headline"),
        "held" => t.s("stopped"),
        "host" => t.s("host"),
        "how" => t.s("how"),
        "id" => t.s("number"),
        "instruction" => t.s("instruction"),
        "jurisdiction" => t.s("for"),
        "kind" => t.s("kind"),
        "known" => t.s("known before"),
        "language" => t.s("language"),
        "lane" => t.s("lane"),
        "lat" => t.s("latitude"),
        "links" => t.s("stands with"),
        "lon" => t.s("longitude"),
        "lost" => t.s("out of reach"),
        "lowest" => t.s("lowest level"),
        "merged" => t.s("joined events"),
        "missed" => t.s("missed"),
        "name" => t.s("name"),
        "new" => t.s("new part"),
        "officer" => t.s("officer, by number"),
        "officers" => t.s("officers, by number"),
        "on_roster" => t.s("on duty"),
        "organisation" => t.s("organisation"),
        "overdue" => t.s("overdue"),
        "override" => t.s("stand-in"),
        "places" => t.s("places"),
        "point" => t.s("point"),
        "position" => t.s("position"),
        "proposal" => t.s("proposal"),
        "reason" => t.s("reason"),
        "region" => t.s("region"),
        "regions" => t.s("regions"),
        "release" => t.s("release"),
        "releases" => t.s("releases"),
        "repeats" => t.s("says again"),
        "rests_seconds" => t.s("rests for seconds"),
        "revision" => t.s("version"),
        "rotation" => t.s("rotation"),
        "rules" => t.s("rules"),
        "said" => t.s("said"),
        "scopes" => t.s("rights"),
        "service" => t.s("push service"),
        "signed_by" => t.s("signed by"),
        "silent" => t.s("silent"),
        "stage" => t.s("stage"),
        "starts" => t.s("begins"),
        "state" => t.s("state"),
        "step" => t.s("step"),
        "subject" => t.s("about"),
        "subscriber" => t.s("resident"),
        "takes" => t.s("takes the place of"),
        "title" => t.s("title"),
        "to" => t.s("to"),
        "token" => t.s("token"),
        "told" => t.s("told"),
        "until" => t.s("until"),
        "verdict" => t.s("verdict"),
        "what" => t.s("what"),
        "withheld" => t.s("goes to nobody"),
        "words" => t.s("words"),
        "zh" | "zh-CN" => t.s("in Chinese"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Language;
    use crate::record::KINDS;

    #[test]
    fn every_kind_of_line_has_words_in_every_language_and_is_in_the_officers_guide() {
        let guide = include_str!("../../../../docs/officers.md");
        for kind in KINDS {
            for language in Language::ALL {
                let t = Words::from(language);
                let words = done(kind, &Value::Null, t).unwrap_or_else(|| panic!("{kind} has no words"));
                let chinese = words.chars().any(|c| c > '\u{2fff}');
                assert_eq!(chinese, language == Language::Chinese, "{kind}: {words}");
            }
            assert!(guide.contains(&format!("`{kind}`")), "docs/officers.md does not say what {kind} is");
        }
        assert!(KINDS.is_sorted(), "in order, each once");
    }

    /// Kinds are texts in the code: whatever looks like one there is among them.
    #[test]
    fn no_kind_is_written_that_is_not_known() {
        let first = |kind: &str| kind.split('.').next().unwrap_or_default().to_owned();
        let families: std::collections::BTreeSet<String> =
            KINDS.iter().filter(|kind| kind.contains('.')).map(|kind| first(kind)).collect();
        let mut unknown = Vec::new();
        for (path, text) in sources() {
            // Webhooks name what happens in a like way.
            if path.ends_with("publish/hook.rs") {
                continue;
            }
            let like = |part: &&str| {
                let fits = |c: char| c.is_ascii_lowercase() || c == '.' || c == '-';
                part.contains('.') && !part.ends_with('.') && part.chars().all(fits) && families.contains(&first(part))
            };
            let files = |part: &&str| !part.ends_with(".rs") && !part.ends_with(".html") && !part.ends_with(".js");
            let texts = text.split('"').filter(like).filter(files);
            unknown
                .extend(texts.filter(|kind| !KINDS.contains(kind)).map(|kind| format!("{}: {kind}", path.display())));
        }
        assert!(unknown.is_empty(), "{unknown:#?}");
    }

    /// The facts that are written with a line are texts in the code too: nobody reads one by the program's name.
    #[test]
    fn every_fact_that_is_written_has_a_name_in_every_language() {
        let mut named = std::collections::BTreeSet::new();
        for (path, text) in sources() {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = ["let detail =", "Entry::new("].into_iter().flat_map(|begins| code.split(begins).skip(1));
            for line in lines.filter_map(|rest| rest.split(';').next()) {
                for (before, after) in line.match_indices("\":").map(|(at, _)| line.split_at(at)) {
                    let key = before.rsplit('"').next().unwrap_or_default();
                    for t in Language::ALL.map(Words::from) {
                        let said = name(key, t).unwrap_or_else(|| panic!("{}: {key}{after}", path.display()));
                        let chinese = said.chars().any(|c| c > '\u{2fff}');
                        assert_eq!(chinese, t.language == Language::Chinese, "{key}: {said}");
                    }
                    named.insert(key.to_owned());
                }
            }
        }
        assert!(named.len() > 50 && named.contains("jurisdiction"), "they are found: {named:?}");
    }

    /// The program's own sources.
    fn sources() -> Vec<(std::path::PathBuf, String)> {
        let (mut found, mut folders) = (Vec::new(), vec![concat!(env!("CARGO_MANIFEST_DIR"), "/src").into()]);
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir::<std::path::PathBuf>(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    found.push((path, text));
                }
            }
        }
        found
    }

    /// What is read of facts, on the afternoon of 28 September 2026 in Beijing.
    fn read(detail: &Value, language: Language) -> String {
        let map = RegionMap::delta().unwrap();
        let now = "2026-09-28T07:00:00Z".parse().unwrap();
        let facts = Reader { map: &map, now, t: Words::from(language) }.facts(detail);
        facts.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn facts_are_read_by_their_names_and_regions_by_theirs() {
        let detail = serde_json::json!({"jurisdiction": "310000", "reason": "sign", "all": true, "said": {"stage": "sign", "jurisdiction": null},
            "called": ["李", "王"]});
        assert_eq!(
            read(&detail, Language::English),
            "everybody: yes; called: 李, 王; for: Shanghai; reason: sign; said: (stage signed)",
            "what an officer wrote stays as it is"
        );
        assert_eq!(
            read(&detail, Language::Chinese),
            "全体: 是; 已呼叫: 李、王; 辖区: 上海市; 理由: sign; 内容: (环节 签发)"
        );
    }

    #[test]
    fn times_are_on_beijings_clocks_also_deep_inside() {
        let detail = serde_json::json!({"consent_at": "2025-12-31T16:00:00Z", "until": "2026-09-28T07:30:00Z",
            "said": {"amendment": {"expires": "2026-09-28T16:30:00Z"}}});
        assert_eq!(
            read(&detail, Language::Chinese),
            "同意时间: 01-01 00:00; 内容: (改为 (截止 09-29 00:30)); 至: 15:30:00"
        );
        let last_year = serde_json::json!({"consent_at": "2025-12-31T15:59:00Z"});
        assert_eq!(read(&last_year, Language::English), "agreed at: 2025-12-31 23:59");
    }

    /// Words that the program writes; every one that the sources know of is said in the reader's own.
    #[test]
    fn words_of_the_program_are_in_the_readers() {
        use crate::approval::{Amendment, Override, Rotation, State};
        use crate::cap::{Colour, Verdict};
        use crate::chains::Why;
        use crate::devices::{Device, DeviceKind};
        use crate::officers::{Grant, OfficerId, Role};
        use crate::organisations::OrganisationKind;
        use crate::rules::{Audience, Position};
        use crate::staff::SCOPES;
        use tocsin_channels::ChannelKind;

        let at: DateTime<Utc> = "2026-09-28T06:00:00Z".parse().unwrap();
        let (id, jurisdiction, officer) = (1, "310000".parse::<RegionCode>().unwrap(), OfficerId(7));
        let grants = Role::ALL.map(|role| Grant { role, region: None });
        let rotation = Rotation {
            id,
            jurisdiction: jurisdiction.clone(),
            position: Position::Chief,
            officers: vec![officer],
            days: 1,
            starts: at,
        };
        let instead =
            Override { id, jurisdiction: jurisdiction.clone(), position: Position::Primary, officer, from: at, to: at };
        let device = |kind| Device {
            id: "x1".parse().unwrap(),
            kind,
            name: "楼".into(),
            region: jurisdiction.clone(),
            point: Some(crate::cap::Point { lat: 31.0, lon: 121.0 }),
            organisation: Some("x2".parse().unwrap()),
            lowest: Colour::Red,
            drills: true,
        };
        let amended = Amendment {
            words: [Language::Chinese, Language::English]
                .map(|language| (language, crate::approval::Words::default()))
                .into(),
            expires: Some(at),
        };
        let (by, reason) = (String::new(), String::new());
        let states = [
            State::Waiting,
            State::Returned { by: by.clone(), reason: reason.clone() },
            State::Approved,
            State::Released { by: by.clone() },
            State::Rejected { by: by.clone(), reason: reason.clone() },
            State::Withdrawn { by, reason },
            State::Expired,
        ];
        let all = serde_json::json!([
            {"grants": grants, "rotation": rotation, "override": instead, "devices": DeviceKind::ALL.map(device)},
            {"kind": OrganisationKind::ALL, "lowest": Colour::ALL, "audience": Audience::ALL, "channels": ChannelKind::ALL},
            {"amendment": amended, "state": states.map(|state| state.as_str()), "scopes": SCOPES.join(" ")},
            {"verdict": [Verdict::Accepted, Verdict::Remarks, Verdict::Refused], "position": ["primary", "author"]},
            {"links": [["甲", Why::References], ["甲", Why::Likeness]], "repeats": "甲", "behind": "甲", "takes": ["甲"], "merged": ["甲"]},
            {"approval": ["none", "one", "two"], "how": ["password and code", "passkey", "organisation", "code"], "signed_by": "rule"},
            {"what": ["password", "code", "code used"], "by": "link", "stage": ["review", "sign"], "chain": "甲", "rules": ["甲"]},
            {"kind": ["grant", "token", "tie", "link", "settings"]},
        ]);
        let said: Vec<_> = all.as_array().unwrap().iter().map(|detail| read(detail, Language::Chinese)).collect();
        // Codes of a device, and what has no other name.
        let kept = ["x1", "x2", "MQTT"];
        let words = said.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
        let raw: Vec<_> =
            words.filter(|word| word.chars().any(|c| c.is_ascii_alphabetic()) && !kept.contains(word)).collect();
        assert!(raw.is_empty(), "{raw:?} of {said:#?}");
        assert_eq!(
            read(&all[0]["rotation"], Language::English),
            "days: 1; number: 1; for: Shanghai; officers, by number: 7; position: chief; begins: 14:00:00"
        );
        let withheld = serde_json::json!({"withheld": "no_rule"});
        assert_eq!(read(&withheld, Language::Chinese), "不发给任何人: 没有规则适用");
    }
}
