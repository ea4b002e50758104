use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a provider's answer means for a message. Adapters map statuses, codes and patterns to one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The provider took it.
    Accepted,
    /// Too fast: slow the whole account down, and do not count the attempt.
    Throttled,
    /// Nothing left us, or the provider says "try later".
    Transient,
    /// Bytes left us and no answer came: it may have been sent.
    Ambiguous,
    /// This address does not exist or is gone.
    BadAddress,
    /// Our account or our fault (credentials, credit, block list): blame no address, tell the operator.
    Policy,
    /// The provider refuses the content itself.
    Content,
    /// The person has asked the provider to be left alone.
    OptedOut,
}

impl Class {
    /// Every class, in the order of [`Class::code`].
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Throttled,
        Self::Transient,
        Self::Ambiguous,
        Self::BadAddress,
        Self::Policy,
        Self::Content,
        Self::OptedOut,
    ];

    /// One byte for the record. Never renumbered.
    pub const fn code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Throttled => 1,
            Self::Transient => 2,
            Self::Ambiguous => 3,
            Self::BadAddress => 4,
            Self::Policy => 5,
            Self::Content => 6,
            Self::OptedOut => 7,
        }
    }

    /// The class of a recorded byte.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The word used in tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Ambiguous => "ambiguous",
            Self::BadAddress => "bad_address",
            Self::Policy => "policy",
            Self::Content => "content",
            Self::OptedOut => "opted_out",
        }
    }
}

/// A provider's answer to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it means.
    pub class: Class,
    /// The provider's own words, cut to 200 characters, without addresses; for operators. None when accepted.
    pub detail: Option<Box<str>>,
    /// How long the provider asks us to wait.
    pub retry_after: Option<Duration>,
    /// The provider says that the address is gone for good: nothing will ever reach it again.
    pub gone: bool,
}

impl Answer {
    /// The provider took it.
    pub const ACCEPTED: Self = Self { class: Class::Accepted, detail: None, retry_after: None, gone: false };

    /// An answer of this class with the provider's words.
    pub fn new(class: Class, detail: impl AsRef<str>) -> Self {
        let words = detail.as_ref().split_whitespace().map(without_address);
        let detail: String =
            words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(200).collect();
        Self { class, detail: Some(detail.into()), retry_after: None, gone: false }
    }

    /// An answer that ends an address, with the provider's words.
    pub fn gone(detail: impl AsRef<str>) -> Self {
        Self { gone: true, ..Self::new(Class::BadAddress, detail) }
    }

    /// The same answer with a wish to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

/// Providers repeat addresses in what they say; they are kept out of records and logs.
fn without_address(word: &str) -> &str {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if word.contains('@') || digits >= 7 { "…" } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_words_are_kept_without_addresses() {
        let answer =
            Answer::new(Class::BadAddress, "550 5.1.1 <li@example.org>: no such user\r\n+8613812345678 is barred");
        assert_eq!(answer.detail.as_deref(), Some("550 5.1.1 … no such user … is barred"));
    }
}
