//! From what an officer typed to a CAP alert, with everything that is wrong about it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::places::{self, Outlines};
use crate::app::App;
use crate::approval::Words as Said;
use crate::cap::{
    Alert, Area, Category, Certainty, Colour, Hazard, Info, MsgType, NationalId, Reference, Scope, Urgency, Version,
};
use crate::messages::Language;
use crate::officers::OfficerId;
use crate::store::AlertRow;
use crate::web::console::acts::beijing_time;
use crate::web::page::{Fault, beijing};
use crate::web::words::Words;
use crate::world::World;

/// Class of agency, unit and extension in identifiers of what is composed, where config names no others.
const WEATHER_SERVICE: &str = "41600000";

/// What an officer typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ComposeForm {
    pub(super) msg_type: String,
    pub(super) refers: String,
    pub(super) hazard: String,
    pub(super) colour: String,
    pub(super) region: String,
    pub(super) onset: String,
    pub(super) expires: String,
    pub(super) places: String,
    pub(super) polygons: String,
    pub(super) circles: String,
    pub(super) shared: bool,
    pub(super) words: BTreeMap<Language, Said>,
    /// Everyone who saved it; kept by the draft, never typed.
    pub(super) writers: BTreeSet<OfficerId>,
    /// When the draft that was opened had been saved last, milliseconds since 1970; 0 for a new one.
    #[serde(skip)]
    pub(super) seen: i64,
}

/// The alert, if there can be one, and what was found.
pub(super) struct Composed {
    pub(super) alert: Option<Alert>,
    pub(super) faults: Vec<String>,
    pub(super) remarks: Vec<String>,
}

pub(super) async fn build<W: World>(
    app: &App,
    form: &ComposeForm,
    words: Words,
    now: DateTime<Utc>,
) -> Result<Composed, Fault> {
    let (mut faults, mut remarks) = (Vec::new(), Vec::new());
    let hazard = Hazard::from_slug(&form.hazard);
    let colour = Colour::ALL.into_iter().find(|colour| colour.as_str() == form.colour);
    let msg_type = MsgType::parse(&form.msg_type).unwrap_or(MsgType::Alert);
    let references = references::<W>(app, form, msg_type, (words, now), &mut faults).await?;
    let area = area(app, form, words, &mut faults, &mut remarks);
    let expires = end(form, words, now, &mut faults);
    let onset = match form.onset.as_str() {
        "" => None,
        text => beijing_time(text).map_err(|_| faults.push(words.s("The beginning is no time").to_owned())).ok(),
    };
    if let (Some(onset), Some(expires)) = (onset, expires)
        && onset >= expires
    {
        faults.push(words.s("The end is before the beginning").to_owned());
    }
    let (Some(hazard), Some(colour), Some(area), Some(expires)) = (hazard, colour, area, expires) else {
        if hazard.is_none() || colour.is_none() {
            faults.push(words.s("Choose danger and level").to_owned());
        }
        return Ok(Composed { alert: None, faults, remarks });
    };
    let issuer = |language| issuer(app, &form.region, language);
    let info = |language: Language| {
        let said = form.words.get(&language).cloned().unwrap_or_default();
        let text = |text: String| (!text.is_empty()).then_some(text);
        let advice = || app.policy.load().templates.advice(hazard, language).ok();
        // What is over is not described as if it came.
        let describes = || {
            let warns = msg_type != MsgType::Cancel;
            warns.then(|| app.policy.load().templates.description(hazard, colour, language).ok()).flatten()
        };
        Info {
            language: language.tag().into(),
            categories: vec![category(hazard)],
            event: name(hazard, language).to_owned(),
            response_types: Vec::new(),
            urgency: if onset.is_none_or(|onset| onset <= now) { Urgency::Immediate } else { Urgency::Expected },
            severity: colour.severity(),
            certainty: Certainty::Likely,
            audience: None,
            event_codes: crate::cap::event_code(hazard).into_iter().collect(),
            effective: None,
            onset: onset.map(beijing),
            expires: Some(beijing(expires)),
            sender_name: Some(issuer(language)),
            headline: text(said.headline)
                .or_else(|| Some(headline(hazard, colour, &issuer(language), language, msg_type))),
            description: text(said.description).or_else(describes),
            instruction: text(said.instruction).or_else(advice),
            web: None,
            contact: None,
            parameters: vec![crate::cap::colour_field(colour)],
            resources: Vec::new(),
            areas: vec![area.clone()],
            unknown: Vec::new(),
        }
    };
    let sent = beijing(DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now));
    let alert = Alert {
        version: Version::V1_2,
        identifier: NationalId::write(
            &form.region,
            app.press.issuer().unwrap_or(WEATHER_SERVICE),
            now,
            i64::from(now.timestamp_subsec_millis() / 100),
        )
        .unwrap_or_else(|| format!("{}-{}", form.region, now.timestamp_millis())),
        sender: format!("console.{}", form.region),
        sent,
        status: W::STATUS,
        msg_type,
        scope: Scope::Public,
        source: None,
        restriction: None,
        addresses: Vec::new(),
        codes: Vec::new(),
        note: None,
        references,
        incidents: Vec::new(),
        infos: Language::ALL.into_iter().map(info).collect(),
        unknown: Vec::new(),
    };
    if Colour::of_alert(&alert) != Some(colour) || Hazard::of_alert(&alert) != hazard {
        faults.push(words.s("The headline names another danger or level than the one chosen").to_owned());
    }
    let described = |language| form.words.get(&language).is_some_and(|said: &Said| !said.description.is_empty());
    if described(Language::Chinese) && !described(Language::English) {
        remarks
            .push(words.s("No English description: it says in English what the level means, and no more").to_owned());
    }
    Ok(Composed { alert: Some(alert), faults, remarks })
}

