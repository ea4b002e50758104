//! A part that was stopped and goes on leaves out whom another part has told meanwhile, or is about to.

use std::collections::{BTreeSet, HashSet};

use tocsin_channels::ChannelKind;

use super::{Plan, Planner};
use crate::delivery::{
    LOOKED_UP, Packer, Recipient, address_of, pack_rest, pack_why, second_language, unpack_rest, unpack_why,
};
use crate::dispatch::elsewhere::{Owners, recipients};
use crate::messages::Variant;
use crate::store::{Cut, NewChunk, Release, SetAside, StoreError};

impl Planner {
    /// Lets go what was set aside of a release that cannot be planned: rather told twice than not at all.
    pub(super) async fn let_all_go(&self, release: &Release) -> Result<(), StoreError> {
        if release.held || !self.store.is_set_aside(release.id).await? {
            return Ok(());
        }
        if self.store.let_go(release.id, &[], &BTreeSet::new(), self.clock.now()).await? {
            self.desks.iter().for_each(|desk| desk.announce(release.lane.number()));
        }
        Ok(())
    }
}

impl Plan<'_> {
    /// Lets go what was set aside while this release was stopped, without those who hear the same from others by now.
    pub(super) async fn let_go(&mut self) -> Result<(), StoreError> {
        let (planner, release) = (self.planner, self.release);
        if release.held {
            return Ok(());
        }
        let aside = planner.store.set_aside(release.id).await?;
        if aside.is_empty() {
            return Ok(());
        }
        let mut hear = HashSet::new();
        for one in &aside {
            let members = recipients(one.id, &one.chunk.body);
            let waiting = members.get(one.tried..).unwrap_or_default();
            let from_others = self.hear_from_others(&one.chunk, waiting).await?;
            hear.extend(from_others.into_iter().map(|id| (one.chunk.channel, id)));
        }
        let hear = self.of_whom_nothing_stays(hear).await?;
        let cuts: Vec<Cut> = aside.iter().filter_map(|one| cut(one, &hear)).collect();
        if planner.store.let_go(release.id, &cuts, &self.left_to, planner.clock.now()).await? {
            for (kind, id) in hear {
                self.planned.entry(kind).or_default().remove(id);
            }
            let chunks: Vec<NewChunk> = aside.into_iter().map(|one| one.chunk).collect();
            planner.announce(release.lane, &chunks);
        }
        Ok(())
    }

    /// Who of a chunk has heard the same by now, or will in time.
    async fn hear_from_others(&self, chunk: &NewChunk, members: &[Recipient]) -> Result<HashSet<u64>, StoreError> {
        let Some(was) = self.dispatches.iter().find(|dispatch| dispatch.id == chunk.dispatch) else {
            return Ok(HashSet::new());
        };
        let ids = || members.iter().map(|member| member.id);
        let has_heard = |kind, id| self.has_heard(kind, was.variant, id, chunk.not_before);
        let mut hear: HashSet<u64> = ids().filter(|id| has_heard(chunk.channel, *id)).collect();
        // Whoever has places is warned once, by whatever channel.
        if was.variant == Variant::Warn && !chunk.why.is_empty() {
            let owners = Owners::of(&self.planner.store, ids()).await?;
            let by_another = |id: &u64| owners.others(*id).iter().any(|(kind, id)| has_heard(*kind, *id));
            hear.extend(ids().filter(by_another));
        }
        Ok(hear)
    }

    /// Those of them who are in this release by nothing else. Whoever is would count as told by it, should the other part be stopped.
    async fn of_whom_nothing_stays(
        &self,
        hear: HashSet<(ChannelKind, u64)>,
    ) -> Result<HashSet<(ChannelKind, u64)>, StoreError> {
        let owners = Owners::of(&self.planner.store, hear.iter().map(|(_, id)| *id)).await?;
        let stays = |one: &(ChannelKind, u64)| self.tells(one.0, one.1) && !hear.contains(one);
        let nothing_stays = |(kind, id): &(ChannelKind, u64)| {
            let own = owners.others(*id).into_iter().chain([(*kind, *id)]);
            let mut own = own.flat_map(|(kind, id)| [(kind, address_of(id)), (kind, second_language(id))]);
            !own.any(|one| stays(&one))
        };
        Ok(hear.iter().copied().filter(nothing_stays).collect())
    }
}

/// A chunk without the waiting members who hear from others; None where it stays as it is.
fn cut(one: &SetAside, hear: &HashSet<(ChannelKind, u64)>) -> Option<Cut> {
    let members = recipients(one.id, &one.chunk.body);
    let (tried, waiting) = members.split_at_checked(one.tried)?;
    let stays = |member: &Recipient| !hear.contains(&(one.chunk.channel, member.id));
    if waiting.iter().all(stays) {
        return None;
    }
    let rest = (one.tried..).zip(waiting).filter(|(_, member)| stays(member));
    Some(Cut { id: one.id, tried: some(&one.chunk, (0..).zip(tried)), rest: some(&one.chunk, rest) })
}

/// A chunk of some of another's members; None where there are none.
fn some<'a>(chunk: &NewChunk, members: impl Iterator<Item = (usize, &'a Recipient)>) -> Option<NewChunk> {
    let (why, rest) = (unpack_why(&chunk.why), unpack_rest(&chunk.ladder));
    let (mut packer, mut own_why, mut own_rest) = (Packer::new(), Vec::new(), Vec::new());
    for (at, member) in members {
        packer.push(member.id, member.region, &member.to);
        own_why.push(why.get(at).cloned().unwrap_or_default());
        own_rest.push(rest.get(at).cloned().unwrap_or_default());
    }
    let (body, n) = packer.take();
    let looks_up = chunk.ladder == LOOKED_UP;
    let ladder = if looks_up { LOOKED_UP.to_vec() } else { pack_rest(&own_rest) };
    (n > 0).then(|| NewChunk { n, body, why: pack_why(&own_why), ladder, ..chunk.clone() })
}
