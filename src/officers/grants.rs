//! What an officer may do, and where.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::regions::{RegionCode, RegionMap};

/// What an officer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Writes warnings.
    Author,
    /// Looks them over.
    Reviewer,
    /// Lets them go out.
    Signer,
    /// Watches the sending; may stop it.
    Operator,
    /// Reads the record.
    Auditor,
    /// Keeps officers, duty and settings.
    Administrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Author, Self::Reviewer, Self::Signer, Self::Operator, Self::Auditor, Self::Administrator];

    /// The word in tables and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Reviewer => "reviewer",
            Self::Signer => "signer",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether giving it needs a second administrator.
    pub const fn is_grave(self) -> bool {
        matches!(self, Self::Signer | Self::Administrator)
    }
}

/// One role for one region and all that lies in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// What.
    pub role: Role,
    /// Where; None for everywhere.
    pub region: Option<RegionCode>,
}

impl Grant {
    /// The word for everywhere in tables and forms.
    pub const EVERYWHERE: &'static str = "*";

    /// `role:region`, as the command line takes it: `signer:310000`, `administrator:*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (role, region) = text.split_once(':')?;
        let region = match region {
            Self::EVERYWHERE => None,
            code => Some(code.parse().ok()?),
        };
        Some(Self { role: Role::parse(role)?, region })
    }

    /// The region's code, or the word for everywhere.
    pub fn place(&self) -> &str {
        self.region.as_ref().map_or(Self::EVERYWHERE, RegionCode::as_str)
    }
}

/// Everything that an officer may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub BTreeSet<Grant>);

impl Grants {
    /// Whether this may be done for this region.
    pub fn may(&self, role: Role, region: &RegionCode, map: &RegionMap) -> bool {
        let covers = |grant: &Grant| grant.region.as_ref().is_none_or(|own| map.is_in(region, own));
        self.0.iter().any(|grant| grant.role == role && covers(grant))
    }

    /// The roles held for this region.
    pub fn roles(&self, region: &RegionCode, map: &RegionMap) -> BTreeSet<Role> {
        Role::ALL.into_iter().filter(|role| self.may(*role, region, map)).collect()
    }

    /// Whether the role is held anywhere.
    pub fn has(&self, role: Role) -> bool {
        self.0.iter().any(|grant| grant.role == role)
    }

    /// Whether the role is held everywhere.
    pub fn everywhere(&self, role: Role) -> bool {
        self.0.iter().any(|grant| grant.role == role && grant.region.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_holds_for_all_that_lies_in_its_region_and_nothing_else() {
        let map = RegionMap::delta().unwrap();
        let code = |text: &str| text.parse::<RegionCode>().unwrap();
        let grants = Grants([Grant::parse("signer:320000").unwrap(), Grant::parse("auditor:*").unwrap()].into());
        assert!(grants.may(Role::Signer, &code("320000"), &map));
        assert!(grants.may(Role::Signer, &code("320509"), &map), "Wujiang lies in Jiangsu");
        assert!(!grants.may(Role::Signer, &code("310118"), &map), "Qingpu does not");
        assert!(!grants.may(Role::Reviewer, &code("320000"), &map));
        assert!(grants.may(Role::Auditor, &code("310118"), &map));
        assert_eq!(Grant::parse("signer"), None);
        assert_eq!(Grant::parse("king:*"), None);
    }
}
