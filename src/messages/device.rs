//! What sirens, loudspeakers and signs act on. Small, and the same every time: `docs/devices.md` tells their makers.

use chrono::{DateTime, FixedOffset};
use serde_json::json;

use super::facts::Facts;
use super::fit;
use super::language::Variant;
use crate::cap::Colour;

/// Characters that are spoken or shown: half a minute.
const SPOKEN: usize = 160;

/// The JSON of an alert for a device.
pub(super) fn play(facts: &Facts, variant: Variant, speech: &str) -> String {
    let plays = variant == Variant::Warn;
    let (pattern, seconds, repeat) = if plays { sound(facts.colour) } else { ("none", 0, 1) };
    let time = |at: DateTime<FixedOffset>| at.to_rfc3339();
    let speech = speech.split_whitespace().collect::<Vec<_>>().join(" ");
    json!({
        "id": facts.alert,
        "event": facts.event_key,
        "action": if plays { "play" } else { "stop" },
        "level": facts.colour.map(Colour::as_str),
        "hazard": facts.hazard.slug(),
        "text": fit::cut(&speech, SPOKEN),
        "language": facts.language.tag(),
        "pattern": pattern,
        "seconds": seconds,
        "repeat": repeat,
        "sent": time(facts.sent),
        "until": facts.expires.map(time),
        "exercise": facts.exercise,
    })
    .to_string()
}

/// How a siren sounds, for how long, and how often the text is said.
fn sound(level: Option<Colour>) -> (&'static str, u8, u8) {
    match level {
        Some(Colour::Red) => ("wail", 60, 3),
        Some(Colour::Orange) => ("alternate", 30, 2),
        Some(Colour::Yellow) => ("pulse", 15, 2),
        Some(Colour::Blue) | None => ("chime", 5, 1),
    }
}
