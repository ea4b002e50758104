//! A rule's condition: a tree of all, any and not over what an alert says.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::decide::Facts;
use crate::cap::{Category, Certainty, Colour, Hazard, MsgType, Scope, Severity, Status, Urgency};
use crate::regions::RegionCode;

/// One node of the tree. A list holds when the alert's value is in it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// All of these.
    All(Vec<Condition>),
    /// At least one of these.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// The kind of danger.
    Hazard(Vec<Hazard>),
    /// The level's colour; of an alert without colours, that of its severity.
    Colour(Vec<Colour>),
    /// Words that the event holds, capitals or not.
    Event(Vec<String>),
    /// CAP severity.
    Severity(Vec<Severity>),
    /// CAP urgency.
    Urgency(Vec<Urgency>),
    /// CAP certainty.
    Certainty(Vec<Certainty>),
    /// CAP category.
    Category(Vec<Category>),
    /// CAP status.
    Status(Vec<Status>),
    /// CAP msgType.
    MsgType(Vec<MsgType>),
    /// CAP scope.
    Scope(Vec<Scope>),
    /// The sender's or issuer's name holds one of these.
    Sender(Vec<String>),
    /// A matched county is one of these, or lies in one.
    Region(Vec<RegionCode>),
    /// A matched sea area is one of these.
    SeaArea(Vec<RegionCode>),
    /// The danger begins within this time: `"6h"`. Without an onset it has begun.
    OnsetWithin(Span),
    /// The danger begins later than this: `"24h"`.
    OnsetAfter(Span),
    /// A parameter, or an event code, of this name has this value.
    Parameter {
        /// The valueName.
        name: String,
        /// The value; any where left out.
        value: Option<String>,
    },
}

/// A span of time as people write it: `90s`, `30m`, `6h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(TimeDelta);

impl Span {
    /// So many minutes.
    pub fn minutes(minutes: u16) -> Self {
        Self(TimeDelta::minutes(minutes.into()))
    }

    /// The span itself.
    pub fn time(self) -> TimeDelta {
        self.0
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        match span.0.num_seconds() {
            days if days > 0 && days % 86_400 == 0 => format!("{}d", days / 86_400),
            hours if hours > 0 && hours % 3_600 == 0 => format!("{}h", hours / 3_600),
            minutes if minutes > 0 && minutes % 60 == 0 => format!("{}m", minutes / 60),
            seconds => format!("{seconds}s"),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bad = || format!("`{text}` is no span of time: write 90s, 30m, 6h or 2d");
        let unit = text.chars().last().ok_or_else(bad)?;
        let number: i64 = text
            .strip_suffix(unit)
            .and_then(|n| n.parse().ok())
            .filter(|n| (0..=10_000).contains(n))
            .ok_or_else(bad)?;
        match unit {
            's' => Ok(Self(TimeDelta::seconds(number))),
            'm' => Ok(Self(TimeDelta::minutes(number))),
            'h' => Ok(Self(TimeDelta::hours(number))),
            'd' => Ok(Self(TimeDelta::days(number))),
            _ => Err(bad()),
        }
    }
}

/// What was asked and what was found, one line a node, children indented.
pub(super) struct Why {
    lines: Vec<String>,
    depth: usize,
}

impl Condition {
    /// Whether the condition holds, and why.
    pub(super) fn judge(&self, facts: &Facts<'_>) -> (bool, Vec<String>) {
        let mut why = Why { lines: Vec::new(), depth: 0 };
        let holds = self.holds(facts, &mut why);
        (holds, why.lines)
    }

    fn holds(&self, facts: &Facts<'_>, why: &mut Why) -> bool {
        match self {
            Self::All(parts) => why.group("all of", parts, facts, |held| held.iter().all(|h| *h)),
            Self::Any(parts) => why.group("any of", parts, facts, |held| held.iter().any(|h| *h)),
            Self::Not(part) => {
                why.group("not", std::slice::from_ref(part.as_ref()), facts, |held| held.iter().all(|h| !*h))
            }
            leaf => {
                let (asked, found, holds) = leaf.leaf(facts);
                why.say(holds, &format!("{asked}: found {found}"));
                holds
            }
        }
    }

