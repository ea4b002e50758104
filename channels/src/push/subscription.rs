use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::Url;
use serde::Deserialize;

/// A browser's push subscription, checked.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Where pushes go.
    pub endpoint: Url,
    /// The browser's public key, a point on P-256, uncompressed.
    pub p256dh: [u8; 65],
    /// The browser's secret for authentication.
    pub auth: [u8; 16],
}

/// Why a text is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// Not the JSON that browsers give.
    #[error("not a push subscription: {0}")]
    Json(String),
    /// The endpoint is no http address, or longer than 2,048 bytes.
    #[error("the endpoint of a push subscription is no address that can be used")]
    Endpoint,
    /// A key of the wrong length or spelling.
    #[error("the key {0} of a push subscription is not what it should be")]
    Key(&'static str),
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    endpoint: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    keys: Keys<'a>,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    p256dh: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    auth: std::borrow::Cow<'a, str>,
}

/// Browsers write base64url without padding; some libraries pad.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Subscription {
    /// Reads the JSON that a browser's `PushSubscription.toJSON()` gives.
    ///
    /// # Errors
    /// When an endpoint or key is missing or wrong. Whether the point lies on the curve shows when it is used.
    pub fn parse(json: &str) -> Result<Self, SubscriptionError> {
        let wire: Wire<'_> = serde_json::from_str(json).map_err(|e| SubscriptionError::Json(e.to_string()))?;
        if wire.endpoint.len() > 2_048 {
            return Err(SubscriptionError::Endpoint);
        }
        let endpoint = Url::parse(&wire.endpoint).map_err(|_| SubscriptionError::Endpoint)?;
        let plain = matches!(endpoint.scheme(), "https" | "http")
            && endpoint.has_host()
            && endpoint.username().is_empty()
            && endpoint.password().is_none();
        if !plain {
            return Err(SubscriptionError::Endpoint);
        }
        let p256dh = bytes(&wire.keys.p256dh).ok_or(SubscriptionError::Key("p256dh"))?;
        if p256dh[0] != 4 {
            return Err(SubscriptionError::Key("p256dh"));
        }
        Ok(Self { endpoint, p256dh, auth: bytes(&wire.keys.auth).ok_or(SubscriptionError::Key("auth"))? })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The decoder's own estimate of the length may be two bytes above the truth.
    let mut buffer = [0; 72];
    if text.len() > 88 {
        return None;
    }
    let n = BASE64URL.decode_slice(text, &mut buffer).ok()?;
    buffer.get(..n)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn json(endpoint: &str, p256dh: &[u8], auth: &[u8]) -> String {
        let keys = serde_json::json!({"p256dh": URL_SAFE_NO_PAD.encode(p256dh), "auth": URL_SAFE_NO_PAD.encode(auth)});
        serde_json::json!({"endpoint": endpoint, "expirationTime": null, "keys": keys}).to_string()
    }

    #[test]
    fn only_what_browsers_give_is_taken() {
        let good = "https://push.example/abc";
        assert!(Subscription::parse(&json(good, &[4; 65], &[1; 16])).is_ok());
        let error = |text: &str| Subscription::parse(text).unwrap_err();
        assert_eq!(error(&json("ftp://push.example/", &[4; 65], &[1; 16])), SubscriptionError::Endpoint);
        assert_eq!(error(&json("https://u:p@push.example/", &[4; 65], &[1; 16])), SubscriptionError::Endpoint);
        assert_eq!(
            error(&json(&format!("https://e/{}", "a".repeat(2_048)), &[4; 65], &[1; 16])),
            SubscriptionError::Endpoint
        );
        assert_eq!(error(&json(good, &[4; 64], &[1; 16])), SubscriptionError::Key("p256dh"));
        assert_eq!(error(&json(good, &[5; 65], &[1; 16])), SubscriptionError::Key("p256dh"));
        assert_eq!(error(&json(good, &[4; 65], &[1; 17])), SubscriptionError::Key("auth"));
        assert!(matches!(error("[]"), SubscriptionError::Json(_)));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", key in "[A-Za-z0-9_=-]{0,120}") {
            let _ = Subscription::parse(&text);
            let _ = Subscription::parse(&format!("{{\"endpoint\":\"https://e\",\"keys\":{{\"p256dh\":\"{key}\",\"auth\":\"{key}\"}}}}"));
        }
    }
}
