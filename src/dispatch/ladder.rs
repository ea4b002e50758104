//! Ladders: whoever a channel refused, or whose push nobody saw, is told by their next channel.
//!
//! Each is a row with a due time, looked at until every member has an end; a step writes the next channel's chunk and the row
//! together, so that a crash neither forgets anybody nor tells them twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tocsin_channels::ChannelKind;
use tokio_util::sync::CancellationToken;

use super::elsewhere::{Going, Hearing, same};
use super::feeder::Desk;
use crate::clock::Clock;
use crate::delivery::{DeliveryState, LOOKED_UP, Packer, Rest, pack_rest, pack_why, unpack, unpack_rest, unpack_why};
use crate::messages::Variant;
use crate::rules::Lane;
use crate::store::{Dispatch, LadderRow, NewChunk, Release, Rung, Store, StoreError};

/// Ladders looked at in one round.
const BATCH: i64 = 50;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(500);
/// A ladder whose chunk is still being sent is looked at this often.
const ROUND: TimeDelta = TimeDelta::seconds(1);
/// A push that nobody saw goes on after this long, in the two upper lanes.
const PATIENCE: TimeDelta = TimeDelta::minutes(2);

/// What climbs.
pub(crate) struct Climber {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) desks: Vec<Arc<Desk>>,
}

