//! Planning: a release's frozen audience, packed into chunks.
//!
//! Planning may stop anywhere and start again: what is planned is read back from the chunks, and the rest is added. Nobody is
//! in two chunks of one release and channel.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use roaring::RoaringTreemap;
use tocsin_channels::ChannelKind;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::feeder::Desk;
use crate::clock::Clock;
use crate::delivery::{
    DeliveryState, ELSEWHERE, Packer, Recipient, Rest, address_of, pack_rest, pack_why, region_recipient, unpack,
    unpack_why,
};
use crate::messages::{Language, Variant};
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::rules::{Audience, Lane};
use crate::store::{Dispatch, NewChunk, Release, ReleaseKind, Store, StoreError};

/// Recipients in a chunk of the top lane, and of the others.
const TOP: usize = 200;
const OTHER: usize = 1_000;
/// Chunks written in one transaction.
const SLICE: usize = 16;

/// Plans releases of some lanes, most urgent first, until told to stop.
pub(crate) async fn plan_all(planner: Planner, wake: Arc<Notify>, stop: CancellationToken) {
    loop {
        match planner.plan_next().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "planning stands still"),
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(std::time::Duration::from_millis(250)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Makes chunks of releases.
pub(crate) struct Planner {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) desks: Vec<Arc<Desk>>,
    /// The map, by which an alert's exact shape is known; without it counties are told whole.
    pub(crate) policy: Option<Arc<ArcSwap<Policy>>>,
    /// The lanes it cares for: a planner of its own keeps a red alert from waiting behind a million blue messages.
    pub(crate) lanes: std::ops::RangeInclusive<u8>,
}

impl Planner {
    /// Plans the most urgent unplanned release; false when there is none.
    async fn plan_next(&self) -> Result<bool, StoreError> {
        let Some(release) = self.store.next_unplanned(self.lanes.clone()).await? else { return Ok(false) };
        let dispatches = self.store.dispatches(release.id).await?;
        let mut plan = Plan {
            planner: self,
            size: if release.lane == Lane::EXTREME { TOP } else { OTHER },
            planned: self.read_back(&release, &dispatches).await?,
            spared: Heard::new(),
            packers: HashMap::new(),
            ready: Vec::new(),
            release: &release,
            dispatches: &dispatches,
        };
        plan.fill().await?;
        self.store.set_planned(release.id, self.clock.now()).await?;
        Ok(true)
    }

    /// Who is in this release's chunks already, by channel.
    async fn read_back(
        &self,
        release: &Release,
        dispatches: &[Dispatch],
    ) -> Result<BTreeMap<ChannelKind, RoaringTreemap>, StoreError> {
        let mut planned: BTreeMap<_, RoaringTreemap> = BTreeMap::new();
        for chunk in self.store.chunk_ids(release.id).await? {
            let Some(view) = self.store.chunk(chunk, true).await? else { continue };
            let Some(dispatch) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
            let recipients = unpack(&view.body).ok_or_else(|| StoreError::corrupt(format!("chunk {chunk}")))?;
            planned.entry(dispatch.content.kind()).or_default().extend(recipients.iter().map(|r| r.id));
        }
        Ok(planned)
    }
}

/// Ids of addresses that have heard something, by channel and variant.
type Heard = BTreeMap<(ChannelKind, Variant), RoaringTreemap>;

pub(super) struct Plan<'a> {
    pub(super) planner: &'a Planner,
    pub(super) release: &'a Release,
    pub(super) dispatches: &'a [Dispatch],
    size: usize,
    planned: BTreeMap<ChannelKind, RoaringTreemap>,
    /// Who has heard this before, by channel and variant.
    spared: Heard,
    packers: HashMap<(i64, Slot), Packing>,
    ready: Vec<NewChunk>,
}

/// What goes with a recipient who has places.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Not before this, so as not to wake them.
    pub(super) hold: Option<DateTime<Utc>>,
    /// The places that they are told for.
    pub(super) why: Vec<u64>,
    /// Channels to try after this one.
    pub(super) rest: Rest,
}

/// Recipients of one dispatch who may share a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    hold: Option<DateTime<Utc>>,
    has_places: bool,
    has_rest: bool,
}

/// A chunk that fills.
struct Packing {
    packer: Packer,
    why: Vec<Vec<u64>>,
    rest: Vec<Rest>,
}

