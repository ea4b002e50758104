//! Doors for the fuzzer, and for nobody else: what strangers' bytes meet first.

use reqwest::Url;

use super::feed;
use super::notice::{self, Notice};

/// Reads a feed of at most so many entries; how many it has, where it can be read.
pub fn read_feed(bytes: &[u8], most: usize) -> Option<usize> {
    let base = Url::parse("https://feed.example/a/b").ok()?;
    let read = [None, Some(&base)].map(|base| feed::read(bytes, base, Some("310118"), most));
    let [alone, with_base] = read;
    with_base.ok().or(alone.ok()).map(|feed| feed.entries.len())
}

/// Reads a subscription's message; the document that it carries, if it does.
pub fn read_notice(bytes: &[u8]) -> Option<Vec<u8>> {
    match notice::read(bytes) {
        Ok(Notice::Here(document)) => Some(document),
        _ => None,
    }
}
