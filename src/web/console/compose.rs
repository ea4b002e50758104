//! What do I say, where? A draft, checks as it is typed, a preview, and on to another officer.

mod build;
mod check;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use self::build::{ComposeForm, Composed, build};
use self::check::{Check, checked};
pub(super) use self::places::named;
use self::places::{LIMITS, Limits};
use super::duty::{Choice, jurisdictions};
use super::preview::language_name;
use crate::app::App;
use crate::approval::{Amendment, Words as Said};
use crate::cap::{Colour, Hazard, MsgType, Point, Polygon};
use crate::config::BureauConfig;
use crate::intake::Outside;
use crate::messages::{Language, Scene};
use crate::officers::{OfficerId, Role};
use crate::staff::Session;
use crate::store::{DraftRow, Entry, StoreError};
use crate::web::page::{Fault, Frame, beijing, clock, page, page_with};
use crate::web::session::{Fields, Posted, SignedIn};
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::World;

/// Drafts on a page.
const DRAFTS: usize = 100;

struct Draft {
    id: i64,
    title: String,
    who: String,
    at: String,
}

#[derive(Template)]
#[template(path = "drafts.html")]
struct Drafts {
    frame: Frame,
    drafts: Vec<Draft>,
}

struct InLanguage {
    tag: &'static str,
    name: &'static str,
    words: Said,
}

#[derive(Template)]
#[template(path = "compose.html")]
struct ComposePage {
    frame: Frame,
    id: String,
    error: String,
    form: ComposeForm,
    kinds: Vec<Choice>,
    hazards: Vec<Choice>,
    colours: Vec<Choice>,
    voices: Vec<Choice>,
    words: Vec<InLanguage>,
    limits: Limits,
    check: Check,
}

#[derive(Template)]
#[template(path = "compose_check.html")]
struct CheckPart {
    frame: Frame,
    check: Check,
}

pub(super) async fn drafts<W: World>(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    let frame = Frame::of::<W>(&session, "compose");
    let found = (site.app.store.drafts::<W>(session.officer.id).await, site.app.store.officers().await);
    let (drafts, officers) = match found {
        (Ok(drafts), Ok(officers)) => (drafts, officers),
        (Err(error), _) | (_, Err(error)) => return Fault::from(error).show(&frame),
    };
    let now = site.app.clock.now();
    let mine = |row: &DraftRow| row.author == session.officer.id || shares(&site.app, &session, row);
    let drafts = drafts.into_iter().filter(mine).take(DRAFTS).map(|row| Draft {
        id: row.id,
        title: row.title,
        who: officers.iter().find(|officer| officer.id == row.author).map_or_else(String::new, |o| o.name.clone()),
        at: clock(row.updated_at, now),
    });
    page(&Drafts { drafts: drafts.collect(), frame })
}

/// What a new alert follows on.
#[derive(Deserialize)]
pub(super) struct Follows {
    #[serde(default)]
    refers: String,
    #[serde(default)]
    kind: String,
}

pub(super) async fn fresh<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Query(follows): Query<Follows>,
) -> Response {
    let frame = Frame::of::<W>(&session, "compose");
    let until = beijing(site.app.clock.now() + TimeDelta::hours(6)).format("%Y-%m-%dT%H:%M").to_string();
    let blank = ComposeForm { expires: until, ..ComposeForm::default() };
    let form = match follows.refers.as_str() {
        "" => Ok(blank),
        older => following::<W>(&site.app, older, &follows.kind, blank).await,
    };
    match form {
        Ok(form) => show::<W>(&site.app, &session, frame, "new", form, StatusCode::OK, String::new()).await,
        Err(fault) => fault.show(&frame),
    }
}

