//! What a resident's chunk holds beside its recipients: why each is told, and what is left to try. Packed in the members' order.
//!
//! Both are lists of lists: per member its count (u8) and its entries, little-endian.

use tocsin_channels::ChannelKind;

/// More entries of one member are left out: nobody has so many places in one alert.
const MOST: usize = 255;

/// A member's next channels, with the recipient to address there.
pub(crate) type Rest = Vec<(ChannelKind, u64)>;

/// What stands in place of the rest where the members' other addresses are looked up when it comes to that. Packing never makes it.
pub(crate) const LOOKED_UP: [u8; 1] = [0];

/// Packs the places that each member is told for; nothing at all where no member has any.
pub(crate) fn pack_why(all: &[Vec<u64>]) -> Vec<u8> {
    pack(all, |id, bytes| bytes.extend_from_slice(&id.to_le_bytes()))
}

/// Unpacks them; empty for a chunk without, or a foreign blob.
pub(crate) fn unpack_why(bytes: &[u8]) -> Vec<Vec<u64>> {
    unpack(bytes, 8, |entry| Some(u64::from_le_bytes(entry.try_into().ok()?)))
}

/// Packs what is left to try for each member; nothing at all where nothing is left for any.
pub(crate) fn pack_rest(all: &[Rest]) -> Vec<u8> {
    pack(all, |(kind, id), bytes| {
        bytes.push(*kind as u8);
        bytes.extend_from_slice(&id.to_le_bytes());
    })
}

/// Unpacks it.
pub(crate) fn unpack_rest(bytes: &[u8]) -> Vec<Rest> {
    unpack(bytes, 9, |entry| {
        let (kind, id) = entry.split_first()?;
        Some((*ChannelKind::ALL.get(usize::from(*kind))?, u64::from_le_bytes(id.try_into().ok()?)))
    })
}

fn pack<T>(all: &[Vec<T>], write: impl Fn(&T, &mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    if all.iter().all(Vec::is_empty) {
        return bytes;
    }
    for list in all {
        bytes.push(u8::try_from(list.len().min(MOST)).unwrap_or(u8::MAX));
        list.iter().take(MOST).for_each(|entry| write(entry, &mut bytes));
    }
    bytes
}

fn unpack<T>(bytes: &[u8], size: usize, read: impl Fn(&[u8]) -> Option<T>) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while let Some((count, tail)) = rest.split_first() {
        let Some((entries, next)) = tail.split_at_checked(usize::from(*count) * size) else { break };
        all.push(entries.chunks_exact(size).filter_map(&read).collect());
        rest = next;
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(why in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..6), 1..40)) {
            let rest: Vec<Rest> =
                why.iter().map(|ids| ids.iter().map(|id| (ChannelKind::ALL[usize::try_from(id % 4).unwrap()], *id)).collect()).collect();
            prop_assert_ne!(pack_rest(&rest), LOOKED_UP);
            if why.iter().any(|ids| !ids.is_empty()) {
                prop_assert_eq!(unpack_why(&pack_why(&why)), why);
                prop_assert_eq!(unpack_rest(&pack_rest(&rest)), rest);
            } else {
                prop_assert!(pack_why(&why).is_empty() && pack_rest(&rest).is_empty());
            }
        }

        #[test]
        fn a_foreign_blob_breaks_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (unpack_why(&bytes), unpack_rest(&bytes));
        }
    }
}
