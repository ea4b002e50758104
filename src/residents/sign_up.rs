//! Signing up and coming back: one way for both. Somebody names an address and proves that it is theirs; who is known opens their
//! settings, who is not is signed up. What is answered, and what is done, never tells which.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tocsin_channels::ChannelKind;
use tocsin_channels::push::Push;

use super::limits::{Allowed, EVERYONE, SignUpLimits, allow, allow_own};
use super::settings::Brought;
use super::work;
use crate::clock::Clock;
use crate::delivery::{Address, ELSEWHERE, Packer, constant_time_equal, mask, sign_up_recipient};
use crate::messages::{Language, Personal, Reader, Variant};
use crate::policy::Policy;
use crate::rules::{Lane, Reach};
use crate::seal::{SecretError, random_token, token_digest};
use crate::store::{
    Entry, NewDispatch, NewRelease, NewSignUp, Place, ReleaseKind, Store, StoreError, Tx, end_resident_session,
    end_sign_up, forget_unasked, give_address, insert_personal_release, insert_planned_chunk, insert_release,
    insert_resident, insert_resident_session, record,
};

/// Tries of a code.
const TRIES: i64 = 5;
/// A code holds so long.
const CODE_HOLDS: TimeDelta = TimeDelta::minutes(10);
/// A link too; then the sign-up is thrown away.
pub(crate) const LINK_HOLDS: TimeDelta = TimeDelta::hours(24);
/// A resident's session.
const SESSION: TimeDelta = TimeDelta::minutes(30);
/// The text that people agree to, by its version.
pub const CONSENT: &str = "2026-1";
/// Addresses that a browser remembers to have proved.
pub(crate) const MARKS: usize = 4;
/// Places of one person.
pub(crate) const PLACES: usize = 10;

/// The residents' desk.
pub struct Residents {
    pub(super) store: Store,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) clock: Arc<dyn Clock>,
    /// How people reach us, for links; never what a request says.
    pub(super) base: String,
    pub(super) limits: SignUpLimits,
    pub(super) channels: Vec<ChannelKind>,
    /// What knows where pushes may go.
    pub(super) push: Option<Arc<Push>>,
    /// Whether an answer to a short message comes to us.
    pub(super) answers: bool,
    pub(super) wake: Arc<dyn Fn() + Send + Sync>,
}

/// Why a resident's wish cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ResidentError {
    /// Too many ask at once.
    #[error("现在请求过多，请过一会儿再试 / too many requests just now; try again later")]
    Busy,
    /// The page's script has not done its work, and it is needed now.
    #[error(
        "现在请求很多：请用支持脚本的浏览器，或过一会儿再试 / there are many requests: use a browser with scripts, or try again later"
    )]
    Work,
    /// The code or link is wrong, used or too old.
    #[error("验证码或链接无效，或已过期 / the code or link is not right, or too old")]
    Proof,
    /// A browser whose push service has said that it is gone: with a new subscription it is told again.
    #[error("推送服务不再认识此浏览器 / its push service does not know this browser any more")]
    Gone,
    /// The channel is not set up here.
    #[error("此渠道未开通 / this channel is not set up here")]
    Channel,
    /// A browser's push service that nothing may be sent to.
    #[error("此浏览器的推送服务不能使用 / this browser's push service cannot be used")]
    Endpoint,
    /// Something in a form.
    #[error("{0}")]
    Input(&'static str),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message cannot be made, or the system gives no randomness.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Where they want to be reached.
    pub address: Address,
    /// The language of what is sent.
    pub language: Language,
    /// The language of the pages, by its tag.
    pub tongue: String,
    /// Their places; of somebody who is known, those that they have not yet.
    pub places: Vec<Place>,
    /// Whose account it is added to; None for a new one.
    pub account: Option<i64>,
    /// What the browser keeps of the addresses that it has proved.
    pub marks: String,
}

/// What is kept, sealed, until the address is confirmed.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    channel: ChannelKind,
    address: String,
    language: Language,
    tongue: String,
    places: Vec<Place>,
    account: Option<i64>,
}

/// Somebody who has come in.
#[derive(Debug, Clone)]
pub struct Entered {
    /// Their id.
    pub subscriber: i64,
    /// For the cookie.
    pub token: String,
    /// Signed up just now.
    pub new: bool,
    /// What became of the form's places, of somebody who was known.
    pub brought: Brought,
    /// For the browser to keep: it has proved this address.
    pub mark: String,
}

/// A resident's session.
#[derive(Debug, Clone)]
pub struct ResidentSession {
    /// Their id.
    pub subscriber: i64,
    /// What their forms carry.
    pub csrf: String,
    /// The cookie's digest.
    pub digest: String,
}

