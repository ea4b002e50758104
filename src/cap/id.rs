use serde::{Deserialize, Serialize};

use super::alert::{Alert, Reference};

/// Our id of an alert, made of sender, identifier and sent: the same message by any way has the same id.
///
/// The first 80 bits of a SHA-256, 16 characters of base32.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AlertId(String);

/// A text that is no alert id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no alert id: 16 letters a-z and digits 2-7, as `tocsin status` shows them")]
pub struct BadAlertId(String);

const LENGTH: usize = 16;
/// Characters of the short form.
const SHORT: usize = 8;

impl AlertId {
    /// The id of an alert.
    pub fn of(alert: &Alert) -> Self {
        Self::make(&alert.sender, &alert.identifier, alert.sent.timestamp())
    }

    /// The id of the alert that a reference names.
    pub fn of_reference(reference: &Reference) -> Self {
        Self::make(&reference.sender, &reference.identifier, reference.sent.timestamp())
    }

    fn make(sender: &str, identifier: &str, sent: i64) -> Self {
        let mut input = Vec::new();
        for field in [sender, identifier] {
            input.extend_from_slice(&(field.len() as u64).to_be_bytes());
            input.extend_from_slice(field.as_bytes());
        }
        input.extend_from_slice(&sent.to_be_bytes());
        let digest = ring::digest::digest(&ring::digest::SHA256, &input);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        let mut text = tocsin_channels::Key::new(bytes).to_base32();
        text.truncate(LENGTH);
        Self(text)
    }

    /// An id that no alert has, for trying things out.
    pub(crate) fn made_up() -> Self {
        Self("a".repeat(LENGTH))
    }

    /// Its first half: enough to find an alert by, short enough for a text message.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AlertId {
    type Error = BadAlertId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() == LENGTH && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')) {
            Ok(Self(text))
        } else {
            Err(BadAlertId(text.chars().take(40).collect()))
        }
    }
}

impl std::str::FromStr for AlertId {
    type Err = BadAlertId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<AlertId> for String {
    fn from(id: AlertId) -> Self {
        id.0
    }
}

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
