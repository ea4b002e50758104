//! A file that may hold an alert, a feed or an envelope of alerts.

use serde_json::Value;

use super::finding::{Code, Finding, Verdict};
use super::read::{self, Reading};
use super::xml::{self, Node, Tree, XmlError};
use super::{json_nmc, json_qweather};

/// The most alerts of a list in JSON that are read from a file.
const MOST_LISTED: usize = 500;

/// What a file turned out to be.
#[derive(Debug, Clone)]
pub enum Document {
    /// One alert, or something that cannot be read at all.
    Alert(Box<Reading>),
    /// A feed (Atom, RSS), an envelope (EDXL-DE) or a list in JSON: the alerts inside, and what is to say of the wrapping.
    Wrapped {
        /// Alerts found inside, in order.
        alerts: Vec<Enclosed>,
        /// Findings about the wrapping.
        findings: Vec<Finding>,
    },
}

/// A message of a list in JSON.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its identifier as it stands there, whether or not the rest can be read.
    pub identifier: Option<String>,
    /// It as a document of its own.
    pub standalone: Vec<u8>,
}

/// An alert inside a feed, an envelope or a list.
#[derive(Debug, Clone)]
pub struct Enclosed {
    /// Its identifier as it stands there, whether or not the rest can be read.
    pub identifier: Option<String>,
    /// What it says.
    pub reading: Reading,
    /// It as a document of its own, which its signature is over.
    pub standalone: Vec<u8>,
}

impl Document {
    /// All findings, those of the wrapping first.
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Alert(reading) => reading.findings.clone(),
            Self::Wrapped { alerts, findings } => {
                findings.iter().chain(alerts.iter().flat_map(|alert| &alert.reading.findings)).cloned().collect()
            }
        }
    }

    /// The alert's verdict; of a feed or envelope, the worst of what is inside, but one good alert keeps it from refusal.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Alert(reading) => reading.verdict(),
            Self::Wrapped { alerts, findings } => {
                let verdicts = || alerts.iter().map(|alert| alert.reading.verdict());
                let inside = verdicts().max().unwrap_or(Verdict::Accepted);
                let usable = verdicts().any(|verdict| verdict != Verdict::Refused);
                let inside = if usable { inside.min(Verdict::Remarks) } else { inside };
                inside.max(Verdict::of(findings))
            }
        }
    }
}