impl<'a> Plan<'a> {
    async fn fill(&mut self) -> Result<(), StoreError> {
        if self.release.kind == ReleaseKind::Resend {
            self.add_missed().await?;
        } else {
            self.spare().await?;
            self.add_told().await?;
        }
        for dispatch in self.dispatches {
            let channel = dispatch.content.kind();
            let own = self.release.kind == ReleaseKind::Alert && self.release.channels.contains(&channel);
            if dispatch.variant == Variant::Warn && own {
                self.add_area(dispatch).await?;
            }
            // A dispatch goes on its way as soon as it is whole.
            self.close(dispatch);
            self.write().await?;
        }
        if self.release.kind == ReleaseKind::Alert {
            self.add_residents().await?;
            for dispatch in self.dispatches {
                self.close(dispatch);
            }
            self.write().await?;
        }
        Ok(())
    }

    /// Nobody is told the same twice: not by an alert that says again what they have heard, nor by a second release of one alert to
    /// one jurisdiction, while the first is still on its way. Who only may have heard it is told.
    async fn spare(&mut self) -> Result<(), StoreError> {
        let (store, own) = (&self.planner.store, self.release);
        let mut heard = store.releases_of(&store.repeats(&own.alert).await?).await?;
        let sisters = store.releases_of(std::slice::from_ref(&own.alert)).await?.into_iter().filter(|other| {
            let whole = other.jurisdiction.is_none() || own.jurisdiction.is_none();
            other.id < own.id && (whole || other.jurisdiction == own.jurisdiction)
        });
        let sisters: Vec<_> = sisters.collect();
        // These will still tell whom they have not told yet; stopped ones only when this one, too, may go on.
        let goes_on = sisters.iter().filter(|other| other.superseded_at.is_none() && (own.held || !other.held));
        let goes_on: BTreeSet<i64> = goes_on.map(|other| other.id).collect();
        heard.extend(sisters);
        if heard.is_empty() {
            return Ok(());
        }
        let same: BTreeSet<i64> = heard.iter().map(|release| release.id).collect();
        heard.extend(store.releases_of(&store.replaced_by(&own.alert).await?).await?);
        heard.sort_by_key(|release| release.id);
        heard.dedup_by_key(|release| release.id);
        let mut spared = Heard::new();
        for old in &heard {
            let (same, goes_on) = (same.contains(&old.id), goes_on.contains(&old.id));
            let mut note = |channel, variant, recipient: &Recipient, state: DeliveryState| {
                let hears = state == DeliveryState::Accepted
                    || (goes_on && matches!(state, DeliveryState::Waiting | DeliveryState::Sending));
                if same && hears && !recipient.is_region() {
                    spared.entry((channel, variant)).or_default().insert(recipient.id);
                } else if !same && state.may_have_been_told() {
                    // What they heard last was something else.
                    let all = spared.iter_mut().filter(|((own, _), _)| *own == channel);
                    all.for_each(|(_, set)| _ = set.remove(recipient.id));
                }
            };
            self.look_at(old, &mut note).await?;
        }
        self.spared = spared;
        Ok(())
    }

