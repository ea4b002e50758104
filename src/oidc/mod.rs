//! Sign-in through the organisation's own provider: OpenID Connect, authorization code with PKCE.

mod provider;
mod token;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use provider::{OidcConfig, Organisation};
use token::{Expected, read};

use crate::officers::{OfficerId, SecretError};

/// Somebody who was sent to the provider has so long to come back.
pub const AWAY: TimeDelta = TimeDelta::minutes(10);
/// Clocks may be off by so much.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// Why nobody comes in this way. What the provider said goes to the log; people are told what they can do.
#[derive(Debug, thiserror::Error)]
pub enum OrganisationError {
    /// The configuration.
    #[error("console.oidc: {0}")]
    Config(String),
    /// The provider does not answer, or not as one.
    #[error("the provider does not answer as it should: {0}")]
    Provider(String),
    /// The answer is not the one to our question.
    #[error("the answer is not to this browser's question: {0}")]
    Answer(&'static str),
    /// The provider says no.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// The ID token.
    #[error("the ID token is not taken: {0}")]
    Token(String),
    /// No randomness, or a cookie that is not ours.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What a browser was sent away with; it carries this itself, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// Comes back beside the code.
    pub state: String,
    /// Comes back in the token.
    pub nonce: String,
    /// Proves to the provider that it was us who asked.
    pub verifier: String,
    /// Where to go then.
    pub next: String,
    /// Who has to prove to be there; None for a sign-in.
    pub again: Option<OfficerId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What comes back in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// To be traded for a token.
    pub code: String,
    /// As we sent it.
    pub state: String,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
    /// Why not.
    pub error: Option<String>,
}

/// Whom the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Their name there, with the issuer before it: unique.
    pub subject: String,
    /// When they last proved themselves there.
    pub proved_at: Option<DateTime<Utc>>,
}

impl Vouched {
    /// Whether they proved themselves after they were sent.
    pub fn is_fresh(&self, errand: &Errand) -> bool {
        self.proved_at.is_some_and(|at| at >= errand.at - SKEW)
    }
}

#[cfg(test)]
mod tests;