/// Reads one CAP message in XML.
pub fn read(bytes: &[u8]) -> Reading {
    match xml::parse(bytes) {
        Ok(tree) => match tree.root.name.as_str() {
            "alert" => read_tree(&tree),
            wrapping @ ("feed" | "rss" | "RDF" | "EDXLDistribution") => Reading::refused(Code::NotBare, wrapping),
            other => Reading::refused(Code::NotCap, other),
        },
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
    let value = match list_in_json(&value).filter(|_| !says_cap(&value)).map(|list| list.items.as_slice()) {
        Some([one]) => one.clone(),
        Some(list) => return Reading::refused(Code::NotOne, list.len().to_string()),
        None => value,
    };
    if !value.is_object() {
        return Reading::refused(Code::NotJson, "{…} is one alert, [{…}, {…}] are several");
    }
    let foreign =
        if says_cap(&value) { None } else { json_nmc::to_cap(&value).or_else(|| json_qweather::to_cap(&value)) };
    let (value, mut findings) = match foreign {
        Some(translated) => (translated.cap, translated.findings),
        None => (value, Vec::new()),
    };
    let mut root = Node::new("alert", Some("urn:oasis:names:tc:emergency:cap:1.2".into()));
    match fill(&mut root, &value, 1, &mut { xml::MAX_NODES }) {
        Ok(()) => {}
        Err(XmlError::Malformed { what, .. }) => return Reading::refused(Code::NotJson, what),
        Err(error) => return refused(&error),
    }
    let mut reading = read_tree(&Tree { root, text: String::new(), repaired: false });
    // Members of an object have no order.
    reading.findings.retain(|finding| finding.code != Code::Order);
    findings.append(&mut reading.findings);
    Reading { alert: reading.alert, findings }
}

/// Reads a file in JSON: one message, or a list of them; a list that is too long is refused as a whole.
pub fn read_json_document(bytes: &[u8]) -> Document {
    let Some(items) = several_in_json(bytes) else { return Document::Alert(Box::new(read_json(bytes))) };
    let enclosed =
        |Listed { identifier, standalone }| Enclosed { identifier, reading: read_json(&standalone), standalone };
    Document::Wrapped { alerts: items.into_iter().map(enclosed).collect(), findings: Vec::new() }
}

/// The warnings of a list in JSON that holds several, each as a message of its own; None where it is anything else, or too long.
pub(crate) fn several_in_json(bytes: &[u8]) -> Option<Vec<Listed>> {
    if bytes.len() > xml::MAX_BYTES {
        return None;
    }
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let list = list_in_json(&value).filter(|_| !says_cap(&value))?;
    let several = (2..=MOST_LISTED).contains(&list.items.len());
    let listed = |item: &Value| Listed { identifier: named(item), standalone: item.to_string().into_bytes() };
    several.then(|| list.items.iter().map(listed).collect())
}

/// What a message in JSON calls itself, in any of the shapes that are read.
fn named(item: &Value) -> Option<String> {
    let name = ["identifier", "alertid", "id"].iter().find_map(|name| item.get(name)).filter(|name| !name.is_null())?;
    in_short(&name.as_str().map_or_else(|| name.to_string(), str::to_owned))
}

/// A foreign name as it may be shown; None where nothing stands there.
fn in_short(name: &str) -> Option<String> {
    let name = name.trim();
    (!name.is_empty()).then(|| name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect())
}

/// Whether an object is CAP by its own members, whatever else it holds.
fn says_cap(value: &Value) -> bool {
    ["identifier", "msgType"].iter().all(|name| value.get(name).is_some_and(Value::is_string))
}

/// The warnings of a list in JSON.
pub(crate) struct JsonList<'a> {
    /// One value a warning.
    pub(crate) items: &'a Vec<Value>,
    /// Whether the list says that there is more of it elsewhere.
    pub(crate) whole: bool,
}

/// The list that a JSON document holds: the national centre's, a weather service's of either form, or a plain one.
pub(crate) fn list_in_json(value: &Value) -> Option<JsonList<'_>> {
    if let Some(page) = value.pointer("/data/page").or_else(|| value.get("page")) {
        let items = page.get("list")?.as_array()?;
        let number = |name: &str| page.get(name).and_then(Value::as_u64);
        let count = ["count", "total", "totalCount"].iter().find_map(|name| number(name));
        let pages = ["totalPage", "totalPages", "pages"].iter().find_map(|name| number(name));
        let whole = count.is_none_or(|count| count <= items.len() as u64) && pages.is_none_or(|pages| pages <= 1);
        return Some(JsonList { items, whole });
    }
    let plain = || value.as_array().filter(|items| items.is_empty() || items.iter().any(Value::is_object));
    let items = value.get("warning").or_else(|| value.get("alerts")).map_or_else(plain, Value::as_array)?;
    // Empty brackets alone do not say of what there is nothing: no warning ends by them.
    Some(JsonList { items, whole: !(value.is_array() && items.is_empty()) })
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
    let enclosed = |node: &Node| Enclosed {
        identifier: node.text_of("identifier").and_then(in_short),
        reading: read::alert(node, tree),
        standalone: xml::standalone(node, &tree.text).into_bytes(),
    };
    let mut alerts: Vec<_> = alerts.into_iter().filter(|node| is_cap(node)).map(enclosed).collect();
    let bare = |node: &&&Node| {
        let mut inside = Vec::new();
        node.descendants("alert", &mut inside);
        inside.is_empty()
    };
    let packed = entries.iter().filter(bare).filter_map(|node| packed(node));
    alerts.extend(packed.map(|bytes| {
        let reading = read(&bytes);
        let identifier = reading.alert.as_ref().and_then(|alert| in_short(&alert.identifier));
        Enclosed { identifier, reading, standalone: bytes }
    }));
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

