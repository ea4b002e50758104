//! A chunk's recipients, packed in one blob.
//!
//! A subscriber's address is not written here: its id is, and what it says is read just before the message leaves. So a value
//! stands in one row only, and whoever leaves or is deleted is told no more.
//!
//! Format 1: the byte 1, then per recipient its id (u64), its region's index in the release (u16), the length of its
//! address (u16), all little-endian, and the address in UTF-8.

/// One recipient of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// The address's id, or [`region_recipient`] for a region's topic: the same in every release.
    pub(crate) id: u64,
    /// Index in the release's list of regions; [`ELSEWHERE`] for people outside it.
    pub(crate) region: u16,
    /// Where it goes, as the channel wants it, sealed where it is a person's; empty for a subscriber's address, which the id names.
    pub(crate) to: String,
}

impl Recipient {
    /// Whether this is a region's own topic.
    pub(crate) fn is_region(&self) -> bool {
        self.id >> 63 == 1
    }

    /// The subscriber's address, where it must be read.
    pub(crate) fn address(&self) -> Option<u64> {
        self.to.is_empty().then(|| address_of(self.id))
    }
}

/// The same address, told once more in another language that its owner reads: a recipient of its own.
pub(crate) const fn second_language(address: u64) -> u64 {
    address | 1 << 61
}

/// The address of a recipient, whichever language it is told in.
pub(crate) const fn address_of(recipient: u64) -> u64 {
    recipient & !(1 << 61)
}

/// The id of an address that is not on record yet: of somebody who signs up.
pub(crate) fn sign_up_recipient(sign_up: i64) -> u64 {
    sign_up.unsigned_abs() | 1 << 60
}

/// The region index of a recipient outside the release's regions.
pub(crate) const ELSEWHERE: u16 = u16::MAX;

const FORMAT: u8 = 1;
const HEAD: usize = 12;

/// The id of a region's own MQTT topic: apart from all address ids by its highest bit.
pub(crate) fn region_recipient(code: &str) -> u64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, code.as_bytes());
    let mut bytes = [0_u8; 8];
    bytes.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_le_bytes(bytes) | 1 << 63
}

/// The id of an officer's address: apart from all residents' by its second highest bit.
pub(crate) fn officer_recipient(address: i64) -> u64 {
    address.unsigned_abs() | 1 << 62
}

/// A blob that grows by one recipient at a time.
#[derive(Debug)]
pub(crate) struct Packer {
    body: Vec<u8>,
    n: usize,
}

impl Packer {
    /// An empty blob.
    pub(crate) fn new() -> Self {
        Self { body: vec![FORMAT], n: 0 }
    }

    /// Adds a recipient. An address longer than 65,535 bytes cannot come out of the store's checks; it is refused as false.
    pub(crate) fn push(&mut self, id: u64, region: u16, to: &str) -> bool {
        let Ok(length) = u16::try_from(to.len()) else { return false };
        self.body.extend_from_slice(&id.to_le_bytes());
        self.body.extend_from_slice(&region.to_le_bytes());
        self.body.extend_from_slice(&length.to_le_bytes());
        self.body.extend_from_slice(to.as_bytes());
        self.n += 1;
        true
    }

    /// How many are in it.
    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// The blob, and a new empty packer in its place.
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        let full = std::mem::replace(self, Self::new());
        (full.body, full.n)
    }
}

/// The recipients of a blob, or None if this version did not write it.
pub(crate) fn unpack(body: &[u8]) -> Option<Vec<Recipient>> {
    let (format, mut rest) = body.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let mut recipients = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at_checked(HEAD)?;
        let id = u64::from_le_bytes(head.get(..8)?.try_into().ok()?);
        let region = u16::from_le_bytes(head.get(8..10)?.try_into().ok()?);
        let length = u16::from_le_bytes(head.get(10..12)?.try_into().ok()?);
        let (to, next) = tail.split_at_checked(usize::from(length))?;
        recipients.push(Recipient { id, region, to: std::str::from_utf8(to).ok()?.to_owned() });
        rest = next;
    }
    Some(recipients)
}

/// Member indexes as a blob of little-endian u16.
pub(crate) fn pack_members(members: &[u16]) -> Vec<u8> {
    members.iter().flat_map(|member| member.to_le_bytes()).collect()
}

/// The member indexes of a blob.
pub(crate) fn unpack_members(blob: &[u8]) -> Vec<u16> {
    blob.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(all in proptest::collection::vec((any::<u64>(), any::<u16>(), ".{0,40}"), 0..50)) {
            let mut packer = Packer::new();
            for (id, region, to) in &all {
                prop_assert!(packer.push(*id, *region, to));
            }
            let (body, n) = packer.take();
            prop_assert_eq!(n, all.len());
            let back = unpack(&body).expect("our own blob");
            prop_assert_eq!(back.len(), n);
            for (recipient, (id, region, to)) in back.iter().zip(&all) {
                prop_assert_eq!((recipient.id, recipient.region, &recipient.to), (*id, *region, to));
            }
        }

        #[test]
        fn a_foreign_blob_is_refused_not_trusted(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&body);
        }
    }
}
