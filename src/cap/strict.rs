//! Whether bytes can be handed on as they came: XML at its strictest, and the OASIS schema of CAP 1.2 as a table. We read what a person
//! would understand; a reader somewhere in the world need not.

use chrono::{DateTime, Datelike as _, Timelike as _};
use encoding_rs::{Encoding, UTF_8};
use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::alert::{Category, Certainty, MsgType, ResponseType, Scope, Severity, Status, Urgency};
use super::finding::Code;
use super::values;
use super::xml::{self, Node};

const CAP: &str = "urn:oasis:names:tc:emergency:cap:1.2";
/// What XML calls white space; Unicode knows more of it.
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

/// What an element holds.
#[derive(Clone, Copy)]
enum Holds {
    /// Text of which this is true.
    Text(fn(&str) -> bool),
    /// Elements, in this order.
    Parts(&'static [Part]),
}

/// An element of another: its name, how often it may stand there, and what it holds.
struct Part(&'static str, Often, Holds);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Often {
    Once,
    Perhaps,
    Any,
    Many,
}

use Holds::{Parts, Text};
use Often::{Any, Many, Once, Perhaps};

const ANYTHING: Holds = Text(|_| true);
const TIME: Holds = Text(is_time);
const URI: Holds = Text(is_uri);
const DECIMAL: Holds = Text(is_decimal);

const ALERT: &[Part] = &[
    Part("identifier", Once, ANYTHING),
    Part("sender", Once, ANYTHING),
    Part("sent", Once, TIME),
    Part("status", Once, Text(|text| Status::parse(text).is_some())),
    Part("msgType", Once, Text(|text| MsgType::parse(text).is_some())),
    Part("source", Perhaps, ANYTHING),
    Part("scope", Once, Text(|text| Scope::parse(text).is_some())),
    Part("restriction", Perhaps, ANYTHING),
    Part("addresses", Perhaps, ANYTHING),
    Part("code", Any, ANYTHING),
    Part("note", Perhaps, ANYTHING),
    Part("references", Perhaps, ANYTHING),
    Part("incidents", Perhaps, ANYTHING),
    Part("info", Any, Parts(INFO)),
];
const INFO: &[Part] = &[
    Part("language", Perhaps, Text(is_language)),
    Part("category", Many, Text(|text| Category::parse(text).is_some())),
    Part("event", Once, ANYTHING),
    Part("responseType", Any, Text(|text| ResponseType::parse(text).is_some())),
    Part("urgency", Once, Text(|text| Urgency::parse(text).is_some())),
    Part("severity", Once, Text(|text| Severity::parse(text).is_some())),
    Part("certainty", Once, Text(|text| Certainty::parse(text).is_some())),
    Part("audience", Perhaps, ANYTHING),
    Part("eventCode", Any, Parts(PAIR)),
    Part("effective", Perhaps, TIME),
    Part("onset", Perhaps, TIME),
    Part("expires", Perhaps, TIME),
    Part("senderName", Perhaps, ANYTHING),
    Part("headline", Perhaps, ANYTHING),
    Part("description", Perhaps, ANYTHING),
    Part("instruction", Perhaps, ANYTHING),
    Part("web", Perhaps, URI),
    Part("contact", Perhaps, ANYTHING),
    Part("parameter", Any, Parts(PAIR)),
    Part("resource", Any, Parts(RESOURCE)),
    Part("area", Any, Parts(AREA)),
];
const PAIR: &[Part] = &[Part("valueName", Once, ANYTHING), Part("value", Once, ANYTHING)];
const RESOURCE: &[Part] = &[
    Part("resourceDesc", Once, ANYTHING),
    Part("mimeType", Once, ANYTHING),
    Part("size", Perhaps, Text(|text| !text.contains('.') && is_decimal(text))),
    Part("uri", Perhaps, URI),
    Part("derefUri", Perhaps, ANYTHING),
    Part("digest", Perhaps, ANYTHING),
];
const AREA: &[Part] = &[
    Part("areaDesc", Once, ANYTHING),
    Part("polygon", Any, Text(is_polygon)),
    Part("circle", Any, Text(is_circle)),
    Part("geocode", Any, Parts(PAIR)),
    Part("altitude", Perhaps, DECIMAL),
    Part("ceiling", Perhaps, DECIMAL),
];

/// Whether every reader of CAP 1.2 can take these bytes as they are: UTF-8, well-formed to the letter, elements and values as the OASIS
/// schema has them, shapes as the standard writes them.
pub fn is_strict(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let Ok(tree) = xml::parse(text.as_bytes()) else { return false };
    let root = &tree.root;
    root.name == "alert" && is_strict_xml(text) && of_cap(root) && holds(root, ALERT)
}

fn of_cap(node: &Node) -> bool {
    // No other attribute is declared.
    node.namespace.as_deref() == Some(CAP) && node.attributes.iter().all(|(name, _)| name == "xsi:schemaLocation")
}

/// Whether an element holds these, each as often as it may, in their order; signatures may follow an alert's.
fn holds(node: &Node, parts: &[Part]) -> bool {
    let mut children = node.children.as_slice();
    for Part(name, often, inside) in parts {
        let named = children.iter().take_while(|child| child.name == *name && of_cap(child)).count();
        let enough = match often {
            Once => named == 1,
            Perhaps => named <= 1,
            Any => true,
            Many => named >= 1,
        };
        let (these, rest) = children.split_at(named);
        let good = |child: &Node| match inside {
            Text(good) => child.children.is_empty() && good(&child.text),
            Parts(parts) => holds(child, parts),
        };
        if !enough || !these.iter().all(good) {
            return false;
        }
        children = rest;
    }
    let signatures = node.name == "alert" && children.iter().all(|child| child.namespace.as_deref() == Some(DSIG));
    is_white(&node.text) && (children.is_empty() || signatures)
}

/// What our lenient reading of XML lets pass, and others' does not.
fn is_strict_xml(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut first = true;
    let mut depth = 0_usize;
    loop {
        let good = match reader.read_event() {
            Ok(Event::Start(tag)) => {
                depth += 1;
                is_strict_tag(&tag)
            }
            Ok(Event::Empty(tag)) => is_strict_tag(&tag),
            Ok(Event::End(_)) => {
                depth = depth.saturating_sub(1);
                true
            }
            Ok(Event::Text(text)) => !text.contains("]]>") && (depth > 0 || is_white(&text)),
            Ok(Event::CData(_) | Event::GeneralRef(_)) => depth > 0,
            Ok(Event::Decl(declaration)) => first && is_utf8(&declaration),
            Ok(Event::PI(instruction)) => !instruction.target().eq_ignore_ascii_case("xml"),
            Ok(Event::Eof) => return text.chars().all(xml::is_xml_char),
            Ok(_) => true,
            Err(_) => false,
        };
        if !good {
            return false;
        }
        first = false;
    }
}

fn is_utf8(declaration: &BytesDecl<'_>) -> bool {
    let encoding = match declaration.encoding() {
        None => Some(UTF_8),
        Some(Ok(name)) => Encoding::for_label(name.as_bytes()),
        Some(Err(_)) => None,
    };
    declaration.version().is_ok_and(|version| version == "1.0") && encoding == Some(UTF_8)
}

/// Attributes stand apart, once each, without `<` and with no entity but XML's own; prefixes stand for something.
fn is_strict_tag(tag: &BytesStart<'_>) -> bool {
    let mut quoted = None;
    let mut after = false;
    for c in tag.attributes_raw().chars() {
        match quoted {
            Some(quote) if c == quote => (quoted, after) = (None, true),
            Some(_) if c == '<' => return false,
            Some(_) => {}
            None if after && !c.is_ascii_whitespace() => return false,
            None => (quoted, after) = (Some(c).filter(|c| matches!(c, '"' | '\'')), false),
        }
    }
    let named = |name: &str| {
        let name = name.split_once(':').map_or(name, |(_, local)| local);
        name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !name.contains(':')
    };
    tag.attributes().all(|attribute| {
        attribute.is_ok_and(|attribute| {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
            let bound = !attribute.key.as_ref().starts_with("xmlns:") || !attribute.value.is_empty();
            named(attribute.key.as_ref()) && value.is_ok() && bound
        })
    })
}

fn trim(text: &str) -> &str {
    text.trim_matches(WHITE)
}

fn is_white(text: &str) -> bool {
    trim(text).is_empty()
}

fn is_time(text: &str) -> bool {
    let text = trim(text);
    // The parser lets spaces and signs stand before a number.
    let like = |(b, form): (u8, &u8)| match form {
        b'0' => b.is_ascii_digit(),
        b'+' => matches!(b, b'+' | b'-'),
        other => b == *other,
    };
    text.len() == 25
        && text.bytes().zip(b"0000-00-00T00:00:00+00:00").all(like)
        && DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%:z").is_ok_and(|at| {
            let zone = at.offset().local_minus_utc().abs();
            at.year() >= 1 && at.nanosecond() < 1_000_000_000 && zone <= 14 * 3_600
        })
}

