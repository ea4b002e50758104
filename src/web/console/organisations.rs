//! Organisations: who is told for each, what their programs get.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use tocsin_channels::ChannelKind;

use super::acts::beijing_time;
use super::duty::Choice;
use crate::app::App;
use crate::cap::Colour;
use crate::delivery::{Address, mask};
use crate::messages::Language;
use crate::officers::Role;
use crate::organisations::{Imported, KeepError, Organisation, OrganisationKind, Slug};
use crate::staff::Session;
use crate::store::ContactRow;
use crate::web::page::{Fault, Frame, beijing, page};
use crate::web::session::{Fields, Posted, SignedIn};
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::Live;

impl From<KeepError> for Fault {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Unknown => Self::Unknown,
            KeepError::NotYours => Self::NotYours,
            KeepError::Input(text) => Self::Bad(text),
            KeepError::Secret(error) => Self::Bad(error.to_string()),
            KeepError::Store(error) => error.into(),
        }
    }
}

struct Row {
    code: String,
    name: String,
    kind: &'static str,
    regions: String,
    level: &'static str,
    contacts: i64,
}

#[derive(Template)]
#[template(path = "organisations.html")]
struct OrganisationsPage {
    frame: Frame,
    told: String,
    imported: Option<Imported>,
    rows: Vec<Row>,
    kinds: Vec<Choice>,
    levels: Vec<Choice>,
    may_keep: bool,
}

struct Contact {
    id: i64,
    name: String,
    duty: String,
    addresses: Vec<String>,
    consent: String,
    entered: String,
}

struct Hook {
    name: String,
    host: String,
}

/// What is shown once.
#[derive(Default)]
struct Shown {
    secret: String,
    account: Option<(String, String)>,
    /// The contacts' addresses are shown whole.
    whole: Option<Vec<ContactRow>>,
}

#[derive(Template)]
#[template(path = "organisation.html")]
struct OrganisationPage {
    frame: Frame,
    one: Organisation,
    kind: &'static str,
    level: &'static str,
    regions: String,
    codes: String,
    contacts: Vec<Contact>,
    hooks: Vec<Hook>,
    account: String,
    shown: Shown,
    kinds: Vec<Choice>,
    levels: Vec<Choice>,
    may_keep: bool,
}

/// A level in words.
pub(super) fn level_name(colour: Colour, words: Words) -> &'static str {
    words.pick(colour.name_zh(), colour.name_en())
}

/// Levels to choose from.
pub(super) fn levels(words: Words, chosen: Colour) -> Vec<Choice> {
    let choice = |colour: Colour| Choice {
        code: colour.as_str().into(),
        name: level_name(colour, words).into(),
        on: colour == chosen,
    };
    Colour::ALL.into_iter().map(choice).collect()
}

/// The level of a form.
pub(super) fn level_of(word: &str) -> Result<Colour, Fault> {
    Colour::ALL
        .into_iter()
        .find(|colour| colour.as_str() == word)
        .ok_or_else(|| Fault::Bad("请选择级别 / choose a level".into()))
}

/// The code of a form or an address.
pub(super) fn slug(text: &str) -> Result<Slug, Fault> {
    text.parse().map_err(|error: crate::organisations::BadSlug| Fault::Bad(error.to_string()))
}

/// What an import did, or would.
pub(super) fn imported_text(words: Words, dry: bool, added: u64, changed: u64, bad: usize) -> String {
    let head = if dry { words.s("This would become of it; nothing is written:") } else { words.s("Taken in:") };
    format!(
        "{head} {} · {} · {}",
        words.f("added {}", added),
        words.f("as before or changed {}", changed),
        words.f("left out {}", bad)
    )
}

pub(super) fn kind_name(kind: OrganisationKind, words: Words) -> &'static str {
    match kind {
        OrganisationKind::School => words.s("school"),
        OrganisationKind::Port => words.s("port"),
        OrganisationKind::Ship => words.s("ship"),
        OrganisationKind::Haulier => words.s("haulier"),
        OrganisationKind::Hospital => words.s("hospital"),
        OrganisationKind::Other => words.s("another organisation"),
    }
}

fn kinds(words: Words, chosen: OrganisationKind) -> Vec<Choice> {
    let choice = |kind: OrganisationKind| Choice {
        code: kind.as_str().into(),
        name: kind_name(kind, words).into(),
        on: kind == chosen,
    };
    OrganisationKind::ALL.into_iter().map(choice).collect()
}

