//! What may be changed while the program runs: map, rules, templates, bureaus. Built whole or not at all.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cap;
use crate::config::{BureauConfig, Config, ConfigError};
use crate::messages::{MessageOptions, TemplateError, Templates};
use crate::regions::{LocateOptions, RegionError, RegionMap};
use crate::rules::{RuleError, RuleSet};

/// Everything that decides what an alert becomes.
#[derive(Debug)]
pub struct Policy {
    /// Where.
    pub map: RegionMap,
    /// How areas are read.
    pub locate: LocateOptions,
    /// What, and to whom.
    pub rules: RuleSet,
    /// In which words.
    pub templates: Templates,
    /// Choices about them.
    pub messages: MessageOptions,
    /// Who may say it.
    pub bureaus: Vec<BureauConfig>,
    /// With which keys they sign, by name.
    pub keys: BTreeMap<String, cap::Keys>,
    /// With which key we sign, if at all.
    pub signing: Option<cap::SigningKey>,
}

/// Why a policy is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The map.
    #[error(transparent)]
    Regions(#[from] RegionError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The templates.
    #[error(transparent)]
    Templates(#[from] TemplateError),
    /// The keys of signatures.
    #[error(transparent)]
    Signature(#[from] cap::SignatureError),
    /// A bureau that speaks for a region of nowhere.
    #[error("bureau `{bureau}` speaks for the region {code}, which the map does not have")]
    Bureau {
        /// The bureau.
        bureau: String,
        /// The region.
        code: String,
    },
}

impl Policy {
    /// Builds and checks everything that the configuration names.
    ///
    /// # Errors
    /// At the first thing that is wrong; nothing is half taken.
    pub fn build(config: &Config) -> Result<Self, PolicyError> {
        let map = config.regions.map.as_ref().map_or_else(RegionMap::delta, RegionMap::load)?;
        let rules = match &config.rules.file {
            Some(path) => RuleSet::parse(&read(path)?, &path.display().to_string(), &map)?,
            None => RuleSet::delta(&map)?,
        };
        let templates = config.templates.folder.as_deref().map_or_else(Templates::shipped, Templates::load)?;
        for bureau in &config.bureaus {
            if let Some(code) = bureau.regions.iter().find(|code| map.get(code).is_none()) {
                return Err(PolicyError::Bureau { bureau: bureau.name.clone(), code: code.to_string() });
            }
        }
        let signers = config.bureaus.iter().filter(|bureau| !bureau.keys.is_empty());
        let keys = signers
            .map(|bureau| Ok((bureau.name.clone(), cap::Keys::load(&bureau.keys)?)))
            .collect::<Result<_, cap::SignatureError>>()?;
        let signing = config.signing.as_ref();
        let signing =
            signing.map(|own| cap::SigningKey::load(&own.key_file, own.certificate_file.as_deref())).transpose()?;
        Ok(Self {
            map,
            locate: config.regions.locate.clone(),
            rules,
            templates,
            messages: config.messages.clone(),
            bureaus: config.bureaus.clone(),
            keys,
            signing,
        })
    }

    /// The bureau of a token.
    pub fn bureau(&self, token: &str) -> Option<&BureauConfig> {
        let digest = crate::hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
        let is = |bureau: &&BureauConfig| {
            crate::delivery::constant_time_equal(bureau.token_sha256.to_ascii_lowercase().as_bytes(), digest.as_bytes())
        };
        self.bureaus.iter().find(is)
    }

    /// The bureau of a client certificate, by its SHA-256 in hex.
    pub fn bureau_of_certificate(&self, digest: &str) -> Option<&BureauConfig> {
        let is = |own: &String| own.eq_ignore_ascii_case(digest);
        self.bureaus.iter().find(|bureau| bureau.certificate_sha256.as_ref().is_some_and(is))
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.display().to_string(), source })
}
