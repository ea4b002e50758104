//! What a document shows: the entries of a feed, the content of an envelope, the items of a list, or a single alert.

use chrono::{DateTime, Utc};
use reqwest::Url;
use serde_json::Value;

use super::problem::{Problem, ProblemCode};
use crate::cap::xml::{self, Node};
use crate::cap::{self, Code, Finding};
use crate::intake::Format;

/// The longest key of an entry; a longer one is cut and told apart by its digest.
const LONGEST_KEY: usize = 300;

/// The beginnings of keys that say nothing of the alert itself: the same alert may come again under another one.
const BY_DIGEST: &str = "digest:";
const BY_LINK: &str = "link:";
const SHARED: &str = "shared:";

/// Whether a key is the source's own name for one alert, so that its absence says something.
pub(super) fn is_stable(key: &str) -> bool {
    ![BY_DIGEST, BY_LINK, SHARED].iter().any(|way| key.starts_with(way))
}

/// What a document shows.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Newest first.
    pub(super) entries: Vec<Entry>,
    /// What was noticed.
    pub(super) findings: Vec<Finding>,
    /// Its own time.
    pub(super) stamp: Option<DateTime<Utc>>,
    /// Whether it shows all that it has: not cut by its own paging, nor by our limit.
    pub(super) whole: bool,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The same for the same entry, each time.
    pub(super) key: String,
    /// Its time, for order; the oldest where it has none.
    pub(super) at: DateTime<Utc>,
    /// Changes with anything that the feed says of it.
    pub(super) stamp: String,
    /// The alert.
    pub(super) body: Body,
}

/// Where an entry's alert is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// Behind a link.
    Link(Url),
    /// In the entry.
    Here(Vec<u8>, Format),
}

/// Reads a document. `base` is where it came from, for relative links; `area` goes into warnings in JSON that name no place;
/// of more than `most` entries the newest are taken.
pub(super) fn read(bytes: &[u8], base: Option<&Url>, area: Option<&str>, most: usize) -> Result<Feed, Problem> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let first = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    let mut feed = match first {
        Some(b'{' | b'[') => read_json(bytes, area, most)?,
        _ => read_xml(bytes, base)?,
    };
    tell_apart(&mut feed.entries);
    feed.entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    if feed.entries.len() > most {
        let left = feed.entries.len() - most;
        feed.findings.push(Finding::new(Code::LongFeed, "", left.to_string()));
        feed.entries.truncate(most);
        feed.whole = false;
    }
    Ok(feed)
}

/// Entries that share a key get one of their own each, made of what is behind them.
fn tell_apart(entries: &mut [Entry]) {
    let mut counts = std::collections::HashMap::new();
    entries.iter().for_each(|entry| *counts.entry(entry.key.clone()).or_insert(0_u32) += 1);
    for entry in entries.iter_mut().filter(|entry| counts.get(&entry.key).is_some_and(|count| *count > 1)) {
        let own = match &entry.body {
            Body::Link(link) => digest(link.as_str().as_bytes()),
            Body::Here(..) => entry.stamp.clone(),
        };
        entry.key = key(&format!("{SHARED}{own}#{}", entry.key));
    }
}

fn unreadable(findings: Vec<Finding>) -> Problem {
    let first = findings.first();
    let (zh, en) = (first.map(Finding::zh).unwrap_or_default(), first.map(Finding::en).unwrap_or_default());
    Problem::in_words(ProblemCode::Unreadable, &zh, &en, findings)
}

fn read_xml(bytes: &[u8], base: Option<&Url>) -> Result<Feed, Problem> {
    let mut feed = Feed { whole: true, ..Feed::default() };
    let mut n = 0_usize;
    let tree = xml::walk(bytes, &["entry", "item", "contentObject"], &mut |node, text| {
        n += 1;
        if is_something_else(&node) {
            return;
        }
        let entries = entries_of(&node, text, base);
        if entries.is_empty() {
            let title = node.text_of("title").or_else(|| node.text_of("contentDescription")).unwrap_or_default();
            feed.findings.push(Finding::new(Code::NoWay, format!("{}[{n}]", node.name), title));
            feed.findings.truncate(50);
            // What it was about is not known: nothing may be concluded from what is not listed.
            feed.whole = false;
        }
        feed.entries.extend(entries);
    })
    .map_err(|error| unreadable(cap::refused(&error).findings))?;
    let root = &tree.root;
    match root.name.as_str() {
        "alert" => feed.entries.push(here(root, bytes.to_vec(), Format::Xml)),
        "feed" => feed.stamp = root.text_of("updated").and_then(time),
        "rss" | "RDF" => {
            let channel = root.child("channel");
            let own = channel.and_then(|node| node.text_of("lastBuildDate").or_else(|| node.text_of("pubDate")));
            feed.stamp = own.and_then(time);
        }
        "EDXLDistribution" => feed.stamp = root.text_of("dateTimeSent").and_then(time),
        other => return Err(unreadable(vec![Finding::new(Code::NotCap, "", other)])),
    }
    if tree.repaired {
        feed.findings.push(Finding::new(Code::Repaired, "", ""));
    }
    Ok(feed)
}

