//! One-time codes (RFC 6238): SHA-1, six digits, thirty seconds, as every authenticator app knows them.

use chrono::{DateTime, Utc};
use ring::hmac;

/// Seconds of one step.
const STEP: i64 = 30;
/// Bytes of a secret.
const SECRET: usize = 20;

/// An authenticator's secret.
#[derive(Clone)]
pub struct Totp {
    secret: [u8; SECRET],
}

/// Why a code is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// Not the code of now, nor of the step before or after.
    #[error("动态码不正确 / the code is wrong")]
    Wrong,
    /// It was used.
    #[error("动态码已用过，请等下一个 / the code was used; wait for the next one")]
    Used,
}

impl Totp {
    /// A new secret.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> Result<Self, super::SecretError> {
        Ok(Self { secret: crate::seal::random()? })
    }

    /// The secret of these bytes.
    pub const fn new(secret: [u8; SECRET]) -> Self {
        Self { secret }
    }

    /// The secret's bytes, to be sealed.
    pub const fn secret(&self) -> &[u8; SECRET] {
        &self.secret
    }

    /// The secret in base32, to be typed into an app.
    pub fn base32(&self) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let bits: Vec<u8> = self.secret.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let index = |five: &[u8]| usize::from(five.iter().fold(0, |sum, bit| sum << 1 | bit));
        bits.chunks(5).filter_map(|five| LETTERS.get(index(five))).map(|letter| char::from(*letter)).collect()
    }

    /// What an app's camera reads.
    pub fn link(&self, login: &str) -> String {
        format!("otpauth://totp/Tocsin:{login}?secret={}&issuer=Tocsin", self.base32())
    }

    /// The code of a time.
    pub fn code(&self, at: DateTime<Utc>) -> String {
        self.code_of(at.timestamp() / STEP)
    }

    /// Takes a code at a time, given the last step that was used; returns the step to remember.
    ///
    /// # Errors
    /// When it is wrong, or was used.
    pub fn take(&self, code: &str, at: DateTime<Utc>, last: i64) -> Result<i64, TotpError> {
        let now = at.timestamp() / STEP;
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let is = |step: &i64| crate::delivery::constant_time_equal(self.code_of(*step).as_bytes(), code.as_bytes());
        match (now - 1..=now + 1).find(is) {
            None => Err(TotpError::Wrong),
            Some(step) if step <= last => Err(TotpError::Used),
            Some(step) => Ok(step),
        }
    }

    fn code_of(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
        let four = tag.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).unwrap_or_default();
        format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
    }
}

impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Totp(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_6238_hold() {
        let totp = Totp::new(*b"12345678901234567890");
        // Appendix B gives eight digits; ours are the last six.
        for (time, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(totp.code(at(time)), code);
        }
        assert_eq!(totp.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_works_once_and_a_little_early_or_late() {
        let totp = Totp::new([7; 20]);
        let code = totp.code(at(1_000_000));
        let step = totp.take(&code, at(1_000_020), 0).unwrap();
        assert_eq!(totp.take(&code, at(1_000_020), step), Err(TotpError::Used));
        assert_eq!(totp.take(&code, at(1_000_120), 0), Err(TotpError::Wrong));
        assert_eq!(totp.take("000", at(1_000_000), 0), Err(TotpError::Wrong));
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        assert!(totp.take(&spaced, at(1_000_000), 0).is_ok(), "as apps show it");
    }
}
