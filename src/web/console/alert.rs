//! Do I let this go out as it is?

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::json;
use tocsin_channels::ChannelKind;

use super::diff::{Change, Piece, change};
use super::ends::{End, ends};
use super::preview::{Forecast, Text, forecast, language_name, rendered, texts};
use super::queue::{Countdown, asked, countdown, kind, stands};
use super::refused::Refused;
use super::{stages, why};
use crate::app::App;
use crate::approval::{ActError, Amendment, DeskError, Material, Words as Said};
use crate::cap::{Alert, AlertId, Colour};
use crate::messages::Language;
use crate::officers::Role;
use crate::policy::Policy;
use crate::regions::{How, Located, Region, RegionCode};
use crate::rules::{RuleVerdict, Stage};
use crate::staff::Session;
use crate::store::{AlertRow, AlertState, EscalationRow};
use crate::web::page::{Fault, Frame, Mark, Moment, beijing, clock, page_with};
use crate::web::session::SignedIn;
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::World;

pub(super) struct Place {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) how: String,
}

struct InLanguage {
    tag: &'static str,
    name: &'static str,
    words: Said,
}

struct Part {
    id: i64,
    jurisdiction: String,
    state: String,
    says: String,
    overdue: bool,
    open: bool,
    time: Countdown,
    signatures: Vec<String>,
    changed: Vec<Change>,
    changed_why: String,
    uncalled: bool,
    revision: u32,
    can_take: bool,
    stage: Option<&'static str>,
    word: String,
    go: String,
    reaches: String,
    why_not: String,
    can_judge: bool,
    can_amend: bool,
    can_withdraw: bool,
    words: Vec<InLanguage>,
    end: String,
    regions: Vec<Place>,
    /// What goes out of this part, and to whom, where there are several.
    texts: Vec<Text>,
    forecast: Vec<Forecast>,
}

impl Part {
    /// Whether its form is another one than that which was refused: its words or its stage have changed since.
    fn moved_on(&self, refused: &Refused) -> bool {
        let same = || refused.typed("seen") == self.revision.to_string() && self.stage == Some(refused.typed("stage"));
        self.open && self.stage.is_some() && refused.is_of(&approval_of(self.id)) && !same()
    }
}

struct Link {
    id: String,
    here: bool,
    sent: Moment,
    mark: Mark,
    kind: String,
    headline: String,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    frame: Frame,
    alert: AlertRow,
    mark: Mark,
    kind: String,
    state: String,
    received: Moment,
    expires: Option<Moment>,
    /// Parts that officers gave another end.
    ends: Vec<End>,
    released: bool,
    can_follow: bool,
    regions_list: String,
    edge_list: String,
    shapes: String,
    places: Vec<Place>,
    forecast: Vec<Forecast>,
    rules: Vec<RuleVerdict>,
    texts: Vec<Text>,
    escalations: Vec<Part>,
    chain: Vec<Link>,
    since: Vec<Change>,
    stages: Vec<stages::Row>,
    /// The approval that was refused, where this page answers one.
    refused: Option<Refused>,
}

impl AlertPage {
    fn refused(&self, part: &Part) -> Option<&Refused> {
        self.refused.as_ref().filter(|refused| refused.is_of(&approval_of(part.id)))
    }

    /// The same where its form is gone, for somebody else has decided or it never was theirs.
    fn refused_without_form(&self) -> Option<&Refused> {
        let has_form = |part: &Part| part.open && part.stage.is_some() && self.refused(part).is_some();
        self.refused.as_ref().filter(|_| !self.escalations.iter().any(has_form))
    }

    /// The newest message of the event, where it is another one: an update, the end, a correction.
    fn newer(&self) -> Option<&Link> {
        self.chain.last().filter(|link| !link.here)
    }

    /// What this officer could say yes to now.
    fn decide(&self) -> Option<&Part> {
        self.escalations.iter().find(|part| part.open && part.stage.is_some())
    }
}