/// What an envelope carries that is not XML itself; EDXL-DE 2.0 calls it otherwise than 1.0.
pub(crate) fn other_content(node: &Node) -> Option<&Node> {
    node.child("nonXMLContent").or_else(|| node.child("otherContent"))
}

/// An alert that an entry carries as text, or an envelope as base64.
pub(crate) fn packed(node: &Node) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text = node.text_of("content").or_else(|| node.text_of("encoded"));
    if let Some(text) = text.filter(|text| is_alert(text)) {
        return Some(text.as_bytes().to_vec());
    }
    let packed = other_content(node)?;
    let kind = packed.text_of("mimeType").unwrap_or_default();
    let data: String = packed.text_of("contentData")?.split_whitespace().collect();
    kind.contains("xml").then(|| base64::engine::general_purpose::STANDARD.decode(data).ok()).flatten()
}

/// Whether a text is an alert, and not a page that speaks of one.
fn is_alert(text: &str) -> bool {
    text.starts_with('<') && xml::parse(text.as_bytes()).is_ok_and(|tree| tree.root.name == "alert")
}

fn is_cap(node: &Node) -> bool {
    node.namespace.as_deref().is_some_and(|ns| ns.contains("emergency:cap:") || ns.contains("incident.com/cap/"))
}

/// Turns a JSON object into the elements that it names. What XML could not say is refused here too.
fn fill(node: &mut Node, value: &Value, depth: usize, left: &mut usize) -> Result<(), XmlError> {
    let wrong = |what: String| XmlError::Malformed { what, at: 0 };
    let Value::Object(members) = value else { return Err(wrong(format!("`{}` is not an object", node.name))) };
    if depth >= xml::MAX_DEPTH {
        return Err(XmlError::TooMany("levels"));
    }
    for (name, value) in members {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            Value::Null => continue,
            one => std::slice::from_ref(one),
        };
        for value in values {
            *left = left.checked_sub(1).ok_or(XmlError::TooMany("elements"))?;
            let mut child = Node::new(name, node.namespace.clone());
            match value {
                Value::Object(_) => fill(&mut child, value, depth + 1, left)?,
                Value::String(text) if text.chars().all(xml::is_xml_char) => child.text.clone_from(text),
                Value::String(_) => return Err(wrong(format!("`{name}` holds a character that XML forbids"))),
                Value::Number(number) => child.text = number.to_string(),
                _ => return Err(wrong(format!("`{name}` is neither text, number nor object"))),
            }
            node.children.push(child);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cap(more: Value) -> Value {
        let mut alert = json!({"identifier": "1", "sender": "s", "sent": "2026-01-01T00:00:00+08:00", "status": "Exercise",
            "msgType": "Alert", "scope": "Public"});
        if let (Some(members), Value::Object(more)) = (alert.as_object_mut(), more) {
            members.extend(more);
        }
        alert
    }

    fn codes(value: &Value) -> Vec<Code> {
        read_json(value.to_string().as_bytes()).findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_an_entry_carries_as_text_or_base64_is_opened_byte_for_byte() {
        use base64::Engine as _;
        let alert = include_str!("../../tests/cases/cap/qingpu-typhoon-red.xml");
        let text = quick_xml::escape::escape(alert.trim());
        let packed = base64::engine::general_purpose::STANDARD.encode(alert.trim());
        for document in [
            format!(
                "<feed><entry><id>1</id><content type=\"text\">{text}</content></entry><entry><id>2</id></entry></feed>"
            ),
            format!(
                "<EDXLDistribution><contentObject><nonXMLContent><mimeType>application/cap+xml</mimeType><contentData>{packed}</contentData></nonXMLContent></contentObject></EDXLDistribution>"
            ),
        ] {
            let Document::Wrapped { alerts, .. } = read_document(document.as_bytes()) else { panic!("{document}") };
            let [one] = alerts.as_slice() else { panic!("{alerts:?}") };
            assert!(one.reading.alert.is_some() && one.standalone == alert.trim().as_bytes(), "{one:?}");
        }
    }

    #[test]
    fn json_has_the_limits_of_xml() {
        let many: Vec<_> = (0..=xml::MAX_NODES).map(|_| "").collect();
        assert_eq!(codes(&cap(json!({"code": many}))), [Code::TooLarge]);
        let deep = (0..xml::MAX_DEPTH).fold(json!("x"), |inner, _| json!({"a": inner}));
        assert_eq!(codes(&cap(json!({"info": deep}))), [Code::TooLarge]);
        assert_eq!(codes(&cap(json!({"note": "a\u{0}b"}))), [Code::NotJson]);
    }

    #[test]
    fn each_warning_of_a_list_is_read_by_itself() {
        let item = |id: &str| json!({"alertid": id, "title": "上海中心气象台发布台风黄色预警"});
        let list = json!({"data": {"page": {"list": [item("31000041600000_20261006202800"), {"title": 1}]}}});
        let Document::Wrapped { alerts, .. } = read_json_document(list.to_string().as_bytes()) else {
            panic!("{list}")
        };
        let read: Vec<_> = alerts.iter().map(|one| one.reading.alert.is_some()).collect();
        assert_eq!(read, [true, false]);
        let one = read_json_document(item("31000041600000_20261006202800").to_string().as_bytes());
        assert!(matches!(one, Document::Alert(reading) if reading.alert.is_some()));
        for (n, wanted) in [(MOST_LISTED, None), (MOST_LISTED + 1, Some(Code::NotOne))] {
            let found = match read_json_document(json!({"warning": vec![0; n]}).to_string().as_bytes()) {
                Document::Alert(reading) => reading.findings.first().map(|finding| finding.code),
                Document::Wrapped { .. } => None,
            };
            assert_eq!(found, wanted, "{n} in a list");
        }
    }

    #[test]
    fn a_plain_list_is_read_as_any_other_and_each_is_called_as_it_calls_itself() {
        let list = json!([cap(json!({"identifier": " a\nb "})), {"alertid": "c"}, {"id": 7}, {"id": ""}, 8]);
        let Document::Wrapped { alerts, .. } = read_json_document(list.to_string().as_bytes()) else {
            panic!("{list}")
        };
        let named: Vec<_> = alerts.iter().map(|one| one.identifier.as_deref()).collect();
        assert_eq!(named, [Some("a b"), Some("c"), Some("7"), None, None]);
        assert_eq!(codes(&json!([cap(json!({}))])), codes(&cap(json!({}))), "a list of one is that one");
        for nothing in [json!([8, []]), json!(8), json!("x")] {
            assert_eq!(codes(&nothing), [Code::NotJson], "{nothing}");
        }
        assert_eq!(codes(&json!([])), [Code::NotOne]);
    }

    #[test]
    fn what_says_it_is_cap_is_cap_whatever_else_it_holds_and_keeps_its_status() {
        for more in [json!({"alertid": "1"}), json!({"id": "1", "status": "Test"}), json!({"alerts": [{}]})] {
            let wanted = more.get("status").and_then(Value::as_str).unwrap_or("Exercise").to_owned();
            let reading = read_json(cap(more.clone()).to_string().as_bytes());
            let status = reading.alert.map(|alert| alert.status.as_str().to_owned());
            assert_eq!(status, Some(wanted), "{more}");
        }
    }

    #[test]
    fn a_title_that_says_exercise_or_test_is_no_warning_of_something_that_is() {
        for (word, status) in [("【演练】", "Exercise"), ("（测试）", "Test"), ("", "Actual")] {
            let title = format!("{word}上海中心气象台发布台风黄色预警");
            for item in [
                json!({"alertid": "31000041600000_20261006202800", "title": title}),
                json!({"id": "1", "pubTime": "2026-10-06T20:28+08:00", "status": "active", "title": title}),
            ] {
                let found = read_json(item.to_string().as_bytes()).alert.map(|alert| alert.status.as_str().to_owned());
                assert_eq!(found.as_deref(), Some(status), "{item}");
            }
        }
    }
}