fn region_names(app: &App, one: &Organisation, words: Words) -> String {
    let policy = app.policy.load();
    let name = |code| policy.map.get(code).map_or_else(String::new, |region| region.name_in(words.language).to_owned());
    one.regions.iter().map(name).collect::<Vec<_>>().join("、")
}

pub(super) async fn list(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    list_with(&site, &session, None).await
}

async fn list_with(site: &Site, session: &Session, imported: Option<Imported>) -> Response {
    let frame = Frame::of::<Live>(session, "organisations");
    let words = frame.t;
    let found = async {
        let counts = site.app.store.contact_counts().await?;
        let row = |one: &Organisation| Row {
            code: one.code.to_string(),
            name: one.name.clone(),
            kind: kind_name(one.kind, words),
            regions: region_names(&site.app, one, words),
            level: level_name(one.lowest, words),
            contacts: counts.get(one.code.as_str()).copied().unwrap_or(0),
        };
        let told =
            imported.as_ref().map(|done| imported_text(words, done.dry, done.contacts, done.known, done.bad.len()));
        Ok::<_, Fault>(OrganisationsPage {
            told: told.unwrap_or_default(),
            rows: site.app.store.organisations().await?.iter().map(row).collect(),
            imported,
            kinds: kinds(words, OrganisationKind::School),
            levels: levels(words, Colour::Blue),
            may_keep: session.officer.grants.has(Role::Administrator),
            frame: frame.clone(),
        })
    };
    match found.await {
        Ok(found) => page(&found),
        Err(fault) => fault.show(&frame),
    }
}

pub(super) async fn one(State(site): State<Site>, SignedIn(session): SignedIn, Path(code): Path<String>) -> Response {
    one_with(&site, &session, &code, Shown::default()).await
}

async fn one_with(site: &Site, session: &Session, code: &str, shown: Shown) -> Response {
    let frame = Frame::of::<Live>(session, "organisations");
    match load(&site.app, session, code, frame.clone(), shown).await {
        Ok(found) => page(&found),
        Err(fault) => fault.show(&frame),
    }
}

async fn load(
    app: &App,
    session: &Session,
    code: &str,
    frame: Frame,
    mut shown: Shown,
) -> Result<OrganisationPage, Fault> {
    let words = frame.t;
    let code: Slug = code.parse().map_err(|_| Fault::Unknown)?;
    let one = app.store.organisation(&code).await?.ok_or(Fault::Unknown)?;
    let map = &app.policy.load_full().map;
    let whole = shown.whole.take();
    let is_whole = whole.is_some();
    let contacts = match whole {
        Some(contacts) => contacts,
        None => app.store.contacts(&code).await?,
    };
    let contact = |row: ContactRow| Contact {
        id: row.subscriber,
        name: if is_whole { row.name } else { mask(&row.name) },
        duty: row.duty,
        addresses: row.addresses.iter().map(|a| if is_whole { a.value.clone() } else { mask(&a.value) }).collect(),
        consent: format!("{} · {}", row.consent, beijing(row.consent_at).format("%Y-%m-%d")),
        entered: format!("{} {}", row.entered_by, row.source.get(..12).unwrap_or_default()),
    };
    let host = |url: &str| url.split('/').nth(2).unwrap_or_default().rsplit('@').next().unwrap_or_default().to_owned();
    let hooks = app.store.hooks().await?.into_iter().filter(|hook| hook.organisation == code);
    let account = crate::broker::organisation_account(&code);
    let has_account = app.store.accounts().await?.contains_key(&account);
    Ok(OrganisationPage {
        kind: kind_name(one.kind, words),
        level: level_name(one.lowest, words),
        regions: region_names(app, &one, words),
        codes: one.regions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        contacts: contacts.into_iter().map(contact).collect(),
        hooks: hooks.map(|hook| Hook { name: hook.name.to_string(), host: host(&hook.url) }).collect(),
        account: if has_account { account } else { String::new() },
        kinds: kinds(words, one.kind),
        levels: levels(words, one.lowest),
        may_keep: one.regions.iter().all(|region| session.officer.grants.may(Role::Administrator, region, map)),
        shown,
        one,
        frame,
    })
}

