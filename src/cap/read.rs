//! From a tree to a typed alert, with findings.

use chrono::{DateTime, FixedOffset};

use super::alert::{
    Alert, Area, Category, Certainty, Element, Info, MsgType, NamedValue, Reference, Resource, ResponseType, Scope,
    Severity, Status, Urgency, Version,
};
use super::checks;
use super::finding::{Code, Finding, Verdict};
use super::order::{ALERT, AREA, INFO, RESOURCE};
use super::strict::is_decimal;
use super::values::{self, BadShape};
use super::xml::{Node, Tree};

/// So many references, and so many incidents, are looked up: each is a question to the record while others wait.
const MOST_NAMED: usize = 500;

/// What reading one message gave.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The alert; None when the verdict is refused.
    pub alert: Option<Alert>,
    /// Everything noticed, in the message's order.
    pub findings: Vec<Finding>,
}

impl Reading {
    /// What becomes of it.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.findings)
    }

    /// A reading that could not even begin.
    pub(super) fn refused(code: Code, detail: impl AsRef<str>) -> Self {
        Self { alert: None, findings: vec![Finding::new(code, "", detail)] }
    }
}

/// Reads an `alert` element of a tree.
pub(super) fn alert(node: &Node, tree: &Tree) -> Reading {
    let mut reader = Reader { tree, findings: Vec::new(), kept: Vec::new() };
    let alert = reader.alert(node);
    let mut findings = reader.findings;
    if let Some(alert) = &alert {
        checks::run(alert, &mut findings);
    }
    let refused = Verdict::of(&findings) == Verdict::Refused;
    Reading { alert: alert.filter(|_| !refused), findings }
}

struct Reader<'a> {
    tree: &'a Tree,
    findings: Vec<Finding>,
    /// Unknown elements of areas and resources: the alert keeps them, with their paths.
    kept: Vec<Element>,
}

/// One element with its path.
struct Spot<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> Spot<'a> {
    fn all(&self, name: &str) -> Vec<Spot<'a>> {
        let named = self.node.children.iter().filter(|child| child.name == name);
        named.zip(1..).map(|(node, n)| Spot { node, path: format!("{}/{name}[{n}]", self.path) }).collect()
    }
}

impl<'a> Reader<'a> {
    fn find(&mut self, code: Code, path: &str, detail: impl AsRef<str>) {
        self.findings.push(Finding::new(code, path, detail));
    }

    fn alert(&mut self, node: &'a Node) -> Option<Alert> {
        let spot = Spot { node, path: "alert".into() };
        let version = self.version(node);
        self.order(&spot, ALERT);
        let identifier = self.vital(&spot, "identifier");
        let sender = self.vital(&spot, "sender");
        let sent = self.vital(&spot, "sent").and_then(|text| match values::time(&text) {
            Some((time, off)) => {
                off.into_iter().for_each(|code| self.find(code, "alert/sent", &text));
                Some(time)
            }
            None => {
                self.find(Code::BadTime, "alert/sent", &text);
                None
            }
        });
        let status =
            self.vital(&spot, "status").and_then(|text| self.vital_word(&text, "status", Status::ALL, Status::as_str));
        let msg_type = self
            .vital(&spot, "msgType")
            .and_then(|text| self.vital_word(&text, "msgType", MsgType::ALL, MsgType::as_str));
        let restriction = self.text(&spot, "restriction");
        let addresses = self.text(&spot, "addresses").map(|text| values::quoted_list(&text)).unwrap_or_default();
        let scope = self.scope(&spot, restriction.is_some(), !addresses.is_empty());
        let references = self.references(&spot);
        let infos = spot.all("info").iter().map(|info| self.info(info)).collect();
        let mut unknown = self.unknown(&spot, ALERT);
        unknown.append(&mut self.kept);
        Some(Alert {
            version,
            identifier: identifier?,
            sender: sender?,
            sent: sent?,
            status: status?,
            msg_type: msg_type?,
            scope: scope?,
            source: self.text(&spot, "source"),
            restriction,
            addresses,
            codes: self.texts(&spot, "code"),
            note: self.text(&spot, "note"),
            references,
            incidents: self.incidents(&spot),
            infos,
            unknown,
        })
    }

    fn version(&mut self, node: &Node) -> Version {
        let namespace = node.namespace.as_deref().unwrap_or_default();
        let version = match namespace {
            "urn:oasis:names:tc:emergency:cap:1.2" => return Version::V1_2,
            "urn:oasis:names:tc:emergency:cap:1.1" => Version::V1_1,
            "http://www.incident.com/cap/1.0" | "urn:oasis:names:tc:emergency:cap:1.0" => Version::V1_0,
            other => {
                self.find(Code::Namespace, "alert", if other.is_empty() { "-" } else { other });
                return Version::V1_2;
            }
        };
        self.find(Code::OldVersion, "alert", version.as_str());
        version
    }

