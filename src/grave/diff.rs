//! What new settings would change, for people.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::GraveSettings;

/// One thing that would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where: `bureau zhejiang · regions`.
    pub place: String,
    /// What would no longer be there.
    pub old: Vec<String>,
    /// What would be there instead.
    pub new: Vec<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.place)?;
        self.old.iter().try_for_each(|old| write!(f, " -{old}"))?;
        self.new.iter().try_for_each(|new| write!(f, " +{new}"))
    }
}

/// Everything that would be otherwise, in the order of the settings' names. What may hold a secret is not shown.
pub fn changes(old: &GraveSettings, new: &GraveSettings) -> Vec<Change> {
    let mut found = Vec::new();
    let mut old = old.clone();
    // What was agreed to before words and keys counted says nothing of them.
    old.templates = old.templates.or_else(|| new.templates.clone());
    old.keys = old.keys.or_else(|| new.keys.clone());
    walk(&mut Vec::new(), Some(&view(&old)), Some(&view(new)), &mut found);
    found
}

/// Settings as a tree in which everything that has a name stands under it.
fn view(settings: &GraveSettings) -> Value {
    let mut tree = Map::new();
    let mut bureaus = by_name(json!(settings.bureaus));
    // Left out: all of them, as hazards are.
    for bureau in bureaus.as_object_mut().into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut)
    {
        bureau.entry("levels").or_insert(Value::Null);
    }
    tree.insert("bureau".into(), bureaus);
    tree.insert("source".into(), json!(settings.sources));
    tree.insert("channel".into(), json!(settings.channels));
    // Line by line, so that what changed is seen.
    let lines = |text: &String| text.lines().map(Value::from).collect::<Vec<_>>();
    let templates = settings.templates.iter().flatten().map(|(name, text)| (name.clone(), lines(text).into()));
    tree.insert("template".into(), Value::Object(templates.collect()));
    let print = |text: &String| crate::hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref());
    let keys =
        settings.keys.iter().flatten().map(|(file, text)| (file.clone(), format!("SHA-256 {}", print(text)).into()));
    tree.insert("key".into(), Value::Object(keys.collect()));
    match settings.rules.parse::<toml::Table>().map(|table| json!(table)) {
        Ok(Value::Object(rules)) => {
            let names = |kind: &Value| {
                let all = kind.as_array().into_iter().flatten();
                all.filter_map(|one| one.get("name")?.as_str()).collect::<Vec<_>>().join(" → ")
            };
            tree.insert("order of rules".into(), rules.get("rule").map(names).unwrap_or_default().into());
            tree.extend(rules.into_iter().map(|(kind, value)| (kind, by_name(value))));
        }
        _ => drop(tree.insert("rules".into(), settings.rules.clone().into())),
    }
    Value::Object(tree)
}

/// A list of named things as a table.
fn by_name(list: Value) -> Value {
    let Value::Array(items) = list else { return list };
    let named = |item: Value| {
        let mut item = item;
        let name = item.as_object_mut()?.remove("name")?.as_str()?.to_owned();
        Some((name, item))
    };
    Value::Object(items.into_iter().filter_map(named).collect())
}

fn walk<'a>(path: &mut Vec<&'a str>, old: Option<&'a Value>, new: Option<&'a Value>, found: &mut Vec<Change>) {
    if old == new {
        return;
    }
    let table = |value: Option<&'a Value>| value.and_then(Value::as_object);
    if table(old).is_some() || table(new).is_some() {
        let keys = |value| table(value).into_iter().flat_map(Map::keys);
        for key in keys(old).chain(keys(new)).collect::<BTreeSet<_>>() {
            path.push(key);
            walk(path, table(old).and_then(|t| t.get(key)), table(new).and_then(|t| t.get(key)), found);
            path.pop();
        }
        return;
    }
    let (before, after) = (items(path, old), items(path, new));
    let without = |all: &[String], but: &[String]| -> Vec<String> {
        let rest: Vec<String> = all.iter().filter(|item| !but.contains(item)).cloned().collect();
        // The same things in another order, or secrets that look alike.
        if rest.is_empty() && but.iter().all(|item| all.contains(item)) { all.to_vec() } else { rest }
    };
    found.push(Change { place: place(path), old: without(&before, &after), new: without(&after, &before) });
}

/// `bureau zhejiang · regions`.
fn place(path: &[&str]) -> String {
    match path {
        [kind, name, rest @ ..] if !rest.is_empty() => format!("{kind} {name} · {}", rest.join(".")),
        all => all.join(" "),
    }
}

fn items(path: &[&str], value: Option<&Value>) -> Vec<String> {
    match value {
        None => Vec::new(),
        Some(Value::Array(list)) if list.iter().all(|item| !item.is_object()) => {
            list.iter().map(|item| shown(path, item)).collect()
        }
        Some(value) => vec![shown(path, value)],
    }
}

/// A value for people's eyes: digests cut, and nothing that may hold a secret.
fn shown(path: &[&str], value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let hidden = || "•••".to_owned();
    match path {
        [.., "token_sha256"] => text.chars().take(12).chain(['…']).collect(),
        ["channel", _, "via", "headers" | "body", ..] if !text.contains('{') || value.is_object() => hidden(),
        ["channel", ..] if text.contains("://") => without_secrets(&text),
        // Left out: all of them.
        _ if value.is_null() => "*".into(),
        _ if text.is_empty() => "\"\"".into(),
        _ => text,
    }
}

/// An address without what may be an account or a key.
fn without_secrets(address: &str) -> String {
    let (address, query) = address.split_once('?').map_or((address, ""), |(address, _)| (address, "?•••"));
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{rest}{query}")
}
