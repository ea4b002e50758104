//! Single values of CAP: times, positions, rings, references. Lenient: a value that a person would understand is understood,
//! and what was off is returned beside it.

use chrono::{DateTime, FixedOffset, NaiveDateTime};

use super::alert::{Circle, Point, Polygon};
use super::china::BEIJING;
use super::crossing::crosses_itself;
use super::finding::Code;

/// The most points of one ring.
const MAX_POINTS: usize = 100_000;

/// A time, and what was off about it.
pub(super) fn time(text: &str) -> Option<(DateTime<FixedOffset>, Option<Code>)> {
    let strict =
        text.len() == 25 && !text.contains('.') && DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%:z").is_ok();
    // Midnight at a day's end, as many write it.
    if let Some((day, rest)) = text.split_once("T24:00:00") {
        let (midnight, _) = time(&format!("{day}T00:00:00{rest}"))?;
        return Some((midnight.checked_add_days(chrono::Days::new(1))?, Some(Code::LooseTime)));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        let off = if strict { text.ends_with("+00:00").then_some(Code::UtcSign) } else { Some(Code::LooseTime) };
        return Some((time, off));
    }
    for form in ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%:z", "%Y-%m-%dT%H:%M%:z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some((time, Some(Code::LooseTime)));
        }
    }
    let beijing = FixedOffset::east_opt(BEIJING)?;
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            return Some((time.and_local_timezone(beijing).single()?, Some(Code::NoOffset)));
        }
    }
    None
}

/// Why a ring or disc was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadShape {
    TooMany,
    Unreadable,
}

/// A ring: pairs of latitude and longitude apart by white space. What was off is returned beside it.
pub(super) fn polygon(text: &str) -> Result<(Polygon, Vec<Code>), BadShape> {
    let mut ring = Vec::new();
    for pair in text.split_whitespace() {
        if ring.len() >= MAX_POINTS {
            return Err(BadShape::TooMany);
        }
        ring.push(point(pair).ok_or(BadShape::Unreadable)?);
    }
    let mut off = Vec::new();
    if text.contains(", ") || text.contains([';', '(', ')']) {
        off.push(Code::LoosePolygon);
    }
    if let (Some(first), Some(last)) = (ring.first().copied(), ring.last().copied())
        && first != last
    {
        ring.push(first);
        off.push(Code::OpenPolygon);
    }
    if ring.len() < 4 {
        return Err(BadShape::Unreadable);
    }
    if ring.iter().zip(ring.iter().skip(1)).any(|(a, b)| (180.0..360.0).contains(&(a.lon - b.lon).abs())) {
        off.push(Code::DateLine);
    }
    if crosses_itself(&ring) {
        off.push(Code::CrossedPolygon);
    }
    Ok((Polygon { ring }, off))
}

/// A disc: `lat,lon radius`, the radius in kilometres.
pub(super) fn circle(text: &str) -> Option<Circle> {
    let (center, radius) = text.trim().rsplit_once(char::is_whitespace)?;
    let center = point(&center.split_whitespace().collect::<String>())?;
    let radius_km: f64 = radius.parse().ok()?;
    // Half the way round the earth is everywhere already.
    (radius_km.is_finite() && (0.0..=20_100.0).contains(&radius_km)).then_some(Circle { center, radius_km })
}

fn point(pair: &str) -> Option<Point> {
    let (lat, lon) = pair.trim_matches([',', ';', '(', ')']).split_once(',')?;
    let (lat, lon): (f64, f64) = (lat.trim().parse().ok()?, lon.trim().parse().ok()?);
    ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some(Point { lat, lon })
}

