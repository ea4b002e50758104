//! Planning for people with places: each once, on the first of their channels that can reach them, in every language they read.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;
use tocsin_channels::ChannelKind;

use super::plan::{Extra, Onward, Plan};
use crate::delivery::{Rest, second_language};
use crate::messages::{Language, Variant};
use crate::residents::{Concern, Concerned, DRILLS, Danger, Grazed, Telling, Wishes, telling};
use crate::rules::Audience;
use crate::store::{Dispatch, StoreError};

/// People whose addresses are read at a time.
const PEOPLE: usize = 1_024;

impl Plan<'_> {
    /// Whether people with places are warned, and if so, whether only those who take part in drills.
    pub(super) fn warns_residents(&self) -> Option<bool> {
        if !self.dispatches.iter().any(|d| d.variant == Variant::Warn && self.usable(d.content.kind())) {
            return None;
        }
        let lists = self.release.reach.lists();
        match (lists.contains(&Audience::Public), lists.contains(&Audience::Drill)) {
            (true, _) => Some(false),
            (false, drill) => drill.then_some(true),
        }
    }

    /// The places that the alert warns, by owner, and of what; None where it warns nobody.
    pub(super) async fn concerned(&self) -> Result<Option<(Danger, Vec<Concerned>)>, StoreError> {
        let (release, planner) = (self.release, self.planner);
        let (Some(policy), Some(drill)) = (&planner.policy, self.warns_residents()) else { return Ok(None) };
        let concern = Concern::load(&planner.store, &policy.load().map, &release.alert).await?;
        let mut places = concern.places(&planner.store, &release.regions).await?;
        places.retain(|place| !drill || place.wishes & DRILLS != 0);
        Ok(Some((concern.danger, places)))
    }

    /// Who is inside the shape in a county that it hardly touches, with the counties that they are told with: asked before people are told
    /// that it is over where they are.
    pub(super) async fn grazed(&self) -> Result<Grazed, StoreError> {
        let (planner, lifts) = (self.planner, self.dispatches.iter().any(|d| d.variant == Variant::Lifted));
        let Some(policy) = planner.policy.as_ref().filter(|_| lifts) else { return Ok(Grazed::new()) };
        Concern::load(&planner.store, &policy.load().map, &self.release.alert).await?.grazed(&planner.store).await
    }

    /// Whether new people may be told by a channel.
    fn usable(&self, kind: ChannelKind) -> bool {
        self.release.channels.contains(&kind) && self.planner.desks.iter().any(|desk| desk.kind() == kind)
    }

    /// Everyone with a place that the alert concerns.
    pub(super) async fn add_residents(&mut self) -> Result<(), StoreError> {
        let planner = self.planner;
        let Some((danger, places)) = self.concerned().await? else { return Ok(()) };
        let paused: RoaringTreemap = planner.store.paused(planner.clock.now()).await?.into_iter().collect();
        let mut people: Vec<_> = places.chunk_by(|a, b| a.subscriber == b.subscriber).collect();
        people.retain(|places| places.first().is_some_and(|place| !paused.contains(place.subscriber)));
        for some in people.chunks(PEOPLE) {
            let ids: Vec<u64> = some.iter().filter_map(|places| Some(places.first()?.subscriber)).collect();
            let addresses = planner.store.addresses_of(&ids).await?;
            for places in some {
                let Some(first) = places.first() else { continue };
                let own = addresses.get(&first.subscriber).map(Vec::as_slice).unwrap_or_default();
                let wishes: Vec<Wishes> = places.iter().map(|p| Wishes::unpack(p.hazards, p.wishes)).collect();
                let why = places.iter().map(|place| place.place).collect();
                // A loudspeaker speaks to all around it: not on the word of another county's officers.
                let quietly = places.iter().all(|place| place.grazed);
                let region = places.iter().find(|place| !place.grazed).unwrap_or(first).region;
                self.add_resident(own, &wishes, danger, (region, why, quietly)).await?;
            }
        }
        Ok(())
    }

    async fn add_resident(
        &mut self,
        own: &[(ChannelKind, u64)],
        wishes: &[Wishes],
        danger: Danger,
        (region, why, quietly): (u16, Vec<u64>, bool),
    ) -> Result<(), StoreError> {
        // Told before, and told on by that channel; or planned before the program stopped.
        let told = |(kind, id): &(ChannelKind, u64)| self.tells(*kind, *id) || self.tells(*kind, second_language(*id));
        if own.iter().any(told) {
            return Ok(());
        }
        let Some(telling) = telling(wishes, danger, self.planner.clock.now()) else { return Ok(()) };
        let may = |kind: ChannelKind| self.usable(kind) && !(quietly && kind == ChannelKind::Mqtt);
        let ways = ways(own, &telling, |kind| may(*kind));
        for (at, language) in telling.languages.iter().enumerate() {
            let recipient = |id: u64| if at == 0 { id } else { second_language(id) };
            // By whatever channel they have heard it in this language: not by another as well.
            if own.iter().any(|(kind, id)| self.has_heard(*kind, Variant::Warn, recipient(*id), telling.hold)) {
                continue;
            }
            let mut ways = ways.iter().map(|(kind, id)| (*kind, recipient(*id)));
            let Some((kind, id)) = ways.next() else { break };
            let Some(dispatch) = warning(self.dispatches, kind, *language) else { continue };
            let extra = Extra { hold: telling.hold, why: why.clone(), onward: Onward::By(ways.collect()) };
            self.add(dispatch, id, region, "", extra).await?;
        }
        Ok(())
    }
}

/// Somebody's channels that can be used, in their order, with the oldest address on each.
fn ways(own: &[(ChannelKind, u64)], telling: &Telling, usable: impl Fn(&ChannelKind) -> bool) -> Rest {
    let mut oldest: BTreeMap<ChannelKind, u64> = BTreeMap::new();
    for (kind, id) in own {
        oldest.entry(*kind).or_insert(*id);
    }
    let channels = telling.channels.iter().filter(|kind| usable(kind));
    channels.filter_map(|kind| Some((*kind, *oldest.get(kind)?))).collect()
}

/// The warning of a release by a channel in a language.
fn warning(dispatches: &[Dispatch], kind: ChannelKind, language: Language) -> Option<&Dispatch> {
    dispatches.iter().find(|d| (d.content.kind(), d.language, d.variant) == (kind, language, Variant::Warn))
}
