//! Officers, their roles, and what waits for a second administrator.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::duty::Choice;
use crate::app::App;
use crate::grave::Change;
use crate::messages::Language;
use crate::officers::{Grant, OfficerId, Role};
use crate::staff::{Grave, NewOfficer, Session};
use crate::store::OfficerRow;
use crate::web::page::{Fault, Frame, clock, page};
use crate::web::session::{Posted, SignedIn};
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::Live;

struct Row {
    id: i64,
    login: String,
    name: String,
    active: bool,
    roles: String,
}

struct Proposal {
    id: i64,
    what: String,
    changes: Vec<Change>,
    by: String,
    at: String,
    /// Whether this reader may agree: who asked, or gains by it, may not.
    agrees: bool,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    link: String,
    officers: Vec<Row>,
    proposals: Vec<Proposal>,
    roles: Vec<Choice>,
    may_keep: bool,
}

pub(super) async fn show(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    show_with(&site, &session, String::new()).await
}

async fn show_with(site: &Site, session: &Session, link: String) -> Response {
    let frame = Frame::of::<Live>(session, "people");
    match load(&site.app, session, frame.clone(), link).await {
        Ok(found) => page(&found),
        Err(fault) => fault.show(&frame),
    }
}

async fn load(app: &App, session: &Session, frame: Frame, link: String) -> Result<PeoplePage, Fault> {
    let now = app.clock.now();
    let words = frame.t;
    let officers = app.store.officers().await?;
    let name =
        |id: OfficerId| officers.iter().find(|o| o.id == id).map_or_else(|| "operator".into(), |o| o.name.clone());
    let mut proposals = Vec::new();
    for row in app.store.proposals().await? {
        let mut changes = Vec::new();
        let grave = Grave::of(&row)?;
        let agrees = grave.may_agree(row.by, session.officer.id);
        let what = match grave {
            Grave::Grant { officer, grant } => format!("{}：{}", name(officer), grant_name(app, &grant, words)),
            Grave::Token { officer, name: what, scopes, .. } => {
                format!("{}：{} {what} ({scopes})", name(officer), words.s("token"))
            }
            Grave::Tie { officer, subject } => {
                format!("{}：{}", name(officer), words.f("known to the organisation as {}", subject))
            }
            Grave::Link { officer, .. } => format!("{}：{}", name(officer), words.s("New invitation link")),
            Grave::Settings { changes: asked, .. } => {
                changes = asked.into_iter().map(|change| named(app, change, words)).collect();
                words.s("Bureaus, rules, words and channels of the configuration").to_owned()
            }
        };
        proposals.push(Proposal { id: row.id, what, changes, by: name(row.by), at: clock(row.at, now), agrees });
    }
    let row = |officer: &OfficerRow| {
        let roles: Vec<_> = officer.grants.0.iter().map(|grant| grant_name(app, grant, words)).collect();
        Row {
            id: officer.id.0,
            login: officer.login.to_string(),
            name: officer.name.clone(),
            active: officer.active,
            roles: roles.join(words.pick("；", "; ")),
        }
    };
    Ok(PeoplePage {
        link,
        officers: officers.iter().map(row).collect(),
        proposals,
        roles: Role::ALL
            .into_iter()
            .map(|role| Choice { code: role.as_str().into(), name: role_name(role, words).into(), on: false })
            .collect(),
        may_keep: session.officer.grants.everywhere(Role::Administrator),
        frame,
    })
}

/// A change with the regions' names beside their codes.
fn named(app: &App, change: Change, words: Words) -> Change {
    if !change.place.ends_with("regions") {
        return change;
    }
    let policy = app.policy.load();
    let region = |code: String| match code.parse().ok().and_then(|known| policy.map.get(&known)) {
        Some(region) => format!("{code} {}", region.name_in(words.language)),
        None => code,
    };
    let all = |codes: Vec<String>| codes.into_iter().map(region).collect();
    Change { old: all(change.old), new: all(change.new), ..change }
}

/// A role in words.
pub(super) fn role_name(role: Role, words: Words) -> &'static str {
    match role {
        Role::Author => words.s("author"),
        Role::Reviewer => words.s("reviewer"),
        Role::Signer => words.s("signer"),
        Role::Operator => words.s("operator"),
        Role::Auditor => words.s("auditor"),
        Role::Administrator => words.s("administrator"),
    }
}

