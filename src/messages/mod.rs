//! What people read: templates of `alert-templates/` filled with an alert's facts, once per channel, language and variant.

use chrono::{DateTime, FixedOffset};
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
}

impl Variant {
    /// The word used in tables and file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Lifted => "lifted",
            Self::Cancel => "cancel",
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

/// Everything a template may say: plain facts, no markup, nothing about the reader.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Our id of the alert, for links.
    pub alert: String,
    /// Status `Exercise`: every message must say so.
    pub exercise: bool,
    /// `Alert`, `Update` or `Cancel`.
    pub msg_type: String,
    /// The issuer's name, short enough for a signature.
    pub issuer: String,
    /// The hazard's slug.
    pub hazard: String,
    /// The hazard in this language.
    pub hazard_name: String,
    /// `red`, `orange`, `yellow`, `blue`, or None where the alert has no level.
    pub colour: Option<String>,
    /// The level's word in this language.
    pub colour_name: Option<String>,
    /// CAP severity.
    pub severity: String,
    /// Headline, description, instruction in this language, or the nearest the alert has.
    pub headline: String,
    /// See `headline`.
    pub description: String,
    /// See `headline`.
    pub instruction: String,
    /// The alert's own area words.
    pub area: String,
    /// Names of the matched places in this language: whole provinces and prefectures by their own name, then counties.
    pub places: Vec<String>,
    /// When it was issued, begins and ends, in the sender's offset.
    pub sent: DateTime<FixedOffset>,
    /// See `sent`.
    pub onset: Option<DateTime<FixedOffset>>,
    /// See `sent`.
    pub expires: Option<DateTime<FixedOffset>>,
    /// A page about it, or empty.
    pub web: String,
}
