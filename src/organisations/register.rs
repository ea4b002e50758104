//! Organisations kept: by administrators of their regions, each change on record.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use serde_json::json;
use tocsin_channels::ChannelKind;
use tocsin_channels::webhook::Webhook;

use super::{KeepError, Organisation, Slug};
use crate::broker;
use crate::clock::Clock;
use crate::delivery::{Address, mask};
use crate::messages::Language;
use crate::officers::Role;
use crate::policy::Policy;
use crate::regions::{RegionCode, RegionKind, RegionMap};
use crate::residents::Wishes;
use crate::seal::random_token;
use crate::store::{
    ContactRow, Entry, HookRow, NewContact, OfficerRow, Place, Store, Tx, delete_contact, delete_hook,
    delete_organisation, insert_contact, insert_hook, put_organisation, record, set_account, touch_accounts,
};

/// Contacts of one organisation.
pub(super) const CONTACTS: usize = 200;
/// Webhooks of one organisation.
const HOOKS: usize = 5;
/// Regions that one organisation names.
const REGIONS: usize = 50;

/// Keeps organisations.
pub struct Organisations {
    pub(super) store: Store,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Private networks that webhooks may lie in.
    allow_private: Vec<String>,
}

/// Who acts, as the record names them: an officer, or whoever runs the command line on the server.
pub(crate) fn actor(by: Option<&OfficerRow>) -> &str {
    by.map_or("operator", |by| by.login.as_str())
}

/// Whether somebody may keep what lies in these regions: an administrator of each; the server's own command line may.
pub(crate) fn may(by: Option<&OfficerRow>, regions: &[RegionCode], map: &RegionMap) -> Result<(), KeepError> {
    let well = by.is_none_or(|by| regions.iter().all(|region| by.grants.may(Role::Administrator, region, map)));
    if well { Ok(()) } else { Err(KeepError::NotYours) }
}

/// The counties of these regions; a sea area's are its coast.
pub(crate) fn counties(regions: &[RegionCode], map: &RegionMap) -> BTreeSet<RegionCode> {
    let mut found = BTreeSet::new();
    for code in regions {
        match map.get(code).map(|region| region.kind) {
            Some(RegionKind::Sea) => found.extend(map.coast_of(code).map(|county| county.code.clone())),
            _ => found.extend(map.counties_below(code).into_iter().map(|county| county.code.clone())),
        }
    }
    found
}

impl Organisations {
    /// Organisations of this store.
    pub fn new(
        store: Store,
        policy: Arc<ArcSwap<Policy>>,
        clock: Arc<dyn Clock>,
        config: &crate::config::OrganisationsConfig,
    ) -> Self {
        Self { store, policy, clock, allow_private: config.allow_private.clone() }
    }

    /// Puts an organisation on record, or changes one; whoever has its contacts told elsewhere from now on must be allowed both.
    ///
    /// # Errors
    /// When its words cannot be, or it is not theirs to do.
    pub async fn put(&self, one: &Organisation, by: Option<&OfficerRow>) -> Result<(), KeepError> {
        let before = self.store.organisation(&one.code).await?;
        let one = self.checked(one, before.as_ref(), by)?;
        let now = self.clock.now();
        // What its contacts wish and where follows the organisation, unless they have set places of their own since.
        let contacts = match &before {
            Some(before) if (&before.regions, before.lowest, &before.name) != (&one.regions, one.lowest, &one.name) => {
                self.unchanged(before).await?
            }
            _ => Vec::new(),
        };
        let mut tx = self.store.begin().await?;
        put_organisation(&mut tx, &one).await?;
        for (subscriber, language, channels) in contacts {
            let places = self.places(&one, language, &channels);
            crate::store::replace_places(&self.store, &mut tx, subscriber, places).await?;
        }
        touch_accounts(&mut tx).await?;
        let kind = if before.is_some() { "organisation.change" } else { "organisation.create" };
        let detail = json!({"name": one.name, "kind": one.kind, "regions": one.regions, "lowest": one.lowest});
        record(&mut tx, now, Entry::new(actor(by), kind, &one.code, detail));
        Ok(tx.commit().await?)
    }

