use std::fmt;

/// A message's idempotency key: made from release, recipient and channel, never from the attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl Key {
    /// A key of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key of one person on one channel of one release: the first 16 bytes of a SHA-256.
    pub fn derive(release: i64, channel: crate::ChannelKind, recipient: u64) -> Self {
        let mut input = [0_u8; 17];
        input[..8].copy_from_slice(&release.to_be_bytes());
        input[8..16].copy_from_slice(&recipient.to_be_bytes());
        input[16] = channel as u8;
        let digest = ring::digest::digest(&ring::digest::SHA256, &input);
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        Self(bytes)
    }

    /// 26 characters of lower-case base32 (RFC 4648), safe in headers, paths and topics.
    pub fn to_base32(self) -> String {
        let mut text = String::with_capacity(26);
        let number = u128::from_be_bytes(self.0);
        for place in 0..26_u32 {
            // 26 digits of 5 bits are 130: the last one is padded with two zero bits.
            let digit = if place < 25 { number >> (123 - 5 * place) } else { number << 2 };
            text.push(char::from(ALPHABET[(digit & 31) as usize]));
        }
        text
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base32())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChannelKind;

    #[test]
    fn the_text_is_rfc_4648_base32() {
        assert_eq!(Key::new(*b"foobarfoobarfoob").to_base32(), "mzxw6ytbojtg633cmfzgm33pmi");
    }

    #[test]
    fn the_same_person_has_another_key_on_another_channel_and_release() {
        let key = Key::derive(1, ChannelKind::Sms, 7);
        assert_eq!(key, Key::derive(1, ChannelKind::Sms, 7));
        assert_ne!(key, Key::derive(1, ChannelKind::Email, 7));
        assert_ne!(key, Key::derive(2, ChannelKind::Sms, 7));
        assert_ne!(key, Key::derive(1, ChannelKind::Sms, 8));
    }
}
