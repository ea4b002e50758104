//! Three steps on one page; then a code or a link.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tocsin_channels::ChannelKind;

use super::form::{WhereForm, WishForm, channel_name, places};
use super::{Form, MARKED, MARKED_AGE, language, located, notice, refused, set_cookie};
use crate::delivery::Address;
use crate::residents::{Ask, Brought, CONSENT, Entered, MARKS, ResidentError};
use crate::web::page::{page, page_with};
use crate::web::session::{Fields, put_cookie};
use crate::web::site::Site;
use crate::web::words::Words;

#[derive(Template)]
#[template(path = "portal_sign_up.html")]
struct SignUpPage {
    t: Words,
    error: String,
    address: String,
    place: WhereForm,
    wishes: WishForm,
    task: String,
    needs_work: bool,
    consent: &'static str,
    push_key: String,
}

#[derive(Template)]
#[template(path = "portal_code.html")]
struct CodePage {
    t: Words,
    by_code: bool,
    token: String,
    error: String,
    /// Whether what people write by short message comes to us.
    hears: bool,
}

#[derive(Template)]
#[template(path = "portal_confirm.html")]
struct ConfirmPage {
    t: Words,
    link: String,
    by: String,
}

#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    pub(super) lang: String,
    /// `push` or `sms` where a link came by that.
    #[serde(default)]
    by: String,
}

pub(super) async fn show(State(site): State<Site>, headers: HeaderMap, Query(wish): Query<Wish>) -> Response {
    let t = language(&headers, &wish.lang);
    form(&site, t, StatusCode::OK, "", &Fields::default()).await
}

async fn form(site: &Site, t: Words, status: StatusCode, error: &str, fields: &Fields) -> Response {
    let (task, needs_work) = match site.app.residents.task().await {
        Ok(task) => task,
        Err(error) => return refused(&error, t),
    };
    let offered = site.app.residents.offered();
    let form = SignUpPage {
        t,
        error: t.both(error).to_owned(),
        address: fields.get("address").chars().take(254).collect(),
        place: WhereForm::typed("", fields, &site.app.policy.load().map, t.language),
        // Where nothing was typed, as a new resident has them.
        wishes: WishForm::typed("", fields, &offered, t),
        task,
        needs_work,
        consent: CONSENT,
        push_key: super::browser::push_key(site),
    };
    located(page_with(status, &form))
}

/// The address of a form: this browser, where it says so; else as people write it, with an `@` a mailbox, else a number.
pub(super) fn address(fields: &Fields) -> Result<Address, String> {
    if fields.is_on("subscription") {
        return Address::parse(ChannelKind::Push, fields.get("subscription"))
            .map_err(|_| ResidentError::Endpoint.to_string());
    }
    let text = fields.get("address");
    let channel = if text.contains('@') { ChannelKind::Email } else { ChannelKind::Sms };
    Address::parse(channel, text).map_err(|_| {
        "请填写手机号（如 138 1234 5678）或电子邮件地址 / write a mobile number (138 1234 5678) or an e-mail address".to_owned()
    })
}

pub(super) async fn ask(State(site): State<Site>, Form { from, t, fields, marks }: Form) -> Response {
    if !site.may_sign_up(from.ip()) {
        return refused(&ResidentError::Busy, t);
    }
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    let address = match address(&fields) {
        Ok(address) => address,
        Err(why) => return form(&site, t, unfit, &why, &fields).await,
    };
    if fields.get("consent") != CONSENT {
        let why = "请先同意说明 / please agree to the text first";
        return form(&site, t, unfit, why, &fields).await;
    }
    let places = match places(&site.app.residents, &fields, "", t.language) {
        Ok(places) => places,
        Err(error) => return form(&site, t, unfit, &error.to_string(), &fields).await,
    };
    let channel = address.channel;
    let ask = Ask { address, language: t.language, tongue: t.tag().to_owned(), places, account: None, marks };
    match site.app.residents.ask(ask, from.ip(), fields.get("work")).await {
        Ok(token) => asked(&site, t, channel, token),
        Err(
            error @ (ResidentError::Input(_) | ResidentError::Channel | ResidentError::Endpoint | ResidentError::Work),
        ) => {
            let status = if matches!(error, ResidentError::Work) { StatusCode::TOO_MANY_REQUESTS } else { unfit };
            form(&site, t, status, &why_not(&site, &error, t), &fields).await
        }
        Err(error) => refused(&error, t),
    }
}

