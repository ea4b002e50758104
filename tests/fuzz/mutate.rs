//! Bytes that are almost right.

/// Randomness that can be had again from its seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 where there is nothing to choose from.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap_or(0)
    }
}

/// Messages of subscriptions and lists of other services.
pub const MESSAGES: [&str; 4] = [
    r#"{"type":"Feature","id":"1","properties":{"content":{"encoding":"base64","value":"PGFsZXJ0Lz4="},"integrity":{"method":"sha512","value":"x"}},"links":[{"rel":"canonical","href":"https://a.example/1"}]}"#,
    r#"{"type":"Feature","properties":{"content":{"encoding":"gzip","value":"H4sIAAAAAAAA"}},"links":[{"rel":"update","href":"//b"}]}"#,
    r#"{"filename":"a.xml","data":"PGFsZXJ0IHhtbG5zPSJ1cm46b2FzaXM6bmFtZXM6dGM6ZW1lcmdlbmN5OmNhcDoxLjIiLz4="}"#,
    r#"{"data":{"page":{"list":[{"alertid":"32000041600000_20260701100000","issuetime":"2026/07/01 10:00","title":"江苏省气象台发布台风红色预警","url":"/x","pic":"p0001001.png"}]}}}"#,
];

const WORDS: [&str; 44] = [
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&b;",
    "&#0;",
    "&#x10FFFF;",
    "&#xD800;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version=\"1.1\" encoding=\"GBK\"?>",
    "<?xml version=\"1.0\" encoding=\"UTF-16\"?>",
    "<info>",
    "</info>",
    "</alert>",
    "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.1\">",
    "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\">",
    "<Reference URI=\"#x\">",
    " Id=\"x\"",
    "<references>a,b,2026-07-01T10:00:00+08:00</references>",
    "<polygon>1,1 1,1 1,1 1,1</polygon>",
    "<polygon>90,180 -90,-180 90,180</polygon>",
    "<circle>31,121 0</circle>",
    "<circle>NaN,inf 1e308</circle>",
    "<altitude>1e999</altitude>",
    "<sent>2026-13-41T25:61:61+99:99</sent>",
    "<sent>9999-12-31T23:59:59-14:00</sent>",
    "+262143-12-31T23:59:59Z",
    "-00:00",
    "1e400",
    "99999999999999999999",
    "-0",
    "\u{FEFF}",
    "\u{202E}",
    "\u{0}",
    "\u{10FFFF}",
    "{{7*7}}",
    "[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "null",
    "\"identifier\":",
    "<entry>",
    "<item><guid>",
    "<link href=\"javascript:1\"/>",
    "\r\n\r\n",
];

/// A seed with a few things wrong.
pub fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + 1 + dice.below(64)).min(bytes.len());
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(dice.below(256)).unwrap_or(0),
            2 => drop(bytes.drain(at..end.max(at))),
            3 => {
                let part = bytes.get(at..end).unwrap_or_default().to_vec();
                let many = part.repeat(1 + dice.below(20));
                bytes.splice(at..at, many);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                let part = other.get(from..(from + dice.below(2_000)).min(other.len())).unwrap_or_default().to_vec();
                bytes.splice(at..at, part);
            }
            6 => elements(&mut bytes, dice),
            _ => {
                let word = WORDS[dice.below(WORDS.len())].bytes();
                let end = if dice.below(2) == 0 { at } else { end.max(at) };
                bytes.splice(at..end, word);
            }
        }
    }
    bytes.truncate(64 * 1024);
    // Not in a build for debugging, where every reading is slow.
    if !cfg!(debug_assertions) && dice.below(200) == 0 {
        pump(&mut bytes, dice);
    }
    bytes
}

/// So long is what is pumped up.
const PUMPED: usize = 1024 * 1024;

/// Repeats one short part until it is long: what takes the square of its length shows.
fn pump(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + 1 + dice.below(8) * dice.below(8)).min(bytes.len());
    let part = bytes.get(at..end).unwrap_or_default().to_vec();
    let many = part.repeat(PUMPED / part.len().max(1));
    bytes.splice(at..at, many);
}

/// Puts one element's text or the whole of it in another's place: shapes that a typing error makes.
fn elements(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let opens: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'<').map(|(at, _)| at).collect();
    if opens.len() < 4 {
        return;
    }
    let (a, b) = (dice.below(opens.len() - 1), dice.below(opens.len() - 1));
    let part = bytes.get(opens[a]..opens[a + 1]).unwrap_or_default().to_vec();
    bytes.splice(opens[b]..opens[b + 1], part);
}
