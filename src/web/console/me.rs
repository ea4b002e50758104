//! One's own: addresses for calls, language, tokens.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use tocsin_channels::ChannelKind;
use tocsin_channels::push::Subscription;

use super::people::grant_name;
use crate::delivery::Address;
use crate::messages::Language;
use crate::officers::OfficerId;
use crate::staff::{ADDRESSES, SCOPES, Session};
use crate::store::StoreError;
use crate::web::page::{Fault, Frame, beijing, page};
use crate::web::session::{Posted, SignedIn};
use crate::web::site::Site;
use crate::world::Live;

/// A browser that is called.
struct Browser {
    id: i64,
    service: String,
}

struct Token {
    digest: String,
    name: String,
    scopes: String,
    until: String,
}

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    frame: Frame,
    roles: String,
    told: String,
    sms: String,
    email: String,
    /// The key that browsers are given when they subscribe; empty where no pushes are sent.
    push_key: String,
    browsers: Vec<Browser>,
    tokens: Vec<Token>,
    scopes: [&'static str; 3],
    has_passkeys: bool,
    /// Id and name of each.
    passkeys: Vec<(String, String)>,
}

pub(super) async fn show(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    show_with(&site, &session, String::new()).await
}

async fn show_with(site: &Site, session: &Session, told: String) -> Response {
    let frame = Frame::of::<Live>(session, "me");
    let officer = &session.officer;
    let found = (site.app.store.officer_addresses(officer.id).await, site.app.store.api_tokens(officer.id).await);
    let (addresses, tokens) = match found {
        (Ok(addresses), Ok(tokens)) => (addresses, tokens),
        (Err(error), _) | (_, Err(error)) => return Fault::from(error).show(&frame),
    };
    let passkeys = match own_passkeys(site, officer.id).await {
        Ok(passkeys) => passkeys,
        Err(error) => return Fault::from(error).show(&frame),
    };
    let of = |kind| {
        let own = addresses.iter().filter(|(_, address)| address.channel == kind);
        own.map(|(_, address)| address.value.as_str()).collect::<Vec<_>>().join("\n")
    };
    let browsers = addresses.iter().filter(|(_, address)| address.channel == ChannelKind::Push);
    let browsers = browsers.map(|(id, address)| Browser { id: *id, service: service(&address.value) }).collect();
    let tokens = tokens.into_iter().map(|token| Token {
        until: beijing(token.expires_at).format("%Y-%m-%d").to_string(),
        digest: token.digest,
        name: token.name,
        scopes: token.scopes,
    });
    let roles: Vec<_> = officer.grants.0.iter().map(|grant| grant_name(&site.app, grant, frame.t)).collect();
    page(&MePage {
        has_passkeys: site.app.has_passkeys(),
        passkeys,
        roles: roles.join(frame.t.pick("；", "; ")),
        told,
        sms: of(ChannelKind::Sms),
        email: of(ChannelKind::Email),
        push_key: site.app.push_key.clone().unwrap_or_default(),
        browsers,
        tokens: tokens.collect(),
        scopes: SCOPES,
        frame,
    })
}

#[cfg(feature = "passkeys")]
async fn own_passkeys(site: &Site, officer: OfficerId) -> Result<Vec<(String, String)>, StoreError> {
    Ok(site.app.store.passkeys(officer).await?.into_iter().map(|row| (row.id, row.name)).collect())
}

#[cfg(not(feature = "passkeys"))]
async fn own_passkeys(_: &Site, _: OfficerId) -> Result<Vec<(String, String)>, StoreError> {
    Ok(Vec::new())
}

/// The host of a subscription's push service: as much as tells one browser from another.
fn service(subscription: &str) -> String {
    let found = Subscription::parse(subscription).ok();
    found.and_then(|found| found.endpoint.host_str().map(str::to_owned)).unwrap_or_default()
}