/// Whether it says of itself that it is no alert: a picture beside one in an envelope, say.
fn is_something_else(node: &Node) -> bool {
    let kind = cap::other_content(node).and_then(|content| content.text_of("mimeType"));
    kind.is_some_and(|kind| !kind.contains("xml") && !kind.contains("cap"))
}

/// An entry's alerts: those inside it, else the one behind its link.
fn entries_of(node: &Node, text: &str, base: Option<&Url>) -> Vec<Entry> {
    let mut inside = Vec::new();
    node.descendants("alert", &mut inside);
    inside.retain(|alert| alert.child("identifier").is_some() || alert.child("sender").is_some());
    let mut bodies: Vec<_> =
        inside.into_iter().map(|alert| (Some(alert), xml::standalone(alert, text).into_bytes())).collect();
    if bodies.is_empty() {
        bodies.extend(cap::packed(node).map(|bytes| (None, bytes)));
    }
    let own = text.get(node.start..node.end).unwrap_or_default();
    let at = ["updated", "pubDate", "published", "date"].iter().find_map(|name| node.text_of(name).and_then(time));
    let id = node.text_of("id").or_else(|| node.text_of("guid"));
    if bodies.is_empty() {
        let Some(link) = link(node, base) else { return Vec::new() };
        let key = id.map_or_else(|| key(&format!("{BY_LINK}{link}")), key);
        return vec![Entry { key, at: at.unwrap_or_default(), stamp: digest(own.as_bytes()), body: Body::Link(link) }];
    }
    let several = bodies.len() > 1;
    let each = bodies.into_iter().map(|(alert, bytes)| {
        let named = alert.and_then(|alert| alert.text_of("identifier"));
        let sent = alert.and_then(|alert| alert.text_of("sent")).and_then(time);
        let stamp = digest(&bytes);
        let key = match (id, named) {
            (Some(id), _) if !several => key(id),
            (_, Some(named)) => key(&format!("cap:{named}")),
            _ => format!("digest:{stamp}"),
        };
        Entry { key, at: at.or(sent).unwrap_or_default(), stamp, body: Body::Here(bytes, Format::Xml) }
    });
    each.collect()
}

/// The link to an entry's alert: the one that says it is CAP, else an enclosure or content elsewhere in XML, else the entry itself,
/// else its enclosure, else an id that is a URL.
fn link(node: &Node, base: Option<&Url>) -> Option<Url> {
    let elsewhere = |child: &&Node| child.name == "content" && child.attribute("src").is_some();
    let links =
        || node.children.iter().filter(|child| matches!(child.name.as_str(), "link" | "enclosure") || elsewhere(child));
    let of = |link: &Node| match ["href", "url", "src"].iter().find_map(|name| link.attribute(name)) {
        Some(href) => Some(href.trim().to_owned()),
        None => Some(link.trimmed().to_owned()).filter(|text| !text.is_empty()),
    };
    let kind = |link: &Node, word: &str| link.attribute("type").is_some_and(|kind| kind.contains(word));
    let plain = |link: &Node| link.name == "link" && matches!(link.attribute("rel"), None | Some("alternate"));
    let enclosed = |link: &Node| link.name != "link" || link.attribute("rel") == Some("enclosure");
    let choice = links()
        .find(|link| kind(link, "cap"))
        .or_else(|| links().find(|link| enclosed(link) && kind(link, "xml") && !kind(link, "html")))
        .or_else(|| links().find(|link| plain(link) && !kind(link, "html")))
        .or_else(|| links().find(|link| plain(link)))
        .or_else(|| links().find(|link| enclosed(link)));
    let permanent = || {
        let id = node.children.iter().find(|child| matches!(child.name.as_str(), "id" | "guid"))?;
        let not = id.attribute("isPermaLink") == Some("false");
        (!not && id.trimmed().starts_with("http")).then(|| id.trimmed().to_owned())
    };
    let uri = || cap::other_content(node).and_then(|content| content.text_of("uri")).map(str::to_owned);
    let text = choice.and_then(of).filter(|text| !text.is_empty()).or_else(permanent).or_else(uri)?;
    match base {
        Some(base) => base.join(&text).ok(),
        None => Url::parse(&text).ok(),
    }
}

