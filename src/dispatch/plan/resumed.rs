//! A part that was stopped and goes on leaves out whom another part has told meanwhile, or is about to.

use std::collections::HashSet;

use super::Plan;
use crate::delivery::{LOOKED_UP, Packer, Recipient, pack_rest, pack_why, unpack_rest, unpack_why};
use crate::dispatch::elsewhere::{Owners, Recipients, recipients};
use crate::messages::Variant;
use crate::store::{Cut, NewChunk, StoreError};

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
        let (mut cuts, mut left_out) = (Vec::new(), Recipients::new());
        for one in &aside {
            let members = recipients(one.id, &one.chunk.body);
            let Some((tried, waiting)) = members.split_at_checked(one.tried) else { continue };
            let hear = self.hear_from_others(&one.chunk, waiting).await?;
            if hear.is_empty() {
                continue;
            }
            let stay = (one.tried..).zip(waiting).filter(|(_, member)| !hear.contains(&member.id));
            let rest = some(&one.chunk, stay);
            cuts.push(Cut { id: one.id, tried: some(&one.chunk, (0..).zip(tried)), rest });
            left_out.entry(one.chunk.channel).or_default().extend(hear);
        }
        if planner.store.let_go(release.id, &cuts, &self.left_to, planner.clock.now()).await? {
            for (kind, ids) in left_out {
                *self.planned.entry(kind).or_default() -= ids;
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
