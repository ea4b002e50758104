//! What somebody wants to be told of at a place, and how: filters, order of channels, quiet hours. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, NaiveTime, TimeDelta, Timelike as _, Utc};
use serde::{Deserialize, Serialize};
use tocsin_channels::ChannelKind;

use crate::cap::{Colour, Hazard};
use crate::messages::Language;

/// A set of kinds of danger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<BTreeSet<Hazard>>", into = "Option<BTreeSet<Hazard>>")]
pub struct Hazards(i64);

/// Each kind's bit is its place here. Never reordered: the store holds the bits.
const BITS: [Hazard; 28] = [
    Hazard::Other,
    Hazard::Typhoon,
    Hazard::Rainstorm,
    Hazard::Snowstorm,
    Hazard::ColdWave,
    Hazard::Gale,
    Hazard::Sandstorm,
    Hazard::Heat,
    Hazard::Drought,
    Hazard::Lightning,
    Hazard::Hail,
    Hazard::Frost,
    Hazard::Fog,
    Hazard::Haze,
    Hazard::ThunderGale,
    Hazard::SevereConvection,
    Hazard::RoadIcing,
    Hazard::LowTemperature,
    Hazard::StormSurge,
    Hazard::SeaWaves,
    Hazard::SeaIce,
    Hazard::Tsunami,
    Hazard::MountainFlood,
    Hazard::Geological,
    Hazard::ForestFire,
    Hazard::Flood,
    Hazard::Earthquake,
    Hazard::Chemical,
];

impl Hazards {
    /// Every kind, those of the future too.
    pub const ALL: Self = Self(-1);

    /// These kinds, and dangers without a kind of their own: nobody can have meant to leave those out.
    pub fn of(kinds: impl IntoIterator<Item = Hazard>) -> Self {
        Self(kinds.into_iter().map(bit).fold(bit(Hazard::Other), |all, one| all | one))
    }

    /// Whether a kind is in it.
    pub fn contains(self, kind: Hazard) -> bool {
        self.0 & bit(kind) != 0
    }

    pub(crate) fn bits(self) -> i64 {
        self.0
    }
}

fn bit(kind: Hazard) -> i64 {
    BITS.iter().position(|known| *known == kind).map_or(0, |at| 1 << at)
}

impl From<Option<BTreeSet<Hazard>>> for Hazards {
    fn from(kinds: Option<BTreeSet<Hazard>>) -> Self {
        kinds.map_or(Self::ALL, Self::of)
    }
}

impl From<Hazards> for Option<BTreeSet<Hazard>> {
    fn from(set: Hazards) -> Self {
        (set != Hazards::ALL).then(|| BITS.into_iter().filter(|kind| set.contains(*kind)).collect())
    }
}

/// When somebody sleeps, in half hours of Beijing's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// From this half hour on, 0 to 47.
    pub from: u8,
    /// Until this one; an earlier one is the next morning's.
    pub to: u8,
    /// A Severe (orange) danger wakes them. An Extreme one always does.
    pub severe_wakes: bool,
}

/// What somebody wants for a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Of which dangers.
    pub hazards: Hazards,
    /// The lowest level.
    pub lowest: Colour,
    /// By what, the first one first; each once.
    pub channels: Vec<ChannelKind>,
    /// In which languages, Chinese first.
    pub languages: Vec<Language>,
    /// When not.
    pub quiet: Option<Quiet>,
    /// Whether they take part in drills: marked as such, sent as in earnest.
    #[serde(default)]
    pub drills: bool,
}

/// The bit of those who take part in drills, the highest of what [`Wishes::pack`] gives.
pub(crate) const DRILLS: i64 = 1 << 40;

impl Default for Wishes {
    fn default() -> Self {
        let channels = vec![ChannelKind::Push, ChannelKind::Sms, ChannelKind::Email];
        let languages = vec![Language::Chinese];
        Self { hazards: Hazards::ALL, lowest: Colour::Blue, channels, languages, quiet: None, drills: false }
    }
}

