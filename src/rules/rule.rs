//! A rule set's file: TOML, every key known, every word checked, errors with line and column.

use std::collections::BTreeSet;

use serde::Deserialize;
use tocsin_channels::ChannelKind;

use super::approval::Approval;
use super::condition::Condition;
use super::decision::{Audience, Lane};
use crate::regions::{RegionCode, RegionMap};

/// An ordered set of rules. All that match apply.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// In the file's order.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// Approvals by name; `none`, `one` and `two` are there where the file has no others of that name.
    #[serde(rename = "approval", default)]
    pub approvals: Vec<Approval>,
}

/// One rule: a condition, and what follows from it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the file; officers see it.
    pub name: String,
    /// When it applies.
    pub when: Condition,
    /// Which regions are told.
    #[serde(default)]
    pub regions: Targets,
    /// Which lists of subscribers.
    pub audience: BTreeSet<Audience>,
    /// By which channels.
    pub channels: BTreeSet<ChannelKind>,
    /// How urgent: 0 Extreme, 1 Severe, 2 Moderate, 3 the rest.
    pub priority: Lane,
    /// Who must say yes: the name of an approval.
    pub approval: String,
    /// A template set other than the hazard's own.
    pub template: Option<String>,
}

/// Which regions a rule tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    /// The counties that the alert's areas matched.
    pub matched: bool,
    /// Counties that border those, across provinces too.
    pub neighbours: bool,
    /// These regions besides, with every county in them.
    pub also: Vec<RegionCode>,
}

impl Default for Targets {
    fn default() -> Self {
        Self { matched: true, neighbours: false, also: Vec::new() }
    }
}

/// Why a rule set is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not TOML, an unknown key, or a word that is not allowed there; the message shows line, column and what is allowed.
    #[error("{file}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Where and what.
        message: String,
    },
    /// Two rules have one name.
    #[error("{file}: two rules are named `{name}`; officers could not tell them apart")]
    SameName {
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
    /// A rule that can never do anything, or would do everything by mistake.
    #[error("{file}: rule `{name}`: {what}")]
    Empty {
        /// The file.
        file: String,
        /// The rule.
        name: String,
        /// What is empty.
        what: &'static str,
    },
    /// An approval that is not there, or makes no sense.
    #[error("{file}: approval `{name}`: {what}")]
    Approval {
        /// The file.
        file: String,
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A region that the map does not have.
    #[error("{file}: rule `{name}` names the region {code}, which the map does not have")]
    Region {
        /// The file.
        file: String,
        /// The rule.
        name: String,
        /// The region.
        code: RegionCode,
    },
}

impl RuleSet {
    /// The text of the rule set that ships with the program.
    pub(crate) const SHIPPED: &'static str = include_str!("../../rules/delta.toml");

    /// Reads and checks a rule set.
    ///
    /// # Errors
    /// When anything in it is not understood, or names a region that the map does not have.
    pub fn parse(text: &str, file: &str, map: &RegionMap) -> Result<Self, RuleError> {
        let syntax = |e: toml::de::Error| RuleError::Syntax { file: file.into(), message: e.to_string() };
        let mut set: Self = toml::from_str(text).map_err(syntax)?;
        set.check_approvals(file)?;
        let mut names = BTreeSet::new();
        for rule in &set.rules {
            let (file, name) = (file.to_owned(), rule.name.clone());
            if !names.insert(&rule.name) {
                return Err(RuleError::SameName { file, name });
            }
            let what = match rule {
                _ if rule.channels.is_empty() => Some("`channels` is empty: it would tell nobody"),
                _ if rule.regions == (Targets { matched: false, neighbours: false, also: Vec::new() }) => {
                    Some("`regions` names none: it would tell nobody")
                }
                _ if rule.audience.is_empty() => Some("`audience` is empty: it would tell nobody"),
                _ => rule.when.emptiness(),
            };
            if let Some(what) = what {
                return Err(RuleError::Empty { file, name, what });
            }
            let mut codes = rule.regions.also.clone();
            rule.when.regions(&mut codes);
            if let Some(code) = codes.into_iter().find(|code| map.get(code).is_none()) {
                return Err(RuleError::Region { file, name, code });
            }
        }
        Ok(set)
    }

    /// The approval of this name; one officer's where there is none, which `parse` does not let happen.
    pub fn approval(&self, name: &str) -> Approval {
        self.approvals.iter().find(|approval| approval.name == name).cloned().unwrap_or_else(Approval::one)
    }

    fn check_approvals(&mut self, file: &str) -> Result<(), RuleError> {
        let wrong = |name: &str, what: &str| {
            Err(RuleError::Approval { file: file.into(), name: name.into(), what: what.into() })
        };
        let mut names = BTreeSet::new();
        for approval in &self.approvals {
            if !names.insert(approval.name.clone()) {
                return wrong(&approval.name, "there are two of this name");
            }
            if approval.name == "none" && !approval.is_none() {
                return wrong("none", "`none` is the name of the approval that needs nobody");
            }
            if let Some(what) = approval.wrong() {
                return wrong(&approval.name, what);
            }
        }
        for usual in [Approval::none(), Approval::one(), Approval::two()] {
            if !names.contains(&usual.name) {
                self.approvals.push(usual);
            }
        }
        let known = |rule: &&Rule| !self.approvals.iter().any(|approval| approval.name == rule.approval);
        match self.rules.iter().find(known) {
            Some(rule) => wrong(&rule.approval, &format!("rule `{}` names it, and there is none", rule.name)),
            None => Ok(()),
        }
    }

    /// The rule set that ships with Tocsin, for the Yangtze River Delta.
    ///
    /// # Errors
    /// When the map is not the shipped one.
    pub fn delta(map: &RegionMap) -> Result<Self, RuleError> {
        Self::parse(Self::SHIPPED, "rules/delta.toml", map)
    }
}