/// A form that begins with what an alert said: an update says it anew, an all-clear names the same places.
async fn following<W: World>(app: &App, older: &str, kind: &str, blank: ComposeForm) -> Result<ComposeForm, Fault> {
    let row = app.store.alert(older).await?.filter(|row| row.status == W::STATUS.as_str()).ok_or(Fault::Unknown)?;
    let alert = app.desk.material(older).await?.alert;
    let areas = || alert.infos.iter().take(1).flat_map(|info| &info.areas);
    let lines = |lines: Vec<String>| lines.join("\n");
    let corner = |point: &Point| format!("{},{}", point.lat, point.lon);
    let ring = |polygon: &Polygon| polygon.ring.iter().map(corner).collect::<Vec<_>>().join(" ");
    let msg_type = MsgType::parse(kind).filter(|kind| *kind == MsgType::Cancel).unwrap_or(MsgType::Update);
    let said = |language| (language, Amendment::words_of(&alert, language));
    Ok(ComposeForm {
        msg_type: msg_type.to_string(),
        refers: row.id,
        hazard: Hazard::of_alert(&alert).slug().to_owned(),
        colour: Colour::of_alert(&alert).map_or_else(String::new, |colour| colour.as_str().to_owned()),
        region: row.bureau.strip_prefix("console:").unwrap_or_default().to_owned(),
        places: lines(areas().flat_map(|area| &area.geocodes).map(|code| code.value.clone()).collect()),
        polygons: lines(areas().flat_map(|area| &area.polygons).map(ring).collect()),
        circles: lines(
            areas().flat_map(|area| &area.circles).map(|c| format!("{} {}", corner(&c.center), c.radius_km)).collect(),
        ),
        words: match msg_type {
            MsgType::Cancel => BTreeMap::new(),
            _ => Language::ALL.into_iter().map(said).collect(),
        },
        ..blank
    })
}

pub(super) async fn edit<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Path(id): Path<i64>,
) -> Response {
    let frame = Frame::of::<W>(&session, "compose");
    match own_draft::<W>(&site.app, &session, id).await {
        Ok(row) => {
            let form = ComposeForm {
                seen: row.updated_at.timestamp_millis(),
                ..serde_json::from_str(&row.body).unwrap_or_default()
            };
            show::<W>(&site.app, &session, frame, &id.to_string(), form, StatusCode::OK, String::new()).await
        }
        Err(fault) => fault.show(&frame),
    }
}

/// Whether a draft is shared with this officer: they may write for the same place.
fn shares(app: &App, session: &Session, row: &DraftRow) -> bool {
    let may = |region| session.officer.grants.may(Role::Author, &region, &app.policy.load().map);
    row.shared && row.region.parse().is_ok_and(may)
}

/// A draft that this officer wrote, or that its author shares.
async fn own_draft<W: World>(app: &App, session: &Session, id: i64) -> Result<DraftRow, Fault> {
    let row = app.store.draft::<W>(id).await?.ok_or(Fault::Unknown)?;
    let own = row.author == session.officer.id || shares(app, session, &row);
    if own && row.alert.is_none() { Ok(row) } else { Err(Fault::Unknown) }
}

async fn show<W: World>(
    app: &App,
    session: &Session,
    frame: Frame,
    id: &str,
    form: ComposeForm,
    status: StatusCode,
    error: String,
) -> Response {
    let words = frame.t;
    let check = match checked::<W>(app, &form, words).await {
        Ok((check, _)) => check,
        Err(fault) => return fault.show(&frame),
    };
    let choice = |code: &str, name: &str, on: bool| Choice { code: code.into(), name: name.into(), on };
    let found = ComposePage {
        id: id.to_owned(),
        error,
        kinds: ["Alert", "Update", "Cancel"]
            .map(|code| choice(code, super::queue::kind(code, words), form.msg_type == code))
            .into(),
        hazards: Hazard::ALL
            .iter()
            .filter(|hazard| **hazard != Hazard::Other)
            .map(|h| choice(h.slug(), words.pick(h.name_zh(), h.name_en()), form.hazard == h.slug()))
            .collect(),
        colours: Colour::ALL
            .into_iter()
            .map(|c| {
                let mark = crate::web::page::Mark::of(Some(c));
                let name = format!("{} {}", mark.shape, words.s(mark.name));
                choice(c.as_str(), &name, form.colour == c.as_str())
            })
            .collect(),
        voices: voices(app, session, words, &form.region),
        words: Language::ALL
            .into_iter()
            .map(|language| InLanguage {
                tag: language.tag(),
                name: language_name(language),
                words: form.words.get(&language).cloned().unwrap_or_default(),
            })
            .collect(),
        limits: LIMITS,
        check,
        form,
        frame,
    };
    page_with(status, &found)
}