    fn scope(&mut self, spot: &Spot<'a>, restricted: bool, addressed: bool) -> Option<Scope> {
        if let Some(text) = self.text(spot, "scope") {
            return self.vital_word(&text, "scope", Scope::ALL, Scope::as_str);
        }
        self.find(Code::MissingPart, "alert", "scope");
        // Without the word, the narrowest that the other elements speak of.
        Some(if addressed {
            Scope::Private
        } else if restricted {
            Scope::Restricted
        } else {
            Scope::Public
        })
    }

    fn references(&mut self, spot: &Spot<'a>) -> Vec<Reference> {
        let text = self.texts(spot, "references").join(" ");
        let mut references = Vec::new();
        for triple in values::triples(&text) {
            let triple = triple.as_str();
            // Senders may hold commas in what is really sent; the identifier and the time never do.
            let mut parts = triple.rsplitn(3, ',');
            let (sent, identifier, sender) = (parts.next(), parts.next(), parts.next());
            match (sender, identifier, sent.and_then(values::time)) {
                (Some(sender), Some(identifier), Some((sent, _))) if !sender.is_empty() && !identifier.is_empty() => {
                    references.push(Reference { sender: sender.into(), identifier: identifier.into(), sent });
                }
                _ => self.find(Code::BadReference, "alert/references", triple),
            }
        }
        if references.len() > MOST_NAMED {
            references.sort_by_key(|reference| std::cmp::Reverse(reference.sent));
        }
        self.limit("alert/references", &mut references);
        references
    }

    fn limit<T>(&mut self, path: &str, named: &mut Vec<T>) {
        if named.len() > MOST_NAMED {
            self.find(Code::ManyNamed, path, (named.len() - MOST_NAMED).to_string());
            named.truncate(MOST_NAMED);
        }
    }

    fn incidents(&mut self, spot: &Spot<'a>) -> Vec<String> {
        let text = self.text(spot, "incidents");
        let mut incidents = text.map(|text| values::quoted_list(&text)).unwrap_or_default();
        self.limit("alert/incidents", &mut incidents);
        incidents
    }

    fn info(&mut self, spot: &Spot<'a>) -> Info {
        self.order(spot, INFO);
        let categories = self.texts(spot, "category");
        let categories: Vec<_> = categories
            .iter()
            .map(|text| self.word(spot, "category", text, Category::ALL, Category::as_str).unwrap_or(Category::Other))
            .collect();
        if categories.is_empty() {
            self.find(Code::MissingPart, &spot.path, "category");
        }
        let responses = self.texts(spot, "responseType");
        Info {
            language: self.text(spot, "language").unwrap_or_else(|| default_language(spot.node).into()),
            categories,
            event: self.needed(spot, "event"),
            response_types: responses
                .iter()
                .filter_map(|text| self.word(spot, "responseType", text, ResponseType::ALL, ResponseType::as_str))
                .collect(),
            urgency: self.graded(spot, "urgency", Urgency::ALL, Urgency::as_str).unwrap_or(Urgency::Unknown),
            severity: self.graded(spot, "severity", Severity::ALL, Severity::as_str).unwrap_or(Severity::Unknown),
            certainty: self.graded(spot, "certainty", Certainty::ALL, Certainty::as_str).unwrap_or(Certainty::Unknown),
            audience: self.text(spot, "audience"),
            event_codes: self.pairs(spot, "eventCode"),
            effective: self.time(spot, "effective"),
            onset: self.time(spot, "onset"),
            expires: self.time(spot, "expires"),
            sender_name: self.text(spot, "senderName"),
            headline: self.text(spot, "headline"),
            description: self.text(spot, "description"),
            instruction: self.text(spot, "instruction"),
            web: self.text(spot, "web"),
            contact: self.text(spot, "contact"),
            parameters: self.pairs(spot, "parameter"),
            resources: spot.all("resource").iter().map(|spot| self.resource(spot)).collect(),
            areas: spot.all("area").iter().map(|spot| self.area(spot)).collect(),
            unknown: self.unknown(spot, INFO),
        }
    }

    fn resource(&mut self, spot: &Spot<'a>) -> Resource {
        let mime_type = self.text(spot, "mimeType");
        if mime_type.is_none() {
            self.find(Code::MimeType, &spot.path, "");
        }
        let mut kept = self.unknown(spot, RESOURCE);
        self.kept.append(&mut kept);
        Resource {
            description: self.needed(spot, "resourceDesc"),
            mime_type,
            size: self.number(spot, "size"),
            uri: self.text(spot, "uri"),
            deref_uri: self.text(spot, "derefUri"),
            digest: self.text(spot, "digest"),
        }
    }

