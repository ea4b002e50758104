//! `config.toml`: every key known, every error with line and column. Secrets stay in files of their own.

mod check;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tocsin_channels::ChannelKind;
use tocsin_channels::email::EmailConfig;
use tocsin_channels::mqtt::MqttConfig;
use tocsin_channels::push::PushConfig;
use tocsin_channels::sms::GatewayConfig;

use crate::cap::{Hazard, ProfileName, SignaturePolicy};
use crate::dispatch::Rate;
use crate::intake::{Levels, Outside};
use crate::messages::MessageOptions;
use crate::oidc::OidcConfig;
use crate::regions::{LocateOptions, MapFiles, RegionCode};
use crate::residents::SignUpLimits;
use crate::rules::Span;
use crate::sources::{SourceConfig, SourceTerms};

/// The whole configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The record on disk.
    pub store: StoreConfig,
    /// The HTTP server.
    pub server: ServerConfig,
    /// The map, and how alerts' areas are read.
    pub regions: RegionsConfig,
    /// The rule set.
    pub rules: RulesConfig,
    /// The templates.
    pub templates: TemplatesConfig,
    /// Choices about messages.
    pub messages: MessageOptions,
    /// Who may submit alerts.
    #[serde(rename = "bureau")]
    pub bureaus: Vec<BureauConfig>,
    /// Where we go for alerts ourselves.
    #[serde(rename = "source")]
    pub sources: Vec<SourceConfig>,
    /// How people are reached; a channel left out is not used.
    pub channels: ChannelsConfig,
    /// What is thrown away when.
    pub housekeeping: HousekeepingConfig,
    /// The officers' console.
    pub console: ConsoleConfig,
    /// What stands open to everybody.
    pub publish: PublishConfig,
    /// Programs that are told of what is published.
    #[serde(rename = "webhook")]
    pub webhooks: Vec<WebhookConfig>,
    /// The key that signs what Tocsin itself sends; nothing is signed where left out.
    pub signing: Option<SigningConfig>,
    /// Residents who sign up themselves.
    pub residents: ResidentsConfig,
    /// Organisations.
    pub organisations: OrganisationsConfig,
    /// Sirens, loudspeakers and signs; nobody listens to them where left out.
    pub devices: Option<DevicesConfig>,
    /// The MQTT broker's accounts; Tocsin keeps none where left out.
    pub broker: Option<BrokerConfig>,
}

/// Organisations.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrganisationsConfig {
    /// Private networks that their webhooks may lie in: `127.0.0.1:9000`, `10.0.0.0/8`.
    pub allow_private: Vec<String>,
}

/// Sirens, loudspeakers and signs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevicesConfig {
    /// A device says so often that it lives, seconds.
    pub heartbeat_seconds: u32,
    /// So many missed ones make it silent.
    pub missed: u8,
    /// Of more than so many percent silent in a prefecture its operators are called.
    pub alarm_percent: u8,
    /// And of so many at least.
    pub alarm_least: u16,
}

impl Default for DevicesConfig {
    fn default() -> Self {
        Self { heartbeat_seconds: 60, missed: 3, alarm_percent: 20, alarm_least: 3 }
    }
}

/// The MQTT broker's accounts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// The folder in which mosquitto's password and ACL files are kept current.
    pub accounts: PathBuf,
}

/// What stands open to everybody.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublishConfig {
    /// Our sender id in CAP messages that officers changed; no spaces or commas.
    pub sender: String,
    /// Class of agency, unit and extension in our own messages' identifiers, as GB/T 35965 has them: eight digits that no bureau uses.
    pub issuer: Option<String>,
    /// What has ended stays listed for so long, hours.
    pub keep_hours: u32,
    /// Notifications to WMO's WIS2, where this is one of its nodes.
    pub wis2: Option<Wis2Config>,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self { sender: "tocsin".into(), issuer: None, keep_hours: 48, wis2: None }
    }
}

/// This node in WIS2.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wis2Config {
    /// The centre's id: `cn-shanghai-example`.
    pub centre_id: String,
    /// The discovery metadata record of the warnings.
    pub metadata_id: Option<String>,
    /// The broker; its `client_id` is another than the channel's.
    pub via: MqttConfig,
}

