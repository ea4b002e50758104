//! Web push: RFC 8030 (delivery), 8188 and 8291 (encryption), 8292 (VAPID).

mod config;
mod encrypt;
pub(crate) mod guard;
mod subscription;
mod vapid;

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
pub use config::{PushConfig, PushError};
pub use encrypt::{MAX_PLAIN, encrypt};
use futures_util::StreamExt as _;
use guard::Guard;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};
use ring::rand::SystemRandom;
use serde_json::Value;
pub use subscription::{Subscription, SubscriptionError};
pub use vapid::{VapidKey, generate_key};

use crate::{Answer, Channel, ChannelKind, Class, Content, Message, PushContent, Urgency, Window, http};

/// The web-push channel.
pub struct Push {
    client: Client,
    guard: Guard,
    vapid: vapid::Tokens,
    random: SystemRandom,
    concurrency: usize,
    longest_ttl: u64,
}

const TTL: HeaderName = HeaderName::from_static("ttl");
const URGENCY: HeaderName = HeaderName::from_static("urgency");
const TOPIC: HeaderName = HeaderName::from_static("topic");

/// What a window's messages share.
struct Shared<'a> {
    payload: &'a str,
    ttl: HeaderValue,
    urgency: HeaderValue,
    topic: HeaderValue,
}

impl Push {
    /// An adapter with this VAPID key.
    ///
    /// # Errors
    /// When the key or an allow-list entry cannot be read.
    pub fn new(config: &PushConfig) -> Result<Self, PushError> {
        let key = VapidKey::read(&config.vapid_key_file)?;
        Self::with_key(config, key)
    }

    /// An adapter with a key at hand.
    ///
    /// # Errors
    /// When an allow-list entry cannot be read, or the HTTP client not be built.
    pub fn with_key(config: &PushConfig, key: VapidKey) -> Result<Self, PushError> {
        let guard = Guard::new(&config.allow_private)?;
        let (connect, whole) =
            (Duration::from_millis(config.connect_timeout_ms), Duration::from_millis(config.send_timeout_ms));
        let builder = http::builder(connect, whole, config.ca_file.as_deref()).map_err(PushError::Client)?;
        let client = builder.dns_resolver(std::sync::Arc::new(guard.0.clone()));
        Ok(Self {
            client: client.build().map_err(|e| PushError::Client(e.to_string()))?,
            guard,
            vapid: vapid::Tokens::new(key, &config.contact)?,
            random: SystemRandom::new(),
            concurrency: config.concurrency.clamp(1, 512),
            longest_ttl: config.longest_ttl_seconds.max(1),
        })
    }

    /// The public key that browsers are given when they subscribe, base64url.
    pub fn public_key(&self) -> String {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.vapid.public_key())
    }

    fn shared<'a>(&self, content: &'a PushContent, window: &Window<'_>) -> Result<Shared<'a>, Answer> {
        if content.payload.len() > MAX_PLAIN {
            return Err(Answer::new(
                Class::Content,
                format!("{} bytes are more than a push may carry", content.payload.len()),
            ));
        }
        let refused = |_| Answer::new(Class::Content, "the topic cannot stand in a header");
        Ok(Shared {
            payload: &content.payload,
            ttl: HeaderValue::from(http::seconds_until(window.expires).min(self.longest_ttl)),
            // The upper lanes wake a phone whatever else is said of them.
            urgency: HeaderValue::from_static(if window.lane <= 1 { Urgency::High } else { content.urgency }.as_str()),
            topic: HeaderValue::from_str(&content.topic).map_err(refused)?,
        })
    }

    /// Whether a subscription that somebody typed may be pushed to.
    ///
    /// # Errors
    /// When it is none, or its endpoint lies where nothing may be sent.
    pub fn allows(&self, to: &str) -> Result<(), String> {
        let subscription = Subscription::parse(to).map_err(|error| error.to_string())?;
        self.guard.check(&subscription.endpoint).map_err(str::to_owned)
    }

    /// Asks a service whether it still knows a subscription. Nobody is to notice: the service keeps nothing (TTL 0), and what a browser
    /// that is there gets cannot be decrypted, so that it is thrown away before any script hears of it (Push API, "receiving a push
    /// message"). A message that could be read would have to be shown: browsers end subscriptions that wake them without a word.
    pub async fn probe(&self, to: &str) -> Answer {
        let shared = Shared {
            payload: "",
            ttl: HeaderValue::from(0),
            urgency: HeaderValue::from_static(Urgency::VeryLow.as_str()),
            topic: HeaderValue::from_static("check"),
        };
        let spoil = |mut body: Vec<u8>| {
            body.last_mut().into_iter().for_each(|last| *last ^= 0xFF);
            body
        };
        self.post(&shared, to, b"", spoil).await
    }

    async fn send_one(&self, shared: &Shared<'_>, message: &Message) -> Answer {
        let plain = personal(shared.payload, message.why.as_deref(), message.receipt.as_deref());
        self.post(shared, &message.to, plain.as_bytes(), |body| body).await
    }

    async fn post(&self, shared: &Shared<'_>, to: &str, plain: &[u8], pack: impl Fn(Vec<u8>) -> Vec<u8>) -> Answer {
        let subscription = match Subscription::parse(to) {
            Ok(subscription) => subscription,
            Err(error) => return Answer::new(Class::BadAddress, error.to_string()),
        };
        if let Err(why) = self.guard.check(&subscription.endpoint) {
            return Answer::new(Class::BadAddress, why);
        }
        let body = match encrypt(&subscription, plain, &self.random) {
            Ok(body) => pack(body),
            Err(error) => return Answer::new(Class::BadAddress, error.to_string()),
        };
        let authorization = match self.vapid.header(&subscription.endpoint) {
            Ok(header) => header,
            Err(error) => return Answer::new(Class::Policy, error.to_string()),
        };
        let request = self
            .client
            .post(subscription.endpoint)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .header(TTL, shared.ttl.clone())
            .header(URGENCY, shared.urgency.clone())
            .header(TOPIC, shared.topic.clone())
            .body(body);
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) => http::failure(&error.without_url()),
        }
    }
}

