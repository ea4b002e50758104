//! Other ways to somebody whom one of their addresses does not reach.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use roaring::RoaringTreemap;
use tocsin_channels::ChannelKind;

use crate::delivery::{DeliveryState, Members, Recipient, Rest, address_of, second_language, unpack};
use crate::residents::Wishes;
use crate::store::{Dispatch, Store, StoreError};

/// Recipients, by channel.
pub(super) type Recipients = BTreeMap<ChannelKind, RoaringTreemap>;

/// Who is in a chunk; nobody where that cannot be read: the release that is planned goes to everybody else.
pub(super) fn recipients(chunk: i64, body: &[u8]) -> Vec<Recipient> {
    unpack(body).unwrap_or_else(|| {
        tracing::error!(chunk, "who is in a chunk cannot be read; nobody of it is counted as told");
        Vec::new()
    })
}

/// Who is in a release's chunks.
pub(super) async fn in_chunks(store: &Store, release: i64, dispatches: &[Dispatch]) -> Result<Recipients, StoreError> {
    let mut found = Recipients::new();
    for chunk in store.chunk_ids(release).await? {
        let Some(view) = store.chunk(chunk, true).await? else { continue };
        let Some(dispatch) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
        let ids = recipients(chunk, &view.body).into_iter().map(|recipient| recipient.id);
        found.entry(dispatch.content.kind()).or_default().extend(ids);
    }
    Ok(found)
}

/// Some people's addresses, and the order of channels that they wish.
pub(super) struct Owners {
    owners: HashMap<u64, u64>,
    addresses: HashMap<u64, Vec<(ChannelKind, u64)>>,
    wishes: HashMap<u64, Vec<Wishes>>,
}

impl Owners {
    /// The owners of these recipients' addresses; those who have left are not among them: they asked not to be told.
    pub(super) async fn of(store: &Store, recipients: impl IntoIterator<Item = u64>) -> Result<Self, StoreError> {
        let ids: Vec<u64> = recipients.into_iter().map(address_of).collect();
        let owners = store.owners(&ids).await?;
        let people: BTreeSet<u64> = owners.values().copied().collect();
        let people: Vec<u64> = people.into_iter().collect();
        Ok(Self { owners, addresses: store.addresses_of(&people).await?, wishes: store.wishes_of(&people).await? })
    }

    /// Their owner's other addresses, oldest first, as recipients in the same language.
    pub(super) fn others(&self, recipient: u64) -> Rest {
        let own = self.owners.get(&address_of(recipient)).and_then(|owner| self.addresses.get(owner));
        let told_as = |id: u64| if address_of(recipient) == recipient { id } else { second_language(id) };
        let others = own.into_iter().flatten().map(|(kind, id)| (*kind, told_as(*id)));
        others.filter(|(_, id)| *id != recipient).collect()
    }

    /// Those of them that may be used, in the order of channels that their owner's places name; an imported owner, who has no places,
    /// has no order.
    pub(super) fn ways(&self, recipient: u64) -> Rest {
        let others = self.others(recipient);
        let wishes = self.owners.get(&address_of(recipient)).and_then(|owner| self.wishes.get(owner));
        let Some(wishes) = wishes else { return others };
        let mut channels: Vec<ChannelKind> = Vec::new();
        for kind in wishes.iter().flat_map(|wish| &wish.channels) {
            if !channels.contains(kind) {
                channels.push(*kind);
            }
        }
        channels.iter().flat_map(|wanted| others.iter().filter(move |(kind, _)| kind == wanted)).copied().collect()
    }
}

/// What a dispatch says, by another channel.
pub(super) fn same<'a>(dispatches: &'a [Dispatch], kind: ChannelKind, was: &Dispatch) -> Option<&'a Dispatch> {
    dispatches.iter().find(|d| (d.content.kind(), d.language, d.variant) == (kind, was.language, was.variant))
}

/// A member of a chunk whom their channel has not reached.
pub(super) struct Going<'a> {
    pub(super) at: u16,
    pub(super) recipient: &'a Recipient,
}

/// Whether somebody in this state has heard, or will.
const fn hears(state: DeliveryState) -> bool {
    !matches!(state, DeliveryState::Failed | DeliveryState::OptedOut)
}

/// Recipients whose places in chunks are kept in all; beyond, only the release that is asked for is.
const KEPT: usize = 2_000_000;

/// Who is in releases' chunks, kept while ladders are climbed: that changes only where a stopped part goes on, and where they stand does.
#[derive(Default)]
pub(super) struct Hearing(HashMap<i64, Placed>);

/// Who is in one release's chunks, and where.
#[derive(Default)]
struct Placed {
    /// Whether no chunk can have come since it was read.
    current: bool,
    /// With how many are in each.
    chunks: Vec<(i64, i64)>,
    /// Which of the chunks, and which of its members.
    spots: HashMap<u64, (u32, u16)>,
    seen: Option<HashSet<u64>>,
}