    fn area(&mut self, spot: &Spot<'a>) -> Area {
        let mut area = Area {
            description: self.needed(spot, "areaDesc"),
            polygons: Vec::new(),
            circles: Vec::new(),
            geocodes: self.pairs(spot, "geocode"),
            altitude: self.number(spot, "altitude"),
            ceiling: self.number(spot, "ceiling"),
        };
        self.order(spot, AREA);
        let mut kept = self.unknown(spot, AREA);
        self.kept.append(&mut kept);
        for polygon in spot.all("polygon") {
            let text = polygon.node.trimmed();
            match values::polygon(text) {
                Ok((ring, off)) => {
                    off.into_iter().for_each(|code| self.find(code, &polygon.path, ""));
                    area.polygons.push(ring);
                }
                Err(BadShape::TooMany) => self.find(Code::Points, &polygon.path, "> 100000"),
                Err(BadShape::Unreadable) => self.find(Code::BadPolygon, &polygon.path, text),
            }
        }
        for circle in spot.all("circle") {
            match values::circle(circle.node.trimmed()) {
                Some(disc) => {
                    if disc.radius_km == 0.0 {
                        self.find(Code::ZeroCircle, &circle.path, "");
                    }
                    area.circles.push(disc);
                }
                None => self.find(Code::BadCircle, &circle.path, circle.node.trimmed()),
            }
        }
        area
    }

    /// The text of an element that may stand once; None when it is absent or empty.
    fn text(&mut self, spot: &Spot<'a>, name: &str) -> Option<String> {
        let all = spot.all(name);
        if all.len() > 1 {
            self.find(Code::Repeated, &spot.path, name);
        }
        let first = all.into_iter().next()?;
        self.content(&first)
    }

    fn texts(&mut self, spot: &Spot<'a>, name: &str) -> Vec<String> {
        spot.all(name).iter().filter_map(|spot| self.content(spot)).collect()
    }

    fn content(&mut self, spot: &Spot<'a>) -> Option<String> {
        let mut text = spot.node.trimmed().to_owned();
        if let Some(child) = spot.node.children.first() {
            self.find(Code::XmlInText, &spot.path, &child.name);
            text = all_text(spot.node).trim().to_owned();
        }
        (!text.is_empty()).then_some(text)
    }

    /// An element without which the alert cannot be trusted.
    fn vital(&mut self, spot: &Spot<'a>, name: &str) -> Option<String> {
        let text = self.text(spot, name);
        if text.is_none() {
            self.find(Code::Missing, &spot.path, name);
        }
        text
    }

    fn needed(&mut self, spot: &Spot<'a>, name: &str) -> String {
        self.text(spot, name).unwrap_or_else(|| {
            self.find(Code::MissingPart, &spot.path, name);
            String::new()
        })
    }

    fn vital_word<T: Copy>(&mut self, text: &str, name: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let (value, off) = values::match_word(text, all, word);
        match value {
            Some(_) if off => self.find(Code::LooseWord, &format!("alert/{name}"), text),
            Some(_) => {}
            None => self.find(Code::BadWord, &format!("alert/{name}"), text),
        }
        value
    }