/// Telephone numbers and mail addresses; browsers stay as they are.
pub(super) async fn addresses(State(site): State<Site>, posted: Posted) -> Response {
    let done = async {
        let mut addresses = Vec::new();
        for kind in [ChannelKind::Sms, ChannelKind::Email] {
            for line in posted.fields.get(kind.as_str()).split_whitespace() {
                addresses.push(Address::parse(kind, line).map_err(crate::staff::StaffError::from)?);
            }
        }
        let others = site.app.store.officer_addresses(posted.session.officer.id).await?;
        addresses.extend(others.into_iter().map(|(_, a)| a).filter(|a| a.channel == ChannelKind::Push));
        keep(&site, &posted, addresses).await
    };
    let done = done.await;
    back(&posted, done)
}

/// A browser that its officer is called in from now on.
pub(super) async fn push(State(site): State<Site>, posted: Posted) -> Response {
    let done = async {
        let text = posted.fields.get("subscription");
        let new = Address::parse(ChannelKind::Push, text).map_err(crate::staff::StaffError::from)?;
        let own = site.app.store.officer_addresses(posted.session.officer.id).await?;
        let mut addresses: Vec<_> = own.into_iter().map(|(_, address)| address).filter(|own| *own != new).collect();
        addresses.push(new);
        keep(&site, &posted, addresses).await
    };
    let done = done.await;
    back(&posted, done)
}

/// A browser that is no longer called.
pub(super) async fn push_end(State(site): State<Site>, posted: Posted) -> Response {
    let done = async {
        let end: i64 = posted.fields.get("id").parse().map_err(|_| Fault::Unknown)?;
        let own = site.app.store.officer_addresses(posted.session.officer.id).await?;
        let stay = |(id, address): &(i64, Address)| *id != end || address.channel != ChannelKind::Push;
        let addresses = own.into_iter().filter(stay).map(|(_, address)| address).collect();
        keep(&site, &posted, addresses).await
    };
    let done = done.await;
    back(&posted, done)
}

async fn keep(site: &Site, posted: &Posted, addresses: Vec<Address>) -> Result<(), Fault> {
    if addresses.len() > ADDRESSES {
        return Err(Fault::Bad("地址不得超过 10 个 / at most 10 addresses".into()));
    }
    Ok(site.app.staff.set_own_addresses(&posted.session.officer, &addresses).await?)
}

pub(super) async fn language(State(site): State<Site>, posted: Posted) -> Response {
    let language = Language::of_tag(posted.fields.get("language")).unwrap_or(Language::Chinese);
    let done = site.app.staff.set_own_language(&posted.session.officer, language).await;
    back(&posted, done.map_err(Fault::from))
}

pub(super) async fn ask_token(State(site): State<Site>, posted: Posted) -> Response {
    let fields = &posted.fields;
    let scopes: Vec<String> = fields.all("scope").map(str::to_owned).collect();
    let days = fields.get("days").parse().unwrap_or(90);
    if scopes.is_empty() {
        let fault = Fault::Bad("请至少勾选一项权限 / tick at least one right".into());
        return fault.show(&Frame::of::<Live>(&posted.session, "me"));
    }
    match site.app.staff.propose_token(&posted.session.officer, fields.get("name"), &scopes, days).await {
        Ok(token) => {
            let frame = Frame::of::<Live>(&posted.session, "me");
            let told = frame.t.f("Shown once; it works when another administrator has agreed: {}", token);
            show_with(&site, &posted.session, told).await
        }
        Err(error) => Fault::from(error).show(&Frame::of::<Live>(&posted.session, "me")),
    }
}

pub(super) async fn end_token(State(site): State<Site>, posted: Posted) -> Response {
    let done = site.app.staff.end_token(&posted.session.officer, posted.fields.get("digest")).await;
    back(&posted, done.map_err(Fault::from))
}

fn back(posted: &Posted, done: Result<(), Fault>) -> Response {
    match done {
        Ok(()) => Redirect::to("/console/me").into_response(),
        Err(fault) => fault.show(&Frame::of::<Live>(&posted.session, "me")),
    }
}
