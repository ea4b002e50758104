//! Voluntary application server identification: who we are, signed once per push service (RFC 8292).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::config::PushError;

/// A token says so long that it is ours; the standard allows 24 hours.
const VALID: Duration = Duration::from_secs(12 * 3_600);
/// And is made anew when this much is left.
const RENEW: Duration = Duration::from_secs(3_600);
/// Push services at once; there are four or five in the world.
const MOST_ORIGINS: usize = 1_024;

/// The key that signs.
pub struct VapidKey(EcdsaKeyPair);

impl VapidKey {
    /// Reads a key from PKCS #8, DER.
    ///
    /// # Errors
    /// When the bytes are no P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, PushError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
        key.map(Self).map_err(|_| PushError::Crypto("read the VAPID key: not a P-256 key in PKCS #8"))
    }

    pub(super) fn read(path: &Path) -> Result<Self, PushError> {
        let bad = |why: String| PushError::Key { path: path.to_owned(), why };
        let der = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
        Self::from_pkcs8(&der).map_err(|e| bad(e.to_string()))
    }
}

/// A new key, PKCS #8 in DER, for `vapid_key_file`.
///
/// # Errors
/// When there is no randomness to be had.
pub fn generate_key() -> Result<Vec<u8>, PushError> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    key.map(|document| document.as_ref().to_vec()).map_err(|_| PushError::Crypto("make a VAPID key"))
}

/// Tokens by push service.
pub(super) struct Tokens {
    key: VapidKey,
    contact: String,
    random: SystemRandom,
    kept: Mutex<HashMap<String, (HeaderValue, SystemTime)>>,
}

impl Tokens {
    pub(super) fn new(key: VapidKey, contact: &str) -> Result<Self, PushError> {
        if !contact.starts_with("mailto:") && !contact.starts_with("https:") {
            return Err(PushError::Contact(contact.to_owned()));
        }
        Ok(Self { key, contact: contact.to_owned(), random: SystemRandom::new(), kept: Mutex::default() })
    }

    pub(super) fn public_key(&self) -> &[u8] {
        self.key.0.public_key().as_ref()
    }

    /// The Authorization header for an endpoint's service.
    pub(super) fn header(&self, endpoint: &Url) -> Result<HeaderValue, PushError> {
        self.header_at(&endpoint.origin().ascii_serialization(), SystemTime::now())
    }

    fn header_at(&self, origin: &str, now: SystemTime) -> Result<HeaderValue, PushError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((header, until)) = kept.get(origin)
            && now + RENEW < *until
        {
            return Ok(header.clone());
        }
        let until = now + VALID;
        let header = self.sign(origin, until)?;
        if kept.len() >= MOST_ORIGINS {
            kept.clear();
        }
        kept.insert(origin.to_owned(), (header.clone(), until));
        Ok(header)
    }

    fn sign(&self, origin: &str, until: SystemTime) -> Result<HeaderValue, PushError> {
        let exp = until.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = serde_json::json!({"aud": origin, "exp": exp, "sub": self.contact});
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(br#"{"typ":"JWT","alg":"ES256"}"#), encode(claims.to_string().as_bytes()));
        let failed = |_| PushError::Crypto("sign the VAPID token");
        let signature = self.key.0.sign(&self.random, signed.as_bytes()).map_err(failed)?;
        let text = format!("vapid t={signed}.{}, k={}", encode(signature.as_ref()), encode(self.public_key()));
        let mut header = HeaderValue::from_str(&text).map_err(|_| PushError::Crypto("sign the VAPID token"))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn one_token_per_service_signed_by_our_key_and_renewed_in_time() {
        let key = VapidKey::from_pkcs8(&generate_key().unwrap()).unwrap();
        let tokens = Tokens::new(key, "mailto:desk@example.org").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let first = tokens.header_at("https://push.example", now).unwrap();
        assert_eq!(first, tokens.header_at("https://push.example", now + Duration::from_secs(36_000)).unwrap());
        assert_ne!(first, tokens.header_at("https://push.example", now + Duration::from_secs(40_000)).unwrap());
        assert_ne!(first, tokens.header_at("https://other.example", now).unwrap());

        let text = first.to_str().unwrap();
        let (token, key) = text.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed.as_bytes(), &signature).unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap()).unwrap();
        assert_eq!(
            claims,
            serde_json::json!({"aud": "https://push.example", "exp": 1_700_043_200_u64, "sub": "mailto:desk@example.org"})
        );
    }

    #[test]
    fn a_contact_that_is_none_is_refused() {
        let key = VapidKey::from_pkcs8(&generate_key().unwrap()).unwrap();
        assert!(matches!(Tokens::new(key, "desk@example.org"), Err(PushError::Contact(_))));
    }
}
