//! The officers of this service: invited, signed in, given roles; grave settings need a second administrator.

mod accounts;
#[cfg(feature = "passkeys")]
mod passkeys;
mod proposals;
mod settings;
mod sign_in;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub(crate) use accounts::INVITED;
pub use accounts::{ADDRESSES, NewOfficer};
pub use proposals::{Grave, SCOPES};
pub use settings::Standing;
pub(crate) use sign_in::Way;
pub use sign_in::{Ask, Factors, IDLE, Session, SignInError};

use crate::clock::Clock;
use crate::delivery::AddressError;
use crate::officers::{LoginError, PasswordError, SealKey, SecretError, TotpError};
use crate::policy::Policy;
use crate::store::{Store, StoreError};

/// Keeps officers.
pub struct Staff {
    store: Store,
    policy: Arc<ArcSwap<Policy>>,
    clock: Arc<dyn Clock>,
    key: SealKey,
    /// Two at a time may try to prove who they are: hashing is slow and hungry on purpose, and no crowd of guesses gets past the
    /// count of failures.
    door: tokio::sync::Semaphore,
}

/// Why something about officers is not done.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// No such officer, token or proposal.
    #[error("没有此项，或已失效 / there is no such thing, or it no longer holds")]
    Unknown,
    /// The link of an invitation was used, is over, or never was.
    #[error(
        "邀请链接已使用或已失效：请直接登录，或请管理员重发链接 / this invitation was used or is over: sign in, or ask an administrator for a new link"
    )]
    Invitation,
    /// Not theirs to do.
    #[error("您没有这项权限 / you may not do this")]
    NotYours,
    /// The login is taken.
    #[error("名称已被使用 / this name is taken")]
    Taken,
    /// Proposals are decided by somebody else.
    #[error("须由另一位管理员确认 / it takes another administrator")]
    Own,
    /// Nobody would be left to keep the officers.
    #[error("至少须保留一位管理员 / at least one administrator of the whole service must stay")]
    Last,
    /// Two administrators are there: it is done in the console.
    #[error("已有两位管理员，请在控制台办理 / there are two administrators: this is done in the console")]
    NotHere,
    /// Nobody comes back by a new link or name.
    #[error("此人已停用，请先恢复 / this officer is suspended: restore them first")]
    Suspended,
    /// Another proof is asked for.
    #[error("请使用您自己的动态码或通行密钥 / use your own authenticator or passkey")]
    OwnFactor,
    /// A proposal is not what was proposed.
    #[error("此项内容与提出时不符，未执行 / this is not what was proposed; nothing was done")]
    Forged,
    /// Nobody is called who could not decide.
    #[error("{0}在此地不能复核或签发，不能列入值班 / {0} may neither review nor sign there, and is not called")]
    CannotDecide(String),
    /// A role or region that does not exist.
    #[error("角色或地区无效：{0} / no such role or region: {0}")]
    BadGrant(String),
    /// The login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The code.
    #[error(transparent)]
    Totp(#[from] TotpError),
    /// An address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A secret cannot be made or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs slow hashing off the async threads.
async fn slowly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StaffError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Stopped)?)
}

impl Staff {
    /// The officers of this store; their authenticator secrets are sealed with this key.
    pub fn new(store: Store, policy: Arc<ArcSwap<Policy>>, clock: Arc<dyn Clock>, key: SealKey) -> Self {
        Self { store, policy, clock, key, door: tokio::sync::Semaphore::new(2) }
    }

    /// Seals what a browser carries for us.
    pub(crate) fn seal(&self, plain: &[u8], purpose: &str) -> Result<Vec<u8>, SecretError> {
        self.key.seal(plain, purpose)
    }

    /// Opens what a browser carried for us.
    pub(crate) fn unseal(&self, sealed: &[u8], purpose: &str) -> Result<Vec<u8>, SecretError> {
        self.key.open(sealed, purpose)
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, StaffError> {
        Ok(self.door.acquire().await.map_err(|_| StoreError::Stopped)?)
    }
}
