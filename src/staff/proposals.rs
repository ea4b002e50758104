//! Grave settings: one administrator proposes, another one agrees.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::accounts::{INVITED, may_keep, tie};
use super::{Staff, StaffError};
use crate::grave::{Change, GraveSettings};
use crate::officers::{Grant, OfficerId, random_token, token_digest};
use crate::store::{
    Entry, OfficerRow, ProposalRow, StoreError, TokenRow, decide_proposal, end_token, insert_invitation,
    insert_proposal, insert_token, is_suspended, open_proposal, record, set_grant,
};

/// What a token for programs may do.
pub const SCOPES: [&str; 3] = ["read", "approve", "stop"];

/// A setting that two administrators agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Grave {
    /// A signer or an administrator.
    Grant {
        /// Who.
        officer: OfficerId,
        /// What, where.
        grant: Grant,
    },
    /// A token for programs.
    Token {
        /// Whose rights it has.
        officer: OfficerId,
        /// What it is for.
        name: String,
        /// What it may do, words apart by spaces.
        scopes: String,
        /// SHA-256 of the token.
        digest: String,
        /// How long it holds.
        days: u16,
    },
    /// Another name at the organisation's sign-in, for a signer or an administrator: whoever has that name could sign as them.
    Tie {
        /// Who.
        officer: OfficerId,
        /// The name there.
        subject: String,
    },
    /// Another invitation, for a signer or an administrator: whoever has the link could sign as them.
    Link {
        /// Whom it is for.
        officer: OfficerId,
        /// SHA-256 of the link's token.
        digest: String,
    },
    /// Bureaus, rules or channels of the configuration.
    Settings {
        /// SHA-256 of them.
        digest: String,
        /// They themselves, sealed.
        sealed: String,
        /// What they would change.
        changes: Vec<Change>,
    },
}

impl Grave {
    /// Whether an officer may agree to what another asked for: nobody to their own, nor to what they gain by.
    pub(crate) fn may_agree(&self, asked: OfficerId, officer: OfficerId) -> bool {
        let beneficiary = match self {
            Self::Grant { officer, .. } | Self::Token { officer, .. } => Some(*officer),
            // Whoever is to be tied or invited may well say that it is right.
            Self::Tie { .. } | Self::Link { .. } | Self::Settings { .. } => None,
        };
        asked != officer && beneficiary != Some(officer)
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Token { .. } => "token",
            Self::Tie { .. } => "tie",
            Self::Link { .. } => "link",
            Self::Settings { .. } => "settings",
        }
    }

    /// Whom it is about.
    pub(super) const fn officer(&self) -> Option<OfficerId> {
        match self {
            Self::Grant { officer, .. }
            | Self::Token { officer, .. }
            | Self::Tie { officer, .. }
            | Self::Link { officer, .. } => Some(*officer),
            Self::Settings { .. } => None,
        }
    }

    pub(super) fn body(&self) -> Result<String, StaffError> {
        Ok(serde_json::to_string(self).map_err(StoreError::corrupt)?)
    }

    /// What the record tells of it.
    fn told(&self) -> serde_json::Value {
        match self {
            Self::Settings { digest, changes, .. } => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                json!({"kind": self.kind(), "digest": digest, "changes": changes})
            }
            _ => json!(self),
        }
    }

    /// The digest of settings of the configuration.
    pub(super) fn settings_digest(self) -> Option<String> {
        match self {
            Self::Settings { digest, .. } => Some(digest),
            _ => None,
        }
    }

    /// The setting of a row.
    pub(crate) fn of(row: &ProposalRow) -> Result<Self, StoreError> {
        serde_json::from_str(&row.body).map_err(StoreError::corrupt)
    }
}

impl Staff {
    /// Makes a token for programs with an officer's own rights; it works once another administrator has agreed.
    ///
    /// # Errors
    /// When a scope does not exist.
    pub async fn propose_token(
        &self,
        officer: &OfficerRow,
        name: &str,
        scopes: &[String],
        days: u16,
    ) -> Result<String, StaffError> {
        if scopes.is_empty() || scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
            return Err(StaffError::BadGrant(scopes.join(" ")));
        }
        let token = format!("tocsin_{}", random_token()?);
        let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
        let grave = Grave::Token {
            officer: officer.id,
            name: name.clone(),
            scopes: scopes.join(" "),
            digest: token_digest(&token),
            days: days.clamp(1, 365),
        };
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        insert_proposal(&mut tx, grave.kind(), &grave.body()?, officer.id, now).await?;
        let detail = json!({"token": name, "scopes": scopes});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "proposal", format!("officer/{}", officer.id), detail));
        tx.commit().await?;
        Ok(token)
    }

    /// Decides a proposal. What was agreed to is done in the same transaction; settings of the configuration are given back for the
    /// program to take up.
    ///
    /// # Errors
    /// When it is the proposer's own, does not wait, or the officer is no administrator of the whole.
    pub async fn decide(&self, id: i64, agreed: bool, by: &OfficerRow) -> Result<Option<GraveSettings>, StaffError> {
        may_keep(by)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let row = open_proposal(&mut tx, id).await?.ok_or(StaffError::Unknown)?;
        let grave = Grave::of(&row)?;
        if agreed && !grave.may_agree(row.by, by.id) {
            return Err(StaffError::Own);
        }
        if let (true, Grave::Link { officer, .. }) = (agreed, &grave)
            && is_suspended(&mut tx, *officer).await?
        {
            return Err(StaffError::Suspended);
        }
        let mut settings = None;
        decide_proposal(&mut tx, id, if agreed { "agreed" } else { "refused" }, by.id, now).await?;
        match &grave {
            _ if !agreed => {}
            Grave::Grant { officer, grant } => set_grant(&mut tx, *officer, grant, true).await?,
            Grave::Token { officer, name, scopes, digest, days } => {
                let expires_at = now + TimeDelta::days(i64::from(*days));
                let (digest, name, scopes) = (digest.clone(), name.clone(), scopes.clone());
                insert_token(&mut tx, &TokenRow { digest, officer: *officer, name, scopes, expires_at }).await?;
            }
            Grave::Tie { officer, subject } => tie(&mut tx, *officer, subject).await?,
            Grave::Link { officer, digest } => insert_invitation(&mut tx, digest, *officer, now + INVITED).await?,
            Grave::Settings { digest, sealed, .. } => {
                settings = Some(self.agree_settings(&mut tx, (digest, sealed), by.id).await?);
            }
        }
        let kind = if agreed { "proposal.agree" } else { "proposal.refuse" };
        let detail = json!({"proposal": id, "by": row.by, "what": grave.told()});
        record(&mut tx, now, Entry::new(by.login.as_str(), kind, format!("proposal/{id}"), detail));
        tx.commit().await?;
        Ok(settings)
    }

    /// Ends one of an officer's own tokens.
    ///
    /// # Errors
    /// When there is no such token.
    pub async fn end_token(&self, officer: &OfficerRow, digest: &str) -> Result<(), StaffError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        if !end_token(&mut tx, officer.id, digest).await? {
            return Err(StaffError::Unknown);
        }
        record(&mut tx, now, Entry::new(officer.login.as_str(), "token.end", &officer.login, json!({})));
        Ok(tx.commit().await?)
    }
}