/// As `xs:language` has it.
pub(super) fn is_language(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = trim(text).split('-');
    parts.next().is_some_and(|first| part(first) && first.bytes().all(|b| b.is_ascii_alphabetic())) && parts.all(part)
}

/// As `xs:decimal` has it.
pub(super) fn is_decimal(text: &str) -> bool {
    let text = trim(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && part.is_empty()) && whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit())
}

/// An address, whole or relative (RFC 3986); characters beyond ASCII may stand as they are.
pub(super) fn is_uri(text: &str) -> bool {
    let text = trim(text);
    let plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._~:/?#@!$&'()*+,;=%".contains(c);
    let escaped = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let head = text.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme = head.split_once(':').is_none_or(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    let host = text.split_once("//").filter(|(before, _)| before.is_empty() || before.ends_with(':'));
    let port = host.and_then(|(_, rest)| rest.split(['/', '?', '#']).next()?.rsplit('@').next()?.split_once(':'));
    text.chars().all(plain)
        && text.split('%').skip(1).all(escaped)
        && text.matches('#').count() <= 1
        && scheme
        && port.is_none_or(|(_, port)| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Four pairs and more apart by spaces, the last one the first again.
fn is_polygon(text: &str) -> bool {
    let said_otherwise = [Code::LoosePolygon, Code::OpenPolygon];
    words(text).all(is_pair)
        && values::polygon(text).is_ok_and(|(_, off)| !off.iter().any(|code| said_otherwise.contains(code)))
}

/// A pair, a space and a radius.
fn is_circle(text: &str) -> bool {
    let pair_and_radius: Vec<_> = words(text).take(3).collect();
    matches!(pair_and_radius.as_slice(), [pair, radius] if is_pair(pair) && is_number(radius))
        && values::circle(text).is_some()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(WHITE).filter(|word| !word.is_empty())
}

/// Latitude and longitude, with nothing between them but the comma.
fn is_pair(text: &str) -> bool {
    let number = |text: &str| is_number(text.strip_prefix('-').unwrap_or(text));
    text.split_once(',').is_some_and(|(lat, lon)| number(lat) && number(lon))
}

/// Digits, and perhaps a point and digits.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.').map_or_else(|| digits(text), |(whole, part)| digits(whole) && digits(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>1</identifier><sender>s</sender>\
        <sent>2022-09-14T19:45:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info>\
        <category>Met</category><event>e</event><urgency>Future</urgency><severity>Minor</severity><certainty>Likely</certainty>\
        <area><areaDesc>a</areaDesc><polygon>31,121 31.5,121 31.5,121.5 31,121</polygon><circle>-31.5,121 5.5</circle></area>\
        </info></alert>";

    #[test]
    fn only_what_xml_calls_white_space_is_any() {
        assert!(is_strict(GOOD.as_bytes()));
        for (from, to) in [
            ("<status>", "\u{3000}<status>"),
            ("</info>", "\u{A0}</info>"),
            ("00</sent>", "00\u{A0}</sent>"),
            ("T19:45", "T 9:45"),
            ("31,121 31.5", "31,121\u{3000}31.5"),
            ("31,121 31.5", "31,121, 31.5"),
            ("31,121 31.5", "31,121 , 31.5"),
            ("<polygon>31,", "<polygon>3.1e1,"),
            ("<polygon>31,", "<polygon>+31,"),
            ("<polygon>31,", "<polygon>31.,"),
            ("121 5.5", "121\u{2003}5.5"),
            ("121 5.5", "121 5e0"),
            ("</alert>", "</alert>\u{3000}"),
            ("</alert>", "</alert>&#32;"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert!(bad != GOOD && !is_strict(bad.as_bytes()), "{from:?} as {to:?}");
        }
        for (from, to) in [
            ("<status>", "\r\n\t <status>"),
            ("00</sent>", "00 \n</sent>"),
            ("31,121 31.5", "31,121\n\t31.5"),
            ("</alert>", "</alert>\n"),
        ] {
            assert!(is_strict(GOOD.replacen(from, to, 1).as_bytes()), "{from:?} as {to:?}");
        }
    }
}
