//! What officers do, by form. Every act carries what was seen; grave ones a typed word and a proof of presence.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDateTime, Utc};

use super::alert::{self, confirms};
use super::live;
use super::queue::asked;
use super::refused::Refused;
use crate::approval::{Act, Amendment, Correction, State as Stands, Words};
use crate::messages::Language;
use crate::officers::Role;
use crate::regions::RegionCode;
use crate::rules::Stage;
use crate::web::page::{Fault, Frame, page};
use crate::web::session::{Fields, Posted, SignedIn};
use crate::web::site::Site;
use crate::world::World;

#[derive(Template)]
#[template(path = "take.html")]
struct TakePage {
    frame: Frame,
    headline: String,
    jurisdiction: String,
    asked: String,
    alert: String,
    id: i64,
    revision: u32,
}

/// Where a call's second link leads: one button to say that one looks at it. What cannot be taken any more shows as it stands.
pub(super) async fn ask<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Path((id, what)): Path<(i64, String)>,
) -> Response {
    let frame = Frame::of::<W>(&session, "queue");
    let found = async {
        let row = site.app.store.escalation::<W>(id).await?.filter(|_| what == "take").ok_or(Fault::Unknown)?;
        let alert = site.app.store.alert(&row.alert).await?.ok_or(Fault::Unknown)?;
        Ok::<_, Fault>((row, alert))
    };
    let (row, alert) = match found.await {
        Ok(found) => found,
        Err(fault) => return fault.show(&frame),
    };
    let e = &row.escalation;
    let who = site.app.desk.who(&session.officer, &e.jurisdiction);
    let judges = [Role::Reviewer, Role::Signer].into_iter().any(|role| who.roles.contains(&role));
    if e.state != Stands::Waiting || !judges {
        return Redirect::to(&format!("{}/alerts/{}#e{id}", W::BASE, row.alert)).into_response();
    }
    let policy = site.app.policy.load();
    let name = policy.map.get(&e.jurisdiction).map_or("", |region| region.name_in(frame.t.language));
    page(&TakePage {
        headline: alert.headline,
        jurisdiction: name.to_owned(),
        asked: asked(e, frame.t),
        alert: row.alert,
        id,
        revision: e.revision,
        frame,
    })
}

/// An act on an escalation: take, approve, return, reject, amend, split, withdraw.
pub(super) async fn act<W: World>(
    State(site): State<Site>,
    Path((id, what)): Path<(i64, String)>,
    posted: Posted,
) -> Response {
    let frame = Frame::of::<W>(&posted.session, "queue");
    match perform::<W>(&site, id, &what, &posted).await {
        Ok(alert) => Redirect::to(&format!("{}/alerts/{alert}#e{id}", W::BASE)).into_response(),
        Err(fault) => {
            let Some(refused) = Refused::of(&fault, alert::approval_of(id), &posted) else { return fault.show(&frame) };
            let Ok(Some(row)) = site.app.store.escalation::<W>(id).await else { return fault.show(&frame) };
            alert::answer::<W>(&site, &posted.session, &row.alert, Some(refused)).await
        }
    }
}

async fn perform<W: World>(site: &Site, id: i64, what: &str, posted: &Posted) -> Result<String, Fault> {
    let (fields, officer) = (&posted.fields, &posted.session.officer);
    let row = site.app.store.escalation::<W>(id).await?.ok_or(Fault::Unknown)?;
    let seen: u32 = fields
        .get("seen")
        .parse()
        .map_err(|_| Fault::Bad("请从预警页面操作 / act from the alert's page: what you saw is missing".into()))?;
    let reason = || fields.get("reason").to_owned();
    let act = match what {
        "take" => Act::Take,
        "approve" => {
            let stage = match fields.get("stage") {
                "review" => Stage::Review,
                "sign" => Stage::Sign,
                _ => return Err(Fault::Bad("请选择复核或签发 / choose review or signature".into())),
            };
            let e = &row.escalation;
            let policy = site.app.policy.load();
            let place = policy.map.get(&e.jurisdiction);
            if !confirms::<W>(place, e.approval.officers(), row.lane.number(), fields.get("word")) {
                return Err(Fault::NotConfirmed);
            }
            // Whoever may not decide is told so, and spends no code.
            site.app.desk.may(officer, &row, stage)?;
            site.app.staff.prove(&posted.session, fields.get("code")).await?;
            Act::Approve(stage)
        }
        "return" => Act::Return(reason()),
        "reject" => Act::Reject(reason()),
        "withdraw" => Act::Withdraw(reason()),
        "amend" => {
            let material = site.app.desk.material(&row.alert).await?;
            Act::Amend {
                amendment: amendment(fields, &material.alert, row.escalation.expires)?,
                regions: regions(fields)?,
                reason: reason(),
            }
        }
        "split" => {
            site.app.desk.split::<W>(id, &regions(fields)?, seen, officer).await?;
            return Ok(row.alert);
        }
        _ => return Err(Fault::Unknown),
    };
    site.app.desk.act::<W>(id, act, seen, officer).await?;
    Ok(row.alert)
}

