//! `[[source]]` of config.

use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::door::Voice;
use super::schedule::When;
use crate::cap::{ProfileName, SignaturePolicy};
use crate::config::BureauConfig;

/// What is asked of the alerts of one source, where it is not what is asked of all that its bureau says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTerms {
    /// The bureau that it speaks as.
    pub bureau: String,
    /// Profiles that its alerts are held against; the bureau's where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Vec<ProfileName>>,
    /// What is done about its signatures; what the bureau says where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignaturePolicy>,
}

impl SourceTerms {
    /// What is asked of a bureau's alerts, in short: `china, google; signature required`.
    pub fn in_short(bureau: &BureauConfig) -> String {
        let profiles: Vec<&str> = bureau.profile.iter().map(|name| name.as_str()).collect();
        let profiles = if profiles.is_empty() { ProfileName::Core.as_str().to_owned() } else { profiles.join(", ") };
        format!("{profiles}; signature {}", bureau.signature.as_str())
    }

    /// The bureau as it speaks by this source.
    pub fn of(&self, bureau: &BureauConfig) -> BureauConfig {
        BureauConfig {
            profile: self.profile.clone().unwrap_or_else(|| bureau.profile.clone()),
            signature: self.signature.unwrap_or(bureau.signature),
            ..bureau.clone()
        }
    }
}

/// A source: whose voice it is, and the way to it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SourceConfig {
    /// A document behind a URL, asked for again and again.
    Feed(FeedSource),
    /// A topic of a broker.
    Mqtt(MqttSource),
    /// A folder that files are put into.
    Folder(FolderSource),
}

/// A feed (Atom, RSS), an envelope (EDXL-DE), a list in JSON, or a single alert behind a URL.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSource {
    /// Its name, unique.
    pub name: String,
    /// The bureau that it speaks as.
    pub bureau: String,
    /// Profiles that its alerts are held against; the bureau's where left out.
    pub profile: Option<Vec<ProfileName>>,
    /// What is done about its signatures; what the bureau says where left out.
    pub signature: Option<SignaturePolicy>,
    /// Where it is.
    #[serde(deserialize_with = "url")]
    pub url: Url,
    /// When to ask: seconds, minutes, hours, day, month, weekday, in China Standard Time. Every `every_seconds` where left out.
    pub schedule: Option<String>,
    /// How often to ask.
    #[serde(default = "minute")]
    pub every_seconds: u32,
    /// Content behind a known link is looked at again this often.
    #[serde(default = "ten_minutes")]
    pub recheck_seconds: u32,
    /// The longest that one request may take.
    #[serde(default = "twenty")]
    pub timeout_seconds: u32,
    /// The largest feed that is read, MiB. An alert is never larger than 4.
    #[serde(default = "sixteen")]
    pub max_mib: u32,
    /// The most entries that are read, the newest.
    #[serde(default = "five_hundred")]
    pub max_entries: usize,
    /// The code of the place that warnings without any are about.
    pub area: Option<String>,
    /// Whether an alert ends when it is no longer listed. Only where the source says so of itself.
    #[serde(default)]
    pub ends_by_absence: bool,
    /// Private addresses that may be connected to: `10.1.0.0/16`, `127.0.0.1:8080`. None where left out.
    #[serde(default)]
    pub private: Vec<String>,
    /// PEM file of a further certificate authority.
    pub ca_file: Option<PathBuf>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSource {
    /// Its name, unique.
    pub name: String,
    /// The bureau that it speaks as.
    pub bureau: String,
    /// Profiles that its alerts are held against; the bureau's where left out.
    pub profile: Option<Vec<ProfileName>>,
    /// What is done about its signatures; what the bureau says where left out.
    pub signature: Option<SignaturePolicy>,
    /// Name or address of the broker.
    pub host: String,
    /// Port: 1883, or 8883 with TLS.
    pub port: u16,
    /// The topic, with `+` and `#` as one likes.
    pub topic: String,
    /// Whether the connection is protected by TLS.
    #[serde(default)]
    pub tls: bool,
    /// PEM file of a further certificate authority.
    pub ca_file: Option<PathBuf>,
    /// Account, where the broker wants one.
    pub username: Option<String>,
    /// File that holds the account's password, alone.
    pub password_file: Option<PathBuf>,
    /// Our name at the broker, which keeps what comes while we are away under it; `tocsin-` and the source's name where left out.
    pub client_id: Option<String>,
    /// The broker keeps what comes while we are away for so long, hours.
    #[serde(default = "day")]
    pub keep_hours: u32,
    /// The longest that fetching what a notification links to may take.
    #[serde(default = "twenty")]
    pub timeout_seconds: u32,
    /// Private addresses that links in notifications may lead to, as for feeds.
    #[serde(default)]
    pub private: Vec<String>,
}

