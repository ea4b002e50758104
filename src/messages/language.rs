use serde::{Deserialize, Serialize};

/// Which of an event's messages this is for its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// A warning or its update, for people in the area.
    Warn,
    /// An update, for people told before who are no longer in the area.
    Lifted,
    /// The warning was withdrawn, for everyone told before.
    Cancel,
    /// What was told was wrong, for everyone told before.
    Correction,
}

impl Variant {
    /// Every variant.
    pub const ALL: [Self; 4] = [Self::Warn, Self::Lifted, Self::Cancel, Self::Correction];

    /// The word used in tables and templates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Lifted => "lifted",
            Self::Cancel => "cancel",
            Self::Correction => "correction",
        }
    }
}

/// A language that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Language {
    /// Chinese, simplified.
    #[serde(rename = "zh-CN")]
    Chinese,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Chinese, Self::English];

    /// The BCP 47 tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    /// The language of a tag such as `zh`, `zh-CN`, `en-US`, `EN`.
    pub fn of_tag(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next()?.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }
}