/// A danger, as wishes look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Danger {
    /// Its kind.
    pub hazard: Hazard,
    /// Its level; one that nobody named counts as orange.
    pub level: Option<Colour>,
}

impl Danger {
    fn level(self) -> Colour {
        self.level.unwrap_or(Colour::Orange)
    }
}

impl Wishes {
    /// Whether a danger is one to be told of. Gravest comes first in the order of colours.
    pub fn want(&self, danger: Danger) -> bool {
        self.hazards.contains(danger.hazard) && danger.level() <= self.lowest
    }

    /// Until when a message must wait so as not to wake anyone; None for now.
    pub fn hold_until(&self, danger: Danger, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let quiet = self.quiet?;
        let wakes = match danger.level() {
            Colour::Red => true,
            Colour::Orange => quiet.severe_wakes,
            _ => false,
        };
        if wakes { None } else { quiet.end(now) }
    }

    /// All but the hazards in one number, for the store.
    pub(crate) fn pack(&self) -> i64 {
        let code = |at: Option<usize>| i64::try_from(at.unwrap_or(0)).unwrap_or(0);
        let lowest = code(Colour::ALL.iter().position(|colour| *colour == self.lowest));
        let languages = Language::ALL.iter().enumerate().filter(|(_, language)| self.languages.contains(language));
        let languages = languages.fold(0_i64, |mask, (at, _)| mask | 1 << at);
        let channels = self.channels.iter().take(4).enumerate().fold(0_i64, |all, (at, kind)| {
            all | code(ChannelKind::ALL.iter().position(|known| known == kind)) << (2 * at)
        });
        let count = code(Some(self.channels.len().min(4)));
        let quiet = self.quiet.map_or(0, |quiet| {
            1 | i64::from(quiet.severe_wakes) << 1 | i64::from(quiet.from) << 2 | i64::from(quiet.to) << 8
        });
        let drills = if self.drills { DRILLS } else { 0 };
        lowest | languages << 2 | channels << 8 | count << 16 | quiet << 20 | drills
    }

    /// The wishes of a place's two numbers.
    pub(crate) fn unpack(hazards: i64, packed: i64) -> Self {
        let part = |shift: u32, bits: u32| usize::try_from(packed >> shift & ((1 << bits) - 1)).unwrap_or(0);
        let small = |shift, bits| u8::try_from(part(shift, bits)).unwrap_or(0);
        let channel = |at: u32| ChannelKind::ALL.get(part(8 + 2 * at, 2)).copied();
        let languages = Language::ALL.iter().enumerate().filter(|(at, _)| part(2, 2) & 1 << at != 0);
        Self {
            hazards: Hazards(hazards),
            lowest: Colour::ALL.get(part(0, 2)).copied().unwrap_or(Colour::Blue),
            channels: (0..4).take(part(16, 3)).filter_map(channel).collect(),
            languages: languages.map(|(_, language)| *language).collect(),
            quiet: (part(20, 1) == 1).then(|| Quiet {
                from: small(22, 6),
                to: small(28, 6),
                severe_wakes: part(21, 1) == 1,
            }),
            drills: packed & DRILLS != 0,
        }
    }
}

/// Whether a place's two numbers want a danger: what planning asks of each row.
pub(crate) fn wants(hazards: i64, packed: i64, danger: Danger) -> bool {
    let lowest = usize::try_from(packed & 3).ok().and_then(|at| Colour::ALL.get(at));
    Hazards(hazards).contains(danger.hazard) && lowest.is_none_or(|lowest| danger.level() <= *lowest)
}