/// The payload with what is said to this person alone behind its body, and their own receipt, where there is room.
fn personal<'a>(payload: &'a str, why: Option<&str>, receipt: Option<&str>) -> Cow<'a, str> {
    if why.is_none() && receipt.is_none() {
        return Cow::Borrowed(payload);
    }
    let longer = |why: Option<&str>| {
        let mut read: Value = serde_json::from_str(payload).ok()?;
        if let Some(why) = why {
            let body = read.get_mut("body")?;
            *body = format!("{} {why}", body.as_str()?).into();
        }
        if let Some(receipt) = receipt {
            read.as_object_mut()?.insert("receipt".to_owned(), receipt.into());
        }
        Some(read.to_string()).filter(|longer| longer.len() <= MAX_PLAIN)
    };
    // Which of both there is room for: the receipt counts more, a ladder waits for it.
    longer(why).or_else(|| longer(None)).map_or(Cow::Borrowed(payload), Cow::Owned)
}

/// What a push service's answer means (RFC 8030 sections 5 and 7.3, RFC 8292 section 4.2).
async fn answer(mut response: reqwest::Response) -> Answer {
    let status = response.status();
    let wait = http::retry_after(&response);
    // The body is read so that the connection can be used again.
    let said = http::body(&mut response).await.unwrap_or_default();
    let said = format!("{} {}", status.as_u16(), String::from_utf8_lossy(&said));
    let class = match status {
        status if status.is_success() => return Answer::ACCEPTED,
        // The only answers that mean the subscription is gone.
        StatusCode::NOT_FOUND | StatusCode::GONE => return Answer::gone(said),
        StatusCode::TOO_MANY_REQUESTS => Class::Throttled,
        StatusCode::PAYLOAD_TOO_LARGE => Class::Content,
        status if status.is_server_error() => Class::Transient,
        // 400, 401, 403: our request or our key. Redirects are not followed: a service does not need them.
        _ => Class::Policy,
    };
    Answer::new(class, said).retry_after(wait)
}

#[async_trait::async_trait]
impl Channel for Push {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Push
    }

    fn at_once(&self) -> usize {
        self.concurrency
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let everyone = |answer: Answer| vec![answer; window.messages.len()];
        let Content::Push(content) = window.content else {
            return everyone(Answer::new(Class::Content, "not a push message"));
        };
        let shared = match self.shared(content, &window) {
            Ok(shared) => shared,
            Err(answer) => return everyone(answer),
        };
        let mut answers = Vec::with_capacity(window.messages.len());
        for message in window.messages {
            answers.push(self.send_one(&shared, message));
        }
        futures_util::stream::iter(answers).buffered(self.concurrency).collect().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_stands_behind_the_body_where_there_is_room() {
        let payload = "{\"body\":\"避险\",\"tag\":\"t\",\"title\":\"红色\"}";
        let read: Value = serde_json::from_str(&personal(payload, Some("因“家”"), Some("a-b"))).unwrap();
        assert_eq!(
            (&read["body"], &read["tag"], &read["receipt"]),
            (&"避险 因“家”".into(), &"t".into(), &"a-b".into())
        );
        assert_eq!(personal(payload, None, None), payload);
        assert_eq!(personal(payload, Some(&"长".repeat(2_000)), None), payload, "no room");
        assert_eq!(personal("not JSON", Some("x"), Some("a")), "not JSON");
    }
}
