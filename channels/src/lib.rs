//! The wire: one folder for each way a message reaches people.
//!
//! An adapter takes a [`Window`] of messages that share one [`Content`] and answers with one [`Answer`] per message, in
//! order. It names the [`Class`] of each answer and decides nothing else: retries, rates, lanes and records belong to the
//! engine that calls it. Nothing in this crate knows rules, regions, the store or pages.
#![forbid(unsafe_code)]

pub mod email;
pub mod mqtt;
pub mod public;
pub mod push;
pub mod sms;
pub mod tls;
pub mod webhook;

mod answer;
mod content;
mod http;
mod key;

pub use answer::{Answer, Class};
pub use content::{Content, EmailContent, MqttContent, Picture, PushContent, SmsContent, Urgency};
pub use http::pause_of;
pub use key::Key;

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// A way to reach people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Short messages through an operator's or a gateway's HTTP interface.
    Sms,
    /// Mail through SMTP relays.
    Email,
    /// Publishes to an MQTT 5 broker: region topics and devices.
    Mqtt,
    /// Web push to browsers (RFC 8030).
    Push,
}

impl ChannelKind {
    /// Every channel, in the order tables show them.
    pub const ALL: [Self; 4] = [Self::Sms, Self::Email, Self::Mqtt, Self::Push];

    /// The word used in configuration, tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Mqtt => "mqtt",
            Self::Push => "push",
        }
    }
}

impl std::fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for ChannelKind {
    type Err = UnknownChannel;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| UnknownChannel(word.to_owned()))
    }
}

/// A word that names no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no channel: use sms, email, mqtt or push")]
pub struct UnknownChannel(pub String);

/// One message of a window: who gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for every attempt at this message: receivers and providers recognise a repeat by it.
    pub key: Key,
    /// Where it goes: `+8613…` (SMS), `a@example.org` (e-mail), `region/310118` or `device/NAME` (MQTT), or the JSON of a
    /// browser's push subscription (push).
    pub to: String,
    /// How the person leaves: in a mail their own one-click link, in a short message a few words, put there where they cost nothing.
    pub leave: Option<String>,
    /// What is said to this person alone, in the content's language: why they get it. A mail has a part of its own for it; a short
    /// message and a push carry it where it fits.
    pub why: Option<String>,
    /// A signed word that the person's device sends back when it has shown the message, for channels that carry one.
    pub receipt: Option<String>,
}

/// What an adapter is asked to send as one: messages that differ only in who gets them.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// What every message of the window says.
    pub content: &'a Content,
    /// 0 Extreme, 1 Severe, 2 Moderate, 3 the rest.
    pub lane: u8,
    /// BCP 47 tag of the content, `zh-CN` or `en`.
    pub language: &'a str,
    /// No provider may hand the message on after this.
    pub expires: SystemTime,
    /// Who gets it.
    pub messages: &'a [Message],
}

/// A way to reach people, ready to send.
#[async_trait::async_trait]
pub trait Channel: Send + Sync {
    /// Which channel this is.
    fn kind(&self) -> ChannelKind;

    /// What one message of this content costs at the provider, in the unit that its rate limit counts: SMS parts, else 1.
    fn weight(&self, content: &Content) -> u32 {
        let _ = content;
        1
    }

    /// How many messages of a window are with the provider at the same time: so many take no longer than one.
    fn at_once(&self) -> usize {
        1
    }

    /// Sends a window and answers once per message, in order; the answer's length is always the window's.
    ///
    /// It never panics, keeps its own time-outs, and tells the truth about what may have left: [`Class::Transient`] only
    /// when nothing did, [`Class::Ambiguous`] when bytes left and no answer came.
    async fn send(&self, window: Window<'_>) -> Vec<Answer>;

    /// Says good-bye to the provider: SMTP QUIT, MQTT DISCONNECT. Messages sent after it fail as transient.
    async fn close(&self) {}
}
