//! What an MQTT message carries, told by its content: an alert, CAP Composer's base64 form, or a WIS2 notification.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use ring::digest::{self, SHA256, SHA384, SHA512};
use serde_json::Value;

use super::fetch::unpack;
use super::problem::{Problem, ProblemCode};

const LIMIT: usize = 4 * 1024 * 1024;

/// Where a message's alert is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// In the message, checked where it names a check.
    Here(Vec<u8>),
    /// Behind a link.
    Link(Url, Option<Integrity>),
    /// It tells of something else: why it is let go.
    Nothing(&'static str),
}

/// What the content's digest must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Integrity {
    method: String,
    value: String,
}

/// Reads a message.
pub(super) fn read(payload: &[u8]) -> Result<Notice, Problem> {
    let text = payload.trim_ascii();
    if text.is_empty() {
        return Ok(Notice::Nothing("empty: a retained message was cleared"));
    }
    if text.first() != Some(&b'{') {
        // The bare base64 of a document is told from a document by its first bytes.
        let bare = STANDARD.decode(text).ok().filter(|bytes| bytes.trim_ascii_start().starts_with(b"<"));
        return Ok(Notice::Here(bare.unwrap_or_else(|| payload.to_vec())));
    }
    let value: Value = serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
    if let Some(data) = value.get("data").and_then(Value::as_str) {
        let packed: String = data.split_whitespace().collect();
        return STANDARD.decode(packed).map(Notice::Here).map_err(|error| bad(format!("data: {error}")));
    }
    let wis2 = value.get("type").and_then(Value::as_str) == Some("Feature") || value.get("links").is_some();
    if wis2 { notification(&value) } else { Ok(Notice::Here(payload.to_vec())) }
}

fn bad(what: String) -> Problem {
    Problem::new(ProblemCode::Notice, what)
}

/// WMO's WIS2 notification: content inline, or behind the link whose relation is `canonical` or `update`.
fn notification(value: &Value) -> Result<Notice, Problem> {
    let text = |at: &str| value.pointer(at).and_then(Value::as_str);
    let integrity = match (text("/properties/integrity/method"), text("/properties/integrity/value")) {
        (Some(method), Some(value)) => Some(Integrity { method: method.to_owned(), value: value.to_owned() }),
        (None, None) => None,
        _ => return Err(bad("properties.integrity is incomplete".into())),
    };
    let links = value.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of = |rel: &str| links.iter().find(|link| link.get("rel").and_then(Value::as_str) == Some(rel));
    if of("deletion").is_some() {
        return Ok(Notice::Nothing("a deletion of data ends no alert"));
    }
    if let Some(content) = text("/properties/content/value") {
        let decode = |content: &str| STANDARD.decode(content).map_err(|error| bad(format!("content: {error}")));
        let bytes = match text("/properties/content/encoding") {
            Some("utf-8") | None => content.as_bytes().to_vec(),
            Some("base64") => decode(content)?,
            Some("gzip") => unpack(&decode(content)?, LIMIT)?,
            Some(other) => return Err(bad(format!("content in the encoding {other}"))),
        };
        if let Some(integrity) = &integrity {
            integrity.check(&bytes)?;
        }
        return Ok(Notice::Here(bytes));
    }
    let link = of("update").or_else(|| of("canonical")).or_else(|| of("http")).or(links.first());
    let href = link.and_then(|link| link.get("href")).and_then(Value::as_str);
    let url = href.and_then(|href| Url::parse(href).ok()).ok_or_else(|| bad("no link that can be followed".into()))?;
    Ok(Notice::Link(url, integrity))
}

impl Integrity {
    /// Whether these bytes are the ones that were meant.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), Problem> {
        let algorithm = match self.method.to_ascii_lowercase().replace('-', "").as_str() {
            "sha256" => &SHA256,
            "sha384" => &SHA384,
            "sha512" => &SHA512,
            _ => return Err(Problem::new(ProblemCode::NoMethod, &self.method)),
        };
        let digest = digest::digest(algorithm, bytes);
        let same = self.value == STANDARD.encode(digest.as_ref())
            || self.value.eq_ignore_ascii_case(&crate::hex(digest.as_ref()));
        same.then_some(()).ok_or_else(|| Problem::new(ProblemCode::Integrity, &self.method))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const CAP: &[u8] = b"<alert/>";

    fn of(value: &Value) -> Result<Notice, Problem> {
        read(value.to_string().as_bytes())
    }