    fn word<T: Copy>(
        &mut self,
        spot: &Spot<'a>,
        name: &str,
        text: &str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Option<T> {
        let (value, off) = values::match_word(text, all, word);
        let path = format!("{}/{name}", spot.path);
        match value {
            Some(_) if off => self.find(Code::LooseWord, &path, text),
            Some(_) => {}
            None => self.find(Code::UnknownWord, &path, text),
        }
        value
    }

    fn graded<T: Copy>(&mut self, spot: &Spot<'a>, name: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let text = self.needed(spot, name);
        if text.is_empty() { None } else { self.word(spot, name, &text, all, word) }
    }

    fn time(&mut self, spot: &Spot<'a>, name: &str) -> Option<DateTime<FixedOffset>> {
        let text = self.text(spot, name)?;
        let path = format!("{}/{name}", spot.path);
        match values::time(&text) {
            Some((time, off)) => {
                off.into_iter().for_each(|code| self.find(code, &path, &text));
                Some(time)
            }
            None => {
                self.find(Code::BadPartTime, &path, &text);
                None
            }
        }
    }

    fn number<T: std::str::FromStr>(&mut self, spot: &Spot<'a>, name: &str) -> Option<T> {
        let text = self.text(spot, name)?;
        let number = if is_decimal(&text) { text.parse().ok() } else { None };
        if number.is_none() {
            self.find(Code::BadNumber, &format!("{}/{name}", spot.path), &text);
        }
        number
    }

    /// `valueName` and `value` pairs; CAP 1.0 wrote `name=value` as text.
    fn pairs(&mut self, spot: &Spot<'a>, name: &str) -> Vec<NamedValue> {
        let mut pairs = Vec::new();
        for pair in spot.all(name) {
            let part = |name: &str| pair.node.child(name).map(|node| node.trimmed().to_owned()).unwrap_or_default();
            let (name, value) = match pair.node.trimmed().split_once('=') {
                Some((name, value)) if pair.node.children.is_empty() => {
                    (name.trim().to_owned(), value.trim().to_owned())
                }
                _ => (part("valueName"), part("value")),
            };
            if name.is_empty() || value.is_empty() {
                self.find(Code::BadPair, &pair.path, format!("{name}={value}"));
            }
            if !name.is_empty() || !value.is_empty() {
                pairs.push(NamedValue { name, value });
            }
        }
        pairs
    }

    fn order(&mut self, spot: &Spot<'a>, order: &[&str]) {
        let mut last = 0;
        for child in &spot.node.children {
            let Some(place) = order.iter().position(|name| *name == child.name) else { continue };
            if place < last {
                return self.find(Code::Order, &spot.path, &child.name);
            }
            last = place;
        }
    }

    fn unknown(&mut self, spot: &Spot<'a>, known: &[&str]) -> Vec<Element> {
        let mut kept = Vec::new();
        for child in &spot.node.children {
            let signature = child.name == "Signature";
            if known.contains(&child.name.as_str()) && !signature {
                continue;
            }
            let code = if signature { Code::Signed } else { Code::Unknown };
            self.find(code, &spot.path, if signature { "" } else { &child.name });
            kept.push(Element {
                parent: spot.path.clone(),
                name: child.name.clone(),
                namespace: child.namespace.clone(),
                xml: self.tree.text.get(child.start..child.end).unwrap_or_default().to_owned(),
            });
        }
        kept
    }
}

fn all_text(node: &Node) -> String {
    let mut text = node.text.clone();
    for child in &node.children {
        text.push(' ');
        text.push_str(&all_text(child));
    }
    text
}

/// CAP's default is en-US; a text in Chinese characters is not that, whatever its sender left out.
fn default_language(info: &Node) -> &'static str {
    let han = |c: char| ('\u{4E00}'..='\u{9FFF}').contains(&c);
    let chinese = ["headline", "event", "description"]
        .iter()
        .filter_map(|name| info.child(name))
        .any(|node| node.text.contains(han));
    if chinese { "zh-CN" } else { "en-US" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_message_ends_with_its_last_info_and_has_no_end_where_one_has_none() {
        let text = include_str!("../../tests/cases/cap/qingpu-typhoon-red.xml");
        let (from, to) = (text.find("<info>").unwrap(), text.rfind("</info>").unwrap() + "</info>".len());
        let first = &text[from..text.find("</info>").unwrap() + "</info>".len()];
        let info = |expires: &str| first.replace("<expires>2022-09-15T08:00:00+08:00</expires>", expires);
        let (early, late) = (
            info("<expires>2022-09-14T22:00:00+08:00</expires>"),
            info("<expires>2022-09-15T08:00:00+08:00</expires>"),
        );
        let ends = |infos: &str| {
            let text = format!("{}{infos}{}", &text[..from], &text[to..]);
            crate::cap::read(text.as_bytes()).alert.unwrap().expires().map(|at| at.to_rfc3339())
        };
        let last = Some("2022-09-15T08:00:00+08:00".to_owned());
        assert_eq!((ends(&format!("{early}{late}")), ends(&format!("{late}{early}"))), (last.clone(), last));
        assert_eq!(ends(&format!("{early}{}", info(""))), None);
    }

    #[test]
    fn unknown_elements_are_kept_wherever_they_stand() {
        let text = include_str!("../../tests/cases/cap/qingpu-typhoon-red.xml")
            .replacen("<areaDesc>", "<x:mark xmlns:x='urn:x'>a<b/></x:mark><areaDesc>", 1)
            .replacen("<event>", "<gust>13</gust><event>", 1);
        let alert = crate::cap::read(text.as_bytes()).alert.unwrap();
        let kept = alert.unknown.first().unwrap();
        assert_eq!((kept.parent.as_str(), kept.name.as_str()), ("alert/info[1]/area[1]", "mark"));
        assert_eq!(kept.xml, "<x:mark xmlns:x='urn:x'>a<b/></x:mark>");
        assert_eq!(alert.infos[0].unknown[0].xml, "<gust>13</gust>");
    }
}
