//! Random tokens, and a key that seals what must be read back.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
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
pub(super) fn random<const N: usize>() -> Result<[u8; N], SecretError> {
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

/// Writes a secret to a new file that its owner alone can read.
pub(crate) fn write_secret(path: &std::path::Path, bytes: &[u8]) -> Result<(), String> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let failed = |e: std::io::Error| format!("cannot make {}: {e}", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    options.open(path).map_err(failed)?.write_all(bytes).map_err(failed)
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
        if !path.exists() {
            let fresh: [u8; 32] = random()?;
            write_secret(path, &fresh).map_err(bad)?;
        }
        let bytes = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
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
}