impl Residents {
    /// A desk over the store. `base` is how people reach us.
    pub fn new(
        store: Store,
        policy: Arc<ArcSwap<Policy>>,
        clock: Arc<dyn Clock>,
        (base, limits): (&str, SignUpLimits),
        channels: Vec<ChannelKind>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { store, policy, clock, base, limits, channels, push: None, answers: false, wake }
    }

    /// The same desk, for browsers too.
    #[must_use]
    pub fn with_push(self, push: Option<Arc<Push>>) -> Self {
        Self { push, ..self }
    }

    /// The same desk, where what people write by short message comes to it.
    #[must_use]
    pub fn with_answers(self, answers: bool) -> Self {
        Self { answers, ..self }
    }

    /// A task for a form, and whether it must be solved just now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn task(&self) -> Result<(String, bool), ResidentError> {
        let now = self.clock.now();
        let asked = self.store.uses(EVERYONE, now - TimeDelta::hours(1)).await?;
        Ok((work::task(&self.store.vault, now), asked >= i64::from(self.limits.work_above)))
    }

    /// Somebody names an address: it gets a code or a link. Gives the token of the form that takes the code.
    ///
    /// # Errors
    /// When too many ask, or the store does not answer. Whether the address is known changes nothing here.
    pub async fn ask(&self, ask: Ask, from: IpAddr, solution: &str) -> Result<String, ResidentError> {
        self.allows(&ask.address)?;
        if !self.ways_in().contains(&ask.address.channel) {
            return Err(ResidentError::Channel);
        }
        // Who has an account, or had it in this browser, has proved to be a person.
        let own = self.is_marked(&ask.address, &ask.marks);
        let somebody = own || ask.account.is_some();
        if !own && !self.limits.serve(&ask.address) {
            return Err(ResidentError::Input(
                "此国家或地区的号码不能登记，请用邮箱 / numbers of this country cannot be signed up; use a mailbox",
            ));
        }
        if ask.places.len() > PLACES {
            return Err(ResidentError::Input("地点过多 / too many places"));
        }
        let now = self.clock.now();
        let needs_work = !somebody && self.task().await?.1;
        let worked = work::solves(&self.store.vault, solution, now);
        // The same is read and written for a known address and an unknown one.
        let known = self.store.resident_by(&ask.address).await?.is_some();
        let (token, link, code) = (random_token()?, random_token()?, six_digits()?);
        let mut tx = self.store.begin().await?;
        let (name, most) = match worked {
            true => (self.store.vault.digest("solution", solution), 1),
            false => ("without-work".to_owned(), i64::from(self.limits.without_work)),
        };
        let fresh = !needs_work || self.store.count_use(&mut tx, &name, (most, TimeDelta::hours(1)), now).await?;
        let allowed = match (fresh, own) {
            (false, _) => Allowed::No,
            (true, true) => allow_own(&self.store, &mut tx, &ask.address, now).await?,
            (true, false) => allow(&self.store, &mut tx, &self.limits, &ask.address, from, now).await?,
        };
        if allowed == Allowed::Yes {
            let proof = Proof { token: &token, link: &link, code: &code };
            self.send_proof(&mut tx, &ask, &proof, known, now).await?;
        }
        tx.commit().await?;
        (self.wake)();
        match allowed {
            Allowed::No if !fresh && !worked => Err(ResidentError::Work),
            Allowed::No => Err(ResidentError::Busy),
            Allowed::Yes | Allowed::Silently => Ok(token),
        }
    }

    /// What a browser keeps that has proved an address: nobody else can make it, and it tells nothing.
    fn mark(&self, address: &Address) -> String {
        self.store.vault.digest("mark", &self.store.digest(address))
    }

    fn is_marked(&self, address: &Address, marks: &str) -> bool {
        let own = self.mark(address);
        marks.split('.').take(MARKS).any(|mark| constant_time_equal(mark.as_bytes(), own.as_bytes()))
    }

    async fn send_proof(
        &self,
        tx: &mut Tx,
        ask: &Ask,
        proof: &Proof<'_>,
        known: bool,
        now: DateTime<Utc>,
    ) -> Result<(), ResidentError> {
        let by_code = ask.address.channel == ChannelKind::Sms;
        let pending = Pending {
            channel: ask.address.channel,
            address: ask.address.value.clone(),
            language: ask.language,
            tongue: ask.tongue.clone(),
            places: ask.places.clone(),
            account: ask.account,
        };
        let body = serde_json::to_string(&pending).map_err(StoreError::corrupt)?;
        let (token, digest) = (token_digest(proof.token), self.store.digest(&ask.address));
        let (link, code) = (token_digest(proof.link), self.code_digest(&token, proof.code));
        let new = NewSignUp {
            token: &token,
            link: (!by_code).then_some(link.as_str()),
            code: by_code.then_some(code.as_str()),
            body: &body,
            digest: &digest,
            expires_at: now + if by_code { CODE_HOLDS } else { LINK_HOLDS },
        };
        let id = self.store.insert_sign_up(tx, &new, now).await?;
        let link = match ask.address.channel {
            // The browser that gets it is where it belongs: it needs no host.
            ChannelKind::Push => format!("/sign-up/confirm/{}?by=push&lang={}", proof.link, ask.tongue),
            _ => format!("{}/sign-up/confirm/{}", self.base, proof.link),
        };
        let never = self.never_link(&ask.address, &ask.tongue);
        let message = match ask.address.channel {
            ChannelKind::Sms => Personal::Code { code: proof.code, known, answers: self.answers },
            ChannelKind::Push => Personal::Browser { link: &link, known },
            _ => Personal::Link { link: &link, known, never: &never },
        };
        let mut packer = Packer::new();
        packer.push(sign_up_recipient(id), ELSEWHERE, &self.store.seal(&ask.address)?);
        let (what, span) = (format!("code/{id}"), Span::at_once(now));
        let reader = Reader { language: ask.language, tongue: &ask.tongue };
        let release =
            self.release_to_one(tx, &what, (message, reader), vec![(ask.address.channel, packer)], span).await?;
        insert_personal_release(tx, release, &digest, 0, now).await?;
        Ok(())
    }

    /// A link that opens somebody's settings, for a number that they have just written from.
    pub(super) async fn link_for(
        &self,
        tx: &mut Tx,
        address: &Address,
        Reader { language, tongue }: Reader<'_>,
        now: DateTime<Utc>,
    ) -> Result<String, ResidentError> {
        let (token, link) = (token_digest(&random_token()?), random_token()?);
        let pending = Pending {
            channel: address.channel,
            address: address.value.clone(),
            language,
            tongue: tongue.to_owned(),
            places: Vec::new(),
            account: None,
        };
        let new = NewSignUp {
            token: &token,
            link: Some(&token_digest(&link)),
            code: None,
            body: &serde_json::to_string(&pending).map_err(StoreError::corrupt)?,
            digest: &self.store.digest(address),
            expires_at: now + CODE_HOLDS,
        };
        self.store.insert_sign_up(tx, &new, now).await?;
        Ok(format!("{}/sign-up/confirm/{link}?by=sms&lang={tongue}", self.base))
    }

    /// Writes a release to one person alone, whose chunks are known already.
    pub(super) async fn release_to_one(
        &self,
        tx: &mut Tx,
        name: &str,
        (message, reader): (Personal<'_>, Reader<'_>),
        chunks: Vec<(ChannelKind, Packer)>,
        span: Span,
    ) -> Result<i64, ResidentError> {
        let policy = self.policy.load();
        let signature = policy.messages.signature.as_deref().unwrap_or("Tocsin");
        let dispatch = |(kind, _): &(ChannelKind, Packer)| NewDispatch {
            language: reader.language,
            variant: Variant::Warn,
            content: message.content(*kind, reader, signature),
        };
        let release = NewRelease {
            name: name.to_owned(),
            kind: ReleaseKind::Code,
            alert: name.to_owned(),
            jurisdiction: None,
            within: None,
            origin: None,
            lane: Lane::MODERATE,
            reach: Reach::NOBODY,
            regions: Vec::new(),
            channels: std::collections::BTreeSet::new(),
            expires: span.until,
            signed_by: "tocsin".into(),
            dispatches: chunks.iter().map(dispatch).collect(),
            scene: None,
        };
        let id = insert_release(tx, &release, span.now).await?;
        for (kind, mut packer) in chunks {
            let (body, n) = packer.take();
            insert_planned_chunk(tx, id, Lane::MODERATE, (kind, reader.language), (&body, n), (span.now, span.from))
                .await?;
        }
        Ok(id)
    }

    /// Whether an address may be sent to at all: what a stranger names must not lead into a private network.
    pub(super) fn allows(&self, address: &Address) -> Result<(), ResidentError> {
        match (address.channel, &self.push) {
            (ChannelKind::Push, Some(push)) => push.allows(&address.value).map_err(|_| ResidentError::Endpoint),
            _ => Ok(()),
        }
    }

    /// Somebody types the code that they got.
    ///
    /// # Errors
    /// When it is not right, or the tries or the time are used up.
    pub async fn confirm_code(&self, token: &str, code: &str) -> Result<Entered, ResidentError> {
        let (now, token) = (self.clock.now(), token_digest(token));
        // Guesses at forms that are none cost a look, and no write.
        if !self.store.waits_for_proof(&token).await? {
            return Err(ResidentError::Proof);
        }
        let digits: String = code.chars().filter(char::is_ascii_digit).take(12).collect();
        let mut tx = self.store.begin().await?;
        let found = self.store.try_code(&mut tx, &token, TRIES, now).await?;
        let right = found
            .filter(|(known, _)| constant_time_equal(known.as_bytes(), self.code_digest(&token, &digits).as_bytes()));
        let Some((_, body)) = right else {
            // The try that was used up stays used up.
            tx.commit().await?;
            return Err(ResidentError::Proof);
        };
        end_sign_up(&mut tx, &token).await?;
        self.enter(tx, &body, now).await
    }

    /// Somebody confirms by the link that they got.
    ///
    /// # Errors
    /// When it leads nowhere, was used, or is too old.
    pub async fn confirm_link(&self, link: &str) -> Result<Entered, ResidentError> {
        let now = self.clock.now();
        if !self.store.waits_for_proof(&token_digest(link)).await? {
            return Err(ResidentError::Proof);
        }
        let mut tx = self.store.begin().await?;
        let body = self.store.take_link(&mut tx, &token_digest(link), now).await?.ok_or(ResidentError::Proof)?;
        self.enter(tx, &body, now).await
    }

    /// The address is proved: its owner comes in.
    async fn enter(&self, mut tx: Tx, body: &str, now: DateTime<Utc>) -> Result<Entered, ResidentError> {
        let pending: Pending = serde_json::from_str(body).map_err(StoreError::corrupt)?;
        let address = Address { channel: pending.channel, value: pending.address };
        let before = self.store.resident_by(&address).await?;
        // Whoever has an address keeps it: somebody else who asked for it must not get it by its owner's click.
        let account = match (before, pending.account) {
            (Some(owner), _) => Some(owner),
            (None, Some(account)) => self.store.resident(account).await?.map(|resident| resident.subscriber),
            (None, None) => None,
        };
        let (subscriber, new) = match account {
            Some(known) => (known, false),
            None => (insert_resident(&mut tx, (pending.language, &pending.tongue), CONSENT, now).await?, true),
        };
        give_address(&self.store, &mut tx, subscriber, &address, pending.language).await?;
        let brought = self.bring_places(&mut tx, (subscriber, new), pending.places, now).await?;
        forget_unasked(&mut tx, &self.store.unasked_name(&address)).await?;
        forget_unasked(&mut tx, &self.store.refused_name(&address)).await?;
        let (token, csrf) = (random_token()?, random_token()?);
        insert_resident_session(&mut tx, &token_digest(&token), subscriber, &csrf, now + SESSION).await?;
        let kind = if new { "resident.sign-up" } else { "resident.sign-in" };
        let detail = json!({"address": mask(&address.value), "channel": address.channel, "consent": CONSENT});
        record(&mut tx, now, Entry::new("resident", kind, format!("resident:{subscriber}"), detail));
        tx.commit().await?;
        Ok(Entered { subscriber, token, new, brought, mark: self.mark(&address) })
    }

    /// The session of a cookie, while it holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn session(&self, token: &str) -> Result<Option<ResidentSession>, ResidentError> {
        let digest = token_digest(token);
        let found = self.store.resident_session(&digest, self.clock.now()).await?;
        Ok(found.map(|(subscriber, csrf)| ResidentSession { subscriber, csrf, digest }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn sign_out(&self, session: &ResidentSession) -> Result<(), ResidentError> {
        let mut tx = self.store.begin().await?;
        end_resident_session(&mut tx, &session.digest).await?;
        Ok(tx.commit().await?)
    }

    fn code_digest(&self, token: &str, code: &str) -> String {
        self.store.vault.digest("code", &format!("{token}/{code}"))
    }
}

/// When a message to one person goes out, and how long it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) now: DateTime<Utc>,
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

impl Span {
    /// At once, as long as a code holds.
    pub(super) fn at_once(now: DateTime<Utc>) -> Self {
        Self { now, from: now, until: now + CODE_HOLDS }
    }
}

/// What proves an address, before it is digested.
struct Proof<'a> {
    token: &'a str,
    link: &'a str,
    code: &'a str,
}

/// Six digits, each number as likely as another.
fn six_digits() -> Result<String, SecretError> {
    let random = SystemRandom::new();
    loop {
        let mut bytes = [0; 4];
        random.fill(&mut bytes).map_err(|_| SecretError::Random)?;
        let number = u32::from_le_bytes(bytes);
        // The last, incomplete million would favour small numbers.
        if number < u32::MAX / 1_000_000 * 1_000_000 {
            return Ok(format!("{:06}", number % 1_000_000));
        }
    }
}