fn organisation(fields: &Fields, now: DateTime<Utc>) -> Result<Organisation, Fault> {
    let regions = fields.get("regions").split(|c: char| c.is_whitespace() || ",，、;".contains(c));
    let regions = regions.filter(|code| !code.is_empty()).map(|code| code.parse());
    let regions = regions.collect::<Result<_, crate::regions::BadRegionCode>>();
    Ok(Organisation {
        code: slug(fields.get("code"))?,
        name: fields.get("name").to_owned(),
        kind: OrganisationKind::parse(fields.get("kind"))
            .ok_or_else(|| Fault::Bad("请选择单位种类 / choose a kind of organisation".into()))?,
        regions: regions.map_err(|error| Fault::Bad(error.to_string()))?,
        lowest: level_of(fields.get("lowest"))?,
        created_at: now,
    })
}

pub(super) async fn put(State(site): State<Site>, posted: Posted) -> Response {
    let done = async {
        let one = organisation(&posted.fields, site.app.clock.now())?;
        site.app.organisations.put(&one, Some(&posted.session.officer)).await?;
        Ok::<_, Fault>(one.code)
    };
    match done.await {
        Ok(code) => Redirect::to(&format!("/console/organisations/{code}")).into_response(),
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "organisations")),
    }
}

pub(super) async fn import(State(site): State<Site>, posted: Posted) -> Response {
    let (file, dry) = (posted.fields.get("file"), posted.fields.is_on("dry"));
    match site.app.organisations.import(file.as_bytes(), dry, Some(&posted.session.officer)).await {
        Ok(done) => list_with(&site, &posted.session, Some(done)).await,
        Err(error) => Fault::from(error).show(&Frame::of::<Live>(&posted.session, "organisations")),
    }
}

pub(super) async fn act(
    State(site): State<Site>,
    Path((code, act)): Path<(String, String)>,
    posted: Posted,
) -> Response {
    let done = async {
        let code = slug(&code)?;
        do_act(&site.app, &code, &act, &posted).await
    };
    match done.await {
        Ok(Some(shown)) => one_with(&site, &posted.session, &code, shown).await,
        Ok(None) if act == "end" => Redirect::to("/console/organisations").into_response(),
        Ok(None) => Redirect::to(&format!("/console/organisations/{code}")).into_response(),
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "organisations")),
    }
}

/// Does what a form of an organisation's page asks; gives what is shown once.
async fn do_act(app: &App, code: &Slug, act: &str, posted: &Posted) -> Result<Option<Shown>, Fault> {
    let (all, fields, officer) = (&app.organisations, &posted.fields, &posted.session.officer);
    let by = Some(officer);
    match act {
        "contact" => {
            let consent = (fields.get("consent"), beijing_time(fields.get("consent_at"))?);
            let language = Language::of_tag(fields.get("language")).unwrap_or(Language::Chinese);
            let person = (fields.get("name"), fields.get("duty"));
            all.add_contact(code, person, language, &addresses(fields)?, consent, by).await?;
        }
        "contact-end" => {
            let id = fields.get("id").parse().map_err(|_| Fault::Unknown)?;
            all.end_contact(code, id, by).await?;
        }
        "look-up" => return Ok(Some(Shown { whole: Some(all.look_up(code, officer).await?), ..Shown::default() })),
        "hook" => {
            let secret = all.set_hook(code, &slug(fields.get("name"))?, fields.get("url"), by).await?;
            return Ok(Some(Shown { secret, ..Shown::default() }));
        }
        "hook-end" => all.end_hook(code, &slug(fields.get("name"))?, by).await?,
        "account" => {
            let account = Some(all.set_account(code, by).await?);
            return Ok(Some(Shown { account, ..Shown::default() }));
        }
        "end" => {
            if fields.get("word").trim() != code.as_str() {
                return Err(Fault::NotConfirmed);
            }
            all.end(code, by).await?;
        }
        _ => return Err(Fault::Unknown),
    }
    Ok(None)
}

fn addresses(fields: &Fields) -> Result<Vec<Address>, Fault> {
    let mut found = Vec::new();
    for (field, channel) in [("phone", ChannelKind::Sms), ("email", ChannelKind::Email)] {
        for text in fields.get(field).split([';', '；']).filter(|text| !text.trim().is_empty()) {
            found.push(Address::parse(channel, text).map_err(|error| Fault::Bad(error.to_string()))?);
        }
    }
    Ok(found)
}
