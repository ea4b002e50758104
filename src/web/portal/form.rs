//! Places and wishes as forms hold them.

use tocsin_channels::ChannelKind;

use crate::cap::{Colour, Hazard, Point};
use crate::messages::Language;
use crate::regions::{RegionKind, RegionMap};
use crate::residents::{Hazards, Quiet, ResidentError, Residents, Where, Wishes};
use crate::store::Place;
use crate::web::session::Fields;
use crate::web::words::Words;

/// One choice of a list.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) on: bool,
}

/// Counties of one prefecture.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) counties: Vec<Choice>,
}

/// Where a place is, as a form shows it: as it was typed, also what only the map can choose.
pub(super) struct WhereForm {
    pub(super) name: String,
    /// Every county, by prefecture, with the one that was chosen.
    pub(super) groups: Vec<Group>,
    pub(super) lat: String,
    pub(super) lon: String,
    pub(super) shape: String,
}

impl WhereForm {
    pub(super) fn typed(at: &str, fields: &Fields, map: &RegionMap, language: Language) -> Self {
        let typed = |part: &str| fields.get(&format!("{at}{part}")).to_owned();
        Self {
            name: place_name(fields, at),
            groups: counties(map, language, &typed("county")),
            lat: typed("lat"),
            lon: typed("lon"),
            shape: typed("shape"),
        }
    }
}

/// What somebody calls a place.
pub(super) fn place_name(fields: &Fields, at: &str) -> String {
    let typed = fields.get(&format!("{at}name")).chars().filter(|c| !c.is_control());
    typed.take(20).collect::<String>().trim().to_owned()
}

fn counties(map: &RegionMap, language: Language, chosen: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for region in map.of_kind(RegionKind::County) {
        let above = region.parent.as_ref().and_then(|code| map.get(code));
        let name = above.map_or_else(String::new, |region| region.name_in(language).to_owned());
        let on = region.code.as_str() == chosen;
        let choice = Choice { value: region.code.to_string(), name: region.name_in(language).to_owned(), on };
        match groups.last_mut() {
            Some(group) if group.name == name => group.counties.push(choice),
            _ => groups.push(Group { name, counties: vec![choice] }),
        }
    }
    groups
}

/// A place's wishes as a form shows them. Names of fields begin with `at`, so that a page can hold several.
pub(super) struct WishForm {
    pub(super) at: String,
    pub(super) levels: Vec<Choice>,
    pub(super) hazards: Vec<Choice>,
    pub(super) all: bool,
    /// First, second, third; what is not set up here is not offered.
    pub(super) channels: Vec<Vec<Choice>>,
    pub(super) chinese: bool,
    pub(super) english: bool,
    pub(super) from: Vec<Choice>,
    pub(super) to: Vec<Choice>,
    /// They do not go together: what is shut shows nobody what to mend.
    pub(super) quiet_is_wrong: bool,
    pub(super) severe_wakes: bool,
    pub(super) drills: bool,
}

pub(super) fn channel_name(kind: ChannelKind, t: Words) -> &'static str {
    match kind {
        ChannelKind::Sms => t.s("short message"),
        ChannelKind::Email => t.s("e-mail"),
        ChannelKind::Push => t.s("browser push"),
        ChannelKind::Mqtt => "MQTT",
    }
}

impl WishForm {
    pub(super) fn of(at: &str, wishes: &Wishes, offered: &[ChannelKind], t: Words) -> Self {
        let wished: Vec<_> = wishes.channels.iter().filter(|kind| offered.contains(kind)).collect();
        let level = |colour: Colour| Choice {
            value: colour.as_str().to_owned(),
            name: match colour {
                Colour::Red => t.s("red only"),
                Colour::Orange => t.s("orange and red"),
                Colour::Yellow => t.s("yellow and above"),
                Colour::Blue => t.s("blue and above (all)"),
            }
            .to_owned(),
            on: wishes.lowest == colour,
        };
        let all = wishes.hazards == Hazards::ALL;
        let hazard = |kind: &Hazard| Choice {
            value: kind.slug().to_owned(),
            name: t.pick(kind.name_zh(), kind.name_en()).to_owned(),
            on: !all && wishes.hazards.contains(*kind),
        };
        let order = |n: usize| {
            let chosen = wished.get(n).copied();
            let none = Choice { value: String::new(), name: "—".into(), on: chosen.is_none() };
            let own = offered.iter().map(|kind| Choice {
                value: kind.as_str().to_owned(),
                name: channel_name(*kind, t).to_owned(),
                on: chosen == Some(kind),
            });
            // A list shows what stands, also that nothing of what is wished is there.
            (n > 0 || chosen.is_none()).then_some(none).into_iter().chain(own).collect()
        };
        Self {
            at: at.to_owned(),
            levels: [Colour::Blue, Colour::Yellow, Colour::Orange, Colour::Red].map(level).into(),
            hazards: Hazard::ALL.iter().filter(|kind| **kind != Hazard::Other).map(hazard).collect(),
            all,
            channels: (0..offered.len()).map(order).collect(),
            chinese: wishes.languages.contains(&Language::Chinese),
            english: wishes.languages.contains(&Language::English),
            from: halves(wishes.quiet.map(|quiet| quiet.from)),
            to: halves(wishes.quiet.map(|quiet| quiet.to)),
            quiet_is_wrong: false,
            severe_wakes: wishes.quiet.is_some_and(|quiet| quiet.severe_wakes),
            drills: wishes.drills,
        }
    }