/// The word that a grave act asks for.
fn confirmed(fields: &Fields, word: &str) -> Result<(), Fault> {
    if fields.get("word").trim() == word { Ok(()) } else { Err(Fault::NotConfirmed) }
}

fn regions(fields: &Fields) -> Result<Vec<RegionCode>, Fault> {
    fields.all("region").map(|code| code.parse().map_err(|e| Fault::Bad(format!("{e}")))).collect()
}

/// What a form changes of an alert: only languages that say something else than the alert.
fn amendment(fields: &Fields, alert: &crate::cap::Alert, end: DateTime<Utc>) -> Result<Amendment, Fault> {
    let mut words = BTreeMap::new();
    for language in Language::ALL {
        let text = |part: &str| {
            let text = fields.get(&format!("{}.{part}", language.tag())).replace("\r\n", "\n");
            text.trim().chars().take(4_000).collect::<String>()
        };
        let said =
            Words { headline: text("headline"), description: text("description"), instruction: text("instruction") };
        if said != Amendment::words_of(alert, language) {
            words.insert(language, said);
        }
    }
    let expires = match fields.get("expires") {
        "" => None,
        text => Some(beijing_time(text)?).filter(|at| at.timestamp() / 60 != end.timestamp() / 60),
    };
    Ok(Amendment { words, expires })
}

/// A time as a form gives it, on Beijing's clocks.
pub(super) fn beijing_time(text: &str) -> Result<DateTime<Utc>, Fault> {
    let bad = || Fault::Bad(format!("时间无效：{text} / no time: {text}"));
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"))
        .map_err(|_| bad())?;
    let zone = chrono::FixedOffset::east_opt(8 * 3_600).ok_or_else(bad)?;
    local.and_local_timezone(zone).single().map(|at| at.to_utc()).ok_or_else(bad)
}

/// A reason as it goes on record.
pub(in crate::web) fn reason(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(500).collect()
}

/// Stops what waits. It needs no code and no word: a wrong stop costs seconds, a late one cannot be made good.
pub(super) async fn stop<W: World>(State(site): State<Site>, Path(id): Path<String>, posted: Posted) -> Response {
    let done = site.app.desk.stop::<W>(&id, &reason(posted.fields.get("reason")), &posted.session.officer).await;
    back::<W>(&site, (&id, "stop"), &posted, done.map(drop).map_err(Fault::from)).await
}

/// Lets what was stopped go on.
pub(super) async fn resume<W: World>(State(site): State<Site>, Path(id): Path<String>, posted: Posted) -> Response {
    let done = async {
        site.app.staff.prove(&posted.session, posted.fields.get("code")).await?;
        site.app.desk.resume::<W>(&id, &reason(posted.fields.get("reason")), &posted.session.officer).await?;
        Ok(())
    };
    let done = done.await;
    back::<W>(&site, (&id, "resume"), &posted, done).await
}

/// Tells those who were told that it was wrong.
pub(super) async fn correct<W: World>(State(site): State<Site>, Path(id): Path<String>, posted: Posted) -> Response {
    let done = async {
        let fields = &posted.fields;
        confirmed(fields, correct_word::<W>(posted.session.officer.language))?;
        site.app.staff.prove(&posted.session, fields.get("code")).await?;
        let words = Correction { zh: fields.get("zh").to_owned(), en: fields.get("en").to_owned() };
        site.app.desk.correct::<W>(&id, &words, &posted.session.officer).await?;
        Ok(())
    };
    let done = done.await;
    back::<W>(&site, (&id, "correct"), &posted, done).await
}

/// What is typed before a correction.
pub(super) const fn correct_word<W: World>(language: Language) -> &'static str {
    match (W::EXERCISE, language) {
        (true, _) => "演练",
        (false, Language::Chinese) => "更正",
        (false, Language::English) => "CORRECT",
    }
}

/// Sends again to those missed.
pub(super) async fn resend<W: World>(State(site): State<Site>, Path(id): Path<String>, posted: Posted) -> Response {
    let done = async {
        site.app.staff.prove(&posted.session, posted.fields.get("code")).await?;
        site.app.desk.resend::<W>(&id, &reason(posted.fields.get("reason")), &posted.session.officer).await?;
        Ok(())
    };
    let done = done.await;
    back::<W>(&site, (&id, "resend"), &posted, done).await
}

async fn back<W: World>(site: &Site, (id, form): (&str, &str), posted: &Posted, done: Result<(), Fault>) -> Response {
    let fault = match done {
        Ok(()) => return Redirect::to(&format!("{}/alerts/{id}/live", W::BASE)).into_response(),
        Err(fault) => fault,
    };
    match Refused::of(&fault, form.to_owned(), posted) {
        Some(refused) => live::answer::<W>(&site.app, &posted.session, id, Some(refused)).await,
        None => fault.show(&Frame::of::<W>(&posted.session, "")),
    }
}
