//! Random tokens, keys that seal what must be read back, and the vault of personal data.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Why a secret cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The system gives no randomness.
    #[error("the system has no randomness to give")]
    Random,
    /// The key file.
    #[error("the key file {path}: {why}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        why: String,
    },
    /// Sealed with another key, or damaged.
    #[error("a sealed secret cannot be opened: the key file is not the one that it was sealed with")]
    Sealed,
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Random)?;
    Ok(bytes)
}

/// A token of 32 random bytes that nobody guesses, for links, cookies and programs.
///
/// # Errors
/// When the system gives no randomness.
pub fn random_token() -> Result<String, SecretError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// What the store keeps of a token: who reads the store cannot use it.
pub fn token_digest(token: &str) -> String {
    crate::hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref())
}

/// A new file that its owner alone can read.
pub(crate) fn new_private_file(path: &Path) -> Result<std::fs::File, String> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map_err(|e| format!("cannot make {}: {e}", path.display()))
}

/// Writes a secret to a new file that its owner alone can read.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), String> {
    use std::io::Write as _;
    let failed = |e: std::io::Error| format!("cannot make {}: {e}", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    new_private_file(path)?.write_all(bytes).map_err(failed)
}

/// A key that seals secrets at rest. It lives in a file of its own, apart from the store.
#[derive(Clone)]
pub struct SealKey {
    key: std::sync::Arc<LessSafeKey>,
}

impl SealKey {
    /// Reads the key of a file, and makes the file where there is none (readable by its owner alone).
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no key.
    pub fn of_file(path: &Path) -> Result<Self, SecretError> {
        let bad = |why: String| SecretError::File { path: path.display().to_string(), why };
        let bytes = key_bytes(path)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| bad("it does not hold 32 bytes".into()))?;
        Ok(Self { key: std::sync::Arc::new(LessSafeKey::new(key)) })
    }

    /// Seals bytes for one owner; what is sealed for one cannot be opened as another's.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, plain: &[u8], owner: &str) -> Result<Vec<u8>, SecretError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner), &mut sealed)
            .map_err(|_| SecretError::Sealed)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// When it was sealed with another key or for another owner, or is damaged.
    pub fn open(&self, sealed: &[u8], owner: &str) -> Result<Vec<u8>, SecretError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SecretError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::Sealed)?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(owner), &mut body).map_err(|_| SecretError::Sealed)?;
        Ok(plain.to_vec())
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// What personal data is kept in: sealed texts that only the key file's owner can read, and digests by which an address is found
/// again without being read. Who holds the store alone can neither read a number nor try all numbers.
#[derive(Clone)]
pub struct Vault {
    seal: std::sync::Arc<LessSafeKey>,
    digest: hmac::Key,
}

/// A sealed text begins so. No address does.
const SEALED: char = ':';
/// Bytes of a digest: no two of a country's numbers meet.
const DIGEST: usize = 16;

impl Vault {
    /// The vault of a key file; the file is made where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no key.
    pub fn of_file(path: &Path) -> Result<Self, SecretError> {
        Self::of_key(&key_bytes(path)?).map_err(|why| SecretError::File { path: path.display().to_string(), why })
    }

