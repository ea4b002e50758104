//! What a resident does with what is theirs: look, change, pause, test, take along, delete. Each is on record, masked.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tocsin_channels::ChannelKind;

use super::concern::Concern;
use super::sign_up::{PLACES, ResidentError, Residents, Span};
use super::wishes::telling;
use crate::delivery::{Address, DeliveryState, ELSEWHERE, Packer, mask};
use crate::messages::{Personal, Reader};
use crate::rules::Decision;
use crate::store::{
    AlertState, Entry, Place, ResidentRow, StoreError, erase_resident, forget_unasked, insert_personal_release, record,
    remove_own_address, replace_places, set_resident, test_name,
};

/// Tests that somebody may ask for in an hour.
const TESTS: i64 = 3;
/// Alerts of the last year that are looked through.
const LOOKED_AT: u16 = 1_000;
/// Those of them that are shown.
const SHOWN: usize = 50;

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
}

/// An alert of the last year that somebody would have been told of.
#[derive(Debug, Clone)]
pub struct Would {
    /// Its id.
    pub id: String,
    /// Its headline.
    pub headline: String,
    /// When it was sent.
    pub sent: DateTime<Utc>,
    /// The names of the places that it concerned.
    pub places: Vec<String>,
    /// Their quiet hours would have held it back until then.
    pub held: Option<DateTime<Utc>>,
}

impl Residents {
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
        self.note(&mut tx, subscriber, "resident.change", detail, now).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// Sets the language of pages, by its tag, and until when nothing is sent.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn pause(&self, subscriber: i64, tongue: &str, until: DateTime<Utc>) -> Result<(), ResidentError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        set_resident(&mut tx, subscriber, tongue, until).await?;
        self.note(&mut tx, subscriber, "resident.pause", json!({"until": until}), now).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
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
        self.note(&mut tx, subscriber, "resident.address-removed", json!({}), now).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// Everything of somebody, for them to take along.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn export(&self, subscriber: i64) -> Result<Value, ResidentError> {
        let Mine { resident, addresses, places } = self.mine(subscriber).await?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        self.note(&mut tx, subscriber, "resident.export", json!({}), now).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(json!({
            "exported_at": now,
            "language": resident.tongue,
            "consent": {"version": resident.consent, "at": resident.consent_at},
            "paused_until": (resident.paused_until > now).then_some(resident.paused_until),
            "addresses": addresses.iter().map(|(_, a)| json!({"channel": a.channel, "address": a.value})).collect::<Vec<_>>(),
            "places": places,
        }))
    }

    /// Deletes all of somebody's data, for good.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is deleted then.
    pub async fn erase(&self, subscriber: i64) -> Result<(), ResidentError> {
        let now = self.clock.now();
        let digests: Vec<String> = self.store.all_digests(subscriber).await?;
        let counts = self.store.unasked_names(subscriber).await?;
        let mut tx = self.store.begin().await?;
        erase_resident(&mut tx, subscriber, &digests).await?;
        for name in counts {
            // That somebody wants nothing unasked holds for ever.
            if self.store.has_refused(&name).await? == Some(false) {
                forget_unasked(&mut tx, &name).await?;
            }
        }
        self.note(&mut tx, subscriber, "resident.erase", json!({"addresses": digests.len()}), now).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
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
        self.note(&mut tx, subscriber, "resident.test", json!({}), now).await?;
        tx.commit().await.map_err(StoreError::from)?;
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
        let mut tested = Vec::new();
        for chunk in self.store.chunk_ids(release).await? {
            let Some(view) = self.store.chunk(chunk, true).await? else { continue };
            let answered = self.store.answered_at(chunk).await?;
            let recipients = crate::delivery::unpack(&view.body).unwrap_or_default();
            for (recipient, state) in recipients.iter().zip(view.members.states()) {
                let Some(address) = own.get(&recipient.id) else { continue };
                let (channel, address) = (address.channel, mask(&address.value));
                tested.push(Tested { channel, address, state: *state, asked, answered });
            }
        }
        Ok(tested)
    }

    /// The alerts of the last year that somebody would have been told of with what they wish now, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn would_have(&self, subscriber: i64) -> Result<Vec<Would>, ResidentError> {
        let places = self.store.places_of(subscriber).await?;
        let (now, policy) = (self.clock.now(), self.policy.load_full());
        let mut found = Vec::new();
        for row in self.store.alerts(None, LOOKED_AT).await? {
            let out = matches!(row.state, AlertState::Released | AlertState::Partly);
            let warns = row.status == "Actual" && row.msg_type != "Cancel" && out;
            if row.received_at < now - TimeDelta::days(365) || found.len() >= SHOWN {
                break;
            }
            let Ok(decision) = serde_json::from_value::<Decision>(row.decision.clone()) else { continue };
            if !warns || !places.iter().any(|place| decision.regions.contains(&place.region)) {
                continue;
            }
            let concern = Concern::load(&self.store, &policy.map, &row.id).await?;
            let means = |place: &&Place| {
                let edge = concern.ground.is_edge(&place.region);
                let inside = !edge || place.point.is_none_or(|point| concern.ground.covers(point));
                decision.regions.contains(&place.region) && place.wishes.want(concern.danger) && inside
            };
            let own: Vec<&Place> = places.iter().filter(means).collect();
            let Some(telling) = telling(own.iter().map(|place| &place.wishes), concern.danger, row.sent) else {
                continue;
            };
            found.push(Would {
                id: row.id,
                headline: row.headline,
                sent: row.sent,
                places: own.iter().map(|place| place.name.clone()).collect(),
                held: telling.hold,
            });
        }
        Ok(found)
    }

    async fn note(
        &self,
        tx: &mut crate::store::Tx,
        subscriber: i64,
        kind: &'static str,
        detail: Value,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        record(tx, now, &Entry::new("resident", kind, format!("resident:{subscriber}"), detail)).await
    }
}
