//! One's own: addresses, places, wishes, a test, the last year, pause, export, deletion.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta};
use serde::Deserialize;
use tocsin_channels::ChannelKind;

use super::form::{Group, WishForm, channel_name, counties, wishes};
use super::{MARKED, Own, Resident, located, notice, refused, set_cookie};
use crate::delivery::{DeliveryState, mask};
use crate::messages::Language;
use crate::residents::{Ask, ResidentError, Wishes};
use crate::store::Place;
use crate::web::page::{clock, page};
use crate::web::session::put_cookie;
use crate::web::site::Site;
use crate::web::words::Words;

struct AddressLine {
    id: i64,
    kind: &'static str,
    value: String,
}

struct PlaceForm {
    name: String,
    county: String,
    exact: bool,
    /// Whether one of its channels leads to an address.
    told: bool,
    wishes: WishForm,
}

struct TestLine {
    kind: &'static str,
    address: String,
    state: &'static str,
    asked: String,
    answered: String,
    shown: String,
}

/// A device that shows a test says so within moments.
const SHOWN_SOON: TimeDelta = TimeDelta::seconds(20);

struct WouldLine {
    headline: String,
    language: String,
    sent: String,
    places: String,
    held: String,
}

#[derive(Template)]
#[template(path = "portal_me.html")]
struct MePage {
    t: Words,
    csrf: String,
    new: bool,
    /// What became of the places of the form that was confirmed, see [`Brought`](crate::residents::Brought).
    form: String,
    /// Whether anything can reach them for one of their places.
    told: bool,
    addresses: Vec<AddressLine>,
    places: Vec<PlaceForm>,
    groups: Vec<Group>,
    fresh: WishForm,
    paused: String,
    tests: Vec<TestLine>,
    testing: bool,
    would: Option<Vec<WouldLine>>,
    /// The last year had more than is shown.
    more: bool,
    consent: String,
    push_key: String,
}

#[derive(Deserialize)]
pub(super) struct View {
    #[serde(default)]
    new: String,
    #[serde(default)]
    form: String,
    /// Shows the last year.
    #[serde(default)]
    year: String,
}

fn state_name(state: DeliveryState, t: Words) -> &'static str {
    match state {
        DeliveryState::Waiting => t.s("waiting"),
        DeliveryState::Sending => t.s("on its way"),
        DeliveryState::Accepted => t.s("handed to the operator"),
        DeliveryState::Failed => t.s("refused"),
        DeliveryState::OptedOut => t.s("left"),
        DeliveryState::Expired => t.s("too late"),
        DeliveryState::Superseded => t.s("overtaken"),
        DeliveryState::Unknown => t.s("not known"),
    }
}

pub(super) async fn show(State(site): State<Site>, Resident(session): Resident, Query(view): Query<View>) -> Response {
    match load(&site, session.subscriber, session.csrf, &view).await {
        Ok(own) => located(page(&own)),
        Err(error) => refused(&error, Words::from(Language::Chinese)),
    }
}

async fn load(site: &Site, subscriber: i64, csrf: String, view: &View) -> Result<MePage, ResidentError> {
    let residents = &site.app.residents;
    let mine = residents.mine(subscriber).await?;
    let t = Words::of_tag(&mine.resident.tongue).unwrap_or(Words::from(mine.resident.language));
    let policy = site.app.policy.load();
    let county = |place: &Place| {
        policy.map.get(&place.region).map_or_else(|| place.region.to_string(), |r| r.name_in(t.language).to_owned())
    };
    let offered = residents.offered();
    let reached = |kind: &ChannelKind| offered.contains(kind) && mine.addresses.iter().any(|(_, a)| a.channel == *kind);
    let told = |place: &Place| place.wishes.channels.iter().any(reached);
    let place_form = |place: &Place| PlaceForm {
        name: place.name.clone(),
        county: county(place),
        exact: place.point.is_some(),
        told: told(place),
        wishes: WishForm::of(&format!("p{}-", place.id), &place.wishes, &offered, t),
    };
    let tested = residents.tested(subscriber).await?;
    let would = match view.year.as_str() {
        "" => None,
        _ => Some(residents.would_have(subscriber, t.language).await?),
    };
    let comma = t.s(", ");
    let now = site.app.clock.now();
    let moment = |at| clock(at, now);
    Ok(MePage {
        csrf,
        new: !view.new.is_empty(),
        form: view.form.clone(),
        told: mine.places.iter().any(told),
        addresses: mine
            .addresses
            .iter()
            .map(|(id, a)| AddressLine { id: *id, kind: channel_name(a.channel, t), value: mask(&a.value) })
            .collect(),
        places: mine.places.iter().map(place_form).collect(),
        groups: counties(&policy.map, t.language),
        fresh: WishForm::of("new-", &Wishes { languages: vec![t.language], ..Wishes::default() }, &offered, t),
        paused: if mine.resident.paused_until > now { moment(mine.resident.paused_until) } else { String::new() },
        testing: tested.iter().any(|one| match one.state {
            DeliveryState::Waiting | DeliveryState::Sending => true,
            DeliveryState::Accepted => {
                one.channel == ChannelKind::Push && one.shown.is_none() && now - one.asked < SHOWN_SOON
            }
            _ => false,
        }),
        tests: tested
            .into_iter()
            .map(|one| TestLine {
                kind: channel_name(one.channel, t),
                address: one.address,
                state: state_name(one.state, t),
                asked: moment(one.asked),
                answered: one.answered.map_or_else(|| "—".into(), moment),
                shown: one.shown.map_or_else(String::new, moment),
            })
            .collect(),
        more: would.as_ref().is_some_and(|year| year.more),
        would: would.map(|year| {
            let line = |one: crate::residents::Would| WouldLine {
                headline: one.headline,
                language: one.language,
                sent: moment(one.sent),
                places: one.places.join(comma),
                held: one.held.map_or_else(String::new, moment),
            };
            year.told.into_iter().map(line).collect()
        }),
        push_key: super::browser::push_key(site),
        consent: format!("{} · {}", mine.resident.consent, moment(mine.resident.consent_at)),
        t,
    })
}

