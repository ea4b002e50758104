//! Profiles: what a country or a publisher asks of CAP beyond the standard, as data over a closed set of checks.

mod check;
mod flag;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use self::check::Check;
use super::alert::Alert;
use super::finding::{Finding, Gravity, Verdict};

/// Defines the profiles: name, word, file.
macro_rules! profiles {
    ($($(#[$meta:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// The profiles that are known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum ProfileName { $($(#[$meta])* $name),+ }

        impl ProfileName {
            /// Every profile.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in config and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!($word, ".toml"))),+ }
            }
        }
    };
}

profiles! {
    /// The standard alone: what every alert is held against anyway.
    Core = "core",
    /// The World Meteorological Organization's guidelines.
    Wmo = "wmo",
    /// Google Public Alerts.
    Google = "google",
    /// Australia.
    CapAu = "cap-au",
    /// Canada.
    CapCp = "cap-cp",
    /// The United States.
    Ipaws = "ipaws",
    /// China's early-warning messages.
    China = "china",
}

/// A profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its full name and edition.
    pub title: String,
    /// Where an area has a polygon or circle, its codes are a rough copy and are not read.
    #[serde(default)]
    pub geometry_is_truth: bool,
    #[serde(default, rename = "check")]
    checks: Vec<Rule>,
}

/// One check of a profile.
#[derive(Debug, Clone, Deserialize)]
struct Rule {
    /// How much it matters there.
    severity: Gravity,
    /// Where the profile says so.
    source: String,
    #[serde(flatten)]
    check: Check,
}

static SHIPPED: LazyLock<Vec<(ProfileName, Profile)>> = LazyLock::new(|| {
    let read = |name: &ProfileName| Some((*name, toml::from_str(name.text()).ok()?));
    ProfileName::ALL.iter().filter_map(read).collect()
});

impl Profile {
    /// The profile of a name. None only if a shipped file is broken, which a test rules out.
    pub fn of(name: ProfileName) -> Option<&'static Self> {
        SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, profile)| profile)
    }

    /// Adds what the profile finds; what the standard's checks found already counts as much as the profile says.
    pub fn run(&self, alert: &Alert, findings: &mut Vec<Finding>) {
        for rule in &self.checks {
            let add = |finding: Finding| {
                findings.push(Finding { source: rule.source.clone().into(), ..finding.as_grave_as(rule.severity) });
            };
            rule.check.run(alert, add);
        }
        findings.iter_mut().for_each(|found| self.grade(found));
    }

    /// Makes a finding of the standard's as grave as the profile says.
    fn grade(&self, found: &mut Finding) {
        for rule in &self.checks {
            let Check::Finding { number } = rule.check else { continue };
            if found.code.number() == number && rule.severity > found.gravity {
                found.gravity = rule.severity;
                found.source = rule.source.clone().into();
            }
        }
    }
}

/// Makes what was found as grave as profiles say: what only the record shows is found after they have run.
pub(crate) fn grade(names: &[ProfileName], findings: &mut [Finding]) {
    for profile in names.iter().filter_map(|name| Profile::of(*name)) {
        findings.iter_mut().for_each(|found| profile.grade(found));
    }
}

/// Holds an alert against profiles. Gives what becomes of it then.
pub fn hold_against(names: &[ProfileName], alert: &Alert, findings: &mut Vec<Finding>) -> Verdict {
    for profile in names.iter().filter_map(|name| Profile::of(*name)) {
        profile.run(alert, findings);
    }
    Verdict::of(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cap::Code;

    #[test]
    fn every_shipped_profile_is_whole_and_names_findings_that_exist() {
        for name in ProfileName::ALL {
            let profile: Profile = toml::from_str(name.text()).unwrap_or_else(|e| panic!("{}: {e}", name.as_str()));
            assert!(Profile::of(*name).is_some() && !profile.title.is_empty());
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str(), "one word in config, files and commands");
            for rule in &profile.checks {
                assert!(!rule.source.is_empty());
                if let Check::Finding { number } = rule.check {
                    assert!(Code::ALL.iter().any(|code| code.number() == number), "{}: T{number}", name.as_str());
                }
            }
        }
    }
}
