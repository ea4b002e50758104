//! Sirens, loudspeakers and signs: who is silent, since when, and whom to call.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::duty::Choice;
use super::organisations::{imported_text, level_of, levels, slug};
use crate::app::App;
use crate::devices::{Device, DeviceKind, Imported, Presence, point};
use crate::officers::Role;
use crate::regions::RegionCode;
use crate::staff::Session;
use crate::store::DeviceRow;
use crate::web::page::{Fault, Frame, clock, page, span};
use crate::web::session::{Fields, Posted, SignedIn};
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::Live;

/// Devices drawn on the map; the silent ones first.
const DRAWN: usize = 2_000;

struct Row {
    id: String,
    name: String,
    kind: &'static str,
    county: String,
    is: &'static str,
    word: &'static str,
    since: String,
    battery: String,
    firmware: String,
    problem: String,
    organisation: String,
    drills: bool,
    /// Whether this officer may change it.
    own: bool,
}

/// What was done just now.
#[derive(Default)]
struct Done {
    /// Accounts with their passwords, shown this once.
    accounts: Vec<(String, String)>,
    imported: Option<Imported>,
    told: String,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage {
    frame: Frame,
    done: Done,
    /// Since when devices are listened to; empty for nobody listens.
    listening: String,
    alive: usize,
    never: usize,
    silent: Vec<Row>,
    others: Vec<Row>,
    marks: String,
    alarms: Vec<String>,
    kinds: Vec<Choice>,
    levels: Vec<Choice>,
    may_keep: bool,
}

pub(super) async fn show(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    show_with(&site, &session, Done::default()).await
}

async fn show_with(site: &Site, session: &Session, done: Done) -> Response {
    let frame = Frame::of::<Live>(session, "devices");
    match load(&site.app, session, frame.clone(), done).await {
        Ok(found) => page(&found),
        Err(fault) => fault.show(&frame),
    }
}

async fn load(app: &App, session: &Session, frame: Frame, done: Done) -> Result<DevicesPage, Fault> {
    let (now, words) = (app.clock.now(), frame.t);
    let (mut all, listening) = app.devices.all().await?;
    let policy = app.policy.load();
    let name = |code: &RegionCode| {
        policy.map.get(code).map_or_else(|| code.to_string(), |region| region.name_in(words.language).to_owned())
    };
    // The longest silent first.
    all.sort_by_key(|(row, presence)| match presence {
        Presence::Silent(since) => (0, Some(*since), row.device.id.clone()),
        _ => (1, None, row.device.id.clone()),
    });
    let row = |(device, presence): &(DeviceRow, Presence)| {
        let own = session.officer.grants.may(Role::Administrator, &device.device.region, &policy.map);
        row(device, *presence, name(&device.device.region), own, words, now)
    };
    let is_silent = |(_, presence): &&(DeviceRow, Presence)| matches!(presence, Presence::Silent(_));
    let counted = |word| all.iter().filter(|(_, presence)| presence.as_str() == word).count();
    let marks: Vec<_> = all
        .iter()
        .take(DRAWN)
        .filter_map(|(row, presence)| {
            let at = row.device.point.or_else(|| policy.map.middle(&row.device.region))?;
            Some(json!({"at": [at.lat, at.lon], "is": presence.as_str(), "name": format!("{} {}", presence_name(*presence, words), row.device.name)}))
        })
        .collect();
    let alarms = app.store.device_alarms().await?;
    Ok(DevicesPage {
        listening: listening.map_or_else(String::new, |at| clock(at, now)),
        alive: counted("alive"),
        never: counted("never"),
        silent: all.iter().filter(is_silent).map(row).collect(),
        others: all.iter().filter(|one| !is_silent(one)).map(row).collect(),
        marks: json!(marks).to_string(),
        alarms: alarms.iter().map(|(region, since)| format!("{} {}", name(region), clock(*since, now))).collect(),
        kinds: DeviceKind::ALL
            .into_iter()
            .map(|kind| Choice { code: kind.as_str().into(), name: kind_name(kind, words).into(), on: false })
            .collect(),
        levels: levels(words, crate::cap::Colour::Orange),
        may_keep: session.officer.grants.has(Role::Administrator),
        done,
        frame,
    })
}

fn row(
    row: &DeviceRow,
    presence: Presence,
    county: String,
    own: bool,
    words: Words,
    now: chrono::DateTime<chrono::Utc>,
) -> Row {
    let device = &row.device;
    let since = match presence {
        Presence::Silent(since) => format!("{} · {}", clock(since, now), span((now - since).num_seconds(), words)),
        _ => row.seen_at.map_or_else(|| "—".to_owned(), |at| clock(at, now)),
    };
    Row {
        id: device.id.to_string(),
        name: device.name.clone(),
        kind: kind_name(device.kind, words),
        county,
        is: presence.as_str(),
        word: presence_name(presence, words),
        since,
        battery: row.battery.map_or_else(String::new, |percent| format!("{percent} %")),
        firmware: row.firmware.clone().unwrap_or_default(),
        problem: row.problem.as_ref().map_or_else(String::new, |why| format!("{} {why}", row.refused)),
        organisation: device.organisation.as_ref().map(ToString::to_string).unwrap_or_default(),
        drills: device.drills,
        own,
    }
}

pub(super) fn kind_name(kind: DeviceKind, words: Words) -> &'static str {
    match kind {
        DeviceKind::Siren => words.s("siren"),
        DeviceKind::Loudspeaker => words.s("loudspeaker"),
        DeviceKind::Sign => words.s("sign"),
    }
}