/// A program that is told of what is published.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its name, unique.
    pub name: String,
    /// Where it takes posts.
    pub url: String,
    /// File with the secret that posts are signed with, 16 bytes at least.
    pub secret_file: PathBuf,
    /// Only what concerns these regions, with all that lie in them.
    #[serde(default)]
    pub regions: Vec<RegionCode>,
    /// Only these dangers.
    #[serde(default)]
    pub hazards: Vec<Hazard>,
    /// Only this level and graver ones.
    pub lowest: Option<crate::cap::Colour>,
    /// Private networks that it may lie in: `127.0.0.1:9000`, `10.0.0.0/8`.
    #[serde(default)]
    pub allow_private: Vec<String>,
    /// PEM file of a further certificate authority.
    pub ca_file: Option<PathBuf>,
    /// The longest that a post may take, seconds.
    #[serde(default = "hook_seconds")]
    pub timeout_seconds: u64,
}

const fn hook_seconds() -> u64 {
    10
}

/// The key that signs what Tocsin itself sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningConfig {
    /// The private key: ECDSA on P-256, or RSA, in PEM.
    pub key_file: PathBuf,
    /// Its certificate in PEM, sent with each signature.
    pub certificate_file: Option<PathBuf>,
    /// What cannot be signed is not published until it can be; where false, it is published unsigned, and that is told.
    #[serde(default)]
    pub required: bool,
}

/// Residents who sign up themselves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResidentsConfig {
    /// The key that seals addresses and places; `residents.key` beside the store where left out, made if it is not there.
    pub key_file: Option<PathBuf>,
    /// How many may sign up.
    pub limits: SignUpLimits,
    /// File with the secret word in the address that the SMS gateway brings people's answers to (STOP); none are taken without it.
    pub inbound_secret_file: Option<PathBuf>,
}

/// The officers' console.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// The key that seals officers' authenticator secrets; `console.key` beside the store where left out, made if it is not there.
    pub key_file: Option<PathBuf>,
    /// Sign-in through the organisation's own provider.
    pub oidc: Option<OidcConfig>,
}

/// The record on disk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// `sqlite://path/to/file.db`.
    pub url: String,
    /// The largest size that the file may grow to, MiB.
    pub max_size_mib: Option<u32>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: "sqlite://data/tocsin.db".into(), max_size_mib: None }
    }
}

/// The HTTP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port to listen on.
    pub listen: std::net::SocketAddr,
    /// How people reach this server, for links: `https://warn.example.org`.
    pub public_url: Option<String>,
    /// File with a secret that signs one-click leave links; `leave.key` beside the store where left out, made if it is not there. Without
    /// `public_url` mails carry none.
    pub leave_secret_file: Option<PathBuf>,
    /// TLS at this server's own door; plain HTTP, for a proxy in front, where left out.
    pub tls: Option<TlsConfig>,
    /// Connections at once; the next ones wait.
    pub connections: usize,
    /// Folder with further languages of the pages for residents and everybody, one file each.
    pub languages: Option<PathBuf>,
    /// Proxies in front, addresses or networks, whose `X-Forwarded-For` says where requests come from.
    pub proxies: Vec<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let listen = ([127, 0, 0, 1], 8460).into();
        Self {
            listen,
            public_url: None,
            leave_secret_file: None,
            tls: None,
            connections: 4_096,
            languages: None,
            proxies: Vec::new(),
        }
    }
}

/// TLS at this server's own door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who vouches for bureaus' certificates, PEM; without it nobody is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// The map, and how areas are read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegionsConfig {
    /// Another map; the Yangtze River Delta's where left out.
    pub map: Option<MapFiles>,
    /// How areas become regions.
    pub locate: LocateOptions,
}

/// The rule set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// Its file; the shipped one where left out.
    pub file: Option<PathBuf>,
}

/// The templates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplatesConfig {
    /// Their folder; the shipped ones where left out.
    pub folder: Option<PathBuf>,
}

/// A bureau that may submit alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BureauConfig {
    /// Its name, unique.
    pub name: String,
    /// SHA-256 of its token, hex; `tocsin token` makes both. Empty where it comes with a certificate only.
    #[serde(default)]
    pub token_sha256: String,
    /// SHA-256 of its client certificate, hex: it needs no token then (`server.tls.client_ca`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// Regions and sea areas that it may speak for, with all that lie in them.
    pub regions: Vec<RegionCode>,
    /// Dangers that it may speak of; all where left out.
    pub hazards: Option<Vec<Hazard>>,
    /// Levels that it may warn of: the highest, or a list; all where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<Levels>,
    /// What becomes of an alert that reaches beyond its regions.
    #[serde(default)]
    pub outside: Outside,
    /// Profiles that its alerts are held against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<ProfileName>,
    /// What is done about its signatures.
    #[serde(default)]
    pub signature: SignaturePolicy,
    /// Its certificates or public keys, PEM files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PathBuf>,
    /// How many alerts it may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<BureauRate>,
    /// The largest alert that it may send, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// An alert that was sent longer ago is looked at by an officer, however it would go out; `24h` where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