    #[test]
    fn each_form_is_told_by_its_content() {
        assert_eq!(read(CAP), Ok(Notice::Here(CAP.to_vec())));
        assert_eq!(read(STANDARD.encode(CAP).as_bytes()), Ok(Notice::Here(CAP.to_vec())));
        assert_eq!(of(&json!({"filename": "a.xml", "data": STANDARD.encode(CAP)})), Ok(Notice::Here(CAP.to_vec())));
        let own = json!({"identifier": "1", "sender": "s"});
        assert_eq!(of(&own), Ok(Notice::Here(own.to_string().into_bytes())));
        assert!(matches!(read(b""), Ok(Notice::Nothing(_))));
        assert_eq!(of(&json!({"data": "***"})).unwrap_err().code, ProblemCode::Notice);
        assert_eq!(read(b"{").unwrap_err().code, ProblemCode::Notice);
    }

    #[test]
    fn a_notifications_content_is_used_only_if_it_is_the_one_that_was_meant() {
        let notice = |method: &str, value: String, content: Value| {
            of(
                &json!({"type": "Feature", "properties": {"integrity": {"method": method, "value": value}, "content": content}, "links": []}),
            )
        };
        let right = STANDARD.encode(digest::digest(&SHA512, CAP).as_ref());
        let plain = json!({"encoding": "utf-8", "value": "<alert/>", "size": 8});
        let coded = json!({"encoding": "base64", "value": STANDARD.encode(CAP)});
        assert_eq!(notice("sha512", right.clone(), plain.clone()), Ok(Notice::Here(CAP.to_vec())));
        assert_eq!(notice("sha512", right.clone(), coded), Ok(Notice::Here(CAP.to_vec())));
        assert_eq!(
            notice("sha512", right, json!({"value": "<alert> </alert>"})).unwrap_err().code,
            ProblemCode::Integrity
        );
        assert_eq!(
            notice("crc32", "1".into(), plain).unwrap_err().code,
            ProblemCode::NoMethod,
            "what cannot be checked is not used"
        );
    }

    #[test]
    fn packed_content_is_unpacked_within_bounds_and_checked_as_it_was_meant() {
        use std::io::Write as _;
        let pack = |bytes: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        };
        let integrity = json!({"method": "sha512", "value": STANDARD.encode(digest::digest(&SHA512, CAP).as_ref())});
        let notice = |encoding: &str, value: &[u8]| {
            let content = json!({"encoding": encoding, "value": STANDARD.encode(value)});
            of(&json!({"type": "Feature", "properties": {"integrity": integrity, "content": content}, "links": []}))
        };
        assert_eq!(notice("gzip", &pack(CAP)), Ok(Notice::Here(CAP.to_vec())));
        let bad = |encoding: &str, value: &[u8]| notice(encoding, value).unwrap_err().code;
        assert_eq!(bad("gzip", &pack(CAP)[..12]), ProblemCode::Broken);
        assert_eq!(bad("gzip", &pack(&vec![b' '; LIMIT + 1])), ProblemCode::TooLarge);
        assert_eq!(bad("gzip", &pack(b"<alert />")), ProblemCode::Integrity);
        assert_eq!(bad("brotli", CAP), ProblemCode::Notice);
    }

    #[test]
    fn what_is_updated_lies_behind_the_link_that_says_so_and_a_deletion_beside_it_counts() {
        let links = |rels: &[&str]| {
            let links: Vec<_> =
                rels.iter().map(|rel| json!({"rel": rel, "href": format!("https://a.example/{rel}")})).collect();
            of(&json!({"type": "Feature", "properties": {}, "links": links}))
        };
        let leads = |rels: &[&str]| match links(rels) {
            Ok(Notice::Link(url, None)) => url.path().to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(leads(&["canonical", "update"]), "/update");
        assert_eq!(leads(&["item", "canonical"]), "/canonical");
        assert_eq!(leads(&["item"]), "/item");
        assert!(matches!(links(&["deletion", "canonical"]), Ok(Notice::Nothing(_))));
    }

    #[test]
    fn a_link_comes_with_its_check_and_a_deletion_is_let_go() {
        let linked = |rel: &str| {
            of(
                &json!({"type": "Feature", "properties": {}, "links": [{"rel": rel, "href": "https://a.example/1.xml"}]}),
            )
        };
        assert_eq!(linked("canonical"), Ok(Notice::Link("https://a.example/1.xml".parse().unwrap(), None)));
        assert!(matches!(linked("deletion"), Ok(Notice::Nothing(_))));
        assert_eq!(of(&json!({"type": "Feature", "links": []})).unwrap_err().code, ProblemCode::Notice);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
