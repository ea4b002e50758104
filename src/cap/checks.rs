//! The standard's rules that need the whole alert.

use super::alert::{Alert, Info, MsgType, Scope};
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
    let codes =
        |info: &Info| info.event_codes.iter().map(|code| code.value.clone()).collect::<std::collections::BTreeSet<_>>();
    if alert.infos.windows(2).any(|pair| matches!(pair, [a, b] if codes(a) != codes(b))) {
        find(Code::DifferentEvents, "alert", "");
    }
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
    for (name, text) in
        [("/headline", &info.headline), ("/description", &info.description), ("/instruction", &info.instruction)]
    {
        if let Some(tag) = text.as_deref().and_then(html_tag) {
            find(Code::Html, name, tag);
        }
    }
    for (n, area) in (1..).zip(&info.areas) {
        let path = format!("/area[{n}]");
        if area.polygons.is_empty() && area.circles.is_empty() && area.geocodes.is_empty() {
            find(Code::EmptyArea, &path, "");
        }
        match (area.altitude, area.ceiling) {
            (None, Some(_)) => find(Code::Ceiling, &path, ""),
            (Some(low), Some(high)) if high < low => find(Code::Ceiling, &path, ""),
            _ => {}
        }
    }
}

/// The first thing in a text that looks like an HTML tag or entity.
fn html_tag(text: &str) -> Option<&str> {
    const ENTITIES: [&str; 5] = ["&nbsp;", "&amp;", "&lt;", "&gt;", "&quot;"];
    if let Some(entity) = ENTITIES.into_iter().find(|entity| text.contains(entity)) {
        return Some(entity);
    }
    text.match_indices('<').find_map(|(at, _)| {
        let rest = text.get(at..)?;
        let inside = rest.get(1..rest.find('>')?)?;
        let name = inside.trim_start_matches('/').split([' ', '/']).next()?;
        let tag = (1..=10).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
            && name.as_bytes().first()?.is_ascii_alphabetic();
        tag.then_some(rest.get(..inside.len() + 2)?)
    })
}