/// How many alerts a bureau may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BureauRate {
    /// So many a minute, all at once too.
    pub per_minute: std::num::NonZeroU32,
}

/// How people are reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelsConfig {
    /// Short messages.
    pub sms: Option<ChannelConfig<GatewayConfig>>,
    /// Mail.
    pub email: Option<ChannelConfig<EmailConfig>>,
    /// MQTT.
    pub mqtt: Option<ChannelConfig<MqttConfig>>,
    /// Web push.
    pub push: Option<ChannelConfig<PushConfig>>,
    /// The same as it was written, to be agreed to.
    #[serde(skip)]
    pub(crate) written: BTreeMap<String, serde_json::Value>,
}

impl ChannelsConfig {
    /// Whether anybody can be reached by a channel.
    pub const fn has(&self, kind: ChannelKind) -> bool {
        match kind {
            ChannelKind::Sms => self.sms.is_some(),
            ChannelKind::Email => self.email.is_some(),
            ChannelKind::Mqtt => self.mqtt.is_some(),
            ChannelKind::Push => self.push.is_some(),
        }
    }
}

/// One channel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig<T> {
    /// What the provider allows; as fast as it takes where left out.
    pub rate: Option<Rate>,
    /// What one costs, in yuan: an SMS part, a mail, a publish, a push. Officers are told what an alert will cost.
    pub price: Option<Price>,
    /// Chunks in work at once; the channel's own default where left out.
    pub workers: Option<usize>,
    /// Messages in a window, 1 to 1,000: what a crash may repeat.
    #[serde(default = "window")]
    pub window: usize,
    /// The provider.
    pub via: T,
}

const fn window() -> usize {
    64
}

/// A price in yuan.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Price(f64);

impl Price {
    /// What so many cost.
    pub fn of(self, units: u64) -> f64 {
        self.0 * units as f64
    }
}

impl TryFrom<f64> for Price {
    type Error = String;

    fn try_from(yuan: f64) -> Result<Self, Self::Error> {
        if (0.0..=1_000.0).contains(&yuan) { Ok(Self(yuan)) } else { Err(format!("no price: {yuan}")) }
    }
}

/// What is thrown away when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HousekeepingConfig {
    /// When, as seconds, minutes, hours, day, month, weekday, in China Standard Time.
    pub schedule: String,
    /// Recipients' addresses and outcomes of finished releases, refusals, and the logs of webhooks are kept so long, days. Alerts are
    /// kept for good.
    pub keep_days: u32,
}

impl Default for HousekeepingConfig {
    fn default() -> Self {
        Self { schedule: "0 30 3 * * *".into(), keep_days: 90 }
    }
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a key or value that is not known there.
    #[error("{path}: {message}")]
    Syntax {
        /// Which file.
        path: String,
        /// Where and what.
        message: String,
    },
    /// Something in it cannot be.
    #[error("{path}: {what}")]
    Value {
        /// Which file.
        path: String,
        /// What.
        what: String,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When anything in it is not understood.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        Self::parse(&text, &shown)
    }

    /// Reads and checks a text; `path` is named in errors.
    ///
    /// # Errors
    /// When anything in it is not understood.
    pub fn parse(text: &str, path: &str) -> Result<Self, ConfigError> {
        /// What is kept as it was written.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Written {
            channels: BTreeMap<String, serde_json::Value>,
        }
        let syntax = |e: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: e.to_string() };
        let mut config: Self = toml::from_str(text).map_err(syntax)?;
        config.channels.written = toml::from_str::<Written>(text).map_err(syntax)?.channels;
        config.check().map_err(|what| ConfigError::Value { path: path.to_owned(), what })?;
        Ok(config)
    }

    /// The bureau that a source speaks as, as it holds there.
    pub fn bureau_by(&self, source: &SourceConfig) -> Option<BureauConfig> {
        let own = self.bureaus.iter().find(|bureau| bureau.name == source.bureau())?;
        Some(source.terms().map_or_else(|| own.clone(), |terms| terms.of(own)))
    }

    /// What is asked of single sources, by name.
    pub fn source_terms(&self) -> BTreeMap<String, SourceTerms> {
        self.sources.iter().filter_map(|source| Some((source.name().to_owned(), source.terms()?))).collect()
    }
}