impl Quiet {
    /// When the quiet hours that it is in now end; None outside them.
    pub(crate) fn end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let beijing = FixedOffset::east_opt(8 * 3_600)?;
        let local = now.with_timezone(&beijing);
        let at = |half: u8| NaiveTime::from_hms_opt(u32::from(half % 48) / 2, u32::from(half % 2) * 30, 0);
        let (from, to, clock) = (at(self.from)?, at(self.to)?, local.time());
        let over_midnight = to <= from;
        let quiet = if over_midnight { clock >= from || clock < to } else { clock >= from && clock < to };
        if !quiet || from == to {
            return None;
        }
        let wait = TimeDelta::seconds(
            i64::from(to.num_seconds_from_midnight()) - i64::from(clock.num_seconds_from_midnight()),
        );
        let wait = if wait <= TimeDelta::zero() { wait + TimeDelta::days(1) } else { wait };
        // To the second, so that people with the same quiet hours share chunks.
        Some(DateTime::from_timestamp(now.timestamp(), 0)? + wait)
    }
}

/// How one person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Telling {
    /// By what, in order.
    pub(crate) channels: Vec<ChannelKind>,
    pub(crate) languages: Vec<Language>,
    /// Not before this.
    pub(crate) hold: Option<DateTime<Utc>>,
}

