//! Planning: a release's frozen audience, packed into chunks.
//!
//! Planning may stop anywhere and start again: what is planned is read back from the chunks, and the rest is added. Nobody is
//! in two chunks of one release and channel.

mod resumed;
mod spared;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use tocsin_channels::ChannelKind;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::spared::Spared;
use super::elsewhere::{Recipients, in_chunks};
use super::feeder::Desk;
use crate::clock::Clock;
use crate::delivery::{ELSEWHERE, LOOKED_UP, Packer, Rest, pack_rest, pack_why, region_recipient};
use crate::messages::{Language, Variant};
use crate::policy::Policy;
use crate::rules::{Audience, Lane};
use crate::store::{Dispatch, NewChunk, Planned, Release, ReleaseKind, Store, StoreError, Unplanned};

/// Recipients in a chunk of the top lane, and of the others.
const TOP: usize = 200;
const OTHER: usize = 1_000;
/// Chunks written in one transaction.
const SLICE: usize = 16;
/// Releases that are planned together, where that takes no longer than this.
const AT_ONCE: usize = 16;
const LONG: Duration = Duration::from_millis(20);

/// Plans releases of some lanes, most urgent first, until told to stop.
pub(crate) async fn plan_all(planner: Planner, wake: Arc<Notify>, stop: CancellationToken) {
    let mut put_off = PutOff::new();
    loop {
        match planner.plan_next(&mut put_off).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "planning stands still"),
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// A release that cannot be planned is tried again after this; meanwhile it holds up no other.
const AGAIN: Duration = Duration::from_secs(2);

/// Releases that could not be planned, and when each is tried again.
type PutOff = BTreeMap<i64, Instant>;

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
    /// Plans the most urgent unplanned releases; false when there are none. First words about many events are written together; anything
    /// else, and what is most urgent, by itself.
    pub(super) async fn plan_next(&self, put_off: &mut PutOff) -> Result<bool, StoreError> {
        put_off.retain(|_, again| *again > Instant::now());
        let waits: BTreeSet<i64> = put_off.keys().copied().collect();
        let began = Instant::now();
        let unplanned = self.store.unplanned(self.lanes.clone(), &waits, AT_ONCE).await?;
        let (any, mut planned) = (!unplanned.is_empty(), Vec::new());
        for Unplanned { release, first } in unplanned {
            let alone = !first || release.lane == Lane::EXTREME;
            if alone && !planned.is_empty() {
                break;
            }
            match self.plan(&release, first, &mut planned, put_off).await {
                Ok(done) => planned.push(done),
                Err(error) => {
                    fails(release.id, error, put_off)?;
                    self.let_all_go(&release).await.or_else(|error| fails(release.id, error, put_off))?;
                }
            }
            // What became urgent meanwhile does not wait for all of them.
            if alone || began.elapsed() > LONG {
                break;
            }
        }
        self.end_all(&planned, put_off).await?;
        Ok(any)
    }

    /// Plans a release; what was planned `before` it and is not yet written does not wait for it where it takes a while.
    async fn plan(
        &self,
        release: &Release,
        first: bool,
        before: &mut Vec<Planned>,
        put_off: &mut PutOff,
    ) -> Result<Planned, StoreError> {
        let dispatches = self.store.dispatches(release.id).await?;
        let planned = match first {
            true => Recipients::new(),
            false => in_chunks(&self.store, release.id, &dispatches).await?,
        };
        let mut plan = Plan {
            planner: self,
            size: if release.lane == Lane::EXTREME { TOP } else { OTHER },
            planned,
            spared: Spared::default(),
            left_to: BTreeSet::new(),
            packers: HashMap::new(),
            ready: Vec::new(),
            before,
            put_off,
            release,
            dispatches: &dispatches,
        };
        plan.fill(first).await?;
        let Plan { ready, left_to, .. } = plan;
        Ok(Planned { release: release.id, lane: release.lane, chunks: ready, left_to })
    }

    /// Writes what is left of these plans; one that cannot be written is put off, and holds up none of the others.
    async fn end_all(&self, planned: &[Planned], put_off: &mut PutOff) -> Result<(), StoreError> {
        let Err(error) = self.end(planned).await else { return Ok(()) };
        if error.is_of_all() {
            return Err(error);
        }
        for one in planned {
            self.end(std::slice::from_ref(one)).await.or_else(|error| fails(one.release, error, put_off))?;
        }
        Ok(())
    }

    /// Writes what is left of these plans: everybody is in chunks.
    async fn end(&self, planned: &[Planned]) -> Result<(), StoreError> {
        if planned.is_empty() {
            return Ok(());
        }
        self.store.end_plans(planned, self.clock.now()).await?;
        planned.iter().for_each(|one| self.announce(one.lane, &one.chunks));
        Ok(())
    }

    fn announce(&self, lane: Lane, chunks: &[NewChunk]) {
        for desk in &self.desks {
            if chunks.iter().any(|chunk| chunk.channel == desk.kind()) {
                desk.announce(lane.number());
            }
        }
    }
}

/// Puts off a release that cannot be planned; whatever concerns all is handed on.
fn fails(release: i64, error: StoreError, put_off: &mut PutOff) -> Result<(), StoreError> {
    if error.is_of_all() {
        return Err(error);
    }
    tracing::error!(%error, release, "a release cannot be planned; it is tried again");
    put_off.insert(release, Instant::now() + AGAIN);
    Ok(())
}

