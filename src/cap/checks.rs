//! The standard's rules that need the whole alert.

use std::collections::BTreeSet;

use base64::Engine as _;

use super::alert::{Alert, Area, Info, MsgType, Resource, Scope, Status};
use super::finding::{Code, Finding};

/// The most polygons and circles of one alert: the largest real one seen has some hundreds.
const MAX_SHAPES: usize = 2_000;
const MAX_INFOS: usize = 200;

/// Adds what the rules find.
pub(super) fn run(alert: &Alert, findings: &mut Vec<Finding>) {
    let areas = alert.infos.iter().flat_map(|info| &info.areas);
    let shapes: usize = areas.map(|area| area.polygons.len() + area.circles.len()).sum();
    let codes: usize = alert.infos.iter().flat_map(|info| &info.areas).map(|area| area.geocodes.len()).sum();
    if alert.infos.len() > MAX_INFOS || codes > MAX_SHAPES {
        findings.push(Finding::new(Code::TooLarge, "alert", format!("{} info, {codes} geocode", alert.infos.len())));
    }
    if shapes > MAX_SHAPES {
        findings.push(Finding::new(Code::Shapes, "alert", shapes.to_string()));
    }
    let mut find = |code, path: &str, detail: &str| findings.push(Finding::new(code, path, detail));
    for (name, text) in [("identifier", &alert.identifier), ("sender", &alert.sender)] {
        if text.chars().any(|c| c.is_whitespace() || matches!(c, ',' | '<' | '&')) {
            find(Code::Unsuitable, &format!("alert/{name}"), text);
        }
    }
    match (alert.scope, &alert.restriction) {
        (Scope::Restricted, None) => find(Code::RestrictionMissing, "alert/scope", ""),
        (Scope::Public | Scope::Private, Some(_)) => find(Code::RestrictionIdle, "alert/restriction", ""),
        _ => {}
    }
    if alert.scope == Scope::Private && alert.addresses.is_empty() {
        find(Code::AddressesMissing, "alert/scope", "");
    }
    if matches!(alert.msg_type, MsgType::Update | MsgType::Cancel) && alert.references.is_empty() {
        find(Code::NoReferences, "alert/msgType", "");
    }
    for reference in &alert.references {
        if reference.identifier == alert.identifier && reference.sender == alert.sender && reference.sent == alert.sent
        {
            find(Code::SelfReference, "alert/references", "");
        } else if reference.sent > alert.sent {
            find(Code::FutureReference, "alert/references", &reference.identifier);
        }
    }
    if alert.infos.is_empty() && matches!(alert.msg_type, MsgType::Alert | MsgType::Update) {
        find(Code::NoInfo, "alert", "");
    }
    let silent = alert.note.is_none();
    if silent && alert.status == Status::Exercise {
        find(Code::ExerciseNote, "alert/note", "");
    }
    if let Some(note) = &alert.note {
        check_text(note, true, &mut |code, detail| find(code, "alert/note", detail));
    }
    if silent && alert.msg_type == MsgType::Error {
        find(Code::ErrorNote, "alert/note", "");
    }
    let codes = |info: &Info| info.event_codes.iter().map(|code| code.value.clone()).collect::<BTreeSet<_>>();
    let categories = |info: &Info| info.categories.iter().copied().collect::<BTreeSet<_>>();
    let differ =
        |test: &dyn Fn(&Info, &Info) -> bool| alert.infos.windows(2).any(|pair| matches!(pair, [a, b] if test(a, b)));
    if differ(&|a, b| codes(a) != codes(b)) {
        find(Code::DifferentEvents, "alert", "");
    }
    if differ(&|a, b| categories(a) != categories(b)) {
        find(Code::DifferentCategories, "alert", "");
    }
    if differ(&|a, b| a.language != b.language && a.description.is_some() && a.description == b.description) {
        find(Code::SameWords, "alert", "");
    }
    super::china::check(alert, findings);
    let mut find = |code, path: &str, detail: &str| findings.push(Finding::new(code, path, detail));
    for (n, info) in (1..).zip(&alert.infos) {
        let path = format!("alert/info[{n}]");
        check_info(alert, info, &mut |code, part, detail| find(code, &format!("{path}{part}"), detail));
    }
}

