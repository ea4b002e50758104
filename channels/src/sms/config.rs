use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::meaning::AnswerRule;

/// A gateway. In `url`, `headers` and the values of `body`, these stand for a message's own: `{to}`, `{text}`, `{key}`,
/// `{sender}`, `{coding}` (0 GSM-7, 2 UCS-2), `{parts}`, `{expires_minutes}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// How the gateway is asked.
    pub method: Method,
    /// Its address; what is filled in is percent-encoded.
    pub url: String,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent in a POST.
    #[serde(default)]
    pub body: Body,
    /// Our account there.
    pub auth: Option<Auth>,
    /// Who the message is from, for gateways that want to know.
    #[serde(default)]
    pub sender: String,
    /// Whether numbers are written with their `+`.
    #[serde(default = "yes")]
    pub plus: bool,
    /// What in an answer means what: the first line that fits; one that fits nothing is transient.
    pub answers: Vec<AnswerRule>,
    /// Requests at once within a window.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// The longest that a connection may take to come up, milliseconds.
    #[serde(default = "connect_ms")]
    pub connect_timeout_ms: u64,
    /// The longest that an answer may take, milliseconds.
    #[serde(default = "send_ms")]
    pub send_timeout_ms: u64,
    /// PEM file of a further certificate authority, for a gateway of one's own.
    pub ca_file: Option<PathBuf>,
}

const fn yes() -> bool {
    true
}

const fn concurrency() -> usize {
    32
}

const fn connect_ms() -> u64 {
    3_000
}

const fn send_ms() -> u64 {
    10_000
}

/// How a gateway is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Everything in the address.
    Get,
    /// With a body.
    Post,
}

/// What is sent in a POST.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Body {
    /// Nothing.
    #[default]
    None,
    /// `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// `application/json`: a value whose texts are filled in.
    Json(serde_json::Value),
}

/// Our account at a gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// HTTP Basic.
    Basic {
        /// The account.
        username: String,
        /// File that holds its password, alone.
        password_file: PathBuf,
    },
    /// A bearer token.
    Bearer {
        /// File that holds the token, alone.
        token_file: PathBuf,
    },
    /// Parameters added to the address, as Kannel wants them.
    Query {
        /// Name of the parameter for the account.
        username_key: String,
        /// The account.
        username: String,
        /// Name of the parameter for the password.
        password_key: String,
        /// File that holds the password, alone.
        password_file: PathBuf,
    },
}

/// Why the SMS channel cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// An address that is none.
    #[error("channels.sms: `url` is no address: {0}")]
    Url(String),
    /// A header that is none.
    #[error("channels.sms: the header {0} cannot be sent")]
    Header(String),
    /// A placeholder that is not known.
    #[error("channels.sms: `{{{0}}}` stands for nothing: use to, text, key, sender, coding, parts or expires_minutes")]
    Placeholder(String),
    /// A file that cannot be used.
    #[error("channels.sms: {path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The HTTP client cannot be built.
    #[error("channels.sms: {0}")]
    Client(String),
}
