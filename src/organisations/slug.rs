use serde::{Deserialize, Serialize};

/// A short name that can stand in a topic, an account and an address: `yangshan-port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// A text that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` 不能作代号，请用 2 到 40 个小写字母、数字和 - / `{0}` cannot be a code: 2 to 40 small letters, digits and -"
)]
pub struct BadSlug(String);

impl Slug {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Slug {
    type Error = BadSlug;

    fn try_from(text: String) -> Result<Self, BadSlug> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let well = (2..=40).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('-');
        if well { Ok(Self(text)) } else { Err(BadSlug(text.chars().filter(|c| !c.is_control()).take(40).collect())) }
    }
}

impl std::str::FromStr for Slug {
    type Err = BadSlug;

    fn from_str(text: &str) -> Result<Self, BadSlug> {
        text.trim().to_owned().try_into()
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
