//! Who was told before, and so must hear of it: an Update's, a Cancel's or a correction's audience, and those whom it missed.

mod homes;
mod night;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use roaring::RoaringTreemap;
use tocsin_channels::ChannelKind;

use self::homes::{Census, Homes};
use self::night::Night;
use super::spared::Spared;
use super::{Extra, Plan, because};
use crate::delivery::{DeliveryState, ELSEWHERE, Recipient, address_of, unpack_why};
use crate::dispatch::elsewhere::{Owners, recipients, same};
use crate::messages::Variant;
use crate::regions::RegionCode;
use crate::store::{Dispatch, Release, StoreError};

/// Ids of addresses that have heard something, by channel and variant.
pub(super) type Heard = BTreeMap<(ChannelKind, Variant), RoaringTreemap>;

/// Where somebody stands, and before when they are not told who wait.
type Stand = (DeliveryState, DateTime<Utc>);

impl<'a> Plan<'a> {
    /// Nobody is told the same twice: not by an alert that says again what they have heard, nor by a second release of one alert to
    /// one jurisdiction, while the first is still on its way; nor by two jurisdictions that nobody asked. Who only may have heard it is
    /// told.
    pub(super) async fn spare(&mut self) -> Result<(), StoreError> {
        let (store, own) = (&self.planner.store, self.release);
        let mut heard = store.releases_of(&store.repeats(&own.alert).await?).await?;
        let sisters = store.releases_of(std::slice::from_ref(&own.alert)).await?.into_iter().filter(|other| {
            let whole = other.jurisdiction.is_none() || own.jurisdiction.is_none();
            other.id != own.id
                && (whole || other.jurisdiction == own.jurisdiction || (other.by_rule() && own.by_rule()))
        });
        let sisters: Vec<_> = sisters.collect();
        // These will still tell whom they have not told yet; stopped ones only when this one, too, may go on.
        let goes_on = sisters.iter().filter(|other| other.superseded_at.is_none() && (own.held || !other.held));
        let goes_on: BTreeSet<i64> = goes_on.map(|other| other.id).collect();
        self.left_to
            .extend(sisters.iter().filter(|other| goes_on.contains(&other.id) && !other.held).map(|other| other.id));
        heard.extend(sisters);
        if heard.is_empty() {
            return Ok(());
        }
        let same: BTreeSet<i64> = heard.iter().map(|release| release.id).collect();
        heard.extend(store.releases_of(&store.replaced_by(&own.alert).await?).await?);
        heard.sort_by_key(|release| release.id);
        heard.dedup_by_key(|release| release.id);
        let (mut spared, now) = (Spared::default(), self.planner.clock.now());
        for old in &heard {
            let (same, goes_on) = (same.contains(&old.id), goes_on.contains(&old.id));
            // Of a part that was corrected they have heard since that it was wrong.
            let holds = old.alert != own.alert || old.superseded_at.is_none();
            let mut note = |channel, variant, recipient: &Recipient, (state, due): (DeliveryState, _)| match state {
                _ if !same && state.may_have_been_told() => spared.forget(channel, recipient.id),
                _ if !same || recipient.is_region() => {}
                DeliveryState::Accepted if holds => spared.hears((channel, variant), recipient.id),
                DeliveryState::Sending if goes_on => spared.hears((channel, variant), recipient.id),
                DeliveryState::Waiting if goes_on => spared.waits((channel, variant), recipient.id, due, now),
                _ => {}
            };
            self.look_at(old, &mut note).await?;
        }
        self.spared = spared;
        Ok(())
    }

    /// Who has heard last that all is over (Cancel), or that it is over where they are (Lifted): they do not hear it again.
    async fn ended(&self, older: &[Release]) -> Result<Heard, StoreError> {
        let mut ended = Heard::new();
        let mut note = |channel, variant, recipient: &Recipient, (state, _): (DeliveryState, _)| {
            let heard = state == DeliveryState::Accepted && !recipient.is_region();
            for end in [Variant::Cancel, Variant::Lifted] {
                let set = ended.entry((channel, end)).or_default();
                match variant {
                    // Who has heard that all is over need not hear that it is over where they are.
                    Variant::Cancel if heard => _ = set.insert(recipient.id),
                    Variant::Lifted if heard && end == Variant::Lifted => _ = set.insert(recipient.id),
                    // Warned since, or told that what they had heard was wrong.
                    Variant::Warn | Variant::Correction if state.may_have_been_told() => _ = set.remove(recipient.id),
                    _ => {}
                }
            }
        };
        // The first alert of an event ends nothing.
        if older.iter().any(|old| old.alert != older.first().map_or("", |first| first.alert.as_str())) {
            for old in older {
                self.look_at(old, &mut note).await?;
            }
        }
        Ok(ended)
    }

