//! Organisations and their contacts from CSV: a row is a contact, with the text that they agreed to and when. All or nothing is
//! written; a row that is bad is named by its line and left out.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use tocsin_channels::ChannelKind;

use super::register::{CONTACTS, actor};
use super::table::{Row, Table};
use super::{KeepError, Organisation, OrganisationKind, Organisations, Slug};
use crate::cap::Colour;
use crate::delivery::Address;
use crate::messages::Language;
use crate::residents::BadRow;
use crate::store::{Entry, NewContact, OfficerRow, insert_contact, put_organisation, record, touch_accounts};

/// The columns, in any order; those after `duty` may be left out, but `consent` and `consent_at`.
pub const COLUMNS: [&str; 12] = [
    "code",
    "name",
    "kind",
    "regions",
    "contact",
    "duty",
    "consent",
    "consent_at",
    "phone",
    "email",
    "language",
    "lowest",
];
const NEEDED: usize = 8;

/// What an import does, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Rows read, without the header.
    pub rows: u64,
    /// Organisations that were new.
    pub organisations: u64,
    /// Contacts added.
    pub contacts: u64,
    /// Contacts none of whose addresses could be added: on record already, or left by their owner. A trial does not tell.
    pub known: u64,
    /// Rows that were left out.
    pub bad: Vec<BadRow>,
    /// SHA-256 of the file.
    pub digest: String,
    /// Nothing was written.
    pub dry: bool,
}

/// Counties of contacts that one file may write.
const PLACES: usize = 20_000;