fn here(alert: &Node, bytes: Vec<u8>, format: Format) -> Entry {
    let stamp = digest(&bytes);
    let key =
        alert.text_of("identifier").map_or_else(|| format!("digest:{stamp}"), |named| key(&format!("cap:{named}")));
    let at = alert.text_of("sent").and_then(time).unwrap_or_default();
    Entry { key, at, stamp, body: Body::Here(bytes, format) }
}

fn read_json(bytes: &[u8], area: Option<&str>, most: usize) -> Result<Feed, Problem> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| unreadable(vec![Finding::new(Code::NotJson, "", error.to_string())]))?;
    // A service's own word that this is no answer: `{"code": "401"}`.
    let code = value.get("code").map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
    if let Some(code) = code.filter(|code| !matches!(code.as_str(), "0" | "200")) {
        return Err(Problem::new(ProblemCode::Unreadable, format!("code {code}")));
    }
    let mut feed = Feed { whole: true, ..Feed::default() };
    feed.stamp = value.get("updateTime").and_then(Value::as_str).and_then(time);
    match cap::list_in_json(&value) {
        Some(list) => {
            // One more than is taken, so that somebody notices.
            feed.whole = list.whole && list.items.len() <= most;
            feed.entries.extend(list.items.iter().take(most.saturating_add(1)).map(|item| item_of(item.clone(), area)));
        }
        None if value.is_object() => {
            let mut entry = item_of(value, area);
            if area.is_none() {
                entry.body = Body::Here(bytes.to_vec(), Format::Json);
            }
            feed.entries.push(entry);
        }
        None => {
            return Err(unreadable(vec![Finding::new(Code::NotJson, "", "neither an object nor a list of warnings")]));
        }
    }
    Ok(feed)
}

fn item_of(mut item: Value, area: Option<&str>) -> Entry {
    let text = |name: &str| item.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let id = ["alertid", "id", "identifier"].iter().find_map(|name| text(name)).filter(|id| id != "null");
    let at =
        ["issuetime", "issuedTime", "pubTime", "sent"].iter().find_map(|name| text(name)).as_deref().and_then(time);
    let placed = ["areas", "geocode", "adcode", "areaCode", "alertid", "info"]
        .iter()
        .any(|name| item.get(name).is_some_and(|value| !value.is_null()));
    if let (Some(area), false, Some(members)) = (area, placed, item.as_object_mut()) {
        members.insert("geocode".into(), Value::String(area.to_owned()));
    }
    let bytes = item.to_string().into_bytes();
    let stamp = digest(&bytes);
    let key = id.map_or_else(|| format!("digest:{stamp}"), |id| key(&format!("json:{id}")));
    Entry { key, at: at.unwrap_or_default(), stamp, body: Body::Here(bytes, Format::Json) }
}

fn key(text: &str) -> String {
    if text.len() <= LONGEST_KEY && !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    format!("digest:{}", digest(text.as_bytes()))
}

/// SHA-256, hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    crate::hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