    /// Goes through the recipients of a release, with how they were told and where each stands, and until when each waits who waits.
    async fn look_at(
        &self,
        old: &Release,
        note: &mut (dyn FnMut(ChannelKind, Variant, &Recipient, Stand) + Send),
    ) -> Result<(), StoreError> {
        let store = &self.planner.store;
        let dispatches = store.dispatches(old.id).await?;
        for chunk in store.chunk_ids(old.id).await? {
            let Some(view) = store.chunk(chunk, true).await? else { continue };
            let Some(was) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
            let recipients = recipients(chunk, &view.body);
            for (recipient, state) in recipients.iter().zip(view.members.states()) {
                note(was.content.kind(), was.variant, recipient, (*state, view.not_before));
            }
        }
        Ok(())
    }

    /// Everyone who was, or may have been, told by the alerts that this one replaces.
    pub(super) async fn add_told(&mut self) -> Result<(), StoreError> {
        let store = &self.planner.store;
        // A correction takes back one alert: who heard others of the event, that were right, does not hear of it.
        let corrects = self.dispatches.iter().all(|dispatch| dispatch.variant == Variant::Correction);
        let older = match corrects && !self.dispatches.is_empty() {
            true => store.corrected_by(&self.release.alert).await?,
            false => store.replaced_by(&self.release.alert).await?,
        };
        let older = store.releases_of(&older).await?;
        if older.is_empty() {
            return Ok(());
        }
        let left: RoaringTreemap = store.left_addresses().await?.into_iter().collect();
        let ended = self.ended(&older).await?;
        let elsewhere = self.warned_elsewhere().await?;
        let mut census = Census::of(self, &older).await?;
        let mut night = Night::default();
        let mut unreached = Vec::new();
        for old in older {
            let places: Vec<u16> = old.regions.iter().map(|code| self.region_index(code)).collect();
            let dispatches = store.dispatches(old.id).await?;
            for chunk in store.chunk_ids(old.id).await? {
                let Some(view) = store.chunk(chunk, true).await? else { continue };
                let Some(was) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
                let recipients = recipients(chunk, &view.body);
                let why = unpack_why(&store.chunk_why(chunk).await?);
                let told: Vec<(usize, Recipient)> = (recipients.into_iter().enumerate())
                    .zip(view.members.told())
                    .filter(|(_, told)| *told)
                    .map(|(member, _)| member)
                    .collect();
                let homes = census.homes(self, (&old, &places), (&why, &told)).await?;
                let extras = night.extras(self, &why, &told).await?;
                for ((_, recipient), mut because) in told.into_iter().zip(extras) {
                    if !self.may_tell(&old, &recipient, &homes) {
                        continue;
                    }
                    let mut region = places.get(usize::from(recipient.region)).copied().unwrap_or(ELSEWHERE);
                    if region == ELSEWHERE && (old.damaged || !because.why.is_empty()) {
                        region = self.other_place(&recipient, &homes);
                        if region == ELSEWHERE && homes.of(&recipient).any(|home| elsewhere.contains(home)) {
                            continue;
                        }
                    }
                    let Some(now) = self.successor(was, region != ELSEWHERE) else { continue };
                    let goes_on = matches!(now.variant, Variant::Warn | Variant::Lifted);
                    if goes_on && census.leaves(&homes, &recipient, region) {
                        continue;
                    }
                    if now.variant == Variant::Correction {
                        // Nobody lies a night in fear of what was wrong.
                        because.hold = None;
                    }
                    let heard = ended.get(&(now.content.kind(), now.variant));
                    if heard.is_some_and(|heard| heard.contains(recipient.id)) {
                        continue;
                    }
                    if left.contains(address_of(recipient.id)) {
                        unreached.push((now, recipient.id, region, because));
                        continue;
                    }
                    self.add(now, recipient.id, region, &recipient.to, because).await?;
                }
            }
        }
        self.tell_elsewhere(unreached, &ended).await
    }

