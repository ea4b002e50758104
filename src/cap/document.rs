//! A file that may hold an alert, a feed or an envelope of alerts.

use serde_json::Value;

use super::finding::{Code, Finding, Verdict};
use super::read::{self, Reading};
use super::xml::{self, Node, Tree, XmlError};
use super::{json_nmc, json_qweather};

/// What a file turned out to be.
#[derive(Debug, Clone)]
pub enum Document {
    /// One alert, or something that cannot be read at all.
    Alert(Box<Reading>),
    /// A feed (Atom, RSS) or an envelope (EDXL-DE): the alerts inside, and what is to say of the wrapping.
    Wrapped {
        /// Alerts found inside, in order.
        alerts: Vec<Reading>,
        /// Findings about the wrapping.
        findings: Vec<Finding>,
    },
}

impl Document {
    /// All findings, those of the wrapping first.
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Alert(reading) => reading.findings.clone(),
            Self::Wrapped { alerts, findings } => {
                findings.iter().chain(alerts.iter().flat_map(|alert| &alert.findings)).cloned().collect()
            }
        }
    }

    /// The alert's verdict; of a feed or envelope, the worst of what is inside, but one good alert keeps it from refusal.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Alert(reading) => reading.verdict(),
            Self::Wrapped { alerts, findings } => {
                let inside = alerts.iter().map(Reading::verdict).max().unwrap_or(Verdict::Accepted);
                let usable = alerts.iter().any(|alert| alert.verdict() != Verdict::Refused);
                let inside = if usable { inside.min(Verdict::Remarks) } else { inside };
                inside.max(Verdict::of(findings))
            }
        }
    }
}

/// Reads one CAP message in XML.
pub fn read(bytes: &[u8]) -> Reading {
    match xml::parse(bytes) {
        Ok(tree) if tree.root.name == "alert" => read_tree(&tree),
        Ok(tree) => Reading::refused(Code::NotCap, &tree.root.name),
        Err(error) => refused(&error),
    }
}

/// Reads one message in JSON: the elements of CAP 1.2 by name, repeated ones as lists; or one of the shapes that other services
/// use, alone or as the only one of its list.
pub fn read_json(bytes: &[u8]) -> Reading {
    if bytes.len() > xml::MAX_BYTES {
        return refused(&XmlError::TooLarge(bytes.len()));
    }
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return Reading::refused(Code::NotJson, error.to_string()),
    };
    let value = match list_in_json(&value).map(|list| list.items.as_slice()) {
        Some([one]) => one.clone(),
        Some(list) => return Reading::refused(Code::NotOne, list.len().to_string()),
        None => value,
    };
    let (value, mut findings) = match json_nmc::to_cap(&value).or_else(|| json_qweather::to_cap(&value)) {
        Some(translated) => (translated.cap, translated.findings),
        None => (value, Vec::new()),
    };
    let mut root = Node::new("alert", Some("urn:oasis:names:tc:emergency:cap:1.2".into()));
    if let Err(what) = fill(&mut root, &value) {
        return Reading::refused(Code::NotJson, what);
    }
    let mut reading = read_tree(&Tree { root, text: String::new(), repaired: false });
    // Members of an object have no order.
    reading.findings.retain(|finding| finding.code != Code::Order);
    findings.append(&mut reading.findings);
    Reading { alert: reading.alert, findings }
}

/// The warnings of a list in JSON.
pub(crate) struct JsonList<'a> {
    /// One value a warning.
    pub(crate) items: &'a Vec<Value>,
    /// Whether the list says that there is more of it elsewhere.
    pub(crate) whole: bool,
}

/// The list that a JSON document holds: the national centre's, or a weather service's of either form.
pub(crate) fn list_in_json(value: &Value) -> Option<JsonList<'_>> {
    if let Some(page) = value.pointer("/data/page").or_else(|| value.get("page")) {
        let items = page.get("list")?.as_array()?;
        let number = |name: &str| page.get(name).and_then(Value::as_u64);
        let count = ["count", "total", "totalCount"].iter().find_map(|name| number(name));
        let pages = ["totalPage", "totalPages", "pages"].iter().find_map(|name| number(name));
        let whole = count.is_none_or(|count| count <= items.len() as u64) && pages.is_none_or(|pages| pages <= 1);
        return Some(JsonList { items, whole });
    }
    let items = value.get("warning").or_else(|| value.get("alerts"))?.as_array()?;
    Some(JsonList { items, whole: true })
}