fn back(result: Result<(), ResidentError>, to: &'static str, t: Words) -> Response {
    match result {
        Ok(()) => Redirect::to(to).into_response(),
        Err(error) => refused(&error, t),
    }
}

pub(super) async fn places(State(site): State<Site>, Own { session, form }: Own) -> Response {
    let fields = &form.fields;
    let changed = async {
        let residents = &site.app.residents;
        let offered = residents.offered();
        let mut places = residents.mine(session.subscriber).await?.places;
        places.retain(|place| !fields.is_on(&format!("p{}-remove", place.id)));
        for place in &mut places {
            let at = format!("p{}-", place.id);
            // A place that this form does not show was added elsewhere: it stays as it is.
            if fields.is_on(&format!("{at}level")) {
                place.wishes = wishes(fields, &at, &offered, form.t.language);
                let name: String =
                    fields.get(&format!("{at}name")).chars().filter(|c| !c.is_control()).take(20).collect();
                if !name.trim().is_empty() {
                    name.trim().clone_into(&mut place.name);
                }
            }
        }
        places.extend(super::form::places(residents, fields, "new-", form.t.language)?);
        residents.set_places(session.subscriber, places).await
    };
    back(changed.await, "/me#places", form.t)
}

pub(super) async fn pause(State(site): State<Site>, Own { session, form }: Own) -> Response {
    let now = site.app.clock.now();
    let days = form.fields.get("days").parse::<i64>().unwrap_or(0).clamp(0, 366);
    let until = if days == 0 { DateTime::UNIX_EPOCH } else { now + TimeDelta::days(days) };
    back(site.app.residents.pause(session.subscriber, form.t.tag(), until).await, "/me#pause", form.t)
}

pub(super) async fn test(State(site): State<Site>, Own { session, form }: Own) -> Response {
    back(site.app.residents.test(session.subscriber).await, "/me#test", form.t)
}

pub(super) async fn add_address(State(site): State<Site>, Own { session, form }: Own) -> Response {
    let address = match super::sign_up::address(&form.fields) {
        Ok(address) => address,
        Err(why) => return notice(StatusCode::UNPROCESSABLE_ENTITY, form.t, ("T6205", &why)),
    };
    let channel = address.channel;
    let ask = Ask {
        address,
        language: form.t.language,
        tongue: form.t.tag().to_owned(),
        places: Vec::new(),
        account: Some(session.subscriber),
        marks: form.marks,
    };
    match site.app.residents.ask(ask, form.from.ip(), "").await {
        Ok(token) => super::sign_up::asked(&site, form.t, channel, token),
        Err(error) => refused(&error, form.t),
    }
}

pub(super) async fn remove_address(State(site): State<Site>, Own { session, form }: Own) -> Response {
    let id = form.fields.get("id").parse().unwrap_or(-1);
    back(site.app.residents.remove_address(session.subscriber, id).await, "/me", form.t)
}

pub(super) async fn export(State(site): State<Site>, Own { session, form }: Own) -> Response {
    match site.app.residents.export(session.subscriber).await {
        Ok(all) => {
            ([(header::CONTENT_DISPOSITION, "attachment; filename=\"tocsin-my-data.json\"")], Json(all)).into_response()
        }
        Err(error) => refused(&error, form.t),
    }
}

pub(super) async fn delete(State(site): State<Site>, Own { session, form }: Own) -> Response {
    if !form.fields.is_on("sure") {
        let why = ("T6205", "请勾选确认 / tick the box to confirm");
        return notice(StatusCode::UNPROCESSABLE_ENTITY, form.t, why);
    }
    match site.app.residents.erase(session.subscriber).await {
        Ok(()) => {
            let done =
                ("", "您的数据已全部删除，不会再收到预警 / all your data is deleted; you will get no more warnings");
            let mut answer = set_cookie(&site, "", notice(StatusCode::OK, form.t, done));
            put_cookie(&site, &mut answer, MARKED, "", Some(0));
            answer
        }
        Err(error) => refused(&error, form.t),
    }
}

pub(super) async fn sign_out(State(site): State<Site>, Own { session, form }: Own) -> Response {
    match site.app.residents.sign_out(&session).await {
        Ok(()) => set_cookie(&site, "", Redirect::to("/sign-up").into_response()),
        Err(error) => refused(&error, form.t),
    }
}
