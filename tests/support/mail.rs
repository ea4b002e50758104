//! Mails and short messages as they came; mails are read back part by part.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tocsin_sinks::Tally;
use tocsin_sinks::real::SmtpSink;

/// One part of a mail: its kind, and its bytes decoded.
pub struct Part {
    pub kind: String,
    pub bytes: Vec<u8>,
}

impl Part {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// The parts of a mail that hold something, in order.
pub fn parts(mail: &str) -> Vec<Part> {
    let mail = mail.replace("\r\n", "\n");
    let mut parts = Vec::new();
    // Each part begins behind a line with its boundary; the first piece is the mail's own head.
    for piece in mail.split("\n--").skip(1) {
        let Some((_, piece)) = piece.split_once('\n') else { continue };
        let Some((head, body)) = piece.split_once("\n\n") else { continue };
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(str::to_owned));
            line.unwrap_or_default().trim().to_owned()
        };
        let kind = field("content-type:").split(';').next().unwrap().to_owned();
        if kind.starts_with("multipart") || kind.is_empty() {
            continue;
        }
        let bytes = match field("content-transfer-encoding:").as_str() {
            "base64" => STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap(),
            "quoted-printable" => unquote(body),
            _ => body.as_bytes().to_vec(),
        };
        parts.push(Part { kind, bytes });
    }
    parts
}

fn unquote(body: &str) -> Vec<u8> {
    let body = body.replace("=\n", "");
    let (mut bytes, mut rest) = (Vec::new(), body.as_bytes());
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        (rest, _) = match (first, hex) {
            (b'=', Some(byte)) => (&tail[2..], bytes.push(byte)),
            _ => (tail, bytes.push(*first)),
        };
    }
    bytes
}

/// All texts of a mail, one behind the other.
pub fn said(mail: &str) -> String {
    let texts = parts(mail).into_iter().filter(|part| part.kind == "text/plain").map(|part| part.text());
    texts.collect::<Vec<_>>().join("\n")
}

/// The address of its one-click leave link.
pub fn leave(mail: &str) -> String {
    let head = mail.replace("\r\n", "\n");
    head.split("\nList-Unsubscribe: <").nth(1).unwrap().split('>').next().unwrap().to_owned()
}

/// The mails that came to an address, in any order.
pub fn mails_to(sink: &SmtpSink, address: &str) -> Vec<String> {
    let to = format!("\nTo: <{address}>");
    sink.mails().unwrap().into_iter().filter(|mail| mail.contains(&to)).collect()
}

/// The texts that came to a number over Kannel's door, in any order.
pub fn texts_to(tally: &Tally, number: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for (target, times) in tally.keys() {
        let url = reqwest::Url::parse(&format!("http://sink{target}")).unwrap();
        let fields: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        texts.extend((0..times).filter(|_| fields["to"] == number).map(|_| fields["text"].clone()));
    }
    texts
}
