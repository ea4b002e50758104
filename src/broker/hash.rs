use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::pbkdf2;

use crate::seal::{SecretError, random};

/// Mosquitto's own count. Our passwords are 256 random bits, which no stretching makes stronger; a thousand sirens that come back at
/// once must not keep the broker busy for minutes.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(101).unwrap();
/// What every version of mosquitto reads.
const SALT: usize = 12;

/// A password as mosquitto's password file holds it: `$7$`, PBKDF2 with SHA-512.
pub(crate) fn hash(password: &str) -> Result<String, SecretError> {
    Ok(with_salt(password, &random::<SALT>()?))
}

/// The same for the same name and password, so that a file that says the same is the same.
pub(super) fn steady_hash(name: &str, password: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA512, format!("tocsin/{name}/{password}").as_bytes());
    with_salt(password, digest.as_ref().get(..SALT).unwrap_or_default())
}

fn with_salt(password: &str, salt: &[u8]) -> String {
    let mut key = [0_u8; 64];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ITERATIONS, salt, password.as_bytes(), &mut key);
    format!("$7${ITERATIONS}${}${}", STANDARD.encode(salt), STANDARD.encode(key))
}
