//! Short messages over a gateway's HTTP interface, described as data: what to send, and what in the answer means what.

mod config;
pub mod encoding;
mod gateway;
mod meaning;

pub use config::{Auth, Body, GatewayConfig, Method, SmsError};
use futures_util::StreamExt as _;
pub use meaning::{AnswerRule, Pointer};

use self::gateway::Gateway;
use crate::{Answer, Channel, ChannelKind, Class, Content, Window};

/// The SMS channel.
pub struct Sms {
    gateway: Gateway,
    concurrency: usize,
}

impl Sms {
    /// An adapter for this gateway.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub fn new(config: &GatewayConfig) -> Result<Self, SmsError> {
        Ok(Self { gateway: Gateway::new(config)?, concurrency: config.concurrency.clamp(1, 256) })
    }
}

#[async_trait::async_trait]
impl Channel for Sms {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Sms
    }

    fn weight(&self, content: &Content) -> u32 {
        match content {
            Content::Sms(content) => encoding::parts(&content.text).max(1),
            _ => 1,
        }
    }

    fn at_once(&self) -> usize {
        self.concurrency
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let Content::Sms(content) = window.content else {
            return vec![Answer::new(Class::Content, "not a short message"); window.messages.len()];
        };
        let text = self.gateway.prepare(content, window.expires);
        let mut answers = Vec::with_capacity(window.messages.len());
        for message in window.messages {
            answers.push(self.gateway.send(&text, message));
        }
        futures_util::stream::iter(answers).buffered(self.concurrency).collect().await
    }
}