pub(super) async fn show<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Path(id): Path<String>,
) -> Response {
    answer::<W>(&site, &session, &id, None).await
}

/// The page; after an approval that was refused, with that.
pub(super) async fn answer<W: World>(site: &Site, session: &Session, id: &str, refused: Option<Refused>) -> Response {
    let frame = Frame::of::<W>(session, "alerts");
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    match load::<W>(site, session, id, frame.clone(), refused).await {
        Ok(found) => page_with(status, &found),
        Err(fault) => fault.show(&frame),
    }
}

/// The name of the form that approves a part.
pub(super) fn approval_of(part: i64) -> String {
    format!("approve/{part}")
}

async fn load<W: World>(
    site: &Site,
    session: &Session,
    id: &str,
    frame: Frame,
    refused: Option<Refused>,
) -> Result<AlertPage, Fault> {
    let id: AlertId = id.parse().map_err(|_| Fault::Unknown)?;
    let app = &site.app;
    let alert = app.store.alert(id.as_str()).await?.filter(|row| row.status == W::STATUS.as_str());
    let alert = alert.ok_or(Fault::Unknown)?;
    let policy = app.policy.load_full();
    let material = app.desk.material(id.as_str()).await?;
    let rows = app.store.escalations_of::<W>(id.as_str()).await?;
    let now = app.clock.now();
    let words = frame.t;
    let several = rows.len() > 1;
    let mut parts = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut part = part::<W>(app, &policy, session, row, &material, words, now).await?;
        if several && (part.open || row.escalation.state.as_str() == "released") {
            // Each is signed under its own words, and under nobody else's.
            let regions = &row.escalation.regions;
            let rendered = rendered(&policy, &material, &row.escalation.amendment.apply(&material.alert), regions)?;
            part.forecast = forecast(app, &material, &rendered, regions, words).await?;
            part.texts = texts(&rendered, words);
        }
        parts.push(part);
    }
    // A second try signs what was seen at the first.
    if refused.as_ref().is_some_and(|refused| parts.iter().any(|part| part.moved_on(refused))) {
        return Err(DeskError::from(ActError::Changed).into());
    }
    let (amended, regions) = match rows.as_slice() {
        [row] => (row.escalation.amendment.apply(&material.alert), row.escalation.regions.clone()),
        _ => (material.alert.clone(), material.decision.regions.clone()),
    };
    let rendered = rendered(&policy, &material, &amended, &regions)?;
    // What officers took away is on the map no more; what they decide on is.
    let trimmed: BTreeSet<&RegionCode> = rows.iter().flat_map(|row| &row.escalation.trimmed).collect();
    let decided: Vec<RegionCode> =
        material.decision.regions.iter().filter(|code| !trimmed.contains(code)).cloned().collect();
    let located: Located = serde_json::from_value(app.store.located(id.as_str()).await?).unwrap_or_default();
    let chain = app.store.chain(&alert.chain).await?;
    let codes = |codes: &[RegionCode]| codes.iter().map(RegionCode::as_str).collect::<Vec<_>>().join(",");
    let edge: Vec<RegionCode> =
        located.counties.iter().filter(|m| m.covered < 0.999).map(|m| m.region.clone()).collect();
    let (expires, ends) = ends(&policy, &rows, alert.expires, &decided, words, now);
    Ok(AlertPage {
        mark: mark(&alert, &material.alert),
        kind: kind(&alert.msg_type, words).to_owned(),
        state: stands(&alert, words).to_owned(),
        received: Moment::new(alert.received_at, now, words),
        expires: expires.map(|at| Moment::new(at, now, words)),
        ends,
        released: matches!(alert.state, AlertState::Released | AlertState::Partly),
        can_follow: follows(app, session, &alert),
        regions_list: codes(&decided),
        edge_list: codes(&edge),
        shapes: shapes(&material.alert),
        places: places(&policy, &decided, &located, words),
        forecast: forecast(app, &material, &rendered, &regions, words).await?,
        rules: (material.decision.rules.iter())
            .map(|rule| RuleVerdict { why: rule.why.iter().map(|l| why::line(l, words)).collect(), ..rule.clone() })
            .collect(),
        texts: if several { Vec::new() } else { texts(&rendered, words) },
        escalations: parts,
        since: since(app, &policy, &chain, &alert, &material, words).await?,
        chain: chain.iter().map(|row| link(row, &alert.id, words, now)).collect(),
        stages: stages::rows(app, id.as_str(), words).await?,
        refused,
        alert,
        frame,
    })
}

