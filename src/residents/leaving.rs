//! Leaving by the link of a message, and a mailbox whose owner wants no more links that somebody else asks for: a link in each such mail
//! says so, for ever, and takes it back.

use super::sign_up::{ResidentError, Residents};
use crate::delivery::{Address, constant_time_equal, mask};
use crate::store::{Entry, allow_again, record, refuse};

impl Residents {
    /// Takes an address out of every list, for whoever has the link of a message to it. A second time is no error.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn leave(&self, address: u64) -> Result<(), ResidentError> {
        let now = self.clock.now();
        let value = self.store.values(&[address]).await?.remove(&address).unwrap_or_default();
        if self.store.leave(address, now).await? {
            let detail = serde_json::json!({"by": "link"});
            self.store.record_one(now, Entry::new("resident", "resident.leave", mask(&value), detail)).await?;
        }
        Ok(())
    }

    /// The link by which a mailbox's owner wants nothing unasked. It names the mailbox and its count by
    /// keyed digests, and nobody else can make it.
    pub(super) fn never_link(&self, address: &Address, tongue: &str) -> String {
        let names = format!("{}.{}", self.store.refused_name(address), self.store.unasked_name(address));
        format!("{}/sign-up/never/{names}.{}?lang={tongue}", self.base, self.never_mark(&names))
    }

    fn never_mark(&self, names: &str) -> String {
        self.store.vault.digest("never", names)
    }

    /// Whether the mailbox of such a link gets nothing unasked.
    ///
    /// # Errors
    /// When it is no link of ours, or the store cannot be read.
    pub async fn is_never(&self, token: &str) -> Result<bool, ResidentError> {
        let (name, _) = self.never_names(token)?;
        Ok(self.store.has_refused(name).await? == Some(true))
    }

    /// Its owner wants nothing unasked, or does again. A second time is no error.
    ///
    /// # Errors
    /// When it is no link of ours, or the store cannot be written.
    pub async fn set_never(&self, token: &str, never: bool) -> Result<(), ResidentError> {
        let (name, count) = self.never_names(token)?;
        if self.is_never(token).await? == never {
            return Ok(());
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        if never {
            refuse(&mut tx, name, now).await?;
        } else {
            allow_again(&mut tx, name).await?;
            allow_again(&mut tx, count).await?;
        }
        let kind = if never { "resident.refuse" } else { "resident.allow-again" };
        let detail = serde_json::json!({"channel": "email"});
        record(&mut tx, now, Entry::new("resident", kind, "", detail));
        Ok(tx.commit().await?)
    }

    /// What a link names: the refusal and the count.
    fn never_names<'a>(&self, token: &'a str) -> Result<(&'a str, &'a str), ResidentError> {
        let (names, mark) = token.rsplit_once('.').ok_or(ResidentError::Proof)?;
        let right = constant_time_equal(mark.as_bytes(), self.never_mark(names).as_bytes());
        names.split_once('.').filter(|_| right).ok_or(ResidentError::Proof)
    }
}
