//! Who is on duty, and a call to oneself.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde::Deserialize;

use super::acts::beijing_time;
use crate::app::App;
use crate::approval::{Override, Rotation};
use crate::officers::{OfficerId, Role};
use crate::regions::{RegionCode, RegionKind};
use crate::rules::Position;
use crate::staff::Session;
use crate::web::page::{Fault, Frame, beijing, page};
use crate::web::session::{Fields, Posted, SignedIn};
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::Live;

/// A choice of a list.
pub(super) struct Choice {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) on: bool,
}

/// Somebody on duty, from the hour where it is not the day's beginning; an empty name is nobody.
struct Turn {
    from: String,
    name: String,
}

struct Row {
    jurisdiction: String,
    position: String,
    days: Vec<Vec<Turn>>,
}

/// A rotation or an override that can be ended.
struct Kept {
    id: i64,
    jurisdiction: String,
    position: String,
    who: String,
    when: String,
    may_end: bool,
}

struct Officer {
    id: i64,
    name: String,
}

#[derive(Template)]
#[template(path = "duty.html")]
struct DutyPage {
    frame: Frame,
    told: String,
    days: Vec<String>,
    rows: Vec<Row>,
    overrides: Vec<Kept>,
    rotations: Vec<Kept>,
    provinces: Vec<Choice>,
    positions: Vec<Choice>,
    officers: Vec<Officer>,
    may_keep: bool,
}

#[derive(Deserialize)]
pub(super) struct Told {
    called: Option<usize>,
}

pub(super) async fn show(State(site): State<Site>, SignedIn(session): SignedIn, Query(told): Query<Told>) -> Response {
    let frame = Frame::of::<Live>(&session, "duty");
    match load(&site.app, &session, frame.clone(), told.called).await {
        Ok(found) => page(&found),
        Err(fault) => fault.show(&frame),
    }
}

async fn load(app: &App, session: &Session, frame: Frame, called: Option<usize>) -> Result<DutyPage, Fault> {
    let now = app.clock.now();
    let words = frame.t;
    let roster = app.store.roster(now).await?;
    let officers = app.store.officers().await?;
    let policy = app.policy.load_full();
    let name =
        |id: OfficerId| officers.iter().find(|officer| officer.id == id).map_or("?", |officer| officer.name.as_str());
    let place = |code: &RegionCode| policy.map.get(code).map_or("", |region| region.name_in(words.language)).to_owned();
    let row = |(jurisdiction, position): &(RegionCode, Position)| Row {
        jurisdiction: place(jurisdiction),
        position: position_name(*position, words).to_owned(),
        days: days(now)
            .map(|(from, to)| {
                let turns = roster.turns(jurisdiction, *position, from, to);
                let turn = |(at, who): &(DateTime<Utc>, Option<OfficerId>)| Turn {
                    from: if *at == from { String::new() } else { beijing(*at).format("%H:%M").to_string() },
                    name: who.map_or("", name).to_owned(),
                };
                turns.iter().map(turn).collect()
            })
            .collect(),
    };
    let grants = &session.officer.grants;
    let may = |role, code| grants.may(role, code, &policy.map);
    let time = |at: DateTime<Utc>| beijing(at).format("%m-%d %H:%M").to_string();
    let overrides = roster.overrides.iter().map(|o| Kept {
        id: o.id,
        jurisdiction: place(&o.jurisdiction),
        position: position_name(o.position, words).to_owned(),
        who: name(o.officer).to_owned(),
        when: format!("{} – {}", time(o.from), time(o.to)),
        may_end: [Role::Reviewer, Role::Signer, Role::Administrator].into_iter().any(|role| may(role, &o.jurisdiction)),
    });
    let rotations = roster.rotations.iter().map(|r| Kept {
        id: r.id,
        jurisdiction: place(&r.jurisdiction),
        position: position_name(r.position, words).to_owned(),
        who: r.officers.iter().map(|id| name(*id)).collect::<Vec<_>>().join(" → "),
        when: format!("{} · {}", words.f("{} days", r.days), time(r.starts)),
        may_end: may(Role::Administrator, &r.jurisdiction),
    });
    Ok(DutyPage {
        told: match called {
            Some(0) => words.s("You have no address yet: set one under your name").to_owned(),
            Some(n) => words.f("Called at {} addresses; it should arrive in seconds", n),
            None => String::new(),
        },
        days: days(now).map(|(from, _)| beijing(from).format("%m-%d").to_string()).collect(),
        rows: roster.positions().iter().map(row).collect(),
        overrides: overrides.collect(),
        rotations: rotations.collect(),
        provinces: jurisdictions(app, words),
        positions: Position::ALL
            .into_iter()
            .map(|p| Choice { code: p.as_str().into(), name: position_name(p, words).into(), on: false })
            .collect(),
        officers: officers
            .iter()
            .filter(|officer| officer.active)
            .filter(|officer| [Role::Reviewer, Role::Signer].into_iter().any(|role| officer.grants.has(role)))
            .map(|officer| Officer { id: officer.id.0, name: officer.name.clone() })
            .collect(),
        may_keep: session.officer.grants.has(Role::Administrator),
        frame,
    })
}

