//! Passwords: argon2id, long rather than odd.

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};

/// Shortest and longest, in characters: a sentence is better than a riddle, and nobody hashes a book.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=200;
/// So many of them must be there beside the login.
const BESIDE: usize = 10;

/// Why a password is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("密码须为 12 至 200 个字符 / a password has 12 to 200 characters")]
    Length,
    /// It is hardly more than the login.
    #[error("密码中除登录名外须至少有 10 个字符 / a password has ten characters or more beside the login")]
    Login,
    /// It is one character again and again.
    #[error("密码过于简单 / this password is too easy to guess")]
    Easy,
    /// The hash cannot be made.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Argon2id as OWASP asks for it: 19 MiB, two rounds, one lane.
fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(19_456, 2, 1, None).map_err(|e| PasswordError::Hash(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of a new password, in the PHC string format. Slow on purpose: call it off the async threads.
///
/// # Errors
/// When the password is too short, too long or too easy.
pub fn hash_password(password: &str, login: &str) -> Result<String, PasswordError> {
    if !LENGTH.contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    if password.chars().collect::<std::collections::BTreeSet<_>>().len() < 2 {
        return Err(PasswordError::Easy);
    }
    // A short login is a part of many words: there must be enough beside it.
    let beside = password.to_lowercase().replace(&login.to_lowercase(), "");
    if beside.chars().count() < BESIDE {
        return Err(PasswordError::Login);
    }
    let hash = argon2()?.hash_password(password.as_bytes()).map_err(|e| PasswordError::Hash(e.to_string()))?;
    Ok(hash.to_string())
}

/// The password of nobody: made with the same work as everyone's.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$vR8rBp3QO0RO8eDlzYQU5A5Hi9NfvXbmpZuAq2rWDb0";

/// Whether this is the password. Without a hash, the same time is spent and the answer is no, so that nobody learns which
/// logins there are.
pub fn verify_password(password: &str, hash: Option<&str>) -> bool {
    let Ok(argon2) = argon2() else { return false };
    let short = password.get(..800).unwrap_or(password);
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODY)) else { return false };
    let right = argon2.verify_password(short.as_bytes(), &parsed).is_ok();
    right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_its_own_and_no_other() {
        let hash = hash_password("钟声在雾里响起，请回家。", "li").unwrap();
        assert!(verify_password("钟声在雾里响起，请回家。", Some(&hash)));
        assert!(!verify_password("钟声在雾里响起，请回家!", Some(&hash)));
        assert!(!verify_password("anything at all", None));
        let work = |hash: &str| {
            let parsed = PasswordHash::new(hash).unwrap();
            let length = parsed.hash.as_ref().map(|output| output.as_bytes().len());
            (parsed.algorithm.to_string(), parsed.version, parsed.params.to_string(), length)
        };
        assert_eq!(work(NOBODY), work(&hash), "an unknown login costs what a known one does");
        assert_eq!(hash_password("short", "li"), Err(PasswordError::Length));
        assert_eq!(hash_password("aaaaaaaaaaaaaaaa", "li"), Err(PasswordError::Easy));
        for easy in ["wangwangwang1", "Wang12345678"] {
            assert_eq!(hash_password(easy, "wang"), Err(PasswordError::Login));
        }
        assert!(hash_password("I believe the wind is rising", "li").is_ok(), "a short login is a part of many words");
    }
}
