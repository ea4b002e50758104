//! One's own: addresses, places, wishes, a test, the last year, pause, export, deletion.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta};
use serde::Deserialize;
use tocsin_channels::ChannelKind;

use super::form::{WhereForm, WishForm, channel_name, has_wishes, place_name, wishes};
use super::sign_up::why_not;
use super::{Form, MARKED, Own, Resident, located, notice, refused, set_cookie};
use crate::delivery::{DeliveryState, mask};
use crate::messages::Language;
use crate::residents::{Ask, ResidentError};
use crate::store::Place;
use crate::web::page::{clock, page, page_with};
use crate::web::session::{Fields, put_cookie};
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
    removed: bool,
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
    /// Why what was typed is not taken.
    error: String,
    new: bool,
    /// What became of the places of the form that was confirmed, see [`Brought`](crate::residents::Brought).
    form: String,
    /// Whether anything can reach them for one of their places.
    told: bool,
    addresses: Vec<AddressLine>,
    places: Vec<PlaceForm>,
    place: WhereForm,
    fresh: WishForm,
    paused: String,
    days: String,
    tests: Vec<TestLine>,
    testing: bool,
    would: Option<Vec<WouldLine>>,
    /// The last year had more than is shown.
    more: bool,
    consent: String,
    push_key: String,
}

#[derive(Default, Deserialize)]
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
    match load(&site, session.subscriber, session.csrf, &view, None).await {
        Ok(own) => located(page(&own)),
        Err(error) => refused(&error, Words::from(Language::Chinese)),
    }
}

/// The page once more, with what was typed and why it is not taken.
async fn again(site: &Site, Own { session, form }: Own, error: String) -> Response {
    match load(site, session.subscriber, session.csrf, &View::default(), Some(&form)).await {
        Ok(own) => located(page_with(StatusCode::UNPROCESSABLE_ENTITY, &MePage { error, ..own })),
        Err(error) => refused(&error, form.t),
    }
}

async fn load(
    site: &Site,
    subscriber: i64,
    csrf: String,
    view: &View,
    typed: Option<&Form>,
) -> Result<MePage, ResidentError> {
    let residents = &site.app.residents;
    let mine = residents.mine(subscriber).await?;
    let own = || Words::of_tag(&mine.resident.tongue).unwrap_or(Words::from(mine.resident.language));
    let t = typed.map_or_else(own, |form| form.t);
    let nothing = Fields::default();
    let typed = typed.map_or(&nothing, |form| &form.fields);
    let policy = site.app.policy.load();
    let county = |place: &Place| {
        policy.map.get(&place.region).map_or_else(|| place.region.to_string(), |r| r.name_in(t.language).to_owned())
    };
    let offered = residents.offered();
    let reached = |kind: &ChannelKind| offered.contains(kind) && mine.addresses.iter().any(|(_, a)| a.channel == *kind);
    let told = |place: &Place| place.wishes.channels.iter().any(reached);
    let place_form = |place: &Place| {
        let at = format!("p{}-", place.id);
        let (name, wishes) = match has_wishes(typed, &at) {
            true => (place_name(typed, &at), WishForm::typed(&at, typed, &offered, t)),
            false => (place.name.clone(), WishForm::of(&at, &place.wishes, &offered, t)),
        };
        let (removed, told) = (typed.is_on(&format!("{at}remove")), told(place));
        PlaceForm { name, county: county(place), exact: place.point.is_some(), told, wishes, removed }
    };
    let fresh = WishForm::typed(NEW, typed, &offered, t);
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
        error: String::new(),
        new: !view.new.is_empty(),
        form: view.form.clone(),
        told: mine.places.iter().any(told),
        addresses: mine
            .addresses
            .iter()
            .map(|(id, a)| AddressLine { id: *id, kind: channel_name(a.channel, t), value: mask(&a.value) })
            .collect(),
        places: mine.places.iter().map(place_form).collect(),
        place: WhereForm::typed(NEW, typed, &policy.map, t.language),
        fresh,
        days: typed.get("days").chars().take(9).collect(),
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

/// How the fields of a place that is added begin.
const NEW: &str = "new-";
/// The longest pause, in days.
const LONGEST: i64 = 366;

fn back(result: Result<(), ResidentError>, to: &'static str, t: Words) -> Response {
    match result {
        Ok(()) => Redirect::to(to).into_response(),
        Err(error) => refused(&error, t),
    }
}

pub(super) async fn places(State(site): State<Site>, own: Own) -> Response {
    let t = own.form.t;
    match changed(&site, &own).await {
        Ok(places) => back(site.app.residents.set_places(own.session.subscriber, places).await, "/me#places", t),
        Err((place, error @ ResidentError::Input(_))) => {
            let why = t.both(&error.to_string()).to_owned();
            again(&site, own, if place.is_empty() { why } else { format!("{place}: {why}") }).await
        }
        Err((_, error)) => refused(&error, t),
    }
}

/// Somebody's places as a form wants them; or why not, with the name of the place where it is wrong.
async fn changed(site: &Site, Own { session, form }: &Own) -> Result<Vec<Place>, (String, ResidentError)> {
    let (residents, fields, language) = (&site.app.residents, &form.fields, form.t.language);
    let offered = residents.offered();
    let mut places = residents.mine(session.subscriber).await.map_err(|error| (String::new(), error))?.places;
    places.retain(|place| !fields.is_on(&format!("p{}-remove", place.id)));
    for place in &mut places {
        let at = format!("p{}-", place.id);
        // A place that this form does not show was added elsewhere: it stays as it is.
        if has_wishes(fields, &at) {
            place.wishes = wishes(fields, &at, &offered, language).map_err(|error| (place.name.clone(), error))?;
            place.name = residents.called(&place_name(fields, &at), &place.region, &place.wishes);
        }
    }
    let new =
        super::form::places(residents, fields, NEW, language).map_err(|error| (place_name(fields, NEW), error))?;
    places.extend(new);
    Ok(places)
}

pub(super) async fn pause(State(site): State<Site>, own: Own) -> Response {
    let Own { session, form } = &own;
    let residents = &site.app.residents;
    let until = match form.fields.get("days").trim() {
        // Whoever saves another language only keeps their pause.
        "" => match residents.mine(session.subscriber).await {
            Ok(mine) => mine.resident.paused_until,
            Err(error) => return refused(&error, form.t),
        },
        days => match days.parse::<i64>() {
            Ok(0) => DateTime::UNIX_EPOCH,
            Ok(days) if (1..=LONGEST).contains(&days) => site.app.clock.now() + TimeDelta::days(days),
            _ => {
                let why = form.t.f("A pause lasts 0 to {} days.", LONGEST);
                return again(&site, own, why).await;
            }
        },
    };
    back(residents.pause(session.subscriber, form.t.tag(), until).await, "/me#pause", form.t)
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
        Err(error @ ResidentError::Channel) => {
            let why = why_not(&site, &error, form.t);
            notice(StatusCode::UNPROCESSABLE_ENTITY, form.t, ("T6204", &why))
        }
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