    /// As they were typed, also where that does not go together.
    pub(super) fn typed(at: &str, fields: &Fields, offered: &[ChannelKind], t: Words) -> Self {
        let said = said(fields, at, offered, t.language);
        let (from, to) = (half(fields, at, "from"), half(fields, at, "to"));
        let is = |language: Language| match has_wishes(fields, at) {
            true => languages(fields, at).contains(&language),
            false => said.languages.contains(&language),
        };
        Self {
            chinese: is(Language::Chinese),
            english: is(Language::English),
            from: halves(from),
            to: halves(to),
            quiet_is_wrong: from.is_some() != to.is_some() || (from.is_some() && from == to),
            severe_wakes: fields.is_on(&format!("{at}wakes")),
            ..Self::of(at, &said, offered, t)
        }
    }
}

/// The half hours of a day.
fn halves(chosen: Option<u8>) -> Vec<Choice> {
    let none = Choice { value: String::new(), name: "—".into(), on: chosen.is_none() };
    let halves = (0..48_u8).map(move |n| Choice {
        value: n.to_string(),
        name: format!("{:02}:{:02}", n / 2, n % 2 * 30),
        on: chosen == Some(n),
    });
    std::iter::once(none).chain(halves).collect()
}

fn half(fields: &Fields, at: &str, part: &str) -> Option<u8> {
    fields.get(&format!("{at}{part}")).parse::<u8>().ok().filter(|half| *half < 48)
}

/// Whether a form of ours shows these wishes: each of them names a level.
pub(super) fn has_wishes(fields: &Fields, at: &str) -> bool {
    fields.is_on(&format!("{at}level"))
}

fn languages(fields: &Fields, at: &str) -> Vec<Language> {
    let name = format!("{at}language");
    let tags: Vec<Language> = fields.all(&name).filter_map(Language::of_tag).collect();
    Language::ALL.into_iter().filter(|language| tags.contains(language)).collect()
}

/// The wishes of a form. What does not go together is refused: nobody's are to be others than they think.
pub(super) fn wishes(
    fields: &Fields,
    at: &str,
    offered: &[ChannelKind],
    language: Language,
) -> Result<Wishes, ResidentError> {
    let wishes = said(fields, at, offered, language);
    let asks_for_quiet = ["from", "to"].iter().any(|part| fields.is_on(&format!("{at}{part}")));
    let why = match wishes.quiet {
        None if asks_for_quiet => {
            "夜间不打扰须同时选开始和结束，或都不选 / choose both when quiet hours begin and when they end, or neither"
        }
        Some(quiet) if quiet.from == quiet.to => {
            "夜间不打扰的开始和结束不能相同 / quiet hours cannot end when they begin"
        }
        _ if has_wishes(fields, at) && languages(fields, at).is_empty() => {
            "请至少选一种语言 / choose at least one language"
        }
        _ => return Ok(wishes),
    };
    Err(ResidentError::Input(why))
}

/// What a form says of wishes; what it does not say is as a new resident has it.
fn said(fields: &Fields, at: &str, offered: &[ChannelKind], language: Language) -> Wishes {
    let name = |part: &str| format!("{at}{part}");
    let kinds: Vec<Hazard> = fields.all(&name("hazard")).filter_map(Hazard::from_slug).collect();
    let mut channels: Vec<ChannelKind> = Vec::new();
    for kind in (0..3).filter_map(|n| fields.get(&name(&format!("by{n}"))).parse().ok()) {
        if offered.contains(&kind) && !channels.contains(&kind) {
            channels.push(kind);
        }
    }
    let usual = Wishes::default();
    let half = |part: &str| half(fields, at, part);
    let wakes = fields.is_on(&name("wakes"));
    Wishes {
        hazards: if kinds.is_empty() { Hazards::ALL } else { Hazards::of(kinds) },
        lowest: Colour::ALL.into_iter().find(|c| c.as_str() == fields.get(&name("level"))).unwrap_or(usual.lowest),
        channels: if channels.is_empty() { usual.channels } else { channels },
        languages: match languages(fields, at) {
            none if none.is_empty() => vec![language],
            own => own,
        },
        quiet: half("from").zip(half("to")).map(|(from, to)| Quiet { from, to, severe_wakes: wakes }),
        drills: fields.is_on(&name("drills")),
    }
}

/// The places of a form; none where nothing was filled in. One that has a name only is refused: its owner thinks that it is there.
pub(super) fn places(
    residents: &Residents,
    fields: &Fields,
    at: &str,
    language: Language,
) -> Result<Vec<Place>, ResidentError> {
    let get = |part: &str| fields.get(&format!("{at}{part}")).trim().to_owned();
    let corner = |text: &str| point(text.split_once(',')?);
    let shape = get("shape").split_whitespace().take(MOST).map(corner).collect::<Option<Vec<Point>>>();
    let place = Where {
        county: get("county"),
        point: point((&get("lat"), &get("lon"))),
        shape: shape.ok_or(ResidentError::Input("画的区域无法读取 / the shape cannot be read"))?,
    };
    if place.county.is_empty() && place.point.is_none() && place.shape.is_empty() && get("name").is_empty() {
        return Ok(Vec::new());
    }
    residents.places(&get("name"), &place, &wishes(fields, at, &residents.offered(), language)?)
}

/// Corners that are read of a shape; one of more is refused.
const MOST: usize = 1_000;

fn point((lat, lon): (&str, &str)) -> Option<Point> {
    let degrees = |text: &str, most: f64| text.trim().parse::<f64>().ok().filter(|n| n.abs() <= most);
    Some(Point { lat: degrees(lat, 90.0)?, lon: degrees(lon, 180.0)? })
}
