//! What a resident does with what is theirs: look, change, pause, test, take along, delete. Each is on record, masked.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tocsin_channels::ChannelKind;

use super::Wishes;
use super::sign_up::{PLACES, ResidentError, Residents, Span};
use crate::delivery::{Address, DeliveryState, ELSEWHERE, Packer, mask};
use crate::messages::{Personal, Reader};
use crate::store::{
    Entry, OWN, Place, ResidentRow, Tx, erase_resident, forget_unrefused, insert_personal_release, is_lost,
    keep_departures, record, remove_own_address, replace_places, set_resident, test_name,
};

/// Tests that somebody may ask for in an hour.
const TESTS: i64 = 3;

/// Everything that is on record of somebody.
#[derive(Debug, Clone)]
pub struct Mine {
    pub(crate) resident: ResidentRow,
    pub(crate) addresses: Vec<(i64, Address)>,
    pub(crate) places: Vec<Place>,
}

/// What became of a test on one channel.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// Which.
    pub channel: ChannelKind,
    /// Masked.
    pub address: String,
    /// How it stands.
    pub state: DeliveryState,
    /// When it was asked for.
    pub asked: DateTime<Utc>,
    /// When the provider answered.
    pub answered: Option<DateTime<Utc>>,
    /// When the device showed it, where devices say so.
    pub shown: Option<DateTime<Utc>>,
}

/// What became of the places of a form whose sender was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// It named none that they had not.
    Nothing,
    /// They were added.
    Added,
    /// Not all of them were added: nobody has so many.
    TooMany,
}

impl Residents {
    /// The channels that people can be told by here, in their usual order.
    pub(crate) fn offered(&self) -> Vec<ChannelKind> {
        Wishes::default().channels.into_iter().filter(|kind| self.channels.contains(kind)).collect()
    }

    /// The channels of them by which an address can be proved: a mail's link needs to lead somewhere.
    pub(crate) fn ways_in(&self) -> Vec<ChannelKind> {
        let mut ways = self.offered();
        ways.retain(|kind| OWN.contains(kind) && (*kind != ChannelKind::Email || !self.base.is_empty()));
        ways
    }

    /// What is on record of somebody. That they came in is on record; each look is not.
    ///
    /// # Errors
    /// When there is nobody, or the store does not answer.
    pub async fn mine(&self, subscriber: i64) -> Result<Mine, ResidentError> {
        let resident = self.store.resident(subscriber).await?.ok_or(ResidentError::Proof)?;
        let (addresses, places) =
            (self.store.own_addresses(subscriber).await?, self.store.places_of(subscriber).await?);
        Ok(Mine { resident, addresses, places })
    }

    /// Puts other places and wishes in the stead of somebody's.
    ///
    /// # Errors
    /// When there are too many, or the store cannot be written.
    pub async fn set_places(&self, subscriber: i64, places: Vec<Place>) -> Result<(), ResidentError> {
        // An organisation gives its contacts more, and those may be changed.
        if places.len() > PLACES.max(self.store.places_of(subscriber).await?.len()) {
            return Err(ResidentError::Input("地点过多 / too many places"));
        }
        let now = self.clock.now();
        let detail = json!({"places": places.len()});
        let mut tx = self.store.begin().await?;
        replace_places(&self.store, &mut tx, subscriber, places).await?;
        note(&mut tx, subscriber, "resident.change", detail, now);
        Ok(tx.commit().await?)
    }

    /// The places of a form that was confirmed become its owner's; of somebody known, where they have none there yet and may have more.
    pub(super) async fn bring_places(
        &self,
        tx: &mut Tx,
        (subscriber, new): (i64, bool),
        mut places: Vec<Place>,
        now: DateTime<Utc>,
    ) -> Result<Brought, ResidentError> {
        if new || places.is_empty() {
            let places: Vec<_> = places.into_iter().map(|place| (subscriber, place)).collect();
            self.store.insert_places(tx, &places).await?;
            return Ok(Brought::Nothing);
        }
        let own = self.store.places_of(subscriber).await?;
        places.retain(|place| !own.iter().any(|known| known.is_where(place)));
        let room = PLACES.saturating_sub(own.len());
        let brought = match places.len() {
            0 => return Ok(Brought::Nothing),
            n if n > room => Brought::TooMany,
            _ => Brought::Added,
        };
        let added: Vec<_> = places.into_iter().take(room).map(|place| (subscriber, place)).collect();
        if !added.is_empty() {
            self.store.insert_places(tx, &added).await?;
            note(tx, subscriber, "resident.change", json!({"places": own.len() + added.len()}), now);
        }
        Ok(brought)
    }

