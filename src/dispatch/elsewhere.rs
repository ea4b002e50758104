//! Other ways to somebody whom one of their addresses does not reach.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use roaring::RoaringTreemap;
use tocsin_channels::ChannelKind;

use crate::delivery::{DeliveryState, Recipient, Rest, address_of, second_language, unpack};
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

/// Who is in a release's chunks, of those whose state counts.
pub(super) async fn in_chunks(
    store: &Store,
    release: i64,
    dispatches: &[Dispatch],
    counts: impl Fn(DeliveryState) -> bool,
) -> Result<Recipients, StoreError> {
    let mut found = Recipients::new();
    for chunk in store.chunk_ids(release).await? {
        let Some(view) = store.chunk(chunk, true).await? else { continue };
        let Some(dispatch) = dispatches.iter().find(|dispatch| dispatch.id == view.dispatch) else { continue };
        let recipients = recipients(chunk, &view.body);
        let counted = recipients.iter().zip(view.members.states()).filter(|(_, state)| counts(**state));
        found.entry(dispatch.content.kind()).or_default().extend(counted.map(|(recipient, _)| recipient.id));
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
    pub(super) state: DeliveryState,
}

/// Whether somebody in this state has heard, or will.
const fn hears(state: DeliveryState) -> bool {
    !matches!(state, DeliveryState::Failed | DeliveryState::OptedOut)
}

/// Who hears releases, read once in a round.
pub(super) struct Hearing(HashMap<i64, Recipients>);

impl Hearing {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// The other ways to members who were told before, some of whose other addresses may hear the same release: then there are none.
    pub(super) async fn ways(
        &mut self,
        store: &Store,
        (release, dispatches): (i64, &[Dispatch]),
        was: &Dispatch,
        going: &[Going<'_>],
    ) -> Result<Vec<Rest>, StoreError> {
        let heard = match self.0.entry(release) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(in_chunks(store, release, dispatches, hears).await?),
        };
        let owners = Owners::of(store, going.iter().map(|one| one.recipient.id)).await?;
        let mut all = Vec::with_capacity(going.len());
        for Going { recipient, state, .. } in going {
            if *state == DeliveryState::Failed {
                // Read before it failed, perhaps: whoever of theirs fails last is handed on.
                heard.entry(was.content.kind()).or_default().remove(recipient.id);
            }
            let hears = |(kind, id): &(ChannelKind, u64)| heard.get(kind).is_some_and(|heard| heard.contains(*id));
            let mut ways = owners.ways(recipient.id);
            ways.retain(|(kind, _)| same(dispatches, *kind, was).is_some());
            if owners.others(recipient.id).iter().any(hears) {
                ways.clear();
            }
            if let Some((kind, id)) = ways.first() {
                heard.entry(*kind).or_default().insert(*id);
            }
            all.push(ways);
        }
        Ok(all)
    }
}