    /// Tells those whose address is gone by another of theirs, in their order of channels, unless one of theirs hears it or has heard it.
    /// Those who have left are not told.
    async fn tell_elsewhere(
        &mut self,
        unreached: Vec<(&'a Dispatch, u64, u16, Extra)>,
        ended: &Heard,
    ) -> Result<(), StoreError> {
        let owners = Owners::of(&self.planner.store, unreached.iter().map(|(_, id, ..)| *id)).await?;
        for (was, recipient, region, extra) in unreached {
            let hears = |(kind, id): &(ChannelKind, u64)| {
                let ended = ended.get(&(*kind, was.variant)).is_some_and(|heard| heard.contains(*id));
                ended || self.tells(*kind, *id) || self.has_heard(*kind, was.variant, *id, extra.hold)
            };
            if owners.others(recipient).iter().any(hears) {
                continue;
            }
            let fits = |(kind, id): (ChannelKind, u64)| Some((same(self.dispatches, kind, was)?, id));
            if let Some((now, id)) = owners.ways(recipient).into_iter().find_map(fits) {
                self.add(now, id, region, "", extra).await?;
            }
        }
        Ok(())
    }

    /// Where somebody with several places is warned now, though it is over where they were told of it: they are not told that it is
    /// over while another place of theirs is in danger. The same holds of whoever was told nobody knows where.
    fn other_place(&self, recipient: &Recipient, homes: &Homes) -> u16 {
        let named = of_topic(recipient);
        let all = homes.of(recipient).chain(&named);
        all.map(|home| self.region_index(home)).find(|at| *at != ELSEWHERE).unwrap_or(ELSEWHERE)
    }

    /// Where other jurisdictions' parts of this alert warn, that needed nobody's yes as this one: whoever has a place there hears of that,
    /// and not that it is over.
    async fn warned_elsewhere(&mut self) -> Result<BTreeSet<RegionCode>, StoreError> {
        let own = self.release;
        let sisters = self.planner.store.releases_of(std::slice::from_ref(&own.alert)).await?;
        let stands = |other: &Release| other.superseded_at.is_none() && (own.held || !other.held);
        let warns = |other: &Release| other.id != own.id && other.by_rule() && own.by_rule() && stands(other);
        let sisters: Vec<_> = sisters.into_iter().filter(warns).collect();
        self.left_to.extend(sisters.iter().filter(|other| !other.held).map(|other| other.id));
        Ok(sisters.into_iter().flat_map(|other| other.regions).collect())
    }

    /// Whether somebody whom an older release told is this release's to tell: another jurisdiction's people are not.
    fn may_tell(&self, old: &Release, recipient: &Recipient, homes: &Homes) -> bool {
        let Some(within) = &self.release.within else { return true };
        if old.within.as_ref() == Some(within) {
            return true;
        }
        let holds = |home: &RegionCode| within.binary_search(home).is_ok();
        if let Some(home) = old.regions.get(usize::from(recipient.region)) {
            // Told with a county that is not theirs: where theirs is warned now, its own part tells them.
            return holds(home) || homes.is_guest_of(recipient, &self.release.regions);
        }
        // Told as somebody elsewhere: by the address's own region, or by the region that a topic names.
        homes.of(recipient).chain(&of_topic(recipient)).any(holds)
    }

    /// Those of the origin who were not reached, nor by an earlier repeat: refused, or nobody knows.
    pub(super) async fn add_missed(&mut self) -> Result<(), StoreError> {
        let store = &self.planner.store;
        let Some(origin) = self.release.origin else { return Ok(()) };
        let left: RoaringTreemap = store.left_addresses().await?.into_iter().collect();
        let reached = self.reached_by_repeats(origin).await?;
        let dispatches = store.dispatches(origin).await?;
        for chunk in store.chunk_ids(origin).await? {
            let Some(view) = store.chunk(chunk, true).await? else { continue };
            let Some(was) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
            let Some(now) = same(self.dispatches, was.content.kind(), was) else { continue };
            let recipients = recipients(chunk, &view.body);
            let why = unpack_why(&store.chunk_why(chunk).await?);
            for ((at, recipient), state) in recipients.into_iter().enumerate().zip(view.members.states()) {
                let again = reached.get(&was.content.kind()).is_some_and(|ids| ids.contains(recipient.id));
                if is_missed(*state) && !again && !left.contains(address_of(recipient.id)) {
                    self.add(now, recipient.id, recipient.region, &recipient.to, because(&why, at)).await?;
                }
            }
        }
        Ok(())
    }

    /// Whom earlier repeats for the same origin have reached, or will.
    async fn reached_by_repeats(&self, origin: i64) -> Result<BTreeMap<ChannelKind, RoaringTreemap>, StoreError> {
        let store = &self.planner.store;
        let mut reached: BTreeMap<_, RoaringTreemap> = BTreeMap::new();
        for repeat in store.releases_of(std::slice::from_ref(&self.release.alert)).await? {
            if repeat.origin != Some(origin) || repeat.id >= self.release.id {
                continue;
            }
            let mut note = |channel, _, recipient: &Recipient, (state, _)| {
                if !is_missed(state) {
                    reached.entry(channel).or_default().insert(recipient.id);
                }
            };
            self.look_at(&repeat, &mut note).await?;
        }
        Ok(reached)
    }

    /// The dispatch that tells people of an older one: withdrawn, still in the area, or no longer.
    fn successor(&self, was: &Dispatch, in_area: bool) -> Option<&'a Dispatch> {
        let variants = if in_area {
            [Variant::Cancel, Variant::Correction, Variant::Warn]
        } else {
            [Variant::Cancel, Variant::Correction, Variant::Lifted]
        };
        let (kind, language) = (was.content.kind(), was.language);
        let fits = |d: &&Dispatch| d.content.kind() == kind && d.language == language && variants.contains(&d.variant);
        self.dispatches.iter().find(fits)
    }
}

/// The region that a region's own topic names.
fn of_topic(recipient: &Recipient) -> Option<RegionCode> {
    let (_, code) = recipient.to.rsplit_once('/').filter(|_| recipient.is_region())?;
    code.parse().ok()
}

/// Whether somebody in this state was not told, as far as anybody knows.
const fn is_missed(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Failed | DeliveryState::Unknown)
}
