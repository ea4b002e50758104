//! Who got it and who did not, by region and state.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::json;

use crate::app::App;
use crate::delivery::{DeliveryState, StateCounts, mask};
use crate::officers::Role;
use crate::regions::RegionCode;
use crate::staff::Session;
use crate::store::{Entry, RegionCounts, StoreError, Tally};
use crate::web::page::{Fault, Frame, clock, page};
use crate::web::session::{Posted, SignedIn};
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::World;

/// Missed people shown at once.
const MISSED: usize = 500;

pub(super) struct Column {
    pub(super) name: &'static str,
}

struct Row {
    name: String,
    total: u64,
    cells: Vec<u64>,
}

/// A device that the alert was for.
struct Played {
    name: String,
    id: String,
    /// When it has played it; empty for not yet.
    at: String,
}

struct Missed {
    address: String,
    state: &'static str,
}

#[derive(Template)]
#[template(path = "told.html")]
struct ToldPage {
    frame: Frame,
    id: String,
    headline: String,
    states: Vec<Column>,
    rows: Vec<Row>,
    may_see: bool,
    missed: Option<Vec<Missed>>,
    /// How many devices have played it, of how many.
    played: String,
    devices: Vec<Played>,
}

/// Who got it, by region: counted once for all who look.
#[derive(Default)]
pub(in crate::web) struct Tallies(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Counted>>>>);

/// The last count of one alert, and what the next one need not read again.
#[derive(Default)]
struct Counted {
    last: Option<(Instant, Arc<RegionCounts>)>,
    tally: Tally,
}

/// A count is shown for so long before it is made again.
const FRESH: Duration = Duration::from_secs(3);
/// Alerts whose counts are remembered.
const ALERTS: usize = 64;

impl Tallies {
    /// The counts of an alert. Whoever comes while they are being made waits for them.
    async fn of(&self, app: &App, alert: &str) -> Result<Arc<RegionCounts>, StoreError> {
        let own = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= ALERTS && !all.contains_key(alert) {
                all.retain(|_, counted| Arc::strong_count(counted) > 1);
            }
            Arc::clone(all.entry(alert.to_owned()).or_default())
        };
        let mut counted = own.lock().await;
        if let Some((at, last)) = &counted.last
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(last));
        }
        let now = Arc::new(app.store.states_by_region(alert, &mut counted.tally).await?);
        counted.last = Some((Instant::now(), Arc::clone(&now)));
        Ok(now)
    }

    /// The share told of each county, for the map.
    pub(super) async fn shares(&self, app: &App, alert: &str) -> Result<BTreeMap<String, f64>, StoreError> {
        let counts = self.of(app, alert).await?;
        let thousandth = |share: f64| (share * 1_000.0).round() / 1_000.0;
        let share = |counts: &StateCounts| thousandth(counts.accepted as f64 / counts.total().max(1) as f64);
        Ok(counts.iter().filter_map(|(code, counts)| Some((code.as_ref()?.to_string(), share(counts)))).collect())
    }
}

/// A state in words.
pub(super) fn state_name(state: DeliveryState, words: Words) -> &'static str {
    match state {
        DeliveryState::Waiting => words.s("waiting"),
        DeliveryState::Sending => words.s("on its way"),
        DeliveryState::Accepted => words.s("handed over"),
        DeliveryState::Failed => words.s("refused"),
        DeliveryState::OptedOut => words.s("had left"),
        DeliveryState::Expired => words.s("too late"),
        DeliveryState::Superseded => words.s("overtaken"),
        DeliveryState::Unknown => words.s("not known"),
    }
}

pub(super) async fn show<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Path(id): Path<String>,
) -> Response {
    let frame = Frame::of::<W>(&session, "alerts");
    match load::<W>(&site, &session, &id, frame.clone(), None).await {
        Ok(found) => page(&found),
        Err(fault) => fault.show(&frame),
    }
}

async fn load<W: World>(
    site: &Site,
    session: &Session,
    id: &str,
    frame: Frame,
    missed: Option<Vec<Missed>>,
) -> Result<ToldPage, Fault> {
    let app = &site.app;
    let alert = app.store.alert(id).await?.filter(|row| row.status == W::STATUS.as_str()).ok_or(Fault::Unknown)?;
    let counts = site.tallies.of(app, id).await?;
    let policy = app.policy.load();
    let row = |(code, counts): (&Option<RegionCode>, &StateCounts)| Row {
        name: match code {
            Some(code) => {
                policy.map.get(code).map_or_else(|| code.to_string(), |r| r.name_in(frame.t.language).to_owned())
            }
            None => frame.t.s("no longer in the area").to_owned(),
        },
        total: counts.total(),
        cells: DeliveryState::ALL.iter().map(|state| counts.get(*state)).collect(),
    };
    let devices = devices(app, id).await?;
    Ok(ToldPage {
        played: format!("{}/{}", devices.iter().filter(|device| !device.at.is_empty()).count(), devices.len()),
        devices,
        id: id.to_owned(),
        headline: alert.headline,
        states: DeliveryState::ALL.iter().map(|state| Column { name: state_name(*state, frame.t) }).collect(),
        rows: counts.iter().map(row).collect(),
        may_see: session.officer.grants.has(Role::Operator) || session.officer.grants.has(Role::Signer),
        missed,
        frame,
    })
}

/// The devices that an alert was for, those that have not played it first.
async fn devices(app: &App, id: &str) -> Result<Vec<Played>, Fault> {
    let (now, mut found) = (app.clock.now(), Vec::new());
    let told = app.store.devices_played(id).await?;
    if told.is_empty() {
        return Ok(found);
    }
    let known = app.store.devices().await?;
    for (id, at) in told {
        let name = known.iter().find(|row| row.device.id.as_str() == id).map(|row| row.device.name.clone());
        found.push(Played { name: name.unwrap_or_default(), id, at: at.map_or_else(String::new, |at| clock(at, now)) });
    }
    found.sort_by_key(|device| !device.at.is_empty());
    Ok(found)
}

/// The missed of the officer's own jurisdictions, masked; that somebody looked goes on record first.
pub(super) async fn missed<W: World>(State(site): State<Site>, Path(id): Path<String>, posted: Posted) -> Response {
    let frame = Frame::of::<W>(&posted.session, "alerts");
    let (app, officer) = (&site.app, &posted.session.officer);
    let found = async {
        let map = &app.policy.load_full().map;
        let own = |code: &RegionCode| {
            officer.grants.may(Role::Operator, code, map) || officer.grants.may(Role::Signer, code, map)
        };
        let known = app.store.alert(&id).await?.is_some_and(|row| row.status == W::STATUS.as_str());
        if !known {
            return Err(Fault::Unknown);
        }
        let rows = app.store.missed(&id, MISSED, own).await?;
        if rows.is_empty() && !officer.grants.has(Role::Operator) && !officer.grants.has(Role::Signer) {
            return Err(Fault::NotYours);
        }
        let entry = Entry::new(officer.login.as_str(), "person.view", &id, json!({"missed": rows.len()}));
        app.store.record_one(app.clock.now(), entry).await?;
        let shown = rows
            .into_iter()
            .map(|(address, state)| Missed { address: mask(&address), state: state_name(state, frame.t) });
        load::<W>(&site, &posted.session, &id, frame.clone(), Some(shown.collect())).await
    };
    match found.await {
        Ok(found) => page(&found),
        Err(fault) => fault.show(&frame),
    }
}
