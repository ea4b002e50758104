//! Passkeys of officers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use webauthn_rs::prelude::{AuthenticationResult, Passkey};

use super::{Staff, StaffError};
use crate::officers::OfficerId;
use crate::passkeys::credential_id;
use crate::store::{Entry, OfficerRow, PasskeyRow, StoreError, delete_passkey, insert_passkey, record, update_passkey};

/// An officer has at most so many.
const PASSKEYS: usize = 10;

impl Staff {
    /// An officer's passkeys, with what is kept of them.
    pub(crate) async fn passkeys(&self, officer: OfficerId) -> Result<Vec<(PasskeyRow, Passkey)>, StaffError> {
        self.store.passkeys(officer).await?.into_iter().map(|row| Ok((row.clone(), self.open_passkey(&row)?))).collect()
    }

    /// Whose passkey this is, while they may sign in.
    pub(crate) async fn officer_of_passkey(
        &self,
        id: &[u8],
    ) -> Result<Option<(OfficerRow, PasskeyRow, Passkey)>, StaffError> {
        let Some(row) = self.store.passkey(&credential_id(id)).await? else { return Ok(None) };
        let Some(officer) = self.store.officer(row.officer).await?.filter(|officer| officer.active) else {
            return Ok(None);
        };
        let passkey = self.open_passkey(&row)?;
        Ok(Some((officer, row, passkey)))
    }

    /// Adds a passkey.
    pub(crate) async fn add_passkey(&self, officer: &OfficerRow, name: &str, key: &Passkey) -> Result<(), StaffError> {
        let now = self.clock.now();
        if self.store.passkeys(officer.id).await?.len() >= PASSKEYS {
            return Err(StaffError::Taken);
        }
        let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
        let (id, body) = (credential_id(key.cred_id()), self.seal_passkey(key, officer.id)?);
        let row = PasskeyRow { id, officer: officer.id, name: name.clone(), body };
        let mut tx = self.store.begin().await?;
        if !insert_passkey(&mut tx, &row, now).await? {
            return Err(StaffError::Taken);
        }
        let detail = json!({"name": name});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "passkey.add", &officer.login, detail));
        Ok(tx.commit().await?)
    }

    /// Remembers how far a passkey has counted. Two answers at once with one count: the first one has it.
    pub(crate) async fn used_passkey(&self, row: &PasskeyRow, used: &AuthenticationResult) -> Result<(), StaffError> {
        let mut key = self.open_passkey(row)?;
        if key.update_credential(used) == Some(false) && self.store.passkey(&row.id).await?.is_some() {
            return Ok(());
        }
        let body = self.seal_passkey(&key, row.officer)?;
        let mut tx = self.store.begin().await?;
        if !update_passkey(&mut tx, row, &body).await? {
            return Err(StaffError::Unknown);
        }
        Ok(tx.commit().await?)
    }

    /// Removes one of an officer's own passkeys.
    pub(crate) async fn remove_passkey(&self, officer: &OfficerRow, id: &str) -> Result<(), StaffError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        if !delete_passkey(&mut tx, officer.id, id).await? {
            return Err(StaffError::Unknown);
        }
        record(&mut tx, now, Entry::new(officer.login.as_str(), "passkey.end", &officer.login, json!({})));
        Ok(tx.commit().await?)
    }

    fn seal_passkey(&self, key: &Passkey, officer: OfficerId) -> Result<String, StaffError> {
        let plain = serde_json::to_vec(key).map_err(StoreError::corrupt)?;
        Ok(STANDARD.encode(self.key.seal(&plain, &format!("passkey of {officer}"))?))
    }

    fn open_passkey(&self, row: &PasskeyRow) -> Result<Passkey, StaffError> {
        let sealed = STANDARD.decode(&row.body).map_err(StoreError::corrupt)?;
        let plain = self.key.open(&sealed, &format!("passkey of {}", row.officer))?;
        Ok(serde_json::from_slice(&plain).map_err(StoreError::corrupt)?)
    }
}