/// A time as Atom, RSS and services' JSON write it.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let rfc2822 = || DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc());
    cap::time(text).map(|at| at.to_utc()).or_else(rfc2822)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(feed: &Feed) -> Vec<(String, String)> {
        let link = |entry: &Entry| match &entry.body {
            Body::Link(url) => url.to_string(),
            Body::Here(bytes, format) => format!("{format:?} {}", bytes.len()),
        };
        feed.entries.iter().map(|entry| (entry.key.clone(), link(entry))).collect()
    }

    fn xml(text: &str) -> Feed {
        read(text.as_bytes(), Some(&"https://a.example/x/feed.xml".parse().unwrap()), None, 10).unwrap()
    }

    #[test]
    fn the_link_that_says_cap_is_followed_relative_to_the_feed() {
        let feed = xml("<feed xmlns='http://www.w3.org/2005/Atom'><updated>2026-01-01T00:00:00Z</updated>
            <entry><id>urn:1</id><updated>2026-01-01T00:00:00Z</updated><link href='a.html' type='text/html'/><link href='a.cap' type='application/cap+xml'/></entry>
            <entry><id>urn:2</id><updated>2026-01-02T00:00:00Z</updated><link rel='self' href='b'/><link href='/c.xml'/></entry>
            <entry><id>https://b.example/d</id></entry><entry><title>nothing</title></entry></feed>");
        let both = |key: &str, link: &str| (key.to_owned(), link.to_owned());
        assert_eq!(
            links(&feed),
            [
                both("urn:2", "https://a.example/c.xml"),
                both("urn:1", "https://a.example/x/a.cap"),
                both("https://b.example/d", "https://b.example/d"),
            ],
            "newest first"
        );
        assert_eq!(
            feed.findings.iter().map(|f| (f.code, f.detail.as_str())).collect::<Vec<_>>(),
            [(Code::NoWay, "nothing")]
        );
        assert_eq!(feed.stamp, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn entries_that_share_a_key_are_told_apart() {
        let feed =
            xml("<feed><entry><id>1</id><link href='a'/></entry><entry><id>1</id><link href='b'/></entry></feed>");
        assert_eq!(feed.entries.len(), 2);
        assert_ne!(feed.entries[0].key, feed.entries[1].key);
    }

    #[test]
    fn rss_links_guids_and_enclosures_lead_to_the_alert() {
        let feed = xml("<rss><channel><pubDate>Thu, 01 Jan 2026 16:05:14 +0000</pubDate>
            <item><guid isPermaLink='false'>g1</guid><link>l1.xml</link><pubDate>Thu, 01 Jan 2026 05:09:13 +0000</pubDate></item>
            <item><guid>https://b.example/g2</guid></item><item><guid isPermaLink='false'>g3</guid></item></channel></rss>");
        assert_eq!(
            links(&feed).into_iter().map(|(_, link)| link).collect::<Vec<_>>(),
            ["https://a.example/x/l1.xml", "https://b.example/g2"]
        );
        assert_eq!(feed.stamp, Some("2026-01-01T16:05:14Z".parse().unwrap()));
    }

    #[test]
    fn a_page_that_speaks_of_an_alert_is_none_and_an_enclosure_in_xml_is_preferred_to_a_page() {
        let feed = xml("<rss><channel>
            <item><guid isPermaLink='false'>1</guid><link>page.html</link><enclosure url='1.cap' type='application/xml'/></item>
            <item><guid isPermaLink='false'>2</guid><content>&lt;p&gt;Weather alert&lt;/p&gt;</content><link>2.xml</link></item>
            <item><guid isPermaLink='false'>3</guid><content>&lt;c:alert xmlns:c='urn:oasis:names:tc:emergency:cap:1.2'/&gt;</content><link>3.xml</link></item>
            <item><guid isPermaLink='false'>4</guid><link>4.xml</link><enclosure url='4.mp3' type='audio/mpeg'/></item>
            </channel></rss>");
        let leads: Vec<_> = links(&feed).into_iter().map(|(_, to)| to).collect();
        assert_eq!(leads[..2], ["https://a.example/x/1.cap", "https://a.example/x/2.xml"]);
        assert!(leads[2].starts_with("Xml "), "{leads:?}");
        assert_eq!(leads[3], "https://a.example/x/4.xml");
    }

    #[test]
    fn content_that_lies_elsewhere_is_followed_as_an_enclosure_is() {
        let feed = xml("<feed xmlns='http://www.w3.org/2005/Atom'>
            <entry><id>urn:1</id><updated>2026-01-04T00:00:00Z</updated><content type='application/cap+xml' src='1.cap'/><link href='page'/></entry>
            <entry><id>urn:2</id><updated>2026-01-03T00:00:00Z</updated><link href='2.html' type='text/html'/><content type='text/xml' src='2.xml'/></entry>
            <entry><id>urn:3</id><updated>2026-01-02T00:00:00Z</updated><content src='3'/></entry>
            <entry><id>urn:4</id><updated>2026-01-01T00:00:00Z</updated><content type='text/html' src='4.html'/><link href='4.xml'/></entry></feed>");
        let leads: Vec<_> = links(&feed).into_iter().map(|(_, to)| to).collect();
        let wanted = ["1.cap", "2.xml", "3", "4.xml"].map(|path| format!("https://a.example/x/{path}"));
        assert_eq!(leads, wanted);
    }

    #[test]
    fn an_envelope_leads_to_alerts_elsewhere_and_what_else_it_holds_is_no_alert() {
        let content = |inside: &str| format!("<contentObject><nonXMLContent>{inside}</nonXMLContent></contentObject>");
        let feed = xml(&format!(
            "<EDXLDistribution>{}{}{}</EDXLDistribution>",
            content("<mimeType>application/cap+xml</mimeType><uri>https://b.example/1.cap</uri>"),
            content("<mimeType>image/png</mimeType><uri>https://b.example/map.png</uri>"),
            content("<mimeType>application/pdf</mimeType><contentData>JVBERi0=</contentData>"),
        ));
        let leads = |feed: &Feed| links(feed).into_iter().map(|(_, to)| to).collect::<Vec<_>>();
        assert_eq!(
            (leads(&feed), feed.findings.len(), feed.whole),
            (vec!["https://b.example/1.cap".to_owned()], 0, true)
        );
        // EDXL-DE 2.0.
        let feed = xml("<e:EDXLDistribution xmlns:e='urn:oasis:names:tc:emergency:EDXL:DE:2.0'><e:content>
            <e:contentObject><e:contentXML><e:embeddedXMLContent><alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'>
            <identifier>2</identifier></alert></e:embeddedXMLContent></e:contentXML></e:contentObject>
            <e:contentObject><e:otherContent><e:mimeType>application/xml</e:mimeType><e:uri>https://b.example/3.cap</e:uri>
            </e:otherContent></e:contentObject></e:content></e:EDXLDistribution>");
        let leads = leads(&feed);
        assert!(leads.iter().any(|to| to.starts_with("Xml ")) && leads.contains(&"https://b.example/3.cap".to_owned()));
        assert_eq!((leads.len(), feed.findings.len()), (2, 0), "{leads:?}");
    }

    #[test]
    fn a_change_of_anything_in_an_entry_changes_its_stamp() {
        let feed = |what: &str| xml(&format!("<feed><entry><id>1</id><link href='a'/><x>{what}</x></entry></feed>"));
        assert_eq!(feed("a").entries, feed("a").entries);
        assert_ne!(feed("a").entries[0].stamp, feed("b").entries[0].stamp);
    }

    #[test]
    fn of_a_hundred_thousand_entries_the_newest_are_taken_and_the_rest_is_counted() {
        let day = |n: usize| chrono::TimeDelta::seconds(i64::try_from(n).unwrap());
        let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut text = String::from("<feed>");
        for n in 0..100_000 {
            text.push_str(&format!(
                "<entry><id>{n}</id><updated>{}</updated><link href='{n}'/></entry>",
                (start + day(n)).to_rfc3339()
            ));
        }
        text.push_str("</feed>");
        let feed = xml(&text);
        assert_eq!((feed.entries.len(), feed.entries[0].key.as_str(), feed.whole), (10, "99999", false));
        assert_eq!((feed.findings[0].code, feed.findings[0].detail.as_str()), (Code::LongFeed, "99990"));
    }

    #[test]
    fn lists_in_json_fall_into_items_and_a_services_no_is_no_empty_list() {
        let list = r#"{"data": {"page": {"count": 3, "list": [{"alertid": "31000041600000_20261006202800", "title": null}, {"id": 1}]}}}"#;
        let feed = read(list.as_bytes(), None, Some("310118000000"), 10).unwrap();
        assert_eq!((feed.entries.len(), feed.whole), (2, false), "the list says that it has three");
        let bodies: Vec<_> = feed.entries.iter().map(|entry| entry.body.clone()).collect();
        assert!(
            bodies.contains(&Body::Here(br#"{"geocode":"310118000000","id":1}"#.to_vec(), Format::Json)),
            "{bodies:?}"
        );
        let null = read(br#"{"warning": [{"id": 1, "geocode": null}]}"#, None, Some("310118000000"), 10).unwrap();
        assert_eq!(null.entries[0].body, Body::Here(br#"{"geocode":"310118000000","id":1}"#.to_vec(), Format::Json));
        let long = read(br#"{"warning": [{"id": 1}, {"id": 2}, {"id": 3}]}"#, None, None, 2).unwrap();
        assert_eq!((long.entries.len(), long.whole), (2, false));
        assert!(read(br#"{"code": "200", "warning": []}"#, None, None, 10).unwrap().whole);
        assert_eq!(
            read(br#"{"code": "401", "warning": []}"#, None, None, 10).unwrap_err().code,
            ProblemCode::Unreadable
        );
        let plain = read(br#"[{"id": 1}, {"id": 2}]"#, None, None, 10).unwrap();
        assert!(plain.entries.len() == 2 && plain.whole, "a plain list");
        assert!(!read(b"[]", None, None, 10).unwrap().whole, "of what there is nothing, nobody says");
        assert!(read(b"[1]", None, None, 10).is_err() && read(b"{", None, None, 10).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[<>/a&;{}\\[\\]\":entryitm =']{0,80}") {
            let _ = read(&bytes, None, None, 3);
            let _ = read(text.as_bytes(), None, None, 3);
        }
    }
}