/// The jurisdictions that this officer may write for.
fn voices(app: &App, session: &Session, words: Words, chosen: &str) -> Vec<Choice> {
    let map = &app.policy.load_full().map;
    let may =
        |choice: &Choice| choice.code.parse().is_ok_and(|code| session.officer.grants.may(Role::Author, &code, map));
    let all = jurisdictions(app, words).into_iter().filter(may);
    all.map(|choice| Choice { on: choice.code == chosen, ..choice }).collect()
}

/// Checks what is typed, and shows what would go out.
pub(super) async fn check<W: World>(State(site): State<Site>, posted: Posted) -> Response {
    let frame = Frame::of::<W>(&posted.session, "compose");
    let form = ComposeForm::of(&posted.fields);
    match checked::<W>(&site.app, &form, frame.t).await {
        Ok((check, _)) => page(&CheckPart { frame, check }),
        Err(fault) => fault.show(&frame),
    }
}

/// Save, mail a summary, submit.
pub(super) async fn act<W: World>(
    State(site): State<Site>,
    Path((id, what)): Path<(String, String)>,
    posted: Posted,
) -> Response {
    let frame = Frame::of::<W>(&posted.session, "compose");
    let mut form = ComposeForm::of(&posted.fields);
    match perform::<W>(&site.app, &posted, &id, &what, &mut form, frame.t).await {
        Ok(place) => Redirect::to(&place).into_response(),
        // What was typed is not lost with a refusal.
        Err(Fault::Bad(why)) => {
            show::<W>(&site.app, &posted.session, frame, &id, form, StatusCode::UNPROCESSABLE_ENTITY, why).await
        }
        Err(fault) => fault.show(&frame),
    }
}

async fn perform<W: World>(
    app: &App,
    posted: &Posted,
    id: &str,
    what: &str,
    form: &mut ComposeForm,
    words: Words,
) -> Result<String, Fault> {
    let session = &posted.session;
    let before = match id {
        "new" => None,
        id => Some(own_draft::<W>(app, session, id.parse().map_err(|_| Fault::Unknown)?).await?),
    };
    let voice = form.region.parse().map_err(|_| Fault::Bad(words.s("Say in whose name").to_owned()))?;
    if !session.officer.grants.may(Role::Author, &voice, &app.policy.load().map) {
        return Err(Fault::NotYours);
    }
    let now = app.clock.now();
    // Whoever saved it has had a hand in its words, and decides on none of them.
    form.writers = before.iter().flat_map(writers).chain([session.officer.id]).collect();
    let newest = before.as_ref().map_or(0, |row| row.updated_at.timestamp_millis());
    let row = DraftRow {
        id: before.as_ref().map_or(0, |row| row.id),
        author: before.map_or(session.officer.id, |row| row.author),
        region: form.region.clone(),
        shared: form.shared,
        title: form.title(words),
        body: serde_json::to_string(form).map_err(StoreError::corrupt)?,
        updated_at: now,
        alert: None,
    };
    let Some(id) = app.store.save_draft::<W>(&row, form.seen).await? else {
        // Whoever saves once more knows that they replace what somebody else wrote.
        form.seen = newest;
        let why = words.s(
            "Somebody else saved this draft meanwhile. What you typed stands below; saving it again replaces theirs",
        );
        return Err(Fault::Bad(why.to_owned()));
    };
    form.seen = now.timestamp_millis();
    let detail = json!({"jurisdiction": form.region, "title": row.title});
    let login = session.officer.login.as_str();
    app.store.record_one(now, Entry::new(login, "draft.save", draft_subject(id), detail)).await?;
    match what {
        "save" => Ok(format!("{}/compose/{id}", W::BASE)),
        "mail" => {
            mail::<W>(app, session, form, words).await?;
            Ok(format!("{}/compose/{id}", W::BASE))
        }
        "submit" => submit::<W>(app, session, form, words, id, now).await,
        _ => Err(Fault::Unknown),
    }
}

/// A draft, as lines of the record name it.
fn draft_subject(id: i64) -> String {
    format!("draft/{id}")
}

/// Everyone who saved a draft.
fn writers(row: &DraftRow) -> BTreeSet<OfficerId> {
    let form: ComposeForm = serde_json::from_str(&row.body).unwrap_or_default();
    form.writers.into_iter().chain([row.author]).collect()
}