    /// Sets the language of pages, by its tag, and until when nothing is sent.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn pause(&self, subscriber: i64, tongue: &str, until: DateTime<Utc>) -> Result<(), ResidentError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        set_resident(&mut tx, subscriber, tongue, until).await?;
        note(&mut tx, subscriber, "resident.pause", json!({"until": until}), now);
        Ok(tx.commit().await?)
    }

    /// Takes one of somebody's addresses away. With the last one everything goes.
    ///
    /// # Errors
    /// When it is not theirs, or the store cannot be written.
    pub async fn remove_address(&self, subscriber: i64, address: i64) -> Result<(), ResidentError> {
        let own = self.store.own_addresses(subscriber).await?;
        if !own.iter().any(|(id, _)| *id == address) {
            return Err(ResidentError::Proof);
        }
        if own.len() == 1 {
            return self.erase(subscriber).await;
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        remove_own_address(&mut tx, subscriber, address).await?;
        note(&mut tx, subscriber, "resident.address-removed", json!({}), now);
        Ok(tx.commit().await?)
    }

    /// Everything of somebody, for them to take along.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn export(&self, subscriber: i64) -> Result<Value, ResidentError> {
        let Mine { resident, addresses, places } = self.mine(subscriber).await?;
        let (contact, reports) = (self.store.contact_of(subscriber).await?, self.store.reports_of(subscriber).await?);
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        note(&mut tx, subscriber, "resident.export", json!({}), now);
        tx.commit().await?;
        Ok(json!({
            "exported_at": now,
            "language": resident.tongue,
            "consent": {"version": resident.consent, "at": resident.consent_at},
            "paused_until": (resident.paused_until > now).then_some(resident.paused_until),
            "addresses": addresses.iter().map(|(_, a)| json!({"channel": a.channel, "address": a.value})).collect::<Vec<_>>(),
            "places": places,
            "contact": contact,
            "reports": reports,
        }))
    }

    /// Deletes all of somebody's data, for good.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is deleted then.
    pub async fn erase(&self, subscriber: i64) -> Result<(), ResidentError> {
        self.erase_all(subscriber, None).await
    }

    /// The same; `lost`: by us, of somebody who cannot be reached any more since before then. Nobody shall bring back an address that they
    /// have left. Whoever has come back meanwhile keeps everything.
    pub(super) async fn erase_all(&self, subscriber: i64, lost: Option<DateTime<Utc>>) -> Result<(), ResidentError> {
        let now = self.clock.now();
        let digests: Vec<String> = self.store.all_digests(subscriber).await?;
        let counts = self.store.unasked_names(subscriber).await?;
        let mut tx = self.store.begin().await?;
        if let Some(before) = lost {
            if !is_lost(&mut tx, subscriber, before).await? {
                return Ok(());
            }
            keep_departures(&mut tx, subscriber).await?;
        }
        erase_resident(&mut tx, subscriber, &digests).await?;
        for name in counts {
            forget_unrefused(&mut tx, &name).await?;
        }
        let detail = json!({"addresses": digests.len(), "lost": lost.is_some()});
        note(&mut tx, subscriber, "resident.erase", detail, now);
        Ok(tx.commit().await?)
    }

    /// Sends a test to every address of somebody.
    ///
    /// # Errors
    /// When they have had enough tests for now.
    pub async fn test(&self, subscriber: i64) -> Result<(), ResidentError> {
        let now = self.clock.now();
        let resident = self.store.resident(subscriber).await?.ok_or(ResidentError::Proof)?;
        let mut chunks: BTreeMap<ChannelKind, Packer> = BTreeMap::new();
        for (id, address) in self.store.own_addresses(subscriber).await? {
            if self.channels.contains(&address.channel) {
                let packer = chunks.entry(address.channel).or_insert_with(Packer::new);
                packer.push(u64::try_from(id).unwrap_or_default(), ELSEWHERE, "");
            }
        }
        let mut tx = self.store.begin().await?;
        if !self.store.count_use(&mut tx, &test_name(subscriber), (TESTS, TimeDelta::hours(1)), now).await? {
            return Err(ResidentError::Busy);
        }
        let name = format!("test/{subscriber}/{}", now.timestamp_millis());
        let reader = Reader { language: resident.language, tongue: &resident.tongue };
        let chunks = chunks.into_iter().collect();
        let release = self.release_to_one(&mut tx, &name, (Personal::Test, reader), chunks, Span::at_once(now)).await?;
        insert_personal_release(&mut tx, release, "", subscriber, now).await?;
        note(&mut tx, subscriber, "resident.test", json!({}), now);
        tx.commit().await?;
        (self.wake)();
        Ok(())
    }

    /// What became of somebody's newest test, address by address.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tested(&self, subscriber: i64) -> Result<Vec<Tested>, ResidentError> {
        let Some((release, asked)) = self.store.tests_of(subscriber, 1).await?.first().copied() else {
            return Ok(Vec::new());
        };
        let own: BTreeMap<u64, Address> = self
            .store
            .own_addresses(subscriber)
            .await?
            .into_iter()
            .filter_map(|(id, address)| Some((u64::try_from(id).ok()?, address)))
            .collect();
        let shown = self.store.shown_at(release).await?;
        let mut tested = Vec::new();
        for chunk in self.store.chunk_ids(release).await? {
            let Some(view) = self.store.chunk(chunk, true).await? else { continue };
            let answered = self.store.answered_at(chunk).await?;
            let recipients = crate::delivery::unpack(&view.body).unwrap_or_default();
            for (recipient, state) in recipients.iter().zip(view.members.states()) {
                let Some(address) = own.get(&recipient.id) else { continue };
                let (channel, address) = (address.channel, mask(&address.value));
                let shown = shown.get(&recipient.id).copied();
                tested.push(Tested { channel, address, state: *state, asked, answered, shown });
            }
        }
        Ok(tested)
    }
}

fn note(tx: &mut Tx, subscriber: i64, kind: &'static str, detail: Value, now: DateTime<Utc>) {
    record(tx, now, Entry::new("resident", kind, format!("resident:{subscriber}"), detail));
}
