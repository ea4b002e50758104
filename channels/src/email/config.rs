use std::path::PathBuf;

use serde::Deserialize;

use super::answer::AnswerRule;

/// How mail leaves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// Relays, tried in this order; the next one when one fails.
    pub relays: Vec<RelayConfig>,
    /// Sender: `Shanghai Warning Centre <warn@example.org>`.
    pub from: String,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Right side of Message-ID, and the name said in EHLO: `warn.example.org`.
    pub domain: String,
    /// RFC 2919 list identifier: `warnings.example.org`.
    pub list_id: Option<String>,
    /// The longest that a connection may take to come up, milliseconds.
    #[serde(default = "connect_ms")]
    pub connect_timeout_ms: u64,
    /// The longest that one mail may take, milliseconds.
    #[serde(default = "send_ms")]
    pub send_timeout_ms: u64,
    /// What a relay's answers mean, before the shipped table (`answers.toml`).
    #[serde(default)]
    pub answers: Vec<AnswerRule>,
}

const fn connect_ms() -> u64 {
    5_000
}

const fn send_ms() -> u64 {
    30_000
}

/// A relay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Name or address.
    pub host: String,
    /// Port: 25, 465 (implicit), 587.
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Tls,
    /// Account, where the relay wants one.
    pub username: Option<String>,
    /// File that holds the account's password, alone.
    pub password_file: Option<PathBuf>,
    /// PEM file of a further certificate authority, for a relay of one's own.
    pub ca_file: Option<PathBuf>,
}

/// How a connection to a relay is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Not at all: for a relay on this machine.
    None,
    /// By STARTTLS where the relay offers it.
    Opportunistic,
    /// By STARTTLS or not at all.
    #[default]
    Required,
    /// From the first byte.
    Implicit,
}

/// Why the e-mail channel cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// No relay is configured.
    #[error("channels.email: `relays` is empty; name at least one")]
    NoRelay,
    /// An address that is none.
    #[error("channels.email: `{key}` is no mail address: {value}: {why}")]
    Address {
        /// Which key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// Why it is none.
        why: String,
    },
    /// A file that cannot be used.
    #[error("channels.email: {path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Credentials without TLS would go over the wire in the clear.
    #[error("channels.email: relay {host} has a username and `tls = \"{tls}\"`: a password is sent over TLS only")]
    ClearPassword {
        /// Which relay.
        host: String,
        /// What is configured.
        tls: &'static str,
    },
    /// A text that cannot stand in a header.
    #[error("channels.email: `{0}` cannot stand in a header: use plain ASCII without spaces")]
    Header(&'static str),
    /// Anything `lettre` refuses.
    #[error("channels.email: {0}")]
    Mail(String),
}

impl EmailError {
    pub(super) fn address(key: &'static str, value: &str, why: impl std::fmt::Display) -> Self {
        Self::Address { key, value: value.to_owned(), why: why.to_string() }
    }
}
