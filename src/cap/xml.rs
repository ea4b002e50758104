//! A safe reading of XML into a small tree.
//!
//! No DTD, no entities but the five of XML 1.0 section 4.6, limits on everything that grows; a document is whole or refused.

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// The largest message that is read, bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
pub(crate) const MAX_DEPTH: usize = 64;
pub(crate) const MAX_NODES: usize = 200_000;
const MAX_ATTRIBUTES: usize = 64;
/// So many alerts of a document, or of an entry, know what is declared around them; more are not signed one by one.
const MAX_SCOPES: usize = 500;

/// Why a text is not XML that may be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    /// More than 4 MiB.
    #[error("{0} bytes, more than the {MAX_BYTES} that are read")]
    TooLarge(usize),
    /// Nested deeper than 64, more than 200,000 elements, or more than 64 attributes on one.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// A document type declaration: the door of entity bombs and of files that are not ours.
    #[error("a DOCTYPE")]
    Doctype,
    /// An entity that XML itself does not define.
    #[error("the entity &{0};")]
    Entity(String),
    /// An encoding that is not read here, or bytes that are not in the encoding they claim.
    #[error("{0}")]
    Encoding(String),
    /// Not well-formed.
    #[error("{what}, at byte {at}")]
    Malformed {
        /// What is wrong.
        what: String,
        /// Where, in the text as UTF-8.
        at: usize,
    },
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// Attributes by their full names; declarations of namespaces are left out.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Node>,
    /// Character data directly inside.
    pub(crate) text: String,
    /// The element's own XML.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Of an alert: the namespaces that are declared further out, by attribute name.
    outer: Vec<(String, String)>,
}

impl Node {
    /// An element without place in a text.
    pub(crate) fn new(name: &str, namespace: Option<String>) -> Self {
        let (attributes, children) = (Vec::new(), Vec::new());
        let (text, outer) = (String::new(), Vec::new());
        Self { name: name.to_owned(), namespace, attributes, children, text, start: 0, end: 0, outer }
    }

    /// An attribute's value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The text of the first child of this local name, where it has any.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::trimmed).filter(|text| !text.is_empty())
    }

    /// The text without white space around it.
    pub(crate) fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// The first child of this local name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Every element of this local name at any depth, outermost only.
    pub(crate) fn descendants<'a>(&'a self, name: &'a str, found: &mut Vec<&'a Self>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            } else {
                child.descendants(name, found);
            }
        }
    }
}

/// A parsed text.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) root: Node,
    /// The text in UTF-8, for the XML of elements that are kept as they are.
    pub(crate) text: String,
    /// Bytes that were not in the encoding they claimed were replaced.
    pub(crate) repaired: bool,
}

/// Reads a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Tree, XmlError> {
    if bytes.len() > MAX_BYTES {
        return Err(XmlError::TooLarge(bytes.len()));
    }
    walk(bytes, &[], &mut |_, _| {})
}