/// Reads a file: an alert, a feed or an envelope.
pub fn read_document(bytes: &[u8]) -> Document {
    let tree = match xml::parse(bytes) {
        Ok(tree) => tree,
        Err(error) => return Document::Alert(Box::new(refused(&error))),
    };
    match tree.root.name.as_str() {
        "alert" => Document::Alert(Box::new(read_tree(&tree))),
        "feed" => wrapped(&tree, "entry", &["id", "title", "updated"]),
        "rss" | "RDF" => wrapped(&tree, "item", &["title", "link"]),
        "EDXLDistribution" => wrapped(&tree, "contentObject", &[]),
        other => Document::Alert(Box::new(Reading::refused(Code::NotCap, other))),
    }
}

fn read_tree(tree: &Tree) -> Reading {
    let mut reading = read::alert(&tree.root, tree);
    if tree.repaired {
        reading.findings.insert(0, Finding::new(Code::Repaired, "", ""));
    }
    reading
}

/// What it means that a document cannot be parsed.
pub(crate) fn refused(error: &XmlError) -> Reading {
    let code = match error {
        XmlError::TooLarge(_) | XmlError::TooMany(_) => Code::TooLarge,
        XmlError::Doctype => Code::Doctype,
        XmlError::Entity(_) => Code::Entity,
        XmlError::Encoding(_) => Code::Encoding,
        XmlError::Malformed { .. } => Code::NotXml,
    };
    Reading::refused(code, error.to_string())
}

fn wrapped(tree: &Tree, entry: &str, wanted: &[&str]) -> Document {
    let (mut entries, mut alerts) = (Vec::new(), Vec::new());
    tree.root.descendants(entry, &mut entries);
    tree.root.descendants("alert", &mut alerts);
    let alerts: Vec<_> = alerts.into_iter().filter(|node| is_cap(node)).map(|node| read::alert(node, tree)).collect();
    let mut findings = Vec::new();
    let inline = entries.iter().filter(|node| node.children.iter().any(is_cap)).count();
    if entry == "contentObject" || !alerts.is_empty() {
        let code = if alerts.is_empty() { Code::EmptyEnvelope } else { Code::Envelope };
        findings.push(Finding::new(code, &tree.root.name, alerts.len().to_string()));
    } else {
        findings.push(Finding::new(Code::Feed, &tree.root.name, entries.len().to_string()));
    }
    if inline > 0 {
        findings.push(Finding::new(Code::Inline, &tree.root.name, inline.to_string()));
    }
    for (n, node) in (1..).zip(&entries) {
        for name in wanted.iter().filter(|name| node.child(name).is_none()) {
            findings.push(Finding::new(Code::BadEntry, format!("{}/{entry}[{n}]", tree.root.name), name));
        }
    }
    if tree.repaired {
        findings.push(Finding::new(Code::Repaired, "", ""));
    }
    Document::Wrapped { alerts, findings }
}

fn is_cap(node: &Node) -> bool {
    node.namespace.as_deref().is_some_and(|ns| ns.contains("emergency:cap:") || ns.contains("incident.com/cap/"))
}

/// Turns a JSON object into the elements that it names.
fn fill(node: &mut Node, value: &Value) -> Result<(), String> {
    let Value::Object(members) = value else { return Err(format!("`{}` is not an object", node.name)) };
    for (name, value) in members {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            Value::Null => continue,
            one => std::slice::from_ref(one),
        };
        for value in values {
            let mut child = Node::new(name, node.namespace.clone());
            match value {
                Value::Object(_) => fill(&mut child, value)?,
                Value::String(text) => child.text.clone_from(text),
                Value::Number(number) => child.text = number.to_string(),
                _ => return Err(format!("`{name}` is neither text, number nor object")),
            }
            node.children.push(child);
        }
    }
    Ok(())
}
