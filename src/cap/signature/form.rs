//! The one form of signature that is taken.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::SignatureFault;
use crate::cap::alert::Alert;
use crate::cap::finding::Code;
use crate::cap::xml::{self, Node, Tree};

impl SignatureFault {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const CANONICAL: [&str; 6] = [
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2006/12/xml-c14n11",
    "http://www.w3.org/2006/12/xml-c14n11#WithComments",
];
/// Public-key signatures over SHA-2; no HMAC, no SHA-1, no DSA.
const SIGNATURES: [&str; 8] = [
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
];
const DIGESTS: [&str; 3] = [
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
];

/// The document of an alert whose signature has the one form that is taken; its text without the XML declaration.
///
/// # Errors
/// When there is no signature, or it has another form, or algorithms that prove nothing.
pub(super) fn well_formed(raw: &[u8]) -> Result<String, SignatureFault> {
    let form = |what: &str| SignatureFault::new(Code::SignatureForm, what);
    let tree = xml::parse(raw).map_err(|error| form(&error.to_string()))?;
    if tree.repaired {
        return Err(form("bytes are not in the encoding they claim"));
    }
    match count(&tree.root) {
        0 => return Err(SignatureFault::new(Code::Unsigned, "")),
        1 => {}
        many => return Err(form(&format!("{many} signatures"))),
    }
    let last = tree.root.children.last().filter(|node| node.name == "Signature");
    let Some(signature) = last.filter(|node| node.namespace.as_deref() == Some(DSIG)) else {
        return Err(form("it is not the alert's last element"));
    };
    check_form(tree.text.get(signature.start..signature.end).unwrap_or_default())?;
    Ok(document(&tree))
}

/// What the reader saw, and what was signed, are the same alert: two parsers must not be told two stories.
pub(super) fn is_what_was_read(alert: &Alert, canonical: &[u8]) -> bool {
    let plain = |alert: &Alert| {
        let mut alert = Alert { unknown: Vec::new(), ..alert.clone() };
        alert.infos.iter_mut().for_each(|info| info.unknown.clear());
        alert
    };
    crate::cap::read(canonical).alert.is_some_and(|signed| plain(&signed) == plain(alert))
}

/// Signatures of any name space, at any depth.
pub(super) fn count(node: &Node) -> usize {
    usize::from(node.name == "Signature") + node.children.iter().map(count).sum::<usize>()
}

/// The text without its declaration: it says the encoding that the bytes had.
pub(super) fn document(tree: &Tree) -> String {
    let text = tree.text.trim_start_matches('\u{FEFF}').trim_start();
    match text.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.trim_start().to_owned(),
        None => text.to_owned(),
    }
}

/// Goes through a signature's elements; every one must be known, and say what is taken.
fn check_form(signature: &str) -> Result<(), SignatureFault> {
    let form = |what: String| SignatureFault::new(Code::SignatureForm, what);
    let mut reader = Reader::from_str(signature);
    let (mut open, mut references, mut enveloped): (Vec<String>, u32, bool) = (Vec::new(), 0, false);
    loop {
        let event = reader.read_event().map_err(|error| form(error.to_string()))?;
        let (tag, stays) = match &event {
            Event::Start(tag) => (tag, true),
            Event::Empty(tag) => (tag, false),
            Event::End(_) => {
                open.pop();
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        open.push(tag.local_name().as_ref().to_owned());
        let path = open.join("/");
        let path = path.strip_prefix("Signature/").unwrap_or(&path);
        match path {
            "Signature" | "SignedInfo" | "SignatureValue" | "KeyInfo" => {}
            "SignedInfo/Reference/Transforms" | "SignedInfo/Reference/DigestValue" => {}
            "SignedInfo/CanonicalizationMethod" => algorithm(tag, &CANONICAL)?,
            "SignedInfo/SignatureMethod" => algorithm(tag, &SIGNATURES)?,
            "SignedInfo/Reference/DigestMethod" => algorithm(tag, &DIGESTS)?,
            "SignedInfo/Reference" => {
                references += 1;
                match attribute(tag, "URI").as_deref() {
                    Some("") => {}
                    other => return Err(form(format!("it signs {} and not the whole alert", other.unwrap_or("?")))),
                }
            }
            "SignedInfo/Reference/Transforms/Transform" => {
                if attribute(tag, "Algorithm").as_deref() == Some(ENVELOPED) {
                    enveloped = true;
                } else {
                    algorithm(tag, &CANONICAL)?;
                }
            }
            known if known.starts_with("KeyInfo/") || known.ends_with("/InclusiveNamespaces") => {}
            other => return Err(form(format!("it holds {other}"))),
        }
        if !stays {
            open.pop();
        }
    }
    match (references, enveloped) {
        (1, true) => Ok(()),
        (1, false) => Err(form("it is not enveloped".into())),
        (n, _) => Err(form(format!("{n} references"))),
    }
}

fn algorithm(tag: &BytesStart<'_>, taken: &[&str]) -> Result<(), SignatureFault> {
    let named = attribute(tag, "Algorithm").unwrap_or_default();
    if taken.contains(&named.as_str()) { Ok(()) } else { Err(SignatureFault::new(Code::SignatureWeak, named)) }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().filter_map(Result::ok).find(|attribute| attribute.key.as_ref() == name)?;
    Some(found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?.into_owned())
}
