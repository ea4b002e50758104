//! Atom with CAP's elements inline, and RSS 2.0 as WMO's members write it.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::text::xml;
use super::{Entry, Place, Standing};
use crate::cap::{Info, NamedValue, Point};

/// What a feed is about.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its title, in Chinese and English.
    pub title: String,
    /// Where it stands: `/feeds/atom.xml`.
    pub path: String,
    /// The page for people.
    pub page: String,
    /// When anything in it last changed.
    pub updated: DateTime<Utc>,
    /// Where older entries are.
    pub next: Option<String>,
}

/// An Atom feed.
pub fn atom(channel: &Channel, entries: &[&Entry], place: &Place) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" \
         xmlns:cap=\"urn:oasis:names:tc:emergency:cap:1.2\" xml:lang=\"zh-CN\">\n",
    );
    element(&mut out, "id", &place.name(&channel.path));
    element(&mut out, "title", &channel.title);
    element(&mut out, "updated", &channel.updated.to_rfc3339());
    out.push_str("<author><name>Tocsin</name></author>\n<generator>Tocsin</generator>\n");
    link(&mut out, "self", "application/atom+xml", &format!("{}{}", place.base, channel.path));
    link(&mut out, "alternate", "text/html", &format!("{}{}", place.base, channel.page));
    if let Some(next) = &channel.next {
        link(&mut out, "next", "application/atom+xml", next);
    }
    for entry in entries {
        atom_entry(&mut out, entry, place);
    }
    out.push_str("</feed>\n");
    out
}

fn atom_entry(out: &mut String, entry: &Entry, place: &Place) {
    let publication = &entry.publication;
    let alert = &publication.shown;
    let info = alert.info_in("zh-CN");
    out.push_str("<entry>\n");
    element(out, "id", &place.name(&format!("/alerts/{}", publication.id)));
    element(out, "title", &title(entry));
    element(out, "updated", &entry.updated().to_rfc3339());
    element(out, "published", &publication.at.to_rfc3339());
    let _ = writeln!(out, "<author><name>{}</name></author>", xml(sender(entry)));
    let address = place.alert(&publication.id);
    link(out, "alternate", "application/cap+xml", &format!("{address}.cap"));
    link(out, "related", "application/geo+json", &format!("{address}.geojson"));
    link(out, "related", "text/html", &place.event(&publication.chain));
    let _ = writeln!(out, "<category term=\"{}\"/>", entry.standing.as_str());
    element(out, "summary", &summary(entry));
    cap_elements(out, entry, info);
    out.push_str("</entry>\n");
}

/// CAP's elements, in CAP's order, of the first info that is read here.
fn cap_elements(out: &mut String, entry: &Entry, info: Option<&Info>) {
    let alert = &entry.publication.shown;
    for (name, text) in [
        ("identifier", alert.identifier.as_str()),
        ("sender", alert.sender.as_str()),
        ("sent", &alert.sent.to_rfc3339()),
        ("status", alert.status.as_str()),
        ("msgType", alert.msg_type.as_str()),
        ("scope", alert.scope.as_str()),
    ] {
        element(out, &format!("cap:{name}"), text);
    }
    let Some(info) = info else { return };
    for category in &info.categories {
        element(out, "cap:category", category.as_str());
    }
    element(out, "cap:event", &info.event);
    for response in &info.response_types {
        element(out, "cap:responseType", response.as_str());
    }
    element(out, "cap:urgency", info.urgency.as_str());
    element(out, "cap:severity", info.severity.as_str());
    element(out, "cap:certainty", info.certainty.as_str());
    for (name, at) in [("effective", info.effective), ("onset", info.onset), ("expires", info.expires)] {
        if let Some(at) = at {
            element(out, &format!("cap:{name}"), &at.to_rfc3339());
        }
    }
    let all = info.areas.iter().flat_map(|area| &area.polygons).map(|polygon| polygon.ring.len()).sum();
    for area in &info.areas {
        element(out, "cap:areaDesc", &area.description);
        for polygon in &area.polygons {
            let corners = super::shapes::thinned(&polygon.ring, all);
            let corners: Vec<_> = corners.iter().map(|[lon, lat]| format!("{lat},{lon}")).collect();
            element(out, "cap:polygon", &corners.join(" "));
        }
        for circle in &area.circles {
            element(out, "cap:circle", &format!("{} {}", position(&circle.center), circle.radius_km));
        }
        area.geocodes.iter().for_each(|code| pair(out, "cap:geocode", code));
    }
    info.parameters.iter().for_each(|parameter| pair(out, "cap:parameter", parameter));
}