fn presence_name(presence: Presence, words: Words) -> &'static str {
    match presence {
        Presence::Alive => words.s("alive"),
        Presence::Silent(_) => words.s("silent"),
        Presence::Never => words.s("never heard of"),
        Presence::Unknown => words.s("not known"),
    }
}

fn device(fields: &Fields) -> Result<Device, Fault> {
    let region = fields.get("region").trim().parse::<RegionCode>();
    let kind = DeviceKind::parse(fields.get("kind"))
        .ok_or_else(|| Fault::Bad("请选择设备种类 / choose a kind of device".into()))?;
    let (lat, lon) = fields.get("point").split_once([',', '，']).unwrap_or((fields.get("point"), ""));
    Ok(Device {
        id: slug(fields.get("id"))?,
        kind,
        name: fields.get("name").to_owned(),
        region: region.map_err(|error| Fault::Bad(error.to_string()))?,
        point: point(lat, lon).map_err(Fault::Bad)?,
        organisation: match fields.get("organisation").trim() {
            "" => None,
            code => Some(slug(code)?),
        },
        lowest: level_of(fields.get("lowest"))?,
        drills: fields.is_on("drills"),
    })
}

pub(super) async fn put(State(site): State<Site>, posted: Posted) -> Response {
    let done = async {
        let device = device(&posted.fields)?;
        Ok::<_, Fault>(site.app.devices.put(&device, Some(&posted.session.officer)).await?)
    };
    match done.await {
        Ok(made) => {
            show_with(&site, &posted.session, Done { accounts: made.into_iter().collect(), ..Done::default() }).await
        }
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "devices")),
    }
}

pub(super) async fn import(State(site): State<Site>, posted: Posted) -> Response {
    let (file, dry) = (posted.fields.get("file"), posted.fields.is_on("dry"));
    match site.app.devices.import(file.as_bytes(), dry, Some(&posted.session.officer)).await {
        Ok(mut imported) => {
            let accounts = std::mem::take(&mut imported.accounts);
            let words = Words::from(posted.session.officer.language);
            let told = imported_text(words, imported.dry, imported.added, imported.changed, imported.bad.len());
            show_with(&site, &posted.session, Done { accounts, imported: Some(imported), told }).await
        }
        Err(error) => Fault::from(error).show(&Frame::of::<Live>(&posted.session, "devices")),
    }
}

pub(super) async fn act(State(site): State<Site>, Path((id, act)): Path<(String, String)>, posted: Posted) -> Response {
    let by = Some(&posted.session.officer);
    let done = async {
        let id = slug(&id)?;
        match act.as_str() {
            "renew" => Ok(Some(site.app.devices.renew(&id, by).await?)),
            "end" => site.app.devices.end(&id, by).await.map(|()| None).map_err(Fault::from),
            _ => Err(Fault::Unknown),
        }
    };
    match done.await {
        Ok(Some(account)) => {
            show_with(&site, &posted.session, Done { accounts: vec![account], ..Done::default() }).await
        }
        Ok(None) => Redirect::to("/console/devices").into_response(),
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "devices")),
    }
}
