use std::path::PathBuf;

use serde::Deserialize;

/// How pushes leave.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// PKCS #8 file of the VAPID key, DER; `tocsin keys push FILE` makes one.
    pub vapid_key_file: PathBuf,
    /// Whom a push service may ask about us: `mailto:desk@example.org` or an https address (RFC 8292 section 2.1).
    pub contact: String,
    /// Private networks and hosts that endpoints may point to, as `127.0.0.1:9000` or `10.0.0.0/8`; none by default, because
    /// an endpoint is what a stranger typed.
    #[serde(default)]
    pub allow_private: Vec<String>,
    /// Requests at once within a window.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// The longest that a service is asked to keep a message, seconds; services cut it at about 30 days.
    #[serde(default = "longest_ttl")]
    pub longest_ttl_seconds: u64,
    /// The longest that a connection may take to come up, milliseconds.
    #[serde(default = "connect_ms")]
    pub connect_timeout_ms: u64,
    /// The longest that an answer may take, milliseconds.
    #[serde(default = "send_ms")]
    pub send_timeout_ms: u64,
    /// PEM file of a further certificate authority, for a push service of one's own.
    pub ca_file: Option<PathBuf>,
}

const fn concurrency() -> usize {
    32
}

const fn longest_ttl() -> u64 {
    28 * 86_400
}

const fn connect_ms() -> u64 {
    3_000
}

const fn send_ms() -> u64 {
    10_000
}

/// Why the push channel cannot start, or cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The key file cannot be used.
    #[error("channels.push: {path}: {why}; `tocsin keys push FILE` makes a key")]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The contact is no address.
    #[error("channels.push: `contact` must begin with mailto: or https:, it is `{0}`")]
    Contact(String),
    /// An allow-list entry that is none.
    #[error("channels.push: `allow_private` holds `{0}`: write 127.0.0.1:9000 or 10.0.0.0/8")]
    Allow(String),
    /// The HTTP client cannot be built.
    #[error("channels.push: {0}")]
    Client(String),
    /// The library of cryptography refuses.
    #[error("channels.push: cannot {0}")]
    Crypto(&'static str),
}