/// Whether this officer could write what follows on an alert: it was written here, in a name that is theirs too, and holds.
fn follows(app: &App, session: &Session, row: &AlertRow) -> bool {
    let voice = row.bureau.strip_prefix("console:").and_then(|code| code.parse().ok());
    let may = |code: RegionCode| session.officer.grants.may(Role::Author, &code, &app.policy.load().map);
    row.msg_type != "Cancel" && row.superseded_by.is_none() && voice.is_some_and(may)
}

/// The level that an alert shows.
pub(super) fn mark(row: &AlertRow, alert: &Alert) -> Mark {
    if row.msg_type == "Cancel" { Mark::ended() } else { Mark::of(Colour::of_alert(alert)) }
}

async fn part<W: World>(
    app: &App,
    policy: &Policy,
    session: &Session,
    row: &EscalationRow<W>,
    material: &Material,
    words: Words,
    now: DateTime<Utc>,
) -> Result<Part, Fault> {
    let e = &row.escalation;
    let who = app.desk.who(&session.officer, &e.jurisdiction);
    let name = policy.map.get(&e.jurisdiction).map_or("", |region| region.name_in(words.language)).to_owned();
    let open = e.state.is_open();
    let waiting = e.state.as_str() == "waiting";
    let stage = e.next_stage(&who);
    let judge = who.roles.contains(&Role::Reviewer) || who.roles.contains(&Role::Signer);
    let why_not = match (waiting, stage, judge) {
        (true, None, _) if e.authors.contains(&who.id) => words.s("Your own words: another officer decides").to_owned(),
        (true, None, true) if e.signatures.iter().any(|s| s.by == who.id) => {
            words.s("You have said yes; it takes another officer").to_owned()
        }
        (true, None, _) => words.s("This is for others to decide; you may read it").to_owned(),
        _ => String::new(),
    };
    let sizes = app.store.audience_size(material.decision.reach.lists(), &e.regions).await?;
    // What is not set up reaches nobody.
    let by = |kind: &ChannelKind| material.decision.channels.contains(kind) && app.channels.contains(kind);
    let people: u64 = sizes.iter().filter(|((kind, _), _)| by(kind)).map(|(_, n)| n).sum();
    let reaches = format!(
        "{} · {}",
        words.f("counties: {}", e.regions.len()),
        words.f("addresses: {}", crate::show::number(people))
    );
    let amended = e.amendment.apply(&material.alert);
    let end = e.amendment.expires.unwrap_or(e.expires);
    Ok(Part {
        id: row.id,
        state: state_word(&e.state, words).to_owned(),
        says: asked(e, words),
        overdue: e.overdue,
        open,
        time: countdown(e, words, now),
        signatures: e
            .signatures
            .iter()
            .map(|s| format!("{} {} {}", s.name, stage_word(s.stage, words), clock(s.at, now)))
            .collect(),
        changed: area(policy, &[e.regions.as_slice(), e.trimmed.as_slice()].concat(), &e.regions, words)
            .into_iter()
            .chain(changes(&material.alert, &amended, words))
            .collect(),
        changed_why: e.changed_why.clone(),
        uncalled: e.uncalled && open,
        revision: e.revision,
        can_take: waiting && judge,
        stage: stage.map(Stage::as_str),
        word: confirm_word::<W>(&name, e.approval.officers(), row.lane.number()),
        go: format!("{}{}{name}", stage.map_or("", |stage| stage_act(stage, words)), words.pick("：", " · ")),
        reaches,
        why_not,
        can_judge: waiting && judge,
        can_amend: open && e.may_change(&who),
        can_withdraw: open && (e.authors.contains(&who.id) || who.roles.contains(&Role::Signer)),
        words: Language::ALL
            .into_iter()
            .map(|language| InLanguage {
                tag: language.tag(),
                name: language_name(language),
                words: Amendment::words_of(&amended, language),
            })
            .collect(),
        end: beijing(end).format("%Y-%m-%dT%H:%M").to_string(),
        regions: e.regions.iter().map(|code| named(policy, code, words)).collect(),
        texts: Vec::new(),
        forecast: Vec::new(),
        jurisdiction: name,
    })
}

