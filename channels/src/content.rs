use serde::{Deserialize, Serialize};

use crate::ChannelKind;

/// What a window says: rendered once for a channel, a language and a variant, the same for everyone in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A short message.
    Sms(SmsContent),
    /// A mail.
    Email(EmailContent),
    /// A publish on region and device topics.
    Mqtt(MqttContent),
    /// A browser notification.
    Push(PushContent),
}

impl Content {
    /// The channel it is for.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Sms(_) => ChannelKind::Sms,
            Self::Email(_) => ChannelKind::Email,
            Self::Mqtt(_) => ChannelKind::Mqtt,
            Self::Push(_) => ChannelKind::Push,
        }
    }
}

/// The text of a short message, signature first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmsContent {
    /// The whole text, `【signature】` included.
    pub text: String,
}

/// A mail's subject and bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailContent {
    /// The subject, any Unicode; line breaks are refused by the adapter.
    pub subject: String,
    /// The plain-text body.
    pub text: String,
    /// The HTML body.
    pub html: String,
    /// A picture that the HTML shows, as `<img src="cid:picture">`; most mail programs show no other kind of drawing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
}

impl EmailContent {
    /// Whether it has a place for a picture that is not there yet. What no text shows would lie beside the mail as a file.
    pub fn wants_picture(&self) -> bool {
        self.picture.is_none() && self.html.contains(&format!("cid:{}", Picture::NAME))
    }
}

/// A PNG inside a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Picture(#[serde(with = "base64_text")] pub Vec<u8>);

impl Picture {
    /// What the HTML calls it.
    pub const NAME: &'static str = "picture";
}

/// Bytes as text, for the record.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// What a broker gets for one region or device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttContent {
    /// The hazard's slug, last level of the topic: `typhoon`.
    pub hazard: String,
    /// The event's JSON, published once on the event topic.
    pub event: String,
    /// The event that this message is of: several of one hazard may be in force in one region.
    pub chain: String,
    /// How grave, 0 the gravest: of several events in force the gravest is retained.
    pub rank: u8,
    /// The JSON retained as the region's current state, or None when this event is over there.
    pub state: Option<String>,
    /// The JSON that sirens, loudspeakers and signs act on, retained until it is over; the event's where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// A drill: devices get it below topics of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exercise: bool,
}

/// What a browser gets, before encryption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushContent {
    /// The JSON that the service worker reads; at most 3,993 bytes.
    pub payload: String,
    /// RFC 8030 section 5.4: an undelivered message of the same topic is replaced. At most 32 characters of base64url.
    pub topic: String,
    /// RFC 8030 section 5.3.
    pub urgency: Urgency,
}

/// RFC 8030 section 5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// On power and Wi-Fi.
    VeryLow,
    /// On either.
    Low,
    /// On neither.
    Normal,
    /// Low battery too.
    High,
}

impl Urgency {
    /// The header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}