/// Reads a document of any size whose elements of these names, at most two levels below the root, are handed over one by one and
/// not kept: the limit of elements holds for each of them. `visit` gets the text too, in UTF-8.
pub(crate) fn walk(bytes: &[u8], takes: &[&str], visit: &mut dyn FnMut(Node, &str)) -> Result<Tree, XmlError> {
    let (text, repaired) = decode(bytes)?;
    let mut reader = NsReader::from_str(&text);
    let declared = Vec::new();
    let mut builder =
        Builder { open: Vec::new(), root: None, nodes: 0, takes, before: 0, declared, scopes: MAX_SCOPES };
    loop {
        let before = position(reader.buffer_position());
        let (namespace, event) = reader.read_resolved_event().map_err(|e| malformed(e, before))?;
        let namespace = match namespace {
            ResolveResult::Bound(ns) => Some(ns.0.to_owned()),
            ResolveResult::Unbound => None,
            ResolveResult::Unknown(prefix) => {
                return Err(malformed(format!("the prefix {prefix} is not declared"), before));
            }
        };
        let after = |reader: &NsReader<&[u8]>| position(reader.buffer_position());
        match event {
            Event::Start(tag) => builder.open(&tag, namespace, before)?,
            Event::Empty(tag) => {
                builder.open(&tag, namespace, before)?;
                builder.close(after(&reader))?.into_iter().for_each(|node| visit(node, &text));
            }
            Event::End(_) => builder.close(after(&reader))?.into_iter().for_each(|node| visit(node, &text)),
            Event::Text(text) => builder.text(&text.xml10_content(), before)?,
            Event::CData(data) => builder.text(&data.xml10_content(), before)?,
            Event::GeneralRef(reference) => {
                let text = resolve(&reference, before)?;
                builder.text(text.encode_utf8(&mut [0; 4]), before)?;
            }
            Event::DocType(_) => return Err(XmlError::Doctype),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match builder.root {
        Some(root) if builder.open.is_empty() => Ok(Tree { root, text, repaired }),
        Some(_) | None => Err(malformed("the document ends before its root element does", text.len())),
    }
}

struct Builder<'a> {
    open: Vec<Node>,
    root: Option<Node>,
    nodes: usize,
    /// Elements that are handed over.
    takes: &'a [&'a str],
    /// How many elements there were before the one that will be.
    before: usize,
    /// Namespaces declared by the elements that are open, with how deep those lie.
    declared: Vec<(usize, String, String)>,
    /// So many alerts more get to know what is declared around them.
    scopes: usize,
}

impl Builder<'_> {
    fn open(&mut self, tag: &BytesStart<'_>, namespace: Option<String>, at: usize) -> Result<(), XmlError> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(malformed("a second root element", at));
        }
        if self.is_taken(tag.local_name().as_ref()) {
            self.before = self.nodes;
        }
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(XmlError::TooMany("elements"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(XmlError::TooMany("levels of elements in one another"));
        }
        let mut node = Node::new(tag.local_name().as_ref(), namespace);
        let outer = self.declared.len();
        for (n, attribute) in tag.attributes().with_checks(false).enumerate() {
            if n >= MAX_ATTRIBUTES {
                return Err(XmlError::TooMany("attributes on one element"));
            }
            let attribute = attribute.map_err(|e| malformed(e, at))?;
            let name = attribute.key.as_ref();
            let Ok(value) = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0) else { continue };
            if name.starts_with("xmlns") {
                self.declared.push((self.open.len(), name.to_owned(), value.into_owned()));
            } else {
                node.attributes.push((name.to_owned(), value.into_owned()));
            }
        }
        if node.name == "alert" && self.scopes > 0 {
            self.scopes -= 1;
            node.outer = in_scope(&self.declared, outer);
        }
        node.start = at;
        self.open.push(node);
        Ok(())
    }

    /// Ends an element; gives it back where it is one that is handed over.
    fn close(&mut self, at: usize) -> Result<Option<Node>, XmlError> {
        let Some(mut node) = self.open.pop() else { return Err(malformed("an end tag without its start", at)) };
        node.end = at;
        let depth = self.open.len();
        self.declared.truncate(self.declared.partition_point(|(at, ..)| *at < depth));
        if self.is_taken(&node.name) {
            self.nodes = self.before;
            self.scopes = MAX_SCOPES;
            return Ok(Some(node));
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
        Ok(None)
    }

    fn is_taken(&self, name: &str) -> bool {
        (1..=2).contains(&self.open.len()) && self.takes.contains(&name)
    }

    fn text(&mut self, text: &str, at: usize) -> Result<(), XmlError> {
        if let Some(bad) = text.chars().find(|c| !is_xml_char(*c)) {
            return Err(malformed(format!("the character U+{:04X}", u32::from(bad)), at));
        }
        match self.open.last_mut() {
            Some(node) => node.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(malformed("text outside the root element", at)),
        }
        Ok(())
    }
}