async fn submit<W: World>(
    app: &App,
    session: &Session,
    form: &ComposeForm,
    words: Words,
    draft: i64,
    now: DateTime<Utc>,
) -> Result<String, Fault> {
    let Composed { alert, faults, .. } = build::<W>(app, form, words, now).await?;
    let alert = match alert {
        Some(alert) if faults.is_empty() => alert,
        _ => return Err(Fault::Bad(faults.join("；"))),
    };
    let raw = crate::cap::write(&alert).map_err(|e| Fault::Bad(e.to_string()))?;
    // A form that is sent twice finds its draft gone.
    let id = crate::cap::AlertId::of(&alert).to_string();
    if !app.store.tie_draft(draft, Some(&id)).await? {
        return Err(Fault::Unknown);
    }
    let detail = json!({"draft": draft_subject(draft), "jurisdiction": form.region});
    app.store.record_one(now, Entry::new(session.officer.login.as_str(), "draft.submit", &id, detail)).await?;
    let region = form.region.parse().map_err(|_| Fault::Unknown)?;
    // Whoever speaks for the counties beyond is asked, as for a bureau that may reach beyond its own.
    let voice = BureauConfig {
        name: format!("console:{}", form.region),
        regions: vec![region],
        outside: Outside::Cut,
        ..BureauConfig::default()
    };
    match app.intake.accept_composed(&voice, &form.writers, raw.as_bytes()).await {
        Ok(receipt) => {
            app.engine.wake();
            Ok(format!("{}/alerts/{}", W::BASE, receipt.id))
        }
        Err(refusal) => {
            app.store.tie_draft(draft, None).await?;
            let (zh, en) = refusal.code.sentences();
            let why = words.pick(zh, en);
            Err(Fault::Bad(format!("{} {why} {}", refusal.code.as_str(), refusal.detail)))
        }
    }
}

/// A summary with a picture of the area, to the officer's own addresses.
async fn mail<W: World>(app: &App, session: &Session, form: &ComposeForm, words: Words) -> Result<(), Fault> {
    let (check, material) = checked::<W>(app, form, words).await?;
    let Some(material) = material else { return Err(Fault::Bad(check.faults.join("；"))) };
    let map = &app.policy.load().map;
    let scene = Scene::of(map, material.decision.regions.clone(), Colour::of_alert(&material.alert));
    let picture = scene.and_then(|scene| scene.draw(map));
    let texts: Vec<_> =
        check.texts.iter().map(|t| format!("[{} {}] {} {}", t.channel, t.language, t.title, t.body)).collect();
    let drill = if W::EXERCISE { "【演练 EXERCISE】" } else { "" };
    let subject = format!("{drill}{}：{}", words.s("Draft"), form.title(words));
    let text = format!("{subject}\n\n{}\n{}\n\n{}\n", check.reaches, check.places.join("、"), texts.join("\n\n"));
    let n = app.desk.mail(&session.officer, &subject, &text, picture).await?;
    if n == 0 {
        Err(Fault::Bad(words.s("You have no e-mail address yet: set one under your name").to_owned()))
    } else {
        Ok(())
    }
}

impl ComposeForm {
    fn title(&self, words: Words) -> String {
        let hazard = Hazard::from_slug(&self.hazard).map_or("", |h| words.pick(h.name_zh(), h.name_en()));
        let colour = Colour::ALL.into_iter().find(|c| c.as_str() == self.colour);
        let place: String = self.places.split_whitespace().next().unwrap_or_default().chars().take(20).collect();
        format!("{hazard} {} {place}", colour.map_or("", |c| words.pick(c.name_zh(), c.name_en()))).trim().to_owned()
    }

    fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).replace("\r\n", "\n");
        let words = Language::ALL.into_iter().map(|language| {
            let part = |part: &str| text(&format!("{}.{part}", language.tag())).trim().chars().take(4_000).collect();
            let said =
                Said { headline: part("headline"), description: part("description"), instruction: part("instruction") };
            (language, said)
        });
        Self {
            msg_type: text("msg_type"),
            refers: text("refers").trim().to_owned(),
            hazard: text("hazard"),
            colour: text("colour"),
            region: text("region"),
            onset: text("onset"),
            expires: text("expires"),
            places: text("places"),
            polygons: text("polygons"),
            circles: text("circles"),
            shared: fields.is_on("shared"),
            words: words.collect(),
            writers: BTreeSet::new(),
            seen: fields.get("seen").parse().unwrap_or(0),
        }
    }
}
