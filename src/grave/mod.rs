//! Grave settings: bureaus, rules, words and channels. Wider ones come into force when an administrator has agreed to them; narrower
//! ones at once. Pure: files are read before, and the store keeps what was agreed to.

mod diff;
mod narrow;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use diff::{Change, changes};
pub use narrow::in_force;

use crate::config::{BureauConfig, ChannelConfig, ChannelsConfig, Config, ConfigError};
use crate::messages::TemplateError;
use crate::policy;
use crate::sources::SourceTerms;

/// What a configuration says of the grave things. Secrets are not in it, only the names of their files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraveSettings {
    /// Who may speak, where, and of what.
    pub bureaus: Vec<BureauConfig>,
    /// What is asked of single sources of theirs, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceTerms>,
    /// The rule set's text, approvals with it.
    pub rules: String,
    /// The templates' texts, by their names: what needs nobody's yes goes out in words that were agreed to before. None where it was
    /// agreed before words counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<BTreeMap<String, String>>,
    /// What bureaus' keys are, by their files: another one in the same place is another key. None where it was agreed before that
    /// counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<BTreeMap<String, String>>,
    /// Who carries messages, as it is written in the configuration.
    pub channels: BTreeMap<String, Value>,
}

impl GraveSettings {
    /// Those of a configuration; the files of rules, templates and keys are read.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            bureaus: config.bureaus.clone(),
            sources: config.source_terms(),
            rules: policy::rules_text(config)?,
            templates: Some(policy::template_files(config).map_err(unread)?),
            keys: Some(policy::key_files(&config.bureaus)?),
            channels: config.channels.written.clone(),
        })
    }

    /// The settings as they are kept.
    ///
    /// # Errors
    /// Never for settings that came out of a configuration.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The channels of these settings, where a configuration wants others.
    ///
    /// # Errors
    /// When this version of the program cannot read what was agreed to.
    pub fn channels(&self, wanted: &Config) -> Result<ChannelsConfig, ConfigError> {
        if self.channels == wanted.channels.written {
            return Ok(wanted.channels.clone());
        }
        let written = self.channels.clone();
        Ok(ChannelsConfig {
            sms: self.channel("sms")?,
            email: self.channel("email")?,
            mqtt: self.channel("mqtt")?,
            push: self.channel("push")?,
            written,
        })
    }

    fn channel<T: DeserializeOwned>(&self, name: &str) -> Result<Option<ChannelConfig<T>>, ConfigError> {
        let Some(value) = self.channels.get(name) else { return Ok(None) };
        let read = serde_json::from_value(value.clone());
        read.map(Some).map_err(|e| ConfigError::Value {
            path: "the settings that were agreed to".into(),
            what: format!("channels.{name}: {e}"),
        })
    }
}

/// A file of templates that is not there is one of the configuration's.
fn unread(error: TemplateError) -> ConfigError {
    match error {
        TemplateError::Read { path, source } => ConfigError::Read { path, source },
        other => ConfigError::Value { path: "templates".into(), what: other.to_string() },
    }
}

#[cfg(test)]
mod tests;