/// What is declared around an element, the innermost first and no name twice, less what it declares itself from `own` on.
fn in_scope(declared: &[(usize, String, String)], own: usize) -> Vec<(String, String)> {
    let (outer, own) = declared.split_at(own);
    let mut found: Vec<(String, String)> = Vec::new();
    for (_, name, value) in outer.iter().rev() {
        let known = own.iter().any(|(_, own, _)| own == name) || found.iter().any(|(known, _)| known == name);
        if !known && found.len() < MAX_ATTRIBUTES {
            found.push((name.clone(), value.clone()));
        }
    }
    found
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>, at: usize) -> Result<char, XmlError> {
    if reference.is_char_ref() {
        let character = reference.resolve_char_ref().map_err(|e| malformed(e, at))?;
        return character.filter(|c| is_xml_char(*c)).ok_or_else(|| malformed("a character that XML forbids", at));
    }
    let name = reference.xml10_content();
    match name.as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(XmlError::Entity(other.chars().take(40).collect())),
    }
}

/// XML 1.0 section 2.2.
pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// UTF-8 by its mark or by default, UTF-16 by its mark, anything else by the XML declaration.
fn decode(bytes: &[u8]) -> Result<(String, bool), XmlError> {
    let encoding = match bytes {
        [0xFE, 0xFF, ..] => UTF_16BE,
        [0xFF, 0xFE, ..] => UTF_16LE,
        [0xEF, 0xBB, 0xBF, ..] => UTF_8,
        _ => declared(bytes)?,
    };
    let (text, _, repaired) = encoding.decode(bytes);
    if repaired && encoding == UTF_8 {
        // Chinese bureaus send GBK that says UTF-8, or says nothing.
        let (chinese, _, wrong) = GB18030.decode(bytes);
        if !wrong {
            return Ok((chinese.into_owned(), true));
        }
    }
    Ok((text.into_owned(), repaired))
}

fn declared(bytes: &[u8]) -> Result<&'static Encoding, XmlError> {
    let head = String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes));
    let Some(declaration) = head.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split("?>").next()) else {
        return Ok(UTF_8);
    };
    let Some((_, value)) = declaration.split_once("encoding") else { return Ok(UTF_8) };
    let value = value.trim_start().trim_start_matches('=').trim_start();
    let name: String = value.trim_start_matches(['"', '\'']).chars().take_while(|c| !matches!(c, '"' | '\'')).collect();
    // Bytes without a mark that can be read as ASCII this far are not UTF-16, whatever they say.
    match Encoding::for_label(name.as_bytes()) {
        Some(encoding) if encoding == UTF_16BE || encoding == UTF_16LE => Ok(UTF_8),
        Some(encoding) => Ok(encoding),
        None => Err(XmlError::Encoding(format!("the encoding {name}", name = name.escape_debug()))),
    }
}

/// An element as a document of its own: its own bytes, with what they need of the declarations that stand further out, so that a
/// signature still holds; where they cannot stand alone even so, written anew.
pub(crate) fn standalone(node: &Node, text: &str) -> String {
    let own = declaring(node, text.get(node.start..node.end).unwrap_or_default());
    match parse(own.as_bytes()) {
        Ok(tree) if tree.root.namespace == node.namespace => own,
        _ => {
            let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
            write(&mut out, node, None);
            out
        }
    }
}

/// An element's own XML, declaring those namespaces of further out that it uses. What it does not use is left out: it would be one
/// more thing that was not signed.
fn declaring(node: &Node, own: &str) -> String {
    use quick_xml::escape::escape;
    let tag = own.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).unwrap_or(own.len());
    let (tag, rest) = own.split_at(tag);
    let used = |name: &str| match name.strip_prefix("xmlns:") {
        Some(prefix) => own.contains(&format!("{prefix}:")),
        None => name == "xmlns" && !tag.contains(':'),
    };
    let declarations = node.outer.iter().filter(|(name, _)| used(name));
    let declarations: String = declarations.map(|(name, value)| format!(" {name}=\"{}\"", escape(value))).collect();
    format!("{tag}{declarations}{rest}")
}

fn write(out: &mut String, node: &Node, outer: Option<&str>) {
    use quick_xml::escape::escape;
    let namespace = node.namespace.as_deref();
    out.push('<');
    out.push_str(&node.name);
    if namespace != outer {
        out.push_str(&format!(" xmlns=\"{}\"", escape(namespace.unwrap_or_default())));
    }
    // A prefix that is declared further out would be lost; `xml:` is everywhere.
    for (name, value) in node.attributes.iter().filter(|(name, _)| !name.contains(':') || name.starts_with("xml:")) {
        out.push_str(&format!(" {name}=\"{}\"", escape(value)));
    }
    out.push('>');
    out.push_str(&escape(&node.text));
    node.children.iter().for_each(|child| write(out, child, namespace));
    out.push_str(&format!("</{}>", node.name));
}