    /// What a leaf asks, what the alert says, and whether that holds.
    fn leaf(&self, facts: &Facts<'_>) -> (String, String, bool) {
        let info = facts.info;
        match self {
            Self::All(_) | Self::Any(_) | Self::Not(_) => (String::new(), String::new(), false),
            Self::Hazard(list) => one_of("hazard", list, Some(facts.hazard), |h| h.slug()),
            Self::Colour(list) => one_of("colour", list, facts.colour, |c| c.as_str()),
            Self::Severity(list) => one_of("severity", list, info.map(|i| i.severity), |s| s.as_str()),
            Self::Urgency(list) => one_of("urgency", list, info.map(|i| i.urgency), |u| u.as_str()),
            Self::Certainty(list) => one_of("certainty", list, info.map(|i| i.certainty), |c| c.as_str()),
            Self::Status(list) => one_of("status", list, Some(facts.alert.status), |s| s.as_str()),
            Self::MsgType(list) => one_of("msg_type", list, Some(facts.alert.msg_type), |m| m.as_str()),
            Self::Scope(list) => one_of("scope", list, Some(facts.alert.scope), |s| s.as_str()),
            Self::Category(list) => {
                let has: Vec<_> = info.map(|i| i.categories.iter().map(|c| c.as_str()).collect()).unwrap_or_default();
                any_of("category", list.iter().map(|c| c.as_str()), has, |asked, found| asked == found)
            }
            Self::Event(words) => {
                let events: Vec<_> = facts.alert.infos.iter().map(|i| i.event.as_str()).collect();
                any_of("event", words.iter().map(String::as_str), events, |asked, found| {
                    found.to_lowercase().contains(&asked.to_lowercase())
                })
            }
            Self::Sender(names) => {
                let names_of = facts.alert.infos.iter().filter_map(|i| i.sender_name.as_deref());
                let has: Vec<_> = std::iter::once(facts.alert.sender.as_str()).chain(names_of).collect();
                any_of("sender", names.iter().map(String::as_str), has, |asked, found| found.contains(asked))
            }
            Self::Region(codes) => {
                let inside =
                    |code: &&RegionCode| facts.located.counties.iter().any(|m| facts.map.is_in(&m.region, code));
                let found: Vec<_> = codes.iter().filter(inside).map(RegionCode::as_str).collect();
                let found = if found.is_empty() { "none of them".to_owned() } else { found.join(", ") };
                (
                    format!("region in {}", list(codes.iter().map(RegionCode::as_str))),
                    found,
                    codes.iter().any(|code| inside(&code)),
                )
            }
            Self::SeaArea(codes) => {
                let has = facts.located.sea_areas.iter().map(|m| m.region.as_str()).collect();
                any_of("sea_area", codes.iter().map(RegionCode::as_str), has, |asked, found| asked == found)
            }
            Self::OnsetWithin(span) => onset("onset_within", *span, facts, |lead, span| lead <= span),
            Self::OnsetAfter(span) => onset("onset_after", *span, facts, |lead, span| lead > span),
            Self::Parameter { name, value } => {
                let all = facts.alert.infos.iter().flat_map(|i| i.parameters.iter().chain(&i.event_codes));
                let has: Vec<_> = all.filter(|p| p.name == *name).map(|p| p.value.as_str()).collect();
                let holds = has.iter().any(|found| value.as_deref().is_none_or(|value| value == *found));
                (format!("parameter {name} = {}", value.as_deref().unwrap_or("any")), list(has.into_iter()), holds)
            }
        }
    }

    /// What is empty in the tree, if anything: an empty `all` would hold always, an empty `any` never.
    pub(super) fn emptiness(&self) -> Option<&'static str> {
        match self {
            Self::All(parts) | Self::Any(parts) if parts.is_empty() => Some("an `all` or `any` in `when` is empty"),
            Self::All(parts) | Self::Any(parts) => parts.iter().find_map(Self::emptiness),
            Self::Not(part) => part.emptiness(),
            Self::OnsetWithin(_) | Self::OnsetAfter(_) | Self::Parameter { .. } => None,
            leaf => leaf.lists_nothing().then_some("a list in `when` is empty: it would never hold"),
        }
    }

    fn lists_nothing(&self) -> bool {
        match self {
            Self::Hazard(list) => list.is_empty(),
            Self::Colour(list) => list.is_empty(),
            Self::Severity(list) => list.is_empty(),
            Self::Urgency(list) => list.is_empty(),
            Self::Certainty(list) => list.is_empty(),
            Self::Category(list) => list.is_empty(),
            Self::Status(list) => list.is_empty(),
            Self::MsgType(list) => list.is_empty(),
            Self::Scope(list) => list.is_empty(),
            Self::Event(list) | Self::Sender(list) => list.is_empty(),
            Self::Region(list) | Self::SeaArea(list) => list.is_empty(),
            _ => false,
        }
    }

    /// Collects the regions that the tree names.
    pub(super) fn regions(&self, found: &mut Vec<RegionCode>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.regions(found)),
            Self::Not(part) => part.regions(found),
            Self::Region(codes) | Self::SeaArea(codes) => found.extend(codes.iter().cloned()),
            _ => {}
        }
    }
}

impl Why {
    fn say(&mut self, holds: bool, text: &str) {
        self.lines.push(format!("{}{} {text}", "  ".repeat(self.depth), if holds { '✓' } else { '✗' }));
    }

    fn group(&mut self, word: &str, parts: &[Condition], facts: &Facts<'_>, joined: fn(&[bool]) -> bool) -> bool {
        let at = self.lines.len();
        self.depth += 1;
        let held: Vec<_> = parts.iter().map(|part| part.holds(facts, self)).collect();
        self.depth -= 1;
        let holds = joined(&held);
        self.say(holds, word);
        // The group's own line stands before its parts.
        self.lines.get_mut(at..).unwrap_or_default().rotate_right(1);
        holds
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn one_of<T: Copy + PartialEq>(
    name: &str,
    asked: &[T],
    found: Option<T>,
    word: fn(T) -> &'static str,
) -> (String, String, bool) {
    let holds = found.is_some_and(|found| asked.contains(&found));
    (format!("{name} in {}", list(asked.iter().map(|v| word(*v)))), found.map_or("none", word).to_owned(), holds)
}

fn any_of<'a>(
    name: &str,
    asked: impl Iterator<Item = &'a str> + Clone,
    found: Vec<&str>,
    matches: impl Fn(&str, &str) -> bool,
) -> (String, String, bool) {
    let holds = asked.clone().any(|asked| found.iter().any(|found| matches(asked, found)));
    (format!("{name} in {}", list(asked)), list(found.into_iter()), holds)
}

fn onset(name: &str, span: Span, facts: &Facts<'_>, judge: fn(TimeDelta, TimeDelta) -> bool) -> (String, String, bool) {
    let lead = facts.info.and_then(|info| info.onset).map_or(TimeDelta::zero(), |onset| onset.to_utc() - facts.now);
    (format!("{name} {} min", span.0.num_minutes()), format!("{} min", lead.num_minutes()), judge(lead, span.0))
}