/// How to tell somebody with these matching places, the oldest first, each of whose wishes want the danger: once for all of them. The
/// first place's order of channels leads; it goes out as soon as one place lets it.
pub(crate) fn telling<'a>(
    wishes: impl IntoIterator<Item = &'a Wishes>,
    danger: Danger,
    now: DateTime<Utc>,
) -> Option<Telling> {
    let mut all: Option<Telling> = None;
    for wish in wishes {
        let hold = wish.hold_until(danger, now);
        let Some(told) = &mut all else {
            all = Some(Telling { channels: wish.channels.clone(), languages: wish.languages.clone(), hold });
            continue;
        };
        told.channels
            .extend(wish.channels.iter().copied().filter(|kind| !told.channels.contains(kind)).collect::<Vec<_>>());
        told.languages
            .extend(wish.languages.iter().copied().filter(|l| !told.languages.contains(l)).collect::<Vec<_>>());
        told.languages.sort_unstable();
        told.hold = told.hold.and_then(|before| hold.map(|hold| hold.min(before)));
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const NIGHT: Quiet = Quiet { from: 44, to: 13, severe_wakes: false };

    fn danger(level: Colour) -> Danger {
        Danger { hazard: Hazard::Typhoon, level: Some(level) }
    }

    #[test]
    fn every_kind_of_danger_has_a_bit_and_keeps_it() {
        for kind in Hazard::ALL {
            assert_eq!(BITS.iter().filter(|known| *known == kind).count(), 1, "{}", kind.slug());
        }
        let bits: Vec<_> = BITS.iter().enumerate().map(|(at, kind)| format!("{at} {}", kind.slug())).collect();
        insta::assert_snapshot!(bits.join("\n"));
    }

    #[test]
    fn what_is_wanted_is_told_and_nothing_else() {
        let wishes = Wishes { hazards: Hazards::of([Hazard::Typhoon]), lowest: Colour::Yellow, ..Wishes::default() };
        assert!(wishes.want(danger(Colour::Red)));
        assert!(wishes.want(danger(Colour::Yellow)));
        assert!(!wishes.want(danger(Colour::Blue)), "below the lowest level");
        assert!(!wishes.want(Danger { hazard: Hazard::Heat, level: Some(Colour::Red) }), "another danger");
        assert!(wishes.want(Danger { hazard: Hazard::Other, level: None }), "nobody meant to leave the unknown out");
    }

    #[test]
    fn quiet_hours_hold_until_the_morning_and_grave_dangers_break_them() {
        let wishes = Wishes { quiet: Some(NIGHT), ..Wishes::default() };
        let (evening, small_hours, noon) =
            (at("2026-07-01T15:00:00Z"), at("2026-07-01T20:15:00Z"), at("2026-07-01T04:00:00Z"));
        let morning = at("2026-07-01T22:30:00Z");
        assert_eq!(wishes.hold_until(danger(Colour::Yellow), evening), Some(morning), "22:00 to 06:30 in Beijing");
        assert_eq!(wishes.hold_until(danger(Colour::Yellow), small_hours), Some(morning));
        assert_eq!(wishes.hold_until(danger(Colour::Yellow), noon), None);
        assert_eq!(wishes.hold_until(danger(Colour::Orange), evening), Some(morning), "they chose to sleep");
        let woken = Wishes { quiet: Some(Quiet { severe_wakes: true, ..NIGHT }), ..Wishes::default() };
        assert_eq!(woken.hold_until(danger(Colour::Orange), evening), None);
        assert_eq!(wishes.hold_until(danger(Colour::Red), evening), None, "red always wakes");
        assert_eq!(wishes.hold_until(danger(Colour::Yellow), morning), None, "the end is awake");
    }

    #[test]
    fn several_places_make_one_telling() {
        let home = Wishes { channels: vec![ChannelKind::Sms], quiet: Some(NIGHT), ..Wishes::default() };
        let school = Wishes {
            channels: vec![ChannelKind::Email, ChannelKind::Sms],
            languages: vec![Language::English],
            ..Wishes::default()
        };
        let told = telling([&home, &school], danger(Colour::Blue), at("2026-07-01T15:00:00Z")).unwrap();
        assert_eq!(told.channels, [ChannelKind::Sms, ChannelKind::Email]);
        assert_eq!(told.languages, [Language::Chinese, Language::English]);
        assert_eq!(told.hold, None, "the school's wishes let it go now");
        assert_eq!(telling([], danger(Colour::Blue), at("2026-07-01T15:00:00Z")), None);
    }

    proptest! {
        #[test]
        fn wishes_come_back_out_of_the_store_as_they_went_in(
            kinds in proptest::option::of(proptest::collection::btree_set(0..Hazard::ALL.len(), 0..9)),
            lowest in 0..4_usize,
            order in Just(ChannelKind::ALL.to_vec()).prop_shuffle(),
            count in 0..5_usize,
            languages in 0..4_usize,
            quiet in proptest::option::of((0..48_u8, 0..48_u8, any::<bool>())),
            drills in any::<bool>(),
        ) {
            let kinds = kinds.map(|set| set.into_iter().map(|at| Hazard::ALL[at]).collect::<Vec<_>>());
            let wishes = Wishes {
                hazards: kinds.map_or(Hazards::ALL, Hazards::of),
                lowest: Colour::ALL[lowest],
                channels: order.into_iter().take(count).collect(),
                languages: Language::ALL.into_iter().enumerate().filter(|(at, _)| languages & 1 << at != 0).map(|(_, l)| l).collect(),
                quiet: quiet.map(|(from, to, severe_wakes)| Quiet { from, to, severe_wakes }),
                drills,
            };
            prop_assert_eq!(&Wishes::unpack(wishes.hazards.bits(), wishes.pack()), &wishes);
            for danger in Hazard::ALL.iter().flat_map(|hazard| Colour::ALL.map(|level| Danger { hazard: *hazard, level: Some(level) })) {
                prop_assert_eq!(wants(wishes.hazards.bits(), wishes.pack(), danger), wishes.want(danger));
            }
            let json = serde_json::to_string(&wishes).unwrap();
            prop_assert_eq!(serde_json::from_str::<Wishes>(&json).unwrap(), wishes);
        }

        #[test]
        fn whoever_is_held_is_held_for_less_than_a_day_and_awake_after(from in 0..48_u8, to in 0..48_u8, second in 0..86_400_i64) {
            let quiet = Quiet { from, to, severe_wakes: false };
            let now = at("2026-07-01T00:00:00Z") + TimeDelta::seconds(second);
            if let Some(end) = quiet.end(now) {
                prop_assert!(end > now && end - now <= TimeDelta::days(1));
                prop_assert_eq!(quiet.end(end), None);
            }
        }
    }
}