/// What must be typed before a grave act: never the same word live and in a drill.
pub(super) fn confirm_word<W: World>(place: &str, officers: usize, lane: u8) -> String {
    match () {
        () if W::EXERCISE => "演练".to_owned(),
        () if officers > 1 || lane == 0 => place.to_owned(),
        () => String::new(),
    }
}

/// Whether what was typed is that word: the place's name in either language, whatever the officer's own is. A program may name the
/// place where nobody asks for it.
pub(in crate::web) fn confirms<W: World>(place: Option<&Region>, officers: usize, lane: u8, typed: &str) -> bool {
    let typed = typed.trim();
    let named = |region: &Region| typed == region.name || typed.eq_ignore_ascii_case(&region.name_en);
    let asked = place.map_or_else(String::new, |region| confirm_word::<W>(&region.name, officers, lane));
    match (W::EXERCISE, typed) {
        (true, _) => typed == confirm_word::<W>("", officers, lane),
        (false, "") => asked.is_empty(),
        (false, _) => place.is_some_and(named),
    }
}

pub(super) fn named(policy: &Policy, code: &RegionCode, words: Words) -> Place {
    let name = policy.map.get(code).map_or("", |region| region.name_in(words.language));
    Place { code: code.to_string(), name: name.to_owned(), how: String::new() }
}

pub(super) fn state_word(state: &crate::approval::State, words: Words) -> &'static str {
    use crate::approval::State;
    match state {
        State::Waiting => words.s("waits"),
        State::Returned { .. } => words.s("returned"),
        State::Approved => words.s("approved"),
        State::Released { .. } => words.s("released"),
        State::Rejected { .. } => words.s("rejected"),
        State::Withdrawn { .. } => words.s("withdrawn"),
        State::Expired => words.s("lapsed"),
    }
}

pub(super) fn stage_word(stage: Stage, words: Words) -> &'static str {
    match stage {
        Stage::Review => words.s("reviewed"),
        Stage::Sign => words.s("signed"),
    }
}

fn stage_act(stage: Stage, words: Words) -> &'static str {
    match stage {
        Stage::Review => words.s("Reviewed: it is right"),
        Stage::Sign => words.s("Sign: let it go out"),
    }
}

fn places(policy: &Policy, regions: &[RegionCode], located: &Located, words: Words) -> Vec<Place> {
    let how = |code: &RegionCode| {
        let found = located.counties.iter().find(|found| found.region == *code);
        let Some(found) = found else { return words.s("by a rule").to_owned() };
        let ways: Vec<_> = found
            .how
            .iter()
            .map(|how| match how {
                How::Polygon | How::Circle => words.f("{} % inside the shape", (found.covered * 100.0).round()),
                How::Geocode { value, .. } => value.clone(),
                How::Coast { .. } => words.s("on the coast of a warned sea").to_owned(),
                How::Neighbour { .. } => words.s("beside a warned county").to_owned(),
            })
            .collect();
        ways.join(", ")
    };
    regions.iter().map(|code| Place { how: how(code), ..named(policy, code, words) }).collect()
}