/// Words apart by white space, those in quotes kept whole (CAP 1.2 section 3.2.1, `addresses` and `incidents`).
pub(super) fn quoted_list(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, next) = match rest.strip_prefix('"') {
            Some(inner) => inner.split_once('"').unwrap_or((inner, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        if !word.is_empty() {
            words.push(word.to_owned());
        }
        rest = next.trim_start();
    }
    words
}

/// The triples of `references`: apart by white space, which a sender's name may hold too; each ends with its time.
pub(super) fn triples(text: &str) -> Vec<String> {
    /// No time is longer: what follows the last comma is not looked at again and again while it grows.
    const TIME: usize = 64;
    let mut triples: Vec<String> = vec![String::new()];
    // Where the part after the last comma begins.
    let mut part = 0;
    for word in text.split_whitespace() {
        let Some(open) = triples.last_mut() else { break };
        if !open.is_empty() {
            open.push(' ');
        }
        part = word.rfind(',').map_or(part, |at| open.len() + at + 1);
        open.push_str(word);
        if open.get(part..).filter(|last| last.len() <= TIME).and_then(time).is_some() {
            triples.push(String::new());
            part = 0;
        }
    }
    triples.retain(|triple| !triple.is_empty());
    triples
}

/// The value of a word; true when it was not written as the standard does.
pub(super) fn match_word<T: Copy>(text: &str, all: &[T], word: fn(T) -> &'static str) -> (Option<T>, bool) {
    if let Some(value) = all.iter().copied().find(|value| word(*value) == text) {
        return (Some(value), false);
    }
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_ascii_lowercase();
    let meant = match plain(text).as_str() {
        // CAP 1.0 and 1.1.
        "verylikely" => "likely".to_owned(),
        // GB/T 35965 files may carry the colour as the severity.
        "red" => "extreme".to_owned(),
        "orange" => "severe".to_owned(),
        "yellow" => "moderate".to_owned(),
        "blue" => "minor".to_owned(),
        other => other.to_owned(),
    };
    (all.iter().copied().find(|value| plain(word(*value)) == meant), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_people_write_are_read() {
        let off = |text: &str| time(text).map(|(time, off)| (time.to_rfc3339(), off));
        let is = |text: &str, code| Some((text.to_owned(), code));
        assert_eq!(off("2022-09-14T10:00:00+08:00"), is("2022-09-14T10:00:00+08:00", None));
        assert_eq!(off("2022-09-14T10:00:00-00:00"), is("2022-09-14T10:00:00+00:00", None));
        assert_eq!(off("2022-09-14T10:00:00+00:00"), is("2022-09-14T10:00:00+00:00", Some(Code::UtcSign)));
        assert_eq!(off("2022-09-14T02:00:00Z"), is("2022-09-14T02:00:00+00:00", Some(Code::LooseTime)));
        assert_eq!(off("2022-09-14T10:00:00.5+08:00"), is("2022-09-14T10:00:00.500+08:00", Some(Code::LooseTime)));
        assert_eq!(off("2022-09-14 10:00:00"), is("2022-09-14T10:00:00+08:00", Some(Code::NoOffset)));
        assert_eq!(off("2022-09-14T24:00:00+08:00"), is("2022-09-15T00:00:00+08:00", Some(Code::LooseTime)));
        assert_eq!(off("right meow"), None);
        assert_eq!(off("2022-13-40T10:00:00+08:00"), None);
    }

    #[test]
    fn rings_are_closed_and_broken_ones_left_out() {
        let (ring, off) = polygon("31,121 32,121\n 32,122").unwrap();
        assert_eq!((ring.ring.len(), off), (4, vec![Code::OpenPolygon]));
        assert_eq!(polygon("31,121 32,122 32,121 31,122 31,121").unwrap().1, [Code::CrossedPolygon]);
        assert_eq!(polygon("31,121, 32,121, 32,122, 31,121").unwrap().1, [Code::LoosePolygon]);
        assert_eq!(polygon("31,121 32,121 31,121"), Err(BadShape::Unreadable));
        assert_eq!(
            polygon("121,31 121,32 122,32 121,31"),
            Err(BadShape::Unreadable),
            "longitude first is not guessed at"
        );
        assert_eq!(polygon("31,NaN 32,121 32,122 31,NaN"), Err(BadShape::Unreadable));
        assert_eq!(polygon(&"31,121 ".repeat(MAX_POINTS + 1)), Err(BadShape::TooMany));
    }

    #[test]
    fn circles_and_lists() {
        assert_eq!(circle("31.2, 121.5 20").unwrap().radius_km, 20.0);
        assert_eq!(circle("31.2,121.5"), None);
        assert_eq!(circle("31.2,121.5 -3"), None);
        assert_eq!(quoted_list("a \"b c\"  d"), ["a", "b c", "d"]);
        assert_eq!(quoted_list("\"open"), ["open"]);
    }

    #[test]
    fn references_may_name_senders_with_spaces() {
        let two = "Shanghai Met,a1,2022-09-14T10:00:00+08:00 b,c,2022-09-14T11:00:00+08:00 broken";
        assert_eq!(
            triples(two),
            ["Shanghai Met,a1,2022-09-14T10:00:00+08:00", "b,c,2022-09-14T11:00:00+08:00", "broken"]
        );
        assert_eq!(triples(""), Vec::<String>::new());
        assert_eq!(triples("2022-09-14T10:00:00+08:00 a"), ["2022-09-14T10:00:00+08:00", "a"], "a time alone");
        assert_eq!(triples("a, b,c ,2022-09-14T10:00:00+08:00"), ["a, b,c ,2022-09-14T10:00:00+08:00"]);
    }
}
