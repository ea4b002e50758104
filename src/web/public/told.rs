//! Alerts in plain words: what a person reads about one.

use chrono::{DateTime, Utc};

use crate::cap::AlertId;
use crate::messages::{Facts, Language};
use crate::outlet::Shown;
use crate::publish::{Entry, Publication, Standing};
use crate::regions::RegionCode;
use crate::web::page::{Mark, beijing};
use crate::web::words::Words;

/// One alert, as pages show it.
pub(super) struct Told {
    pub(super) id: String,
    pub(super) mark: Mark,
    /// Level and danger: the words on the mark's line.
    pub(super) title: String,
    pub(super) headline: String,
    pub(super) text: String,
    pub(super) steps: Vec<String>,
    pub(super) places: String,
    pub(super) issuer: String,
    pub(super) source: String,
    pub(super) sent: String,
    pub(super) until: String,
    pub(super) chain: String,
    /// What became of it, in words; empty while it holds.
    pub(super) state: String,
    pub(super) over: bool,
}

/// What an entry says in a language.
pub(super) fn told(entry: &Entry, shown: &Shown, words: Words) -> Told {
    let publication = &entry.publication;
    let language = words.language;
    let places = names(shown, entry.regions(), &publication.seas, language);
    let facts = Facts::of(&publication.shown, &publication.chain, Vec::new(), language);
    let over = entry.standing.ended().is_some();
    let end = publication.is_the_end();
    let mark = if over || end { Mark::ended() } else { Mark::of(publication.colour()) };
    let list = if places.is_empty() { facts.area.clone() } else { joined(&places, 8, words) };
    let paused = entry.standing == Standing::Paused;
    Told {
        id: publication.id.to_string(),
        mark: match (&entry.standing, publication.correction) {
            (Standing::Replaced { .. }, _) => Mark { name: "Replaced", ..mark },
            (Standing::Expired { .. }, _) => Mark { name: "Over", ..mark },
            (Standing::Withdrawn { by, .. }, _) if is_correction(by, shown) => Mark { name: "Corrected", ..mark },
            (_, true) => Mark { name: "Correction", ..mark },
            _ => mark,
        },
        title: words.title(&facts),
        headline: facts.headline.clone(),
        text: facts.description.clone(),
        steps: if over || end { Vec::new() } else { steps(&advice(&facts, shown, language)) },
        places: list,
        issuer: facts.issuer.clone(),
        source: publication.bureau.clone(),
        sent: moment(publication.shown.sent.to_utc(), words),
        until: moment(publication.expires, words),
        chain: publication.chain.clone(),
        state: if paused { words.s("on hold").to_owned() } else { state(entry, shown, words) },
        over: over || end,
    }
}

/// Whether an alert says of another that it was wrong.
fn is_correction(id: &AlertId, shown: &Shown) -> bool {
    shown.board.entries.iter().any(|entry| entry.publication.id == *id && entry.publication.correction)
}

/// What became of an entry.
fn state(entry: &Entry, shown: &Shown, words: Words) -> String {
    let Some(at) = entry.standing.ended() else { return String::new() };
    let at = moment(at, words);
    match &entry.standing {
        Standing::Withdrawn { by, .. } if is_correction(by, shown) => words.f("corrected, it was wrong: {}", at),
        Standing::Replaced { .. } => words.f("replaced by a newer warning: {}", at),
        Standing::Withdrawn { .. } => words.f("withdrawn: {}", at),
        _ => words.f("over since {}", at),
    }
}

/// What the alert says to do, else what is good to do in such a danger.
fn advice(facts: &Facts, shown: &Shown, language: Language) -> String {
    if !facts.instruction.is_empty() {
        return facts.instruction.clone();
    }
    shown.policy.templates.advice(facts.hazard, language).unwrap_or_default()
}

/// A text as steps: its lines, else its sentences; numbers and dashes in front are taken off, the list has its own.
pub(super) fn steps(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let parts: Vec<String> = match lines.as_slice() {
        [one] => sentences(one),
        many => many.iter().map(|line| (*line).to_owned()).collect(),
    };
    let bare = |part: String| bare(&part).to_owned();
    parts.into_iter().map(bare).filter(|part| !part.is_empty()).take(12).collect()
}