/// A week of Beijing's days: today from now on, then six whole ones.
fn days(now: DateTime<Utc>) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
    let day = TimeDelta::days(1);
    let since = beijing(now).time() - NaiveTime::MIN;
    let midnight = now - since;
    (0..7).map(move |n| ((midnight + day * n).max(now), midnight + day * (n + 1)))
}

/// Provinces, then prefectures.
pub(super) fn jurisdictions(app: &App, words: Words) -> Vec<Choice> {
    let policy = app.policy.load();
    let of = |kind| {
        policy.map.of_kind(kind).map(|region| Choice {
            code: region.code.to_string(),
            name: region.name_in(words.language).to_owned(),
            on: false,
        })
    };
    of(RegionKind::Province).chain(of(RegionKind::Prefecture)).collect()
}

pub(super) fn position_name(position: Position, words: Words) -> &'static str {
    match position {
        Position::Primary => words.s("on duty"),
        Position::Secondary => words.s("second"),
        Position::Chief => words.s("chief"),
    }
}

/// Calls the officer who asks, by every channel that they have.
pub(super) async fn test(State(site): State<Site>, posted: Posted) -> Response {
    match site.app.desk.call_test(&posted.session.officer).await {
        Ok(n) => Redirect::to(&format!("/console/duty?called={n}")).into_response(),
        Err(error) => Fault::from(error).show(&Frame::of::<Live>(&posted.session, "duty")),
    }
}

pub(super) async fn stand_in(State(site): State<Site>, posted: Posted) -> Response {
    let fields = &posted.fields;
    let done = async {
        let (jurisdiction, position) = place(fields)?;
        let officer =
            fields.get("officer").parse().map_err(|_| Fault::Bad("请选择值班员 / choose an officer".into()))?;
        let (from, to) = (beijing_time(fields.get("from"))?, beijing_time(fields.get("to"))?);
        if from >= to {
            return Err(Fault::Bad("结束须晚于开始 / the end is after the beginning".into()));
        }
        let new = Override { id: 0, jurisdiction, position, officer: OfficerId(officer), from, to };
        Ok(site.app.staff.stand_in(&new, &posted.session.officer).await?)
    };
    let done = done.await;
    back(&posted, done)
}

pub(super) async fn rotation(State(site): State<Site>, posted: Posted) -> Response {
    let fields = &posted.fields;
    let done = async {
        let (jurisdiction, position) = place(fields)?;
        let all = site.app.store.officers().await?;
        let mut officers = Vec::new();
        for login in fields.get("officers").split(|c: char| c.is_whitespace() || c == ',').filter(|l| !l.is_empty()) {
            let known = all.iter().find(|officer| officer.login.as_str() == login);
            officers.push(known.ok_or_else(|| Fault::Bad(format!("没有值班员 {login} / no officer {login}")))?.id);
        }
        let days = fields.get("days").parse().ok().filter(|days| (1..=60).contains(days));
        let days = days.ok_or_else(|| Fault::Bad("每班为 1 至 60 天 / a turn lasts 1 to 60 days".into()))?;
        let starts = beijing_time(fields.get("starts"))?;
        if officers.is_empty() {
            return Err(Fault::Bad("至少一人 / at least one officer".into()));
        }
        let rotation = Rotation { id: 0, jurisdiction, position, officers, days, starts };
        Ok(site.app.staff.set_rotation(&rotation, &posted.session.officer).await?)
    };
    let done = done.await;
    back(&posted, done)
}

/// Ends a swap, or a rotation.
pub(super) async fn end(State(site): State<Site>, Path((what, id)): Path<(String, i64)>, posted: Posted) -> Response {
    let (staff, by) = (&site.app.staff, &posted.session.officer);
    let done = match what.as_str() {
        "override" => staff.end_stand_in(id, by).await.map_err(Fault::from),
        "rotation" => staff.end_rotation(id, by).await.map_err(Fault::from),
        _ => Err(Fault::Unknown),
    };
    back(&posted, done)
}

fn place(fields: &Fields) -> Result<(RegionCode, Position), Fault> {
    let jurisdiction = fields.get("jurisdiction").parse().map_err(|e| Fault::Bad(format!("{e}")))?;
    let position = Position::ALL.into_iter().find(|position| position.as_str() == fields.get("position"));
    Ok((jurisdiction, position.ok_or_else(|| Fault::Bad("请选择岗位 / choose a position".into()))?))
}

fn back(posted: &Posted, done: Result<(), Fault>) -> Response {
    match done {
        Ok(()) => Redirect::to("/console/duty").into_response(),
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "duty")),
    }
}