/// The alert's own shapes, for the map: `[[lat, lon], …]` and `[lat, lon, metres]`.
fn shapes(alert: &Alert) -> String {
    /// Corners that a browser draws without stumbling.
    const CORNERS: usize = 5_000;
    let areas = || alert.infos.iter().take(1).flat_map(|info| &info.areas);
    let polygons: Vec<Vec<[f64; 2]>> = areas()
        .flat_map(|area| &area.polygons)
        .map(|polygon| {
            let step = polygon.ring.len().div_ceil(CORNERS).max(1);
            polygon.ring.iter().step_by(step).map(|p| [p.lat, p.lon]).collect()
        })
        .collect();
    let circles: Vec<[f64; 3]> = areas()
        .flat_map(|area| &area.circles)
        .map(|circle| [circle.center.lat, circle.center.lon, circle.radius_km * 1_000.0])
        .collect();
    json!({"polygons": polygons, "circles": circles}).to_string()
}

/// What differs between two forms of an alert.
pub(super) fn changes(old: &Alert, new: &Alert, words: Words) -> Vec<Change> {
    let mut found = Vec::new();
    for language in Language::ALL {
        let (before, after) = (Amendment::words_of(old, language), Amendment::words_of(new, language));
        let what = |text: &'static str| format!("{} {text}", language_name(language));
        found.extend(change(&what(words.s("Headline")), &before.headline, &after.headline));
        found.extend(change(&what(words.s("Description")), &before.description, &after.description));
        found.extend(change(&what(words.s("What to do")), &before.instruction, &after.instruction));
    }
    let end = |alert: &Alert| alert.expires().map(|at| beijing(at.to_utc()).format("%m-%d %H:%M").to_string());
    found.extend(change(words.s("Until"), &end(old).unwrap_or_default(), &end(new).unwrap_or_default()));
    let level = |alert: &Alert| Colour::of_alert(alert).map_or("", |c| words.pick(c.name_zh(), c.name_en()));
    found.extend(change(words.s("Level"), level(old), level(new)));
    found
}

/// Which counties went and came; None where they are the same.
fn area(policy: &Policy, old: &[RegionCode], new: &[RegionCode], words: Words) -> Option<Change> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let names = |codes: Vec<&&RegionCode>| {
        let names: Vec<_> = codes.into_iter().map(|code| named(policy, code, words).name).collect();
        names.join(words.pick("、", ", "))
    };
    let piece = |sign, text: String| (!text.is_empty()).then_some(Piece { sign, text });
    let gone = piece('-', names(old.difference(&new).collect()));
    let come = piece('+', names(new.difference(&old).collect()));
    let gap = (gone.is_some() && come.is_some()).then(|| Piece { sign: ' ', text: " ".into() });
    let parts: Vec<_> = [gone, gap, come].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| Change { what: words.s("Counties").to_owned(), parts })
}

async fn since(
    app: &App,
    policy: &Policy,
    chain: &[AlertRow],
    alert: &AlertRow,
    now: &Material,
    words: Words,
) -> Result<Vec<Change>, Fault> {
    let at = chain.iter().position(|row| row.id == alert.id).unwrap_or(0);
    let Some(before) = at.checked_sub(1).and_then(|at| chain.get(at)) else { return Ok(Vec::new()) };
    let before = app.desk.material(&before.id).await?;
    // A Cancel has no area of its own: it ends what was there.
    let area = (alert.msg_type != "Cancel")
        .then(|| area(policy, &before.decision.regions, &now.decision.regions, words))
        .flatten();
    Ok(area.into_iter().chain(changes(&before.alert, &now.alert, words)).collect())
}

fn link(row: &AlertRow, here: &str, words: Words, now: DateTime<Utc>) -> Link {
    Link {
        id: row.id.clone(),
        here: row.id == here,
        sent: Moment::new(row.sent, now, words),
        mark: if row.msg_type == "Cancel" { Mark::ended() } else { Mark::of_severity(&row.severity) },
        kind: kind(&row.msg_type, words).to_owned(),
        headline: row.headline.clone(),
    }
}