/// The plan of one release.
pub(super) struct Plan<'a> {
    pub(super) planner: &'a Planner,
    pub(super) release: &'a Release,
    pub(super) dispatches: &'a [Dispatch],
    size: usize,
    /// Who is in this release's chunks already.
    planned: Recipients,
    /// Who has heard this before.
    spared: Spared,
    /// Other parts of the alert, none of them stopped, that people are left to.
    left_to: BTreeSet<i64>,
    packers: HashMap<(i64, Slot), Packing>,
    ready: Vec<NewChunk>,
    /// Plans of others that are not written yet.
    before: &'a mut Vec<Planned>,
    put_off: &'a mut PutOff,
}

/// What goes with a recipient who has places.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Not before this, so as not to wake them.
    pub(super) hold: Option<DateTime<Utc>>,
    /// The places that they are told for.
    pub(super) why: Vec<u64>,
    /// Channels to try after this one.
    pub(super) onward: Onward,
}

/// What is done for a recipient whose channel fails.
#[derive(Debug, Default)]
pub(super) enum Onward {
    /// Nothing.
    #[default]
    Nowhere,
    /// These are tried.
    By(Rest),
    /// Their owner's other addresses are looked up then.
    LookedUp,
}

/// Recipients of one dispatch who may share a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    hold: Option<DateTime<Utc>>,
    has_places: bool,
    has_rest: bool,
    looks_up: bool,
}

/// A chunk that fills.
struct Packing {
    packer: Packer,
    why: Vec<Vec<u64>>,
    rest: Vec<Rest>,
}

impl<'a> Plan<'a> {
    async fn fill(&mut self, first: bool) -> Result<(), StoreError> {
        if self.release.kind == ReleaseKind::Resend {
            self.add_missed().await?;
        } else if !first {
            self.spare().await?;
            self.let_go().await?;
            self.add_told().await?;
        }
        let spoken_to = self.spoken_to().await?;
        for dispatch in self.dispatches {
            if self.warns_area(dispatch) {
                let somebody = spoken_to.contains(&(dispatch.content.kind(), dispatch.language));
                self.add_area(dispatch, somebody).await?;
            }
            // A dispatch goes on its way as soon as it is whole, where what comes next may take a while.
            self.close(dispatch);
            if !spoken_to.is_empty() {
                self.write().await?;
            }
        }
        if self.release.kind == ReleaseKind::Alert && self.warns_residents().is_some() {
            self.write().await?;
            self.add_residents().await?;
            for dispatch in self.dispatches {
                self.close(dispatch);
            }
        }
        Ok(())
    }

    /// Whether a dispatch is for the people of the new area.
    fn warns_area(&self, dispatch: &Dispatch) -> bool {
        let own = self.release.kind == ReleaseKind::Alert && self.release.channels.contains(&dispatch.content.kind());
        dispatch.variant == Variant::Warn && own
    }

    /// In which channels and languages the new area has subscribers at all.
    async fn spoken_to(&self) -> Result<HashSet<(ChannelKind, Language)>, StoreError> {
        let Release { reach, regions, watermark, .. } = self.release;
        let area = self.dispatches.iter().filter(|dispatch| self.warns_area(dispatch));
        let renderings: Vec<_> = area.map(|dispatch| (dispatch.content.kind(), dispatch.language)).collect();
        self.planner.store.spoken_to(&renderings, (&reach.lists(), regions), *watermark).await
    }

    /// The new area's subscribers, where there are any, and the regions' own topics.
    async fn add_area(&mut self, dispatch: &Dispatch, somebody: bool) -> Result<(), StoreError> {
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
            let lists = if somebody { release.reach.lists() } else { Vec::new() };
            for audience in lists {
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

    /// Whether a recipient has heard the same on this channel before, or will from another release: no later than this one would tell
    /// them, which is at once where `hold` is None.
    pub(super) fn has_heard(
        &self,
        channel: ChannelKind,
        variant: Variant,
        recipient: u64,
        hold: Option<DateTime<Utc>>,
    ) -> bool {
        self.spared.holds((channel, variant), recipient, hold)
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
        if self.has_heard(channel, dispatch.variant, id, extra.hold) {
            return Ok(());
        }
        if !self.planned.entry(channel).or_default().insert(id) {
            return Ok(());
        }
        let (rest, looks_up) = match extra.onward {
            Onward::By(rest) => (rest, false),
            Onward::LookedUp => (Rest::new(), true),
            Onward::Nowhere => (Rest::new(), false),
        };
        let has_places = !extra.why.is_empty();
        let slot = Slot { hold: extra.hold, has_places, has_rest: !rest.is_empty(), looks_up };
        let empty = || Packing { packer: Packer::new(), why: Vec::new(), rest: Vec::new() };
        let packing = self.packers.entry((dispatch.id, slot)).or_insert_with(empty);
        if !packing.packer.push(id, region, to) {
            return Err(StoreError::corrupt(format!("address {id} is too long")));
        }
        if slot.has_places {
            packing.why.push(extra.why);
        }
        if slot.has_rest {
            packing.rest.push(rest);
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
            ladder: if slot.looks_up { LOOKED_UP.to_vec() } else { pack_rest(&packing.rest) },
        });
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        self.planner.end_all(&std::mem::take(self.before), self.put_off).await?;
        let chunks = std::mem::take(&mut self.ready);
        self.planner.store.insert_chunks(&chunks, self.planner.clock.now()).await?;
        self.planner.announce(self.release.lane, &chunks);
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