    /// Who has heard last that all is over (Cancel), or that it is over where they are (Lifted): they do not hear it again.
    async fn ended(&self, older: &[Release]) -> Result<Heard, StoreError> {
        let mut ended = Heard::new();
        let mut note = |channel, variant, recipient: &Recipient, state: DeliveryState| {
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

    /// Goes through the recipients of a release, with how they were told and where each stands.
    async fn look_at(
        &self,
        old: &Release,
        note: &mut (dyn FnMut(ChannelKind, Variant, &Recipient, DeliveryState) + Send),
    ) -> Result<(), StoreError> {
        let store = &self.planner.store;
        let dispatches = store.dispatches(old.id).await?;
        for chunk in store.chunk_ids(old.id).await? {
            let Some(view) = store.chunk(chunk, true).await? else { continue };
            let Some(was) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
            let recipients = unpack(&view.body).ok_or_else(|| StoreError::corrupt(format!("chunk {chunk}")))?;
            for (recipient, state) in recipients.iter().zip(view.members.states()) {
                note(was.content.kind(), was.variant, recipient, *state);
            }
        }
        Ok(())
    }

    /// Everyone who was, or may have been, told by the alerts that this one replaces.
    async fn add_told(&mut self) -> Result<(), StoreError> {
        let store = &self.planner.store;
        let left: RoaringTreemap = store.left_addresses().await?.into_iter().collect();
        // A correction takes back one alert: who heard others of the event, that were right, does not hear of it.
        let corrects = self.dispatches.iter().all(|dispatch| dispatch.variant == Variant::Correction);
        let older = match corrects && !self.dispatches.is_empty() {
            true => store.corrected_by(&self.release.alert).await?,
            false => store.replaced_by(&self.release.alert).await?,
        };
        let older = store.releases_of(&older).await?;
        let ended = self.ended(&older).await?;
        for old in older {
            let places: Vec<u16> = old.regions.iter().map(|code| self.region_index(code)).collect();
            let dispatches = store.dispatches(old.id).await?;
            for chunk in store.chunk_ids(old.id).await? {
                let Some(view) = store.chunk(chunk, true).await? else { continue };
                let Some(was) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
                let recipients = unpack(&view.body).ok_or_else(|| StoreError::corrupt(format!("chunk {chunk}")))?;
                let why = unpack_why(&store.chunk_why(chunk).await?);
                for ((at, recipient), told) in recipients.into_iter().enumerate().zip(view.members.told()) {
                    if !told || left.contains(address_of(recipient.id)) || !self.may_tell(&old, &recipient).await? {
                        continue;
                    }
                    let because = because(&why, at);
                    let mut region = places.get(usize::from(recipient.region)).copied().unwrap_or(ELSEWHERE);
                    if region == ELSEWHERE && !because.why.is_empty() {
                        region = self.other_place(recipient.id).await?;
                    }
                    let Some(now) = self.successor(was, region != ELSEWHERE) else { continue };
                    let heard = ended.get(&(now.content.kind(), now.variant));
                    if heard.is_some_and(|heard| heard.contains(recipient.id)) {
                        continue;
                    }
                    self.add(now, recipient.id, region, &recipient.to, because).await?;
                }
            }
        }
        Ok(())
    }

    /// Where somebody with several places is warned now, though it is over where they were told of it: they are not told that it is
    /// over while another place of theirs is in danger.
    async fn other_place(&self, recipient: u64) -> Result<u16, StoreError> {
        let homes = self.planner.store.regions_of_address(address_of(recipient)).await?;
        Ok(homes.iter().map(|home| self.region_index(home)).find(|at| *at != ELSEWHERE).unwrap_or(ELSEWHERE))
    }

    /// Whether somebody whom an older release told is this release's to tell: another jurisdiction's people are not.
    async fn may_tell(&self, old: &Release, recipient: &Recipient) -> Result<bool, StoreError> {
        let Some(within) = &self.release.within else { return Ok(true) };
        if old.within.as_ref() == Some(within) {
            return Ok(true);
        }
        if let Some(home) = old.regions.get(usize::from(recipient.region)) {
            return Ok(within.binary_search(home).is_ok());
        }
        // Told as somebody elsewhere: by the address's own region, or by the region that a topic names.
        let homes: Vec<RegionCode> = match recipient.to.rsplit_once('/') {
            Some((_, code)) if recipient.is_region() => code.parse().into_iter().collect(),
            _ => self.planner.store.regions_of_address(address_of(recipient.id)).await?,
        };
        Ok(homes.iter().any(|home| within.binary_search(home).is_ok()))
    }

    /// Those of the origin who were not reached, nor by an earlier repeat: refused, or nobody knows.
    async fn add_missed(&mut self) -> Result<(), StoreError> {
        let store = &self.planner.store;
        let Some(origin) = self.release.origin else { return Ok(()) };
        let left: RoaringTreemap = store.left_addresses().await?.into_iter().collect();
        let reached = self.reached_by_repeats(origin).await?;
        let dispatches = store.dispatches(origin).await?;
        for chunk in store.chunk_ids(origin).await? {
            let Some(view) = store.chunk(chunk, true).await? else { continue };
            let Some(was) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
            let same = |d: &&Dispatch| {
                (d.content.kind(), d.language, d.variant) == (was.content.kind(), was.language, was.variant)
            };
            let Some(now) = self.dispatches.iter().find(same) else { continue };
            let recipients = unpack(&view.body).ok_or_else(|| StoreError::corrupt(format!("chunk {chunk}")))?;
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
            let dispatches = store.dispatches(repeat.id).await?;
            for chunk in store.chunk_ids(repeat.id).await? {
                let Some(view) = store.chunk(chunk, true).await? else { continue };
                let Some(was) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
                let recipients = unpack(&view.body).ok_or_else(|| StoreError::corrupt(format!("chunk {chunk}")))?;
                let states = recipients.iter().zip(view.members.states());
                let ids = states.filter(|(_, state)| !is_missed(**state)).map(|(recipient, _)| recipient.id);
                reached.entry(was.content.kind()).or_default().extend(ids);
            }
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

    /// The new area's subscribers, and the regions' own topics.
    async fn add_area(&mut self, dispatch: &Dispatch) -> Result<(), StoreError> {
        let (release, store) = (self.release, &self.planner.store);
        let channel = dispatch.content.kind();
        for (index, region) in (0_u16..).zip(&release.regions) {
            // A region's topic speaks once, in the region's own language.
            if channel == ChannelKind::Mqtt && dispatch.language == Language::Chinese {
                for prefix in topic_prefixes(release) {
                    let topic = format!("{prefix}/{region}");
                    self.add(dispatch, region_recipient(&topic), index, &topic, Extra::default()).await?;
                }
            }
            for audience in release.reach.lists() {
                let addresses = store.addresses(audience, channel, dispatch.language, region, release.watermark);
                let mut addresses = std::pin::pin!(addresses);
                while let Some(id) = addresses.try_next().await? {
                    self.add(dispatch, id, index, "", Extra::default()).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether this release tells a recipient on this channel already.
    pub(super) fn tells(&self, channel: ChannelKind, recipient: u64) -> bool {
        self.planned.get(&channel).is_some_and(|planned| planned.contains(recipient))
    }

    /// Adds a recipient, unless they have heard the same, or this release tells them on this channel already.
    pub(super) async fn add(
        &mut self,
        dispatch: &Dispatch,
        id: u64,
        region: u16,
        to: &str,
        extra: Extra,
    ) -> Result<(), StoreError> {
        let channel = dispatch.content.kind();
        if self.spared.get(&(channel, dispatch.variant)).is_some_and(|heard| heard.contains(id)) {
            return Ok(());
        }
        if !self.planned.entry(channel).or_default().insert(id) {
            return Ok(());
        }
        let slot = Slot { hold: extra.hold, has_places: !extra.why.is_empty(), has_rest: !extra.rest.is_empty() };
        let empty = || Packing { packer: Packer::new(), why: Vec::new(), rest: Vec::new() };
        let packing = self.packers.entry((dispatch.id, slot)).or_insert_with(empty);
        if !packing.packer.push(id, region, to) {
            return Err(StoreError::corrupt(format!("address {id} is too long")));
        }
        if slot.has_places {
            packing.why.push(extra.why);
        }
        if slot.has_rest {
            packing.rest.push(extra.rest);
        }
        if packing.packer.len() >= self.size {
            self.close_slot(dispatch, slot);
            if self.ready.len() >= SLICE || self.release.lane == Lane::EXTREME {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Closes every chunk of a dispatch that still fills.
    fn close(&mut self, dispatch: &Dispatch) {
        let slots: Vec<Slot> =
            self.packers.keys().filter(|(id, _)| *id == dispatch.id).map(|(_, slot)| *slot).collect();
        for slot in slots {
            self.close_slot(dispatch, slot);
        }
    }

    fn close_slot(&mut self, dispatch: &Dispatch, slot: Slot) {
        let Some(mut packing) = self.packers.remove(&(dispatch.id, slot)) else { return };
        let (body, n) = packing.packer.take();
        self.ready.push(NewChunk {
            dispatch: dispatch.id,
            release: self.release.id,
            channel: dispatch.content.kind(),
            lane: self.release.lane,
            n,
            body,
            not_before: slot.hold,
            why: pack_why(&packing.why),
            ladder: pack_rest(&packing.rest),
        });
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        let chunks = std::mem::take(&mut self.ready);
        self.planner.store.insert_chunks(&chunks, self.planner.clock.now()).await?;
        for desk in &self.planner.desks {
            if chunks.iter().any(|chunk| chunk.channel == desk.kind()) {
                desk.announce(self.release.lane.number());
            }
        }
        Ok(())
    }

    fn region_index(&self, code: &crate::regions::RegionCode) -> u16 {
        let at = self.release.regions.binary_search(code).ok().and_then(|at| u16::try_from(at).ok());
        at.unwrap_or(ELSEWHERE)
    }
}

/// What a member of an older chunk was told for.
fn because(why: &[Vec<u64>], at: usize) -> Extra {
    Extra { why: why.get(at).cloned().unwrap_or_default(), ..Extra::default() }
}

/// Where a region's state is published: an exercise has topics of its own, and officials none.
fn topic_prefixes(release: &Release) -> impl Iterator<Item = &'static str> {
    release.reach.lists().into_iter().filter_map(|audience| match audience {
        Audience::Public => Some("region"),
        Audience::Drill => Some("drill"),
        Audience::Officials => None,
    })
}

/// Whether somebody in this state was not told, as far as anybody knows.
const fn is_missed(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Failed | DeliveryState::Unknown)
}
