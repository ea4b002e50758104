//! Officers: who they are, what they may do where, and how they prove it. Pure, but for randomness.

mod account;
mod grants;
mod password;
mod totp;

pub(crate) use crate::seal::write_secret;
pub use crate::seal::{SealKey, SecretError, random_token, token_digest};
pub use account::{Login, LoginError, OfficerId};
pub use grants::{Grant, Grants, Role};
pub use password::{PasswordError, hash_password, verify_password};
pub use totp::{Totp, TotpError};