/// Why an address was not taken, in the reader's language; where its channel is not set up here, with those that are.
pub(super) fn why_not(site: &Site, error: &ResidentError, t: Words) -> String {
    let text = error.to_string();
    let said = t.both(&text);
    let here: Vec<&str> = match error {
        ResidentError::Channel => site.app.residents.ways_in().into_iter().map(|kind| channel_name(kind, t)).collect(),
        _ => Vec::new(),
    };
    match here.is_empty() {
        true => said.to_owned(),
        false => format!("{said}{}", t.fill("; use: {}", &[&here.join(t.s(", "))])),
    }
}

/// The page that takes a code, or says that a mail or push is on its way.
pub(super) fn asked(site: &Site, t: Words, channel: ChannelKind, token: String) -> Response {
    match channel {
        ChannelKind::Push => super::browser::awaits(t),
        _ => {
            let (by_code, hears) = (channel == ChannelKind::Sms, site.app.inbound.is_some());
            page(&CodePage { t, by_code, token, error: String::new(), hears })
        }
    }
}

pub(super) async fn code(State(site): State<Site>, Form { from, t, fields, marks }: Form) -> Response {
    if !site.may_sign_up(from.ip()) {
        return refused(&ResidentError::Busy, t);
    }
    match site.app.residents.confirm_code(fields.get("token"), fields.get("code")).await {
        Ok(entered) => welcome(&site, &entered, &marks),
        Err(error @ ResidentError::Proof) => {
            let error = t.both(&error.to_string()).to_owned();
            let (token, hears) = (fields.get("token").to_owned(), site.app.inbound.is_some());
            let again = CodePage { t, by_code: true, token, error, hears };
            page_with(StatusCode::FORBIDDEN, &again)
        }
        Err(error) => refused(&error, t),
    }
}

/// A link in a mail: programs that look at mails follow links, so that following it does nothing yet.
pub(super) async fn link(headers: HeaderMap, Path(link): Path<String>, Query(wish): Query<Wish>) -> Response {
    page(&ConfirmPage { t: language(&headers, &wish.lang), link, by: wish.by })
}

pub(super) async fn confirm(State(site): State<Site>, Path(link): Path<String>, form: Form) -> Response {
    if !site.may_sign_up(form.from.ip()) {
        return refused(&ResidentError::Busy, form.t);
    }
    match site.app.residents.confirm_link(&link).await {
        Ok(entered) => welcome(&site, &entered, &form.marks),
        Err(ResidentError::Proof) => {
            let why = ("T6203", "链接无效、已用过或已过期 / the link is not right, was used, or is too old");
            notice(StatusCode::FORBIDDEN, form.t, why)
        }
        Err(error) => refused(&error, form.t),
    }
}

#[derive(Template)]
#[template(path = "portal_never.html")]
struct NeverPage {
    t: Words,
    never: bool,
}

fn never_page(t: Words, never: Result<bool, ResidentError>) -> Response {
    match never {
        Ok(never) => page(&NeverPage { t, never }),
        Err(ResidentError::Proof) => notice(StatusCode::NOT_FOUND, t, ("T6203", NOWHERE)),
        Err(error) => refused(&error, t),
    }
}

const NOWHERE: &str = "链接无效 / this link leads nowhere";

/// Somebody wants no more mails that others ask for: looking does nothing.
pub(super) async fn ask_never(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(token): Path<String>,
    Query(wish): Query<Wish>,
) -> Response {
    never_page(language(&headers, &wish.lang), site.app.residents.is_never(&token).await)
}

/// And changes their mind by the same page.
pub(super) async fn never(State(site): State<Site>, Path(token): Path<String>, form: Form) -> Response {
    let never = form.fields.is_on("never");
    never_page(form.t, site.app.residents.set_never(&token, never).await.map(|()| never))
}

fn welcome(site: &Site, entered: &Entered, marks: &str) -> Response {
    let to = match entered.brought {
        _ if entered.new => "/me?new=1",
        Brought::Nothing => "/me",
        Brought::Added => "/me?form=added",
        Brought::TooMany => "/me?form=too-many",
    };
    let before = marks.split('.').filter(|mark| !mark.is_empty() && *mark != entered.mark);
    let marks: Vec<&str> = std::iter::once(entered.mark.as_str()).chain(before).take(MARKS).collect();
    let mut answer = set_cookie(site, &entered.token, Redirect::to(to).into_response());
    put_cookie(site, &mut answer, MARKED, &marks.join("."), Some(MARKED_AGE));
    answer
}