/// An RSS feed: each item's link is the CAP message, its guid the message's identifier.
pub fn rss(channel: &Channel, entries: &[&Entry], place: &Place) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\" \
         xmlns:cap=\"urn:oasis:names:tc:emergency:cap:1.2\">\n<channel>\n",
    );
    element(&mut out, "title", &channel.title);
    element(&mut out, "link", &format!("{}{}", place.base, channel.page));
    element(&mut out, "description", &channel.title);
    element(&mut out, "language", "zh-CN");
    element(&mut out, "lastBuildDate", &channel.updated.to_rfc2822());
    let own = format!("{}{}", place.base, channel.path);
    let _ = writeln!(out, "<atom:link href=\"{}\" rel=\"self\" type=\"application/rss+xml\"/>", xml(&own));
    for entry in entries {
        let publication = &entry.publication;
        out.push_str("<item>\n");
        element(&mut out, "title", &title(entry));
        element(&mut out, "link", &format!("{}.cap", place.alert(&publication.id)));
        // Readers take an item's description for HTML: what is text stays text only if it is escaped as such first.
        element(&mut out, "description", &xml(&summary(entry)));
        element(&mut out, "category", publication.hazard().name_zh());
        let _ = writeln!(out, "<guid isPermaLink=\"false\">{}</guid>", xml(&publication.shown.identifier));
        element(&mut out, "pubDate", &publication.at.to_rfc2822());
        cap_elements(&mut out, entry, publication.shown.info_in("zh-CN"));
        out.push_str("</item>\n");
    }
    out.push_str("</channel>\n</rss>\n");
    out
}

/// The headline, with what became of it in front.
fn title(entry: &Entry) -> String {
    let publication = &entry.publication;
    let info = publication.shown.info_in("zh-CN");
    let headline = info.and_then(|info| info.headline.clone()).unwrap_or_else(|| {
        format!("{}{}", publication.hazard().name_zh(), publication.colour().map_or("", crate::cap::Colour::name_zh))
    });
    match entry.standing {
        Standing::Withdrawn { .. } => format!("【已解除】{headline}"),
        Standing::Replaced { .. } => format!("【已更新】{headline}"),
        Standing::Expired { .. } => format!("【已到期】{headline}"),
        Standing::Paused => format!("【暂停】{headline}"),
        Standing::Notice if publication.correction => format!("【更正】{headline}"),
        Standing::Notice if publication.is_the_end() => format!("【解除】{headline}"),
        _ => headline,
    }
}

fn summary(entry: &Entry) -> String {
    let info = entry.publication.shown.info_in("zh-CN");
    let text = info.and_then(|info| info.description.clone().or_else(|| info.headline.clone())).unwrap_or_default();
    match entry.standing.ended() {
        Some(at) => format!("{text}\n结束 ended: {}", at.to_rfc3339()),
        None => text,
    }
}

fn sender(entry: &Entry) -> &str {
    let alert = &entry.publication.shown;
    alert.info_in("zh-CN").and_then(|info| info.sender_name.as_deref()).unwrap_or(&alert.sender)
}

fn position(point: &Point) -> String {
    format!("{},{}", super::shapes::round(point.lat), super::shapes::round(point.lon))
}

fn element(out: &mut String, name: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<{name}>{}</{name}>", xml(text));
}

fn link(out: &mut String, rel: &str, kind: &str, href: &str) {
    let _ = writeln!(out, "<link rel=\"{rel}\" type=\"{kind}\" href=\"{}\"/>", xml(href));
}

fn pair(out: &mut String, name: &str, pair: &NamedValue) {
    let _ = writeln!(
        out,
        "<{name}><cap:valueName>{}</cap:valueName><cap:value>{}</cap:value></{name}>",
        xml(&pair.name),
        xml(&pair.value)
    );
}
