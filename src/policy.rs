//! What may be changed while the program runs: map, rules, templates, bureaus. Built whole or not at all.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cap;
use crate::config::{BureauConfig, Config, ConfigError, SigningConfig};
use crate::grave::GraveSettings;
use crate::messages::{MessageOptions, TemplateError, Templates};
use crate::regions::{LocateOptions, RegionError, RegionMap};
use crate::rules::{RuleError, RuleSet};
use crate::sources::SourceTerms;

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
    /// What is asked of single sources, by name, where it is not what is asked of their bureaus.
    pub sources: BTreeMap<String, SourceTerms>,
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
        let rules = RuleSet::parse(&rules_text(config)?, &rules_name(config), &map)?;
        let templates = Templates::new(template_files(config)?)?;
        for bureau in &config.bureaus {
            if let Some(code) = bureau.regions.iter().find(|code| map.get(code).is_none()) {
                return Err(PolicyError::Bureau { bureau: bureau.name.clone(), code: code.to_string() });
            }
        }
        let keys = keys(&config.bureaus, &key_files(&config.bureaus)?)?;
        let signing = config.signing.as_ref();
        let load = |own: &SigningConfig| {
            let key = cap::SigningKey::load(&own.key_file, own.certificate_file.as_deref())?;
            Ok::<_, cap::SignatureError>(key.required(own.required))
        };
        let signing = signing.map(load).transpose()?;
        Ok(Self {
            map,
            locate: config.regions.locate.clone(),
            rules,
            templates,
            messages: MessageOptions {
                own_base: config.server.public_url.clone().unwrap_or_default(),
                ..config.messages.clone()
            },
            bureaus: config.bureaus.clone(),
            sources: config.source_terms(),
            keys,
            signing,
        })
    }

    /// The same map under the bureaus, rules and words of these settings. Words that were agreed to for another version of the program
    /// may not do for this one: a warning goes out in the shipped ones then, never in those of files that nobody has agreed to; gives
    /// why.
    ///
    /// # Errors
    /// When the rules cannot be read, or name what the map does not have.
    pub fn under(self, settings: &GraveSettings) -> Result<(Self, Option<TemplateError>), PolicyError> {
        let rules = RuleSet::parse(&settings.rules, "the rules that were agreed to", &self.map)?;
        let (templates, unused) = match settings.templates.clone() {
            Some(agreed) => Templates::of_another_version(agreed)?,
            None => (self.templates, None),
        };
        let (bureaus, sources) = (settings.bureaus.clone(), settings.sources.clone());
        let files = settings.keys.clone().map_or_else(|| key_files(&bureaus), Ok)?;
        Ok((Self { rules, templates, keys: keys(&bureaus, &files)?, bureaus, sources, ..self }, unused))
    }

    /// A bureau as it speaks by one of its sources.
    pub fn bureau_by(&self, bureau: &str, source: &str) -> Option<BureauConfig> {
        let own = self.bureaus.iter().find(|own| own.name == bureau)?;
        let terms = self.sources.get(source).filter(|terms| terms.bureau == bureau);
        Some(terms.map_or_else(|| own.clone(), |terms| terms.of(own)))
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

/// What bureaus sign with, from files that were read before.
fn keys(
    bureaus: &[BureauConfig],
    files: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, cap::Keys>, cap::SignatureError> {
    let signers = bureaus.iter().filter(|bureau| !bureau.keys.is_empty());
    let of = |bureau: &BureauConfig| {
        let text = |path: &PathBuf| files.get(&path.display().to_string());
        let own = bureau.keys.iter().filter_map(|path| Some((path.as_path(), text(path)?.as_str())));
        Ok((bureau.name.clone(), cap::Keys::of(own)?))
    };
    signers.map(of).collect()
}

/// The texts of the files that bureaus' keys lie in, by their paths.
pub(crate) fn key_files(bureaus: &[BureauConfig]) -> Result<BTreeMap<String, String>, ConfigError> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Ok((name, String::from_utf8_lossy(&bytes).into_owned())),
            Err(source) => Err(ConfigError::Read { path: name, source }),
        }
    };
    bureaus.iter().flat_map(|bureau| &bureau.keys).map(read).collect()
}

/// The text of the rule set that a configuration names.
pub(crate) fn rules_text(config: &Config) -> Result<String, ConfigError> {
    match &config.rules.file {
        None => Ok(RuleSet::SHIPPED.to_owned()),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.display().to_string(), source }),
    }
}

/// The texts of the templates that a configuration names.
pub(crate) fn template_files(config: &Config) -> Result<BTreeMap<String, String>, TemplateError> {
    config.templates.folder.as_deref().map_or_else(|| Ok(Templates::shipped_files()), Templates::files)
}

fn rules_name(config: &Config) -> String {
    config.rules.file.as_ref().map_or_else(|| "rules/delta.toml".into(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cap::Hazard;
    use crate::messages::Language;

    /// What goes out for an earthquake, when such words were agreed to and others stand in the files.
    fn advice(agreed: BTreeMap<String, String>) -> (String, Option<TemplateError>) {
        let config = Config::default();
        let mut files = Templates::shipped_files();
        files.insert("common/zh-CN/advice.txt".into(), "没有人同意过".into());
        let policy = Policy { templates: Templates::new(files).unwrap(), ..Policy::build(&config).unwrap() };
        let settings = GraveSettings { templates: Some(agreed), ..GraveSettings::of(&config).unwrap() };
        let (policy, unused) = policy.under(&settings).unwrap();
        (policy.templates.advice(Hazard::Earthquake, Language::Chinese).unwrap(), unused)
    }

    #[cfg(feature = "signatures")]
    #[test]
    fn keys_are_those_that_were_agreed_to_whatever_lies_in_their_files_now() {
        let bureau = format!(
            "[[bureau]]\nname = \"a\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\nsignature = \"required\"\nkeys = [\"/nowhere.pem\"]\n",
            "a".repeat(64)
        );
        let bureaus = Config::parse(&bureau, "config.toml").unwrap().bureaus;
        let under = |text: &str| {
            let keys = Some(BTreeMap::from([("/nowhere.pem".to_owned(), text.to_owned())]));
            let config = Config::default();
            let settings = GraveSettings { bureaus: bureaus.clone(), keys, ..GraveSettings::of(&config).unwrap() };
            Policy::build(&config).unwrap().under(&settings).map(|(policy, _)| policy.keys)
        };
        assert!(under(include_str!("../tests/cases/signatures/bureau.pem")).unwrap().contains_key("a"));
        assert!(under("what somebody put there").unwrap_err().to_string().contains("/nowhere.pem"));
    }

    #[test]
    fn words_of_another_version_are_kept_as_far_as_they_do_and_never_taken_from_files_that_nobody_agreed_to() {
        let own = |text: &str| {
            let mut files = Templates::shipped_files();
            files.insert("common/zh-CN/advice.txt".into(), text.into());
            files
        };
        let (said, unused) = advice(own("请留在原地"));
        assert!(said == "请留在原地" && unused.is_none(), "{said} {unused:?}");
        // This version says more than that one did.
        let mut older = own("请留在原地");
        older.retain(|name, _| !name.starts_with("common/en/description"));
        let (said, unused) = advice(older);
        assert_eq!(said, "请留在原地");
        assert!(matches!(unused, Some(TemplateError::Missing(name)) if name == "common/en/description.txt"));
        // It knows nothing of what that one said.
        let (said, unused) = advice(own("{{ what_that_version_knew }}"));
        assert!(said.contains("伏地"), "the shipped words: {said}");
        assert!(matches!(unused, Some(TemplateError::Template(_))));
    }
}