/// A step without the number or dash in front of it; a number that belongs to the words (24小时) stays.
fn bare(part: &str) -> &str {
    let numbered = part.trim_start_matches(['（', '(']).trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = numbered.strip_prefix(['.', '、', '．', ')', '）']).filter(|_| numbered.len() < part.len());
    // 1.5 metres is no first step.
    let rest = rest
        .filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(part)
        .trim_start_matches(|c: char| matches!(c, '①'..='⑳' | '-' | '•' | '·' | ' '));
    rest.trim()
}

fn sentences(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = found.len() - 1;
        let Some(part) = found.get_mut(last) else { break };
        part.push(letter);
        // An English sentence ends with a dot and a space; 3.5 metres does not, nor does a number in front.
        let number = || part.trim().trim_end_matches('.').bytes().all(|b| b.is_ascii_digit());
        let ends = matches!(letter, '。' | '；' | '！')
            || (matches!(letter, '.' | ';' | '!') && letters.peek() == Some(&' ') && !number());
        if ends {
            found.push(String::new());
        }
    }
    found
}

/// Places by name, groups where all of them are meant.
pub(super) fn names(shown: &Shown, regions: &[RegionCode], seas: &[RegionCode], language: Language) -> Vec<String> {
    let all: Vec<RegionCode> = regions.iter().chain(seas).cloned().collect();
    shown.policy.map.name_places(&all, language)
}

/// A list in words, no longer than this.
pub(super) fn joined(names: &[String], most: usize, words: Words) -> String {
    let list = names.iter().take(most).cloned().collect::<Vec<_>>().join(words.s(", "));
    match names.len().saturating_sub(most) {
        0 => list,
        more => words.fill("{} and {} more", &[&list, &more]),
    }
}

/// A time on Beijing's clocks.
pub(super) fn moment(at: DateTime<Utc>, words: Words) -> String {
    let shape = match words.tag() {
        "zh-CN" => "%-m月%-d日 %H:%M",
        "en" => "%-d %b %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    beijing(at).format(shape).to_string()
}

/// What a publication changes of the one before it in its event.
pub(super) fn changes(new: &Publication, old: &Publication, shown: &Shown, words: Words) -> Vec<String> {
    let mut found = Vec::new();
    if new.is_the_end() {
        return found;
    }
    let mark = |publication: &Publication| words.s(Mark::of(publication.colour()).name);
    if new.colour() != old.colour() {
        found.push(words.f("Level: {}", change(mark(old), mark(new))));
    }
    let missing = |a: &Publication, b: &Publication| -> Vec<RegionCode> {
        a.regions.iter().filter(|code| !b.regions.contains(code)).cloned().collect()
    };
    let named = |codes: &[RegionCode]| joined(&names(shown, codes, &[], words.language), 6, words);
    let (added, mut gone) = (missing(new, old), missing(old, new));
    // Of other places another part of it speaks.
    gone.retain(|code| new.within.as_ref().is_none_or(|within| within.contains(code)));
    if !added.is_empty() {
        found.push(words.f("Added: {}", named(&added)));
    }
    if !gone.is_empty() {
        found.push(words.f("No longer: {}", named(&gone)));
    }
    if new.expires != old.expires {
        found.push(words.f("Until: {}", change(&moment(old.expires, words), &moment(new.expires, words))));
    }
    found
}

fn change(from: &str, to: &str) -> String {
    format!("{from} → {to}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_become_steps() {
        for (text, wanted) in [
            ("1. 停工停课；\n2、船只回港。", vec!["停工停课；", "船只回港。"]),
            ("请往高处，避开低洼。远离河道。", vec!["请往高处，避开低洼。", "远离河道。"]),
            (
                "Stay inside. Waves of 3.5 m are expected. Call 110.",
                vec!["Stay inside.", "Waves of 3.5 m are expected.", "Call 110."],
            ),
            ("（1）关窗\n（2）断电", vec!["关窗", "断电"]),
            ("24小时内不要外出", vec!["24小时内不要外出"]),
            ("1.5 metres of water\nKeep away", vec!["1.5 metres of water", "Keep away"]),
            ("", vec![]),
        ] {
            assert_eq!(steps(text), wanted, "{text}");
        }
    }
}