    pub(super) fn checked(
        &self,
        one: &Organisation,
        before: Option<&Organisation>,
        by: Option<&OfficerRow>,
    ) -> Result<Organisation, KeepError> {
        let map = &self.policy.load().map;
        let name: String = one.name.trim().chars().filter(|c| !c.is_control()).take(60).collect();
        if name.is_empty() {
            return Err(KeepError::input("请填写名称 / write its name"));
        }
        if let Some(strange) = one.regions.iter().find(|code| map.get(code).is_none()) {
            return Err(KeepError::input(format!("地图上没有 {strange} / there is no {strange} on the map")));
        }
        if one.regions.is_empty() || one.regions.len() > REGIONS || counties(&one.regions, map).is_empty() {
            return Err(KeepError::input(format!("请填写 1 到 {REGIONS} 个地区 / name 1 to {REGIONS} regions")));
        }
        may(by, &one.regions, map)?;
        may(by, before.map_or(&[], |before| &before.regions), map)?;
        let created_at = before.map_or(one.created_at, |before| before.created_at);
        Ok(Organisation { name, created_at, ..one.clone() })
    }

    /// Contacts whose places are still those that the organisation gave them, with their language and channels.
    async fn unchanged(&self, before: &Organisation) -> Result<Vec<(i64, Language, Vec<ChannelKind>)>, KeepError> {
        let mut found = Vec::new();
        for contact in self.store.contacts(&before.code).await? {
            let now = self.store.places_of(contact.subscriber).await?;
            let Some(wishes) = now.first().map(|place| place.wishes.clone()) else { continue };
            let language = wishes.languages.first().copied().unwrap_or(Language::Chinese);
            let given = self.places(before, language, &wishes.channels);
            if now.len() == given.len() && now.iter().zip(&given).all(|(a, b)| Place { id: 0, ..a.clone() } == *b) {
                found.push((contact.subscriber, language, wishes.channels));
            }
        }
        Ok(found)
    }

    /// The places of an organisation's contact: each of its counties.
    pub(super) fn places(&self, one: &Organisation, language: Language, channels: &[ChannelKind]) -> Vec<Place> {
        let wishes =
            Wishes { lowest: one.lowest, languages: vec![language], channels: channels.to_vec(), ..Wishes::default() };
        let name: String = one.name.chars().take(20).collect();
        let counties = counties(&one.regions, &self.policy.load().map).into_iter();
        counties
            .map(|region| Place { id: 0, name: name.clone(), region, point: None, wishes: wishes.clone() })
            .collect()
    }

    /// Adds a contact who has agreed; their addresses, as they are told first, second and so on.
    ///
    /// # Errors
    /// When they cannot be told, are on record already, or it is not theirs to do.
    pub async fn add_contact(
        &self,
        code: &Slug,
        (name, duty): (&str, &str),
        language: Language,
        addresses: &[Address],
        (consent, consent_at): (&str, DateTime<Utc>),
        by: Option<&OfficerRow>,
    ) -> Result<(), KeepError> {
        let one = self.owned(code, by).await?;
        if self.store.contacts(code).await?.len() >= CONTACTS {
            return Err(KeepError::input(format!("最多 {CONTACTS} 位联系人 / at most {CONTACTS} contacts")));
        }
        let consent: String = consent.trim().chars().filter(|c| !c.is_control()).take(60).collect();
        if consent.is_empty() || consent_at > self.clock.now() {
            return Err(KeepError::input(
                "请写明本人同意的文本及时间 / say which text they agreed to, and when (not in the future)",
            ));
        }
        let new = self.contact(&one, (name, duty), language, addresses.to_vec(), (consent, consent_at), "", by)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let masked: Vec<_> = addresses.iter().map(|address| mask(&address.value)).collect();
        if insert_contact(&self.store, &mut tx, &new).await? == 0 {
            // Whoever asks so whether a number is known is seen.
            let detail = json!({"addresses": masked});
            record(&mut tx, now, Entry::new(actor(by), "organisation.contact-known", code, detail));
            tx.commit().await?;
            return Err(KeepError::input("号码或邮箱已登记，或本人已退订 / the addresses are on record, or were left"));
        }
        let detail =
            json!({"duty": new.duty, "addresses": masked, "consent": new.consent.0, "consent_at": new.consent.1});
        record(&mut tx, now, Entry::new(actor(by), "organisation.contact", code, detail));
        Ok(tx.commit().await?)
    }