/// Climbs ladders as they fall due, until told to stop.
pub(crate) async fn climb_all(climber: Climber, stop: CancellationToken) {
    let mut hearing = Hearing::default();
    loop {
        hearing.look_again();
        if let Err(error) = climber.round(&mut hearing).await {
            tracing::error!(%error, "people whose channel failed cannot be handed on; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Climber {
    async fn round(&self, hearing: &mut Hearing) -> Result<(), StoreError> {
        loop {
            let due = self.store.due_ladders(self.clock.now(), BATCH).await?;
            for row in &due {
                match self.step(row, hearing).await {
                    Err(error @ StoreError::Corrupt { .. }) => {
                        // One that cannot be read keeps nobody else waiting.
                        tracing::error!(%error, chunk = row.chunk, "its people cannot be handed on; it is tried again in a minute");
                        let later = self.clock.now() + TimeDelta::minutes(1);
                        self.store.climb(row.chunk, &[], &Rung::Again(later, row.done.clone()), later).await?;
                    }
                    done => done?,
                }
            }
            // Those who must be looked at again are due a second later at the earliest.
            if i64::try_from(due.len()).unwrap_or(0) < BATCH {
                return Ok(());
            }
        }
    }

    async fn step(&self, row: &LadderRow, hearing: &mut Hearing) -> Result<(), StoreError> {
        let (store, now) = (&self.store, self.clock.now());
        let corrupt = || StoreError::corrupt(format!("the ladder of chunk {}", row.chunk));
        let view = store.chunk(row.chunk, true).await?.ok_or_else(corrupt)?;
        let was = store.dispatch(view.dispatch).await?.ok_or_else(corrupt)?;
        let release = store.release(store.release_of_dispatch(was.id).await?).await?.ok_or_else(corrupt)?;
        if release.superseded_at.is_some() || release.expires <= now {
            return store.climb(row.chunk, &[], &Rung::End, now).await;
        }
        // An end that nobody saw is no danger.
        let must_see = release.lane <= Lane::SEVERE && was.variant == Variant::Warn;
        let seen = match was.content.kind() {
            ChannelKind::Push if must_see => Some(hearing.seen(store, release.id).await?),
            _ => None,
        };
        let waited_for = seen.is_some();
        let overdue = row.sent.is_some_and(|sent| sent + PATIENCE <= now);
        let recipients = unpack(&view.body).ok_or_else(corrupt)?;
        let mut done: Vec<u16> = row.done.clone();
        let members = (0_u16..).zip(&recipients).zip(view.members.states());
        let going: Vec<Going<'_>> = members
            .filter(|((at, recipient), state)| !done.contains(at) && goes_on(**state, recipient.id, seen, overdue))
            .map(|((at, recipient), _)| Going { at, recipient })
            .collect();
        let dispatches = store.dispatches(release.id).await?;
        let Some(ways) = self.ways(row, (release.id, &dispatches), (&was, must_see), &going, hearing).await? else {
            return store.climb(row.chunk, &[], &Rung::Again(now + ROUND, done), now).await;
        };
        let why = unpack_why(&store.chunk_why(row.chunk).await?);
        let mut next = Next::new(&release);
        for (one, ways) in going.into_iter().zip(ways) {
            done.push(one.at);
            let Some(((kind, id), left)) = ways.split_first() else { continue };
            let why = why.get(usize::from(one.at)).cloned().unwrap_or_default();
            next.add(*kind, *id, one.recipient.region, why, left.to_vec());
        }
        let chunks = next.chunks(|kind| same(&dispatches, kind, &was).map(|dispatch| dispatch.id));
        let waits = waited_for && !overdue;
        let rung = match (row.finished, waits) {
            (true, false) => Rung::End,
            (true, true) => Rung::Again(row.sent.map_or(now + ROUND, |sent| sent + PATIENCE), done),
            (false, _) => Rung::Again(now + ROUND, done),
        };
        store.climb(row.chunk, &chunks, &rung, now).await?;
        if !chunks.is_empty() {
            hearing.more_chunks(release.id);
        }
        for desk in self.desks.iter().filter(|desk| chunks.iter().any(|chunk| chunk.channel == desk.kind())) {
            desk.announce(release.lane.number());
        }
        Ok(())
    }

    /// What is left to try for each; None while that cannot be said: who else of theirs is told is known when all is planned.
    async fn ways(
        &self,
        row: &LadderRow,
        (release, dispatches): (i64, &[Dispatch]),
        was: (&Dispatch, bool),
        going: &[Going<'_>],
        hearing: &mut Hearing,
    ) -> Result<Option<Vec<Rest>>, StoreError> {
        if going.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if row.body != LOOKED_UP {
            let rest = unpack_rest(&row.body);
            let own = |one: &Going<'_>| rest.get(usize::from(one.at)).cloned().unwrap_or_default();
            return Ok(Some(going.iter().map(own).collect()));
        }
        if !self.store.is_whole(release).await? {
            return Ok(None);
        }
        Ok(Some(hearing.ways(&self.store, (release, dispatches), was, going).await?))
    }
}

/// Whether a member is to be told by their next channel. `seen` holds who acknowledged, where that is waited for.
fn goes_on(state: DeliveryState, recipient: u64, seen: Option<&HashSet<u64>>, overdue: bool) -> bool {
    match state {
        DeliveryState::Failed => true,
        DeliveryState::Accepted | DeliveryState::Unknown => {
            overdue && seen.is_some_and(|seen| !seen.contains(&recipient))
        }
        _ => false,
    }
}

/// The next channels' chunks as they fill.
struct Next<'a> {
    release: &'a Release,
    packing: BTreeMap<ChannelKind, Packing>,
}

/// One of them.
struct Packing {
    packer: Packer,
    why: Vec<Vec<u64>>,
    rest: Vec<Rest>,
}

impl<'a> Next<'a> {
    fn new(release: &'a Release) -> Self {
        Self { release, packing: BTreeMap::new() }
    }

    fn add(&mut self, kind: ChannelKind, id: u64, region: u16, why: Vec<u64>, rest: Rest) {
        let empty = || Packing { packer: Packer::new(), why: Vec::new(), rest: Vec::new() };
        let packing = self.packing.entry(kind).or_insert_with(empty);
        packing.packer.push(id, region, "");
        packing.why.push(why);
        packing.rest.push(rest);
    }

    fn chunks(self, dispatch: impl Fn(ChannelKind) -> Option<i64>) -> Vec<NewChunk> {
        let Self { release, packing } = self;
        let chunk = |(channel, Packing { mut packer, why, rest })| {
            let (body, n) = packer.take();
            Some(NewChunk {
                dispatch: dispatch(channel)?,
                release: release.id,
                channel,
                lane: release.lane,
                n,
                body,
                not_before: None,
                why: pack_why(&why),
                ladder: pack_rest(&rest),
            })
        };
        packing.into_iter().filter_map(chunk).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_goes_on_at_once_and_an_unseen_push_when_patience_ends() {
        let seen = HashSet::from([1]);
        assert!(goes_on(DeliveryState::Failed, 2, None, false));
        assert!(!goes_on(DeliveryState::Accepted, 2, Some(&seen), false), "two minutes are not over");
        assert!(goes_on(DeliveryState::Accepted, 2, Some(&seen), true));
        assert!(!goes_on(DeliveryState::Accepted, 1, Some(&seen), true), "this one was seen");
        assert!(
            !goes_on(DeliveryState::Accepted, 2, None, true),
            "nothing is waited for on other channels and lower lanes"
        );
        assert!(!goes_on(DeliveryState::Waiting, 2, Some(&seen), true), "still being tried");
        assert!(!goes_on(DeliveryState::OptedOut, 2, Some(&seen), true), "they asked not to be told");
    }
}