/// A folder. Files are moved to `accepted` and `refused` below it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderSource {
    /// Its name, unique.
    pub name: String,
    /// The bureau that it speaks as.
    pub bureau: String,
    /// Profiles that its alerts are held against; the bureau's where left out.
    pub profile: Option<Vec<ProfileName>>,
    /// What is done about its signatures; what the bureau says where left out.
    pub signature: Option<SignaturePolicy>,
    /// The folder.
    pub path: PathBuf,
    /// How often to look; a file is taken when it was the same at two looks.
    #[serde(default = "two")]
    pub every_seconds: u32,
}

/// Lets each kind say in whose voice it hands in.
macro_rules! voices {
    ($($kind:ty),+) => { $(impl $kind {
        pub(super) fn voice(&self) -> Voice<'_> {
            Voice { bureau: &self.bureau, source: &self.name }
        }
    })+ };
}

voices!(FeedSource, MqttSource, FolderSource);

fn url<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let text = String::deserialize(from)?;
    Url::parse(&text).map_err(|e| serde::de::Error::custom(format!("`{text}` is no URL: {e}")))
}

const fn minute() -> u32 {
    60
}

const fn ten_minutes() -> u32 {
    600
}

const fn twenty() -> u32 {
    20
}

const fn sixteen() -> u32 {
    16
}

const fn five_hundred() -> usize {
    500
}

const fn day() -> u32 {
    24
}

const fn two() -> u32 {
    2
}

impl SourceConfig {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Feed(feed) => &feed.name,
            Self::Mqtt(mqtt) => &mqtt.name,
            Self::Folder(folder) => &folder.name,
        }
    }

    /// The bureau that it speaks as.
    pub fn bureau(&self) -> &str {
        match self {
            Self::Feed(feed) => &feed.bureau,
            Self::Mqtt(mqtt) => &mqtt.bureau,
            Self::Folder(folder) => &folder.bureau,
        }
    }

    /// What is asked of its alerts alone; None where that is what its bureau says.
    pub fn terms(&self) -> Option<SourceTerms> {
        let (profile, signature) = match self {
            Self::Feed(feed) => (&feed.profile, feed.signature),
            Self::Mqtt(mqtt) => (&mqtt.profile, mqtt.signature),
            Self::Folder(folder) => (&folder.profile, folder.signature),
        };
        let own = profile.is_some() || signature.is_some();
        own.then(|| SourceTerms { bureau: self.bureau().to_owned(), profile: profile.clone(), signature })
    }

    /// `feed`, `mqtt` or `folder`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Feed(_) => "feed",
            Self::Mqtt(_) => "mqtt",
            Self::Folder(_) => "folder",
        }
    }

    /// What cannot be, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let name = self.name();
        let level = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 60 || !name.chars().all(level) {
            return Err(format!("source `{name}`: a name is 1 to 60 letters, digits, `-`, `_` and `.`"));
        }
        let private = match self {
            Self::Feed(feed) => feed.private.as_slice(),
            Self::Mqtt(mqtt) => mqtt.private.as_slice(),
            Self::Folder(_) => &[],
        };
        if let Err(entry) = tocsin_channels::public::AllowList::new(private) {
            return Err(format!("source `{name}`: `private` holds `{entry}`, which is no address or network"));
        }
        match self {
            Self::Feed(feed) => {
                if !matches!(feed.url.scheme(), "http" | "https") {
                    return Err(format!("source `{name}`: `url` is neither http nor https"));
                }
                if feed.every_seconds == 0 || feed.max_entries == 0 || feed.timeout_seconds == 0 || feed.max_mib == 0 {
                    return Err(format!("source `{name}`: a limit is zero"));
                }
                When::of(feed)
                    .map(drop)
                    .map_err(|e| format!("source `{name}`: `schedule` has six fields, seconds first: {e}"))
            }
            Self::Mqtt(mqtt) => {
                let here = matches!(mqtt.host.as_str(), "localhost" | "127.0.0.1" | "::1");
                if mqtt.topic.is_empty() || mqtt.topic.contains('\0') {
                    return Err(format!("source `{name}`: `topic` is empty"));
                }
                if mqtt.username.is_some() && !mqtt.tls && !here {
                    return Err(format!(
                        "source `{name}`: a username without TLS sends the password in the clear; set `tls = true`"
                    ));
                }
                Ok(())
            }
            Self::Folder(folder) if folder.every_seconds == 0 => {
                Err(format!("source `{name}`: `every_seconds` is zero"))
            }
            Self::Folder(_) => Ok(()),
        }
    }
}