impl Hearing {
    /// Chunks may have come since, and messages been seen.
    pub(super) fn look_again(&mut self) {
        self.0.retain(|_, placed| !placed.spots.is_empty());
        for placed in self.0.values_mut() {
            placed.current = false;
            placed.seen = None;
        }
    }

    /// A release has more chunks than before.
    pub(super) fn more_chunks(&mut self, release: i64) {
        if let Some(placed) = self.0.get_mut(&release) {
            placed.current = false;
        }
    }

    /// Who is known to have seen a release's message when this was first asked since the last look.
    pub(super) async fn seen(&mut self, store: &Store, release: i64) -> Result<&HashSet<u64>, StoreError> {
        let placed = self.0.entry(release).or_default();
        match &mut placed.seen {
            Some(known) => Ok(known),
            none => Ok(none.insert(store.acknowledged(release).await?)),
        }
    }

    /// The other ways to members who were told before, by none of which this release was tried yet; none where one of their other
    /// addresses hears it. Where it must be `seen`, a push that nobody saw is not heard.
    pub(super) async fn ways(
        &mut self,
        store: &Store,
        (release, dispatches): (i64, &[Dispatch]),
        (was, must_see): (&Dispatch, bool),
        going: &[Going<'_>],
    ) -> Result<Vec<Rest>, StoreError> {
        if must_see {
            self.seen(store, release).await?;
        }
        let placed = self.placed(store, release).await?;
        let seen = placed.seen.as_ref().filter(|_| must_see);
        let owners = Owners::of(store, going.iter().map(|one| one.recipient.id)).await?;
        let mut standing = Standing::new();
        let mut handed_on = HashSet::new();
        let mut all = Vec::with_capacity(going.len());
        for Going { recipient, .. } in going {
            let mut heard = false;
            for (kind, id) in owners.others(recipient.id) {
                heard |= handed_on.contains(&id)
                    || match seen.filter(|_| kind == ChannelKind::Push) {
                        Some(seen) => seen.contains(&id),
                        None => placed.state(store, id, &mut standing).await?.is_some_and(hears),
                    };
            }
            let mut ways = if heard { Rest::new() } else { owners.ways(recipient.id) };
            ways.retain(|(kind, id)| same(dispatches, *kind, was).is_some() && !placed.spots.contains_key(id));
            handed_on.extend(ways.first().map(|(_, id)| *id));
            all.push(ways);
        }
        Ok(all)
    }

    /// Who is in a release's chunks, those that came since the last look among them.
    async fn placed(&mut self, store: &Store, release: i64) -> Result<&Placed, StoreError> {
        let others = self.0.iter().filter(|(id, _)| **id != release).map(|(_, placed)| placed.spots.len());
        let others: usize = others.sum();
        let placed = self.0.entry(release).or_default();
        if !placed.current {
            placed.read(store, release).await?;
        }
        if others + placed.spots.len() > KEPT {
            self.0.retain(|id, _| *id == release);
        }
        Ok(self.0.entry(release).or_default())
    }
}

/// Where the members of chunks stand now: read once in a step.
type Standing = HashMap<u32, Option<Members>>;

impl Placed {
    /// Reads the chunks that are not known yet; all, where one that is known was cut.
    async fn read(&mut self, store: &Store, release: i64) -> Result<(), StoreError> {
        let chunks = store.chunk_sizes(release).await?;
        let there: HashSet<_> = chunks.iter().copied().collect();
        if !self.chunks.iter().all(|known| there.contains(known)) {
            self.chunks.clear();
            self.spots.clear();
        }
        let known: HashSet<_> = self.chunks.iter().copied().collect();
        for (chunk, n) in chunks.into_iter().filter(|one| !known.contains(one)) {
            let Some(view) = store.chunk(chunk, true).await? else { continue };
            let index = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
            self.chunks.push((chunk, n));
            let members = (0_u16..).zip(recipients(chunk, &view.body));
            self.spots.extend(members.map(|(at, recipient)| (recipient.id, (index, at))));
        }
        self.current = true;
        Ok(())
    }

    /// Where somebody stands; None who is in no chunk.
    async fn state(
        &self,
        store: &Store,
        id: u64,
        standing: &mut Standing,
    ) -> Result<Option<DeliveryState>, StoreError> {
        let Some((index, at)) = self.spots.get(&id) else { return Ok(None) };
        let members = match standing.entry(*index) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let chunk = self.chunks.get(usize::try_from(*index).unwrap_or(usize::MAX));
                let view = store.chunk(chunk.map_or(-1, |(id, _)| *id), true).await?;
                new.insert(view.map(|view| view.members))
            }
        };
        Ok(members.as_ref().and_then(|members| members.states().get(usize::from(*at)).copied()))
    }
}