fn check_info(alert: &Alert, info: &Info, find: &mut dyn FnMut(Code, &str, &str)) {
    let tag_like = |tag: &str| {
        let mut parts = tag.split('-');
        parts
            .next()
            .is_some_and(|first| (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic()))
            && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if !tag_like(&info.language) {
        find(Code::Language, "/language", &info.language);
    }
    match info.expires {
        Some(expires) if expires < alert.sent || info.effective.is_some_and(|from| expires < from) => {
            find(Code::EndsBeforeItBegins, "/expires", "");
        }
        Some(_) => {}
        None => find(Code::NoExpires, "", ""),
    }
    if info.areas.is_empty() {
        find(Code::NoArea, "", "");
    }
    if info.headline.as_ref().is_some_and(|headline| headline.chars().count() > 160) {
        find(Code::LongHeadline, "/headline", "");
    }
    for (path, text, lines) in texts(info) {
        check_text(text, lines, &mut |code, detail| find(code, &path, detail));
    }
    for (n, resource) in (1..).zip(&info.resources) {
        let path = format!("/resource[{n}]");
        check_resource(resource, &mut |code, detail| find(code, &path, detail));
    }
    for (n, area) in (1..).zip(&info.areas) {
        let path = format!("/area[{n}]");
        check_area(area, &mut |code| find(code, &path, ""));
    }
}

/// The texts of an info for people, with their paths, and whether they may have several lines.
fn texts(info: &Info) -> Vec<(String, &str, bool)> {
    let own = [
        ("event", Some(&info.event), false),
        ("audience", info.audience.as_ref(), false),
        ("senderName", info.sender_name.as_ref(), false),
        ("headline", info.headline.as_ref(), false),
        ("description", info.description.as_ref(), true),
        ("instruction", info.instruction.as_ref(), true),
        ("contact", info.contact.as_ref(), false),
    ];
    let own = own.into_iter().filter_map(|(name, text, lines)| Some((format!("/{name}"), text?.as_str(), lines)));
    let resources = (1..).zip(&info.resources);
    let resources = resources.map(|(n, one)| (format!("/resource[{n}]/resourceDesc"), one.description.as_str(), false));
    let areas =
        (1..).zip(&info.areas).map(|(n, one)| (format!("/area[{n}]/areaDesc"), one.description.as_str(), false));
    own.chain(resources).chain(areas).collect()
}

/// What a text holds that is meant for something else than people.
fn check_text(text: &str, lines: bool, find: &mut dyn FnMut(Code, &str)) {
    const MARKS: [&str; 4] = ["{{", "{%", "{#", "${"];
    if let Some(tag) = html_tag(text) {
        find(Code::Html, tag);
    }
    if !lines && text.contains(['\n', '\r']) {
        find(Code::LineBreak, "");
    }
    if let Some(mark) = MARKS.into_iter().find(|mark| text.contains(mark)) {
        find(Code::TemplateMarks, mark);
    }
}

fn check_area(area: &Area, find: &mut dyn FnMut(Code)) {
    if area.polygons.is_empty() && area.circles.is_empty() && area.geocodes.is_empty() {
        find(Code::EmptyArea);
    }
    match (area.altitude, area.ceiling) {
        (None, Some(_)) => find(Code::Ceiling),
        (Some(low), Some(high)) if high < low => find(Code::Ceiling),
        _ => {}
    }
    if [area.altitude, area.ceiling].into_iter().flatten().any(|feet| feet < 0.0) {
        find(Code::BelowSea);
    }
}

fn check_resource(resource: &Resource, find: &mut dyn FnMut(Code, &str)) {
    let token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    if let Some(kind) = &resource.mime_type {
        let bare = kind.split(';').next().unwrap_or_default().trim();
        if !bare.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub)) {
            find(Code::BadMimeType, kind);
        }
    }
    if let Some(digest) =
        resource.digest.as_deref().filter(|d| d.len() != 40 || !d.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        find(Code::BadDigest, digest);
    }
    let Some(inside) = &resource.deref_uri else {
        if let Some(uri) = resource.uri.as_deref().filter(|uri| !uri.contains(':')) {
            find(Code::RelativeUri, uri);
        }
        return;
    };
    let packed: String = inside.split_whitespace().collect();
    let Ok(content) = base64::engine::general_purpose::STANDARD.decode(packed) else {
        return find(Code::BadDerefUri, "");
    };
    if resource.size.is_some_and(|size| usize::try_from(size) != Ok(content.len())) {
        find(Code::ContentDiffers, &format!("size, {} bytes", content.len()));
    }
    let sum = crate::hex(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &content).as_ref());
    if resource.digest.as_ref().is_some_and(|digest| digest.len() == 40 && !digest.eq_ignore_ascii_case(&sum)) {
        find(Code::ContentDiffers, "digest");
    }
}

/// The first thing in a text that looks like an HTML tag or entity.
fn html_tag(text: &str) -> Option<&str> {
    const ENTITIES: [&str; 5] = ["&nbsp;", "&amp;", "&lt;", "&gt;", "&quot;"];
    if let Some(entity) = ENTITIES.into_iter().find(|entity| text.contains(entity)) {
        return Some(entity);
    }
    // Its end is only looked for where a tag begins: a text full of open brackets is gone through once.
    let last = text.rfind('>')?;
    let begins =
        text.match_indices('<').map(|(at, _)| at).take_while(|at| *at < last).find(|at| begins_tag(&text[at + 1..]))?;
    let rest = text.get(begins..)?;
    rest.get(..=rest.find('>')?)
}

/// Whether a tag's name stands here, alone or with something after it.
fn begins_tag(inside: &str) -> bool {
    let inside = inside.trim_start_matches('/');
    let name = inside.bytes().take_while(u8::is_ascii_alphanumeric).take(11).count();
    let begins = inside.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    begins && name <= 10 && inside.as_bytes().get(name).is_some_and(|byte| matches!(byte, b' ' | b'/' | b'>'))
}