fn malformed(what: impl std::fmt::Display, at: usize) -> XmlError {
    XmlError::Malformed { what: what.to_string().chars().take(200).collect(), at }
}

fn position(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_and_broken_documents_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_NODES + 1));
        let attributes: String = (0..100).map(|n| format!(" a{n}='1'")).collect();
        let cases: &[(&str, &str)] = &[
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "a DOCTYPE"),
            ("<a>&nbsp;</a>", "the entity &nbsp;"),
            ("<a>", "ends before"),
            ("", "ends before"),
            ("<a/><b/>", "second root"),
            ("<a/>junk", "outside the root"),
            ("<a><b></a>", "mismatched"),
            ("<x:a/>", "prefix x is not declared"),
            ("<a>&#1;</a>", "forbids"),
            ("<?xml version='1.0' encoding='klingon'?><a/>", "encoding klingon"),
            (&deep, "levels"),
            (&many, "elements"),
            (&format!("<a{attributes}/>"), "attributes"),
        ];
        for (text, says) in cases {
            let error = parse(text.as_bytes()).expect_err(&text.chars().take(60).collect::<String>()).to_string();
            assert!(error.contains(says) || (*says == "mismatched" && error.contains("expected")), "{error} / {says}");
        }
        assert_eq!(parse(&vec![b' '; MAX_BYTES + 1]).unwrap_err(), XmlError::TooLarge(MAX_BYTES + 1));
    }

    #[test]
    fn chinese_encodings_are_read_marked_or_not() {
        let text = "<?xml version='1.0' encoding='GB2312'?><a>台风红色预警</a>";
        let (gb, ..) = GB18030.encode(text);
        assert_eq!(parse(&gb).unwrap().root.text, "台风红色预警");
        let (silent, ..) = GB18030.encode("<a>台风红色预警</a>");
        let tree = parse(&silent).unwrap();
        assert_eq!((tree.root.text.as_str(), tree.repaired), ("台风红色预警", true));
        let mut utf16 = vec![0xFF, 0xFE];
        utf16.extend("<a>风</a>".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(parse(&utf16).unwrap().root.text, "风");
    }

    #[test]
    fn an_element_stands_alone_byte_for_byte_or_with_its_namespaces() {
        let text = "<f xmlns:c='urn:c'><c:a><c:b x='1'>&lt;风</c:b></c:a><a xmlns='urn:d'><b/></a></f>";
        let mut taken = Vec::new();
        walk(text.as_bytes(), &["a"], &mut |node, text| taken.push((standalone(&node, text), node))).unwrap();
        assert_eq!(taken[1].0, "<a xmlns='urn:d'><b/></a>");
        let again = parse(taken[0].0.as_bytes()).unwrap().root;
        assert_eq!((again.namespace.as_deref(), again.children[0].text.as_str()), (Some("urn:c"), "<风"));
        assert_eq!(again.children[0].attribute("x"), Some("1"));
    }

    #[test]
    fn a_long_feed_is_walked_without_being_kept() {
        let text = format!("<feed>{}</feed>", "<entry><id>1</id></entry>".repeat(MAX_NODES));
        let mut n = 0;
        let rest = walk(text.as_bytes(), &["entry"], &mut |_, _| n += 1).unwrap();
        assert_eq!((n, rest.root.children.len()), (MAX_NODES, 0));
        assert!(parse(text.as_bytes()).is_err());
    }

    #[test]
    fn entities_cdata_and_comments_make_one_text() {
        let tree = parse("<a>x &lt;<!-- no --><![CDATA[<b>]]>&#x98CE;</a>".as_bytes()).unwrap();
        assert_eq!(tree.root.text, "x <<b>风");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_markup_makes_it_panic(text in "[<>/a&;#x0'\"=!\\[\\]?: -]{0,80}") {
            let _ = parse(text.as_bytes());
        }
    }
}
