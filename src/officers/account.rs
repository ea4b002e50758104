use serde::{Deserialize, Serialize};

/// An officer's id in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OfficerId(pub i64);

impl std::fmt::Display for OfficerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The name that an officer signs in with: 2 to 40 small letters, digits, dots, dashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Login(String);

/// A text that is no login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("登录名须为 2 至 40 个小写字母、数字、点或短横 / a login is 2 to 40 small letters, digits, dots or dashes")]
pub struct LoginError;

impl Login {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Login {
    type Err = LoginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim().to_lowercase();
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        let good = (2..=40).contains(&text.len()) && text.bytes().all(allowed);
        if good { Ok(Self(text)) } else { Err(LoginError) }
    }
}

impl TryFrom<String> for Login {
    type Error = LoginError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Login> for String {
    fn from(login: Login) -> Self {
        login.0
    }
}

impl std::fmt::Display for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
