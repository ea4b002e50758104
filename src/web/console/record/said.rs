//! A line of the record in words: what was done, and its facts.

use serde_json::Value;

use super::super::stages::stage;
use crate::regions::{RegionCode, RegionMap};
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
        "sign-in" => t.s("signed in"),
        "sign-in.failed" => t.s("sign-in failed"),
        "sign-out" => t.s("signed out"),
        "token.end" => t.s("token ended"),
        _ => return None,
    })
}

/// The facts of a line, each with its name; what has none is left out.
pub(super) fn facts(detail: &Value, map: &RegionMap, t: Words) -> Vec<(String, String)> {
    let Value::Object(all) = detail else { return Vec::new() };
    let fact = |(key, value): (&String, &Value)| {
        let text = told(value, map, t);
        (!text.is_empty()).then(|| (name(key, t).map_or_else(|| key.clone(), str::to_owned), text))
    };
    all.iter().filter_map(fact).collect()
}

/// A value as it is read: regions by their names, lists by commas, what lies within others in brackets.
fn told(value: &Value, map: &RegionMap, t: Words) -> String {
    let comma = t.s(", ");
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => t.s("yes").to_owned(),
        Value::Bool(false) => t.s("no").to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let region = text.parse::<RegionCode>().ok().and_then(|code| map.get(&code));
            region.map_or_else(|| text.clone(), |region| region.name_in(t.language).to_owned())
        }
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(|one| told(one, map, t)).filter(|one| !one.is_empty()).collect();
            all.join(comma)
        }
        Value::Object(_) => {
            let all = facts(value, map, t).into_iter().map(|(name, text)| format!("{name} {text}"));
            let all: Vec<_> = all.collect();
            if all.is_empty() { String::new() } else { format!("({})", all.join(comma)) }
        }
    }
}

/// What a fact is called.
fn name(key: &str, t: Words) -> Option<&'static str> {
    Some(match key {
        "account" => t.s("account"),
        "addresses" => t.s("addresses"),
        "address" => t.s("address"),
        "administrators" => t.s("administrators"),
        "all" => t.s("everybody"),
        "approval" => t.s("approval"),
        "audience" => t.s("people"),
        "bureau" => t.s("bureau"),
        "by" => t.s("by"),
        "called" => t.s("called"),
        "changes" => t.s("changes"),
        "channel" => t.s("channel"),
        "channels" => t.s("channels"),
        "code" => t.s("code"),
        "consent" => t.s("consent"),
        "consent_at" => t.s("agreed at"),
        "contacts" => t.s("contacts"),
        "correction" => t.s("correction"),
        "counties" => t.s("counties"),
        "decision" => t.s("decision"),
        "device" => t.s("device"),
        "devices" => t.s("devices"),
        "digest" => t.s("digest"),
        "draft" => t.s("draft"),
        "duty" => t.s("duty"),
        "en" => t.s("in English"),
        "error" => t.s("error"),
        "escalation" => t.s("part"),
        "event" => t.s("event"),
        "everywhere" => t.s("everywhere"),
        "failures" => t.s("failures"),
        "file_sha256" => t.s("file's digest"),
        "grant" => t.s("role"),
        "grants" => t.s("roles"),
        "held" => t.s("stopped"),
        "host" => t.s("host"),
        "how" => t.s("how"),
        "jurisdiction" => t.s("for"),
        "kind" => t.s("kind"),
        "known" => t.s("known before"),
        "lane" => t.s("lane"),
        "lost" => t.s("out of reach"),
        "lowest" => t.s("lowest level"),
        "missed" => t.s("missed"),
        "name" => t.s("name"),
        "new" => t.s("new part"),
        "on_roster" => t.s("on duty"),
        "overdue" => t.s("overdue"),
        "override" => t.s("stand-in"),
        "places" => t.s("places"),
        "position" => t.s("position"),
        "proposal" => t.s("proposal"),
        "reason" => t.s("reason"),
        "regions" => t.s("regions"),
        "release" => t.s("release"),
        "releases" => t.s("releases"),
        "rests_seconds" => t.s("rests for seconds"),
        "revision" => t.s("version"),
        "rotation" => t.s("rotation"),
        "said" => t.s("said"),
        "scopes" => t.s("rights"),
        "service" => t.s("push service"),
        "signed_by" => t.s("signed by"),
        "silent" => t.s("silent"),
        "state" => t.s("state"),
        "step" => t.s("step"),
        "subject" => t.s("about"),
        "subscriber" => t.s("resident"),
        "title" => t.s("title"),
        "token" => t.s("token"),
        "told" => t.s("told"),
        "until" => t.s("until"),
        "verdict" => t.s("verdict"),
        "what" => t.s("what"),
        "zh" => t.s("in Chinese"),
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

    /// Kinds are texts in the code: whatever looks like one there is among them. Webhooks name what happens in a like way.
    #[test]
    fn no_kind_is_written_that_is_not_known() {
        let first = |kind: &str| kind.split('.').next().unwrap_or_default().to_owned();
        let families: std::collections::BTreeSet<String> =
            KINDS.iter().filter(|kind| kind.contains('.')).map(|kind| first(kind)).collect();
        let mut unknown = Vec::new();
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("publish/hook.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let like = |part: &&str| {
                        let fits = |c: char| c.is_ascii_lowercase() || c == '.' || c == '-';
                        part.contains('.')
                            && !part.ends_with('.')
                            && part.chars().all(fits)
                            && families.contains(&first(part))
                    };
                    let files =
                        |part: &&str| !part.ends_with(".rs") && !part.ends_with(".html") && !part.ends_with(".js");
                    let texts = text.split('"').filter(like).filter(files);
                    unknown.extend(
                        texts.filter(|kind| !KINDS.contains(kind)).map(|kind| format!("{}: {kind}", path.display())),
                    );
                }
            }
        }
        assert!(unknown.is_empty(), "{unknown:#?}");
    }

    #[test]
    fn facts_are_read_by_their_names_and_regions_by_theirs() {
        let map = RegionMap::delta().unwrap();
        let detail = serde_json::json!({"jurisdiction": "310000", "reason": "too wide", "all": true, "said": {"stage": "sign", "jurisdiction": null},
            "called": ["李", "王"]});
        let all = |language| facts(&detail, &map, Words::from(language));
        let text = |all: Vec<(String, String)>| {
            all.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            text(all(Language::English)),
            "everybody: yes; called: 李, 王; for: Shanghai; reason: too wide; said: (stage sign)"
        );
        assert_eq!(
            text(all(Language::Chinese)),
            "全体: 是; 已呼叫: 李、王; 辖区: 上海市; 理由: too wide; 内容: (stage sign)"
        );
    }
}
