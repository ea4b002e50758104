//! `config.toml`: every key known, every error with line and column. Secrets stay in files of their own.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tocsin_channels::email::EmailConfig;
use tocsin_channels::mqtt::MqttConfig;
use tocsin_channels::push::PushConfig;
use tocsin_channels::sms::GatewayConfig;

use crate::cap::Hazard;
use crate::dispatch::Rate;
use crate::messages::MessageOptions;
use crate::regions::{LocateOptions, MapFiles, RegionCode};
use crate::sources::SourceConfig;

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
}

/// The officers' console.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// The key that seals officers' authenticator secrets; `console.key` beside the store where left out, made if it is not there.
    pub key_file: Option<PathBuf>,
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
    /// File with a secret that signs one-click leave links; without it, or without `public_url`, mails carry none.
    pub leave_secret_file: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: ([127, 0, 0, 1], 8460).into(), public_url: None, leave_secret_file: None }
    }
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BureauConfig {
    /// Its name, unique.
    pub name: String,
    /// SHA-256 of its token, hex; `tocsin token` makes both.
    pub token_sha256: String,
    /// Regions and sea areas that it may speak for, with all that lie in them.
    pub regions: Vec<RegionCode>,
    /// Dangers that it may speak of; all where left out.
    pub hazards: Option<Vec<Hazard>>,
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
}

/// One channel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig<T> {
    /// What the provider allows; as fast as it takes where left out.
    pub rate: Option<Rate>,
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

/// What is thrown away when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HousekeepingConfig {
    /// When, as seconds, minutes, hours, day, month, weekday, in China Standard Time.
    pub schedule: String,
    /// Recipients' addresses and outcomes of finished releases are kept so long, days. Alerts are kept for good.
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
        let config: Self =
            toml::from_str(text).map_err(|e| ConfigError::Syntax { path: path.to_owned(), message: e.to_string() })?;
        config.check().map_err(|what| ConfigError::Value { path: path.to_owned(), what })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let mut names = std::collections::BTreeSet::new();
        for bureau in &self.bureaus {
            if !names.insert(&bureau.name) {
                return Err(format!("two bureaus are named `{}`", bureau.name));
            }
            let hex = bureau.token_sha256.len() == 64 && bureau.token_sha256.bytes().all(|b| b.is_ascii_hexdigit());
            if !hex {
                return Err(format!(
                    "bureau `{}`: `token_sha256` is not 64 hex digits; `tocsin token` makes one",
                    bureau.name
                ));
            }
            if bureau.regions.is_empty() {
                return Err(format!("bureau `{}`: `regions` is empty: it could speak for nobody", bureau.name));
            }
        }
        let mut sources = std::collections::BTreeSet::new();
        for source in &self.sources {
            source.check()?;
            if !sources.insert(source.name()) {
                return Err(format!("two sources are named `{}`", source.name()));
            }
            if !names.iter().any(|name| *name == source.bureau()) {
                return Err(format!("source `{}`: there is no bureau `{}`", source.name(), source.bureau()));
            }
        }
        let schedule = self.housekeeping.schedule.parse::<cron::Schedule>();
        schedule.map(drop).map_err(|e| format!("housekeeping: `schedule` has six fields, seconds first: {e}"))
    }
}