async fn references<W: World>(
    app: &App,
    form: &ComposeForm,
    msg_type: MsgType,
    (words, now): (Words, DateTime<Utc>),
    faults: &mut Vec<String>,
) -> Result<Vec<Reference>, Fault> {
    if msg_type == MsgType::Alert {
        return Ok(Vec::new());
    }
    let row = app.store.alert(&form.refers).await?.filter(|row| row.status == W::STATUS.as_str());
    let Some(row) = row else {
        faults.push(words.s("Name the alert that it replaces, by its number").to_owned());
        return Ok(Vec::new());
    };
    let own = format!("console:{}", form.region);
    if row.bureau != own {
        faults.push(words.s("That alert was not written here in this name").to_owned());
    }
    // Whoever reads profiles to the letter wants all of the event named.
    let named = crate::intake::standing_with(&app.store, &row, now).await?.into_iter().chain([row]);
    let reference =
        |row: AlertRow| Reference { sender: row.sender, identifier: row.identifier, sent: beijing(row.sent) };
    Ok(named.map(reference).collect())
}

fn area(
    app: &App,
    form: &ComposeForm,
    words: Words,
    faults: &mut Vec<String>,
    remarks: &mut Vec<String>,
) -> Option<Area> {
    let policy = app.policy.load();
    let (regions, bad) = places::regions(&policy.map, &form.places);
    faults.extend(bad.iter().map(|word| words.f("No such place: {}", word)));
    let Outlines { found: polygons, thinned, bad, over } = places::polygons(&form.polygons);
    if over {
        faults.push(words.s("More outlines or corners than are read: none of them was").to_owned());
    }
    faults.extend(bad.iter().map(|line| words.f("No outline: {}", line)));
    for (before, after) in thinned {
        remarks.push(words.f("Corners of an outline were thinned: {}", format!("{before} → {after}")));
    }
    let (circles, bad) = places::circles(&form.circles);
    faults.extend(bad.iter().map(|line| words.f("No circle: {}", line)));
    if regions.is_empty() && polygons.is_empty() && circles.is_empty() {
        faults.push(words.s("Say where").to_owned());
        return None;
    }
    let names: Vec<_> = regions.iter().map(|region| region.name.as_str()).collect();
    let description = if names.is_empty() { "图示区域".to_owned() } else { names.join("、") };
    let geocodes = regions.iter().map(|region| policy.map.geocode(&region.code));
    Some(Area { description, polygons, circles, geocodes: geocodes.collect(), altitude: None, ceiling: None })
}

fn end(form: &ComposeForm, words: Words, now: DateTime<Utc>, faults: &mut Vec<String>) -> Option<DateTime<Utc>> {
    let end = beijing_time(&form.expires).ok();
    let why = match end {
        None => words.s("Say until when"),
        Some(end) if end <= now => words.s("The end is over"),
        Some(end) if (end - now).num_days() > 30 => words.s("The end is more than 30 days away"),
        Some(_) => return end,
    };
    faults.push(why.to_owned());
    end
}

fn issuer(app: &App, region: &str, language: Language) -> String {
    let policy = app.policy.load();
    let place = region.parse().ok().and_then(|code| policy.map.get(&code)).map_or("", |r| r.name_in(language));
    match language {
        Language::Chinese => format!("{place}预警中心"),
        Language::English => format!("{place} Warning Centre"),
    }
}

fn name(hazard: Hazard, language: Language) -> &'static str {
    match language {
        Language::Chinese => hazard.name_zh(),
        Language::English => hazard.name_en(),
    }
}

fn headline(hazard: Hazard, colour: Colour, issuer: &str, language: Language, msg_type: MsgType) -> String {
    match (language, msg_type) {
        (Language::Chinese, MsgType::Cancel) => format!("{issuer}解除{}{}预警", hazard.name_zh(), colour.name_zh()),
        (Language::Chinese, _) => format!("{issuer}发布{}{}预警", hazard.name_zh(), colour.name_zh()),
        (Language::English, MsgType::Cancel) => {
            format!("{issuer} cancels the {} {} warning", colour.name_en(), hazard.name_en().to_lowercase())
        }
        (Language::English, _) => {
            format!("{issuer} issues a {} {} warning", colour.name_en(), hazard.name_en().to_lowercase())
        }
    }
}

fn category(hazard: Hazard) -> Category {
    match hazard {
        Hazard::Earthquake | Hazard::Tsunami | Hazard::Geological => Category::Geo,
        Hazard::ForestFire => Category::Fire,
        Hazard::Chemical => Category::Cbrne,
        _ => Category::Met,
    }
}