    #[expect(clippy::too_many_arguments, reason = "a contact is made of so much")]
    pub(super) fn contact(
        &self,
        one: &Organisation,
        (name, duty): (&str, &str),
        language: Language,
        addresses: Vec<Address>,
        consent: (String, DateTime<Utc>),
        source: &str,
        by: Option<&OfficerRow>,
    ) -> Result<NewContact, KeepError> {
        let words = |text: &str| text.trim().chars().filter(|c| !c.is_control()).take(40).collect::<String>();
        let (name, duty) = (words(name), words(duty));
        if name.is_empty() || duty.is_empty() {
            return Err(KeepError::input("请填写联系人姓名和职责 / write the contact's name and duty"));
        }
        let mut channels: Vec<ChannelKind> = Vec::new();
        for address in &addresses {
            if !channels.contains(&address.channel) {
                channels.push(address.channel);
            }
        }
        if channels.is_empty() || channels.contains(&ChannelKind::Mqtt) {
            return Err(KeepError::input("请填写手机号或电子邮件 / write a phone number or an e-mail address"));
        }
        let places = self.places(one, language, &channels);
        let (source, entered_by) = (source.to_owned(), actor(by).to_owned());
        let organisation = one.code.clone();
        Ok(NewContact { organisation, name, duty, language, consent, source, entered_by, addresses, places })
    }

    /// Takes a contact away, with everything of theirs.
    ///
    /// # Errors
    /// When they are none of this organisation, or it is not theirs to do.
    pub async fn end_contact(&self, code: &Slug, subscriber: i64, by: Option<&OfficerRow>) -> Result<(), KeepError> {
        self.owned(code, by).await?;
        let contacts = self.store.contacts(code).await?;
        let contact = contacts.iter().find(|one| one.subscriber == subscriber).ok_or(KeepError::Unknown)?;
        let detail = json!({"duty": contact.duty, "subscriber": subscriber});
        let mut tx = self.recorded(by, "organisation.contact-end", code, &detail).await?;
        delete_contact(&mut tx, subscriber).await?;
        Ok(tx.commit().await?)
    }

    /// The contacts as somebody may call them: that they looked is on record first.
    ///
    /// # Errors
    /// When it is not theirs to see.
    pub(crate) async fn look_up(&self, code: &Slug, by: &OfficerRow) -> Result<Vec<ContactRow>, KeepError> {
        let one = self.store.organisation(code).await?.ok_or(KeepError::Unknown)?;
        let map = &self.policy.load_full().map;
        let may_see = |role| one.regions.iter().any(|region| by.grants.may(role, region, map));
        if ![Role::Operator, Role::Signer, Role::Administrator].into_iter().any(may_see) {
            return Err(KeepError::NotYours);
        }
        let contacts = self.store.contacts(code).await?;
        let entry = Entry::new(by.login.as_str(), "person.view", code, json!({"contacts": contacts.len()}));
        self.store.record_one(self.clock.now(), entry).await?;
        Ok(contacts)
    }

