//! One-click leave links: the address's id, signed, so that no table of links is needed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Makes and reads the tokens of leave links.
#[derive(Clone)]
pub struct LeaveLinks {
    base: String,
    key: hmac::Key,
}

/// Bytes of the HMAC that a token carries.
const MAC: usize = 16;

impl LeaveLinks {
    /// Links below this address (`https://warn.example/leave`), signed with this secret.
    pub fn new(base: &str, secret: &[u8]) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The link of an address.
    pub fn link(&self, address: u64) -> String {
        let id = address.to_be_bytes();
        let tag = hmac::sign(&self.key, &id);
        let mut token = [0_u8; 8 + MAC];
        token[..8].copy_from_slice(&id);
        token[8..].copy_from_slice(&tag.as_ref()[..MAC]);
        let mut link = String::with_capacity(self.base.len() + 33);
        link.push_str(&self.base);
        link.push('/');
        URL_SAFE_NO_PAD.encode_string(token, &mut link);
        link
    }

    /// The address of a token, if we made it.
    pub fn address(&self, token: &str) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, mac) = bytes.split_at_checked(8)?;
        let tag = hmac::sign(&self.key, id);
        let right = mac.len() == MAC && constant_time_equal(mac, tag.as_ref().get(..MAC)?);
        right.then_some(u64::from_be_bytes(id.try_into().ok()?))
    }
}

/// Compares without telling by the time it takes where two texts of one length differ.
pub fn constant_time_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

impl std::fmt::Debug for LeaveLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaveLinks").field("base", &self.base).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_back_to_its_address_and_a_forged_one_nowhere() {
        let links = LeaveLinks::new("https://warn.example/leave/", b"secret");
        let link = links.link(77);
        let token = link.strip_prefix("https://warn.example/leave/").unwrap();
        assert_eq!(links.address(token), Some(77));
        let other = LeaveLinks::new("https://warn.example/leave", b"other");
        assert_eq!(other.address(token), None);
        assert_eq!(links.address(&token.replace(token.chars().last().unwrap(), "_")), None);
        assert_eq!(links.address(""), None);
        assert_eq!(links.address("%%%"), None);
    }
}