    /// A vault of a key that nobody keeps: it opens nothing.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn of_nobody() -> Result<Self, SecretError> {
        Self::of_key(&random::<32>()?).map_err(|why| SecretError::File { path: String::new(), why })
    }

    /// The vault of 32 bytes: one key for each purpose is made of them.
    fn of_key(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() != 32 {
            return Err("it does not hold 32 bytes".into());
        }
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let part = |purpose: &str| hmac::sign(&root, purpose.as_bytes());
        let seal = UnboundKey::new(&AES_256_GCM, part("seal").as_ref()).map_err(|_| "it makes no key".to_owned())?;
        let digest = hmac::Key::new(hmac::HMAC_SHA256, part("digest").as_ref());
        Ok(Self { seal: std::sync::Arc::new(LessSafeKey::new(seal)), digest })
    }

    /// Seals a text; no two sealings of one text look alike.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, plain: &str) -> Result<String, SecretError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut bytes = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        bytes.extend_from_slice(plain.as_bytes());
        let tag = self
            .seal
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes)
            .map_err(|_| SecretError::Sealed)?;
        bytes.extend_from_slice(tag.as_ref());
        bytes.extend_from_slice(&nonce);
        let mut text = String::with_capacity(1 + bytes.len() * 4 / 3 + 2);
        text.push(SEALED);
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        Ok(text)
    }

    /// Opens a sealed text; one that never was sealed (a topic, an officer's address) is itself.
    ///
    /// # Errors
    /// When it was sealed with another key, or is damaged.
    pub fn open(&self, text: &str) -> Result<String, SecretError> {
        let Some(sealed) = text.strip_prefix(SEALED) else { return Ok(text.to_owned()) };
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SecretError::Sealed)?;
        let at = bytes.len().checked_sub(NONCE_LEN).ok_or(SecretError::Sealed)?;
        let nonce = bytes.split_off(at);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| SecretError::Sealed)?;
        let length = self.seal.open_in_place(nonce, Aad::empty(), &mut bytes).map_err(|_| SecretError::Sealed)?.len();
        bytes.truncate(length);
        String::from_utf8(bytes).map_err(|_| SecretError::Sealed)
    }

    /// A text's digest for one purpose: the same text has the same, and without the key nobody can try texts.
    pub fn digest(&self, purpose: &str, text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.digest);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        URL_SAFE_NO_PAD.encode(context.sign().as_ref().get(..DIGEST).unwrap_or_default())
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

/// The 32 bytes of a key file, made where there is none (readable by its owner alone).
pub(crate) fn key_bytes(path: &Path) -> Result<Vec<u8>, SecretError> {
    let bad = |why: String| SecretError::File { path: path.display().to_string(), why };
    if !path.exists() {
        let fresh: [u8; 32] = random()?;
        write_secret(path, &fresh).map_err(bad)?;
    }
    std::fs::read(path).map_err(|e| bad(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_with_its_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = SealKey::of_file(&folder.path().join("a")).unwrap();
        let other = SealKey::of_file(&folder.path().join("b")).unwrap();
        let sealed = key.seal(b"secret", "1").unwrap();
        assert_eq!(SealKey::of_file(&folder.path().join("a")).unwrap().open(&sealed, "1").unwrap(), b"secret");
        assert!(key.open(&sealed, "2").is_err());
        assert!(other.open(&sealed, "1").is_err());
        assert!(key.open(&[], "1").is_err());
    }

    #[test]
    fn the_vault_gives_back_what_it_took_to_its_own_key_only_and_finds_it_by_digest() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::of_file(&folder.path().join("a")).unwrap();
        let other = Vault::of_file(&folder.path().join("b")).unwrap();
        let sealed = vault.seal("+8613812345678").unwrap();
        assert!(!sealed.contains("138123"), "{sealed}");
        assert_ne!(sealed, vault.seal("+8613812345678").unwrap(), "two sealings of one number do not look alike");
        let again = Vault::of_file(&folder.path().join("a")).unwrap();
        assert_eq!(again.open(&sealed).unwrap(), "+8613812345678");
        assert!(other.open(&sealed).is_err());
        assert!(vault.open(&sealed[..sealed.len() - 2]).is_err());
        assert!(vault.open(":").is_err());
        assert_eq!(vault.open("region/310118").unwrap(), "region/310118");
        assert_eq!(again.digest("sms", "+8613812345678"), vault.digest("sms", "+8613812345678"));
        assert_ne!(other.digest("sms", "+8613812345678"), vault.digest("sms", "+8613812345678"));
        assert_ne!(vault.digest("email", "x"), vault.digest("sms", "x"));
    }
}