    /// Sets a webhook; gives the secret that its posts are signed with, shown this once.
    ///
    /// # Errors
    /// When its address cannot be posted to, there are too many, or it is not theirs to do.
    pub async fn set_hook(
        &self,
        code: &Slug,
        name: &Slug,
        url: &str,
        by: Option<&OfficerRow>,
    ) -> Result<String, KeepError> {
        self.owned(code, by).await?;
        let hooks = self.store.hooks().await?;
        let others = hooks.iter().filter(|hook| hook.organisation == *code && hook.name != *name).count();
        if others >= HOOKS {
            return Err(KeepError::input(format!("最多 {HOOKS} 个 / at most {HOOKS} webhooks")));
        }
        let url = url.trim();
        Webhook::new(url, &self.allow_private, None, std::time::Duration::from_secs(10)).map_err(KeepError::input)?;
        let secret = random_token()?;
        let hook = HookRow { organisation: code.clone(), name: name.clone(), url: url.into(), secret: secret.clone() };
        let detail = json!({"name": name, "host": host(url)});
        let mut tx = self.recorded(by, "organisation.hook", code, &detail).await?;
        insert_hook(&self.store, &mut tx, &hook).await?;
        tx.commit().await?;
        Ok(secret)
    }

    /// Takes a webhook away.
    ///
    /// # Errors
    /// When there is none, or it is not theirs to do.
    pub async fn end_hook(&self, code: &Slug, name: &Slug, by: Option<&OfficerRow>) -> Result<(), KeepError> {
        self.owned(code, by).await?;
        let mut tx = self.recorded(by, "organisation.hook-end", code, &json!({"name": name})).await?;
        if !delete_hook(&mut tx, code, name).await? {
            // Dropped with its line of the record: nothing was done.
            return Err(KeepError::Unknown);
        }
        Ok(tx.commit().await?)
    }

    /// Gives an organisation an account at the broker, or a new password; gives name and password, shown this once.
    ///
    /// # Errors
    /// When it is not theirs to do.
    pub async fn set_account(&self, code: &Slug, by: Option<&OfficerRow>) -> Result<(String, String), KeepError> {
        self.owned(code, by).await?;
        let (name, password) = (broker::organisation_account(code), random_token()?);
        let hash = broker::hash(&password)?;
        let mut tx = self.recorded(by, "organisation.account", code, &json!({"account": name})).await?;
        set_account(&mut tx, &name, Some(&hash)).await?;
        tx.commit().await?;
        Ok((name, password))
    }

    /// Ends an organisation with its contacts, webhooks and account; its devices stay, as nobody's.
    ///
    /// # Errors
    /// When there is none, or it is not theirs to do.
    pub async fn end(&self, code: &Slug, by: Option<&OfficerRow>) -> Result<(), KeepError> {
        self.owned(code, by).await?;
        let contacts: Vec<i64> = self.store.contacts(code).await?.iter().map(|one| one.subscriber).collect();
        let mut tx = self.recorded(by, "organisation.end", code, &json!({"contacts": contacts.len()})).await?;
        for contact in contacts {
            delete_contact(&mut tx, contact).await?;
        }
        delete_organisation(&mut tx, code).await?;
        set_account(&mut tx, &broker::organisation_account(code), None).await?;
        Ok(tx.commit().await?)
    }

    /// An organisation that somebody may keep.
    async fn owned(&self, code: &Slug, by: Option<&OfficerRow>) -> Result<Organisation, KeepError> {
        let one = self.store.organisation(code).await?.ok_or(KeepError::Unknown)?;
        may(by, &one.regions, &self.policy.load().map)?;
        Ok(one)
    }

    /// A transaction in which an act is on record already; it is done there.
    async fn recorded(
        &self,
        by: Option<&OfficerRow>,
        kind: &'static str,
        code: &Slug,
        detail: &serde_json::Value,
    ) -> Result<Tx, KeepError> {
        let mut tx = self.store.begin().await?;
        record(&mut tx, self.clock.now(), Entry::new(actor(by), kind, code, detail.clone()));
        Ok(tx)
    }
}

/// The host of an address: the rest may hold a secret.
fn host(url: &str) -> String {
    url.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
