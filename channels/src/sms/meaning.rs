//! What a gateway's answers mean, as data.

use serde::Deserialize;

use crate::Class;

/// One line: what it fits, and what that means. All that is named must fit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// The HTTP status, or its beginning: `202`, `5`.
    pub status: Option<String>,
    /// A part of the body, capitals or not.
    pub says: Option<String>,
    /// A value of the body's JSON.
    pub json: Option<Pointer>,
    /// What it means.
    pub class: Class,
}

/// A value in JSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// Where (RFC 6901): `/result/code`.
    pub at: String,
    /// What must stand there, texts and numbers alike; anything where left out.
    pub is: Option<String>,
}

/// What an answer means.
pub(super) fn class(rules: &[AnswerRule], status: u16, body: &[u8]) -> Class {
    let status = status.to_string();
    let mut lower = None;
    let mut json = None;
    for rule in rules {
        if rule.status.as_ref().is_some_and(|want| !status.starts_with(want)) {
            continue;
        }
        if let Some(want) = &rule.says {
            let lower = lower.get_or_insert_with(|| String::from_utf8_lossy(body).to_lowercase());
            if !lower.contains(&want.to_lowercase()) {
                continue;
            }
        }
        if let Some(want) = &rule.json {
            let json =
                json.get_or_insert_with(|| serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default());
            let fits = json.pointer(&want.at).is_some_and(|value| match (&want.is, value) {
                (None, _) => true,
                (Some(want), serde_json::Value::String(text)) => text == want,
                (Some(want), other) => serde_json::from_str(want).is_ok_and(|want: serde_json::Value| want == *other),
            });
            if !fits {
                continue;
            }
        }
        return rule.class;
    }
    Class::Transient
}