/// A grant in words.
pub(super) fn grant_name(app: &App, grant: &Grant, words: Words) -> String {
    let policy = app.policy.load();
    let place = match &grant.region {
        None => words.s("everywhere").to_owned(),
        Some(code) => {
            policy.map.get(code).map_or_else(|| code.to_string(), |region| region.name_in(words.language).to_owned())
        }
    };
    format!("{} · {place}", role_name(grant.role, words))
}

pub(super) async fn invite(State(site): State<Site>, posted: Posted) -> Response {
    let fields = &posted.fields;
    let made = async {
        let mut grants = Vec::new();
        for line in fields.get("grants").split_whitespace() {
            grants.push(
                Grant::parse(line).ok_or_else(|| Fault::Bad(format!("角色无效：{line} / no such role: {line}")))?,
            );
        }
        let new = NewOfficer {
            login: fields.get("login").parse().map_err(crate::staff::StaffError::from)?,
            name: fields.get("name").to_owned(),
            language: Language::of_tag(fields.get("language")).unwrap_or(Language::Chinese),
            grants,
        };
        Ok::<_, Fault>(site.app.staff.invite(&new, Some(&posted.session.officer)).await?)
    };
    match made.await {
        Ok(token) => show_with(&site, &posted.session, site.app.invitation_link(&token)).await,
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "people")),
    }
}

pub(super) async fn invite_again(State(site): State<Site>, Path(id): Path<i64>, posted: Posted) -> Response {
    match site.app.staff.invite_again(OfficerId(id), &posted.session.officer).await {
        Ok(token) => show_with(&site, &posted.session, site.app.invitation_link(&token)).await,
        Err(error) => Fault::from(error).show(&Frame::of::<Live>(&posted.session, "people")),
    }
}

pub(super) async fn role(State(site): State<Site>, Path(id): Path<i64>, posted: Posted) -> Response {
    let fields = &posted.fields;
    let grant = Grant::parse(&format!("{}:{}", fields.get("role"), fields.get("region").trim()));
    let done = match grant {
        Some(grant) => {
            let given = fields.is_on("give");
            let by = &posted.session.officer;
            site.app.staff.set_role(OfficerId(id), &grant, given, by).await.map_err(Fault::from)
        }
        None => Err(Fault::Bad("角色或地区无效 / no such role or region".into())),
    };
    back(&posted, done)
}

pub(super) async fn active(State(site): State<Site>, Path(id): Path<i64>, posted: Posted) -> Response {
    let active = posted.fields.is_on("restore");
    let done = site.app.staff.suspend(OfficerId(id), active, &posted.session.officer).await;
    back(&posted, done.map_err(Fault::from))
}

pub(super) async fn tie(State(site): State<Site>, Path(id): Path<i64>, posted: Posted) -> Response {
    let Some(organisation) = &site.app.organisation else {
        return back(
            &posted,
            Err(Fault::Bad("单位统一登录未设置 / sign-in through an organisation is not set up".into())),
        );
    };
    let subject = organisation.subject(posted.fields.get("subject"));
    let done = site.app.staff.tie(OfficerId(id), &subject, &posted.session.officer).await;
    back(&posted, done.map_err(Fault::from))
}

pub(super) async fn decide(State(site): State<Site>, Path(id): Path<i64>, posted: Posted) -> Response {
    let done = async {
        let agreed = posted.fields.is_on("agree");
        if agreed {
            site.app.staff.prove(&posted.session, posted.fields.get("code")).await?;
        }
        if let Some(settings) = site.app.staff.decide(id, agreed, &posted.session.officer).await? {
            site.app.take_up(&settings).await.map_err(|error| {
                tracing::error!(%error, "settings were agreed to, and cannot be taken up");
                Fault::Bad(format!("已同意，但暂不能生效：{error} / agreed to, and not in force yet: {error}"))
            })?;
        }
        Ok(())
    };
    let done = done.await;
    back(&posted, done)
}

fn back(posted: &Posted, done: Result<(), Fault>) -> Response {
    match done {
        Ok(()) => Redirect::to("/console/people").into_response(),
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "people")),
    }
}
