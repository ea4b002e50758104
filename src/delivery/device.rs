//! Words that a person's browser holds, signed so that no table of them is needed. Each does one thing.

use chrono::{DateTime, Utc};

use super::leave::constant_time_equal;
use crate::seal::Vault;

/// Says that a browser has shown one message of one release to one recipient, until the alert is over. It opens nothing.
pub(crate) fn receipt(vault: &Vault, release: i64, recipient: u64, expires: DateTime<Utc>) -> String {
    let what = format!("{release:x}-{recipient:x}-{:x}", expires.timestamp().max(0));
    let proof = vault.digest("receipt", &what);
    format!("{what}-{proof}")
}

/// The release and recipient of a receipt, if we made it and it still holds.
pub(crate) fn read_receipt(vault: &Vault, word: &str, now: DateTime<Utc>) -> Option<(i64, u64)> {
    let mut parts = word.splitn(4, '-');
    let (release, recipient, expires) = (parts.next()?, parts.next()?, parts.next()?);
    let right = vault.digest("receipt", &format!("{release}-{recipient}-{expires}"));
    let holds = i64::from_str_radix(expires, 16).ok()? > now.timestamp();
    let proved = constant_time_equal(right.as_bytes(), parts.next()?.as_bytes());
    let found = (i64::from_str_radix(release, 16).ok()?, u64::from_str_radix(recipient, 16).ok()?);
    (proved && holds).then_some(found)
}

/// Lets a browser speak for its own address: say that it lives, move its subscription, leave. It shows and changes nothing else.
pub(crate) fn browser_word(vault: &Vault, address: i64) -> String {
    let what = format!("{address:x}");
    let proof = vault.digest("browser", &what);
    format!("{what}-{proof}")
}

/// The address of a browser's word, if we made it.
pub(crate) fn read_browser_word(vault: &Vault, word: &str) -> Option<i64> {
    let (address, proof) = word.split_once('-')?;
    let right = vault.digest("browser", address);
    let proved = constant_time_equal(right.as_bytes(), proof.as_bytes());
    i64::from_str_radix(address, 16).ok().filter(|_| proved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_names_its_message_until_the_alert_is_over_and_opens_nothing_else() {
        let (vault, other) = (Vault::of_nobody().unwrap(), Vault::of_nobody().unwrap());
        let now: DateTime<Utc> = "2022-09-14T12:00:00Z".parse().unwrap();
        let (later, recipient) = (now + chrono::TimeDelta::hours(1), 7 | 1 << 61);
        let word = receipt(&vault, 42, recipient, later);
        assert!(word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{word}");
        assert_eq!(read_receipt(&vault, &word, now), Some((42, recipient)));
        assert_eq!(read_receipt(&vault, &word, later), None, "it ends with the alert");
        assert_eq!(read_receipt(&other, &word, now), None, "another key");
        for forged in [
            word.replacen("2a-", "2b-", 1),
            word.replacen('-', "", 1),
            word.split_at(word.len() - 1).0.to_owned(),
            format!("{word}A"),
            browser_word(&vault, 42),
            String::new(),
        ] {
            assert_eq!(read_receipt(&vault, &forged, now), None, "{forged}");
        }
    }

    #[test]
    fn a_browser_speaks_for_its_own_address_alone() {
        let vault = Vault::of_nobody().unwrap();
        let word = browser_word(&vault, 42);
        assert_eq!(read_browser_word(&vault, &word), Some(42));
        let now: DateTime<Utc> = "2022-09-14T12:00:00Z".parse().unwrap();
        let receipt = receipt(&vault, 42, 42, now + chrono::TimeDelta::hours(1));
        for forged in [word.replacen("2a-", "2b-", 1), receipt, "2a-".into(), "-".into(), String::new()] {
            assert_eq!(read_browser_word(&vault, &forged), None, "{forged}");
        }
    }
}