impl Organisations {
    /// Takes the contacts of a file in; `dry` only says what would become of it.
    ///
    /// # Errors
    /// When the file cannot be read as such, or the store not be written.
    pub async fn import(&self, file: &[u8], dry: bool, by: Option<&OfficerRow>) -> Result<Imported, KeepError> {
        let digest = crate::hex(ring::digest::digest(&ring::digest::SHA256, file).as_ref());
        let mut done = Imported { digest: digest.clone(), dry, ..Imported::default() };
        let (organisations, contacts) = self.read(file, by, &mut done).await?;
        // Each is written with the store's one pen, which warnings need too.
        let places: usize = contacts.iter().map(|contact| contact.places.len()).sum();
        if places > PLACES {
            return Err(KeepError::input(format!(
                "文件过大：联系人与区县共 {places} 项，最多 {PLACES} 项，请分批导入 / \
                 too much at once: {places} counties of contacts, at most {PLACES}; use several files"
            )));
        }
        if dry {
            // What would be, as far as the file says: whether a number is known is told by no trial, which leaves no trace.
            done.organisations = u64::try_from(organisations.len()).unwrap_or(0);
            done.contacts = u64::try_from(contacts.len()).unwrap_or(0);
            return Ok(done);
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        for one in &organisations {
            put_organisation(&mut tx, one).await?;
            done.organisations += 1;
        }
        let mut of: BTreeMap<&Slug, (u64, u64)> = BTreeMap::new();
        for contact in &contacts {
            let added = insert_contact(&self.store, &mut tx, contact).await?;
            let (all, own) = (&mut done, of.entry(&contact.organisation).or_default());
            let counts = if added > 0 { (&mut all.contacts, &mut own.0) } else { (&mut all.known, &mut own.1) };
            *counts.0 += 1;
            *counts.1 += 1;
        }
        for one in &organisations {
            let detail = json!({"name": one.name, "kind": one.kind, "regions": one.regions, "lowest": one.lowest});
            record(&mut tx, now, Entry::new(actor(by), "organisation.create", &one.code, detail));
        }
        // On record too where all were known: whoever asks so whether numbers are known is seen.
        for (code, (contacts, known)) in of {
            let detail = json!({"contacts": contacts, "known": known, "file_sha256": digest});
            record(&mut tx, now, Entry::new(actor(by), "organisation.import", code, detail));
        }
        touch_accounts(&mut tx).await?;
        tx.commit().await?;
        Ok(done)
    }

    async fn read(
        &self,
        file: &[u8],
        by: Option<&OfficerRow>,
        done: &mut Imported,
    ) -> Result<(Vec<Organisation>, Vec<NewContact>), KeepError> {
        let table = Table::of(file, &COLUMNS, NEEDED)?;
        let known = self.store.organisations().await?;
        let mut known: BTreeMap<Slug, Organisation> = known.into_iter().map(|one| (one.code.clone(), one)).collect();
        let counts = self.store.contact_counts().await?;
        let mut counts: BTreeMap<String, usize> =
            counts.into_iter().map(|(code, n)| (code, usize::try_from(n).unwrap_or(0))).collect();
        let (mut new, mut contacts) = (Vec::new(), Vec::new());
        for (line, row) in &table.rows {
            done.rows += 1;
            match self.row(row, &mut known, by) {
                Ok((organisation, contact)) => {
                    new.extend(organisation);
                    let count = counts.entry(contact.organisation.to_string()).or_default();
                    *count += 1;
                    if *count > CONTACTS {
                        let why = format!("最多 {CONTACTS} 位联系人 / at most {CONTACTS} contacts");
                        done.bad.push(BadRow { line: *line, column: "code", why });
                    } else {
                        contacts.push(NewContact { source: done.digest.clone(), ..contact });
                    }
                }
                Err((column, why)) => done.bad.push(BadRow { line: *line, column, why }),
            }
        }
        Ok((new, contacts))
    }

    /// One row: its contact, and its organisation where that is new.
    fn row(
        &self,
        row: &Row,
        known: &mut BTreeMap<Slug, Organisation>,
        by: Option<&OfficerRow>,
    ) -> Result<(Option<Organisation>, NewContact), (&'static str, String)> {
        let say = |column: &'static str| move |error: KeepError| (column, error.to_string());
        let code: Slug = row.get("code").parse().map_err(|e: super::BadSlug| ("code", e.to_string()))?;
        let (one, is_new) = match known.get(&code) {
            // One that is there keeps its own words: a file of contacts must not move it.
            Some(one) => {
                super::may(by, &one.regions, &self.policy.load().map).map_err(say("code"))?;
                (one.clone(), false)
            }
            None => (self.new_one(code, row, by)?, true),
        };
        let tag = row.get("language");
        let language = if tag.is_empty() { Some(Language::Chinese) } else { Language::of_tag(tag) };
        let language = language.ok_or_else(|| ("language", "请写 zh-CN 或 en / use zh-CN or en".to_owned()))?;
        let mut addresses = Vec::new();
        for (column, channel) in [("phone", ChannelKind::Sms), ("email", ChannelKind::Email)] {
            // Several numbers of one person stand apart by a semicolon.
            for text in row.get(column).split([';', '；']).filter(|text| !text.trim().is_empty()) {
                addresses.push(Address::parse(channel, text).map_err(|e| (column, e.to_string()))?);
            }
        }
        let consent: String = row.get("consent").chars().filter(|c| !c.is_control()).take(60).collect();
        if consent.is_empty() {
            return Err(("consent", "请写明本人同意的文本 / say which text they agreed to".into()));
        }
        let at = moment(row.get("consent_at")).filter(|at| *at <= self.clock.now());
        let at = at.ok_or_else(|| {
            (
                "consent_at",
                "请写同意的时间，如 2026-03-01，不晚于现在 / when they agreed: 2026-03-01, not in the future"
                    .to_owned(),
            )
        })?;
        let person = (row.get("contact"), row.get("duty"));
        let contact = self.contact(&one, person, language, addresses, (consent, at), "", by).map_err(say("contact"))?;
        known.insert(one.code.clone(), one.clone());
        Ok((is_new.then_some(one), contact))
    }

    fn new_one(&self, code: Slug, row: &Row, by: Option<&OfficerRow>) -> Result<Organisation, (&'static str, String)> {
        let kind = OrganisationKind::parse(row.get("kind")).ok_or_else(|| {
            let all = OrganisationKind::ALL.map(OrganisationKind::as_str).join(", ");
            ("kind", format!("请写 {all} 之一 / use one of {all}"))
        })?;
        let regions = row.get("regions").split(|c: char| c.is_whitespace() || ";,；，".contains(c));
        let regions = regions.filter(|code| !code.is_empty()).map(|code| code.parse());
        let regions = regions.collect::<Result<_, crate::regions::BadRegionCode>>();
        let regions = regions.map_err(|e| ("regions", e.to_string()))?;
        let level = row.get("lowest");
        let lowest =
            if level.is_empty() { Some(Colour::Blue) } else { Colour::ALL.into_iter().find(|c| c.as_str() == level) };
        let lowest = lowest.ok_or_else(|| {
            ("lowest", "请写 red、orange、yellow 或 blue / use red, orange, yellow or blue".to_owned())
        })?;
        let created_at = self.clock.now();
        let one = Organisation { code, name: row.get("name").to_owned(), kind, regions, lowest, created_at };
        self.checked(&one, None, by).map_err(|error| ("regions", error.to_string()))
    }
}

/// A day of Beijing's calendar, or a moment with its offset.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let day = text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?;
    let beijing = FixedOffset::east_opt(8 * 3_600)?;
    Some((day.and_utc() - TimeDelta::seconds(i64::from(beijing.local_minus_utc()))).to_utc())
}
