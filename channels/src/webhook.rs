//! Posts to programs of other organisations: no redirects, no private networks unless named, and no answer read further than needed.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};

use crate::push::guard::Guard;
use crate::{Answer, Class, http};

/// A receiver of posts.
pub struct Webhook {
    client: Client,
    guard: Guard,
    url: Url,
}

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Not an address.
    #[error("`url` is `{0}`: write https://… / 网址无效")]
    Url(String),
    /// The address must not be posted to.
    #[error("{0}: {1}; `allow_private` opens single networks / 该地址不允许访问")]
    Closed(String, &'static str),
    /// An entry of the allow list that is none.
    #[error("{0}")]
    Allow(String),
    /// The HTTP client cannot be built.
    #[error("{0}")]
    Client(String),
}

/// So much of an address as may be shown: what follows the host may hold a secret.
fn shortened(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let host = url.get(end..).and_then(|rest| rest.find(['/', '?', '#', '@'])).map_or(url.len(), |at| end + at);
    url.chars().take(host.min(80)).collect()
}

impl Webhook {
    /// A receiver; `whole` is the longest that a post may take.
    ///
    /// # Errors
    /// When the address is none, or lies where it must not.
    pub fn new(
        url: &str,
        allow_private: &[String],
        ca_file: Option<&Path>,
        whole: Duration,
    ) -> Result<Self, WebhookError> {
        let guard = Guard::new(allow_private).map_err(|e| WebhookError::Allow(e.to_string()))?;
        let parsed: Url = url.parse().map_err(|_| WebhookError::Url(shortened(url)))?;
        guard
            .check(&parsed)
            .map_err(|why| WebhookError::Closed(parsed.host_str().unwrap_or_default().to_owned(), why))?;
        let builder = http::builder(Duration::from_secs(5).min(whole), whole, ca_file).map_err(WebhookError::Client)?;
        let client = builder.dns_resolver(std::sync::Arc::new(guard.0.clone())).build();
        Ok(Self { client: client.map_err(|e| WebhookError::Client(e.to_string()))?, guard, url: parsed })
    }

    /// Posts a JSON body under a key that is the same for every try.
    pub async fn post(&self, key: &str, signature: &str, body: String) -> Answer {
        if let Err(why) = self.guard.check(&self.url) {
            return Answer::new(Class::Policy, why);
        }
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("tocsin-id", key)
            .header("tocsin-signature", signature)
            .body(body);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return http::failure(&error),
        };
        let (status, wait) = (response.status(), http::retry_after(&response));
        // What it says is for the log; the connection is used again once it is read.
        let said = http::body(&mut response).await.unwrap_or_default();
        let said = format!("{status} {}", String::from_utf8_lossy(&said));
        match status.as_u16() {
            200..=299 => Answer::ACCEPTED,
            429 | 503 => Answer::new(Class::Throttled, said).retry_after(wait),
            300..=399 => Answer::new(Class::Policy, format!("{status}: redirects are not followed")),
            400..=499 => Answer::new(Class::Policy, said),
            _ => Answer::new(Class::Transient, said).retry_after(wait),
        }
    }
}
