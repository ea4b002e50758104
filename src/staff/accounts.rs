//! Invitations, passwords, addresses, roles, duty.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde_json::json;

use super::{Grave, Staff, StaffError, slowly};
use crate::approval::{Override, Rotation};
use crate::delivery::Address;
use crate::messages::Language;
use crate::officers::{Grant, Login, OfficerId, Role, Totp, hash_password, random_token, token_digest};
use crate::store::{
    Entry, OfficerRow, Tx, administrators, decide_proposal, end_override, end_rotation, insert_invitation,
    insert_officer, insert_override, insert_proposal, is_suspended, officer_named, open_proposals, record, set_active,
    set_addresses, set_credentials, set_grant, set_language, set_rotation, set_subject, use_invitation,
};

/// An invitation holds so long.
pub(crate) const INVITED: TimeDelta = TimeDelta::hours(72);
/// An officer has at most so many addresses.
pub const ADDRESSES: usize = 10;

/// A new officer.
#[derive(Debug, Clone)]
pub struct NewOfficer {
    /// What they sign in with.
    pub login: Login,
    /// Their name.
    pub name: String,
    /// The language of their pages.
    pub language: Language,
    /// What they shall be able to do; grave roles wait for a second administrator.
    pub grants: Vec<Grant>,
}

impl Staff {
    /// Invites an officer; gives the token of the link. `by` is None on the server's own command line, which may do so until
    /// there are two administrators, also for somebody who lost password or authenticator.
    ///
    /// # Errors
    /// When the login is taken, a role does not exist, or the inviter may not.
    pub async fn invite(&self, new: &NewOfficer, by: Option<&OfficerRow>) -> Result<String, StaffError> {
        self.check_grants(&new.grants)?;
        if let Some(by) = by {
            may_keep(by)?;
        }
        let now = self.clock.now();
        let token = random_token()?;
        let mut tx = self.store.begin().await?;
        if by.is_none() && administrators(&mut tx).await? >= 2 {
            return Err(StaffError::NotHere);
        }
        let name: String = new.name.chars().filter(|c| !c.is_control()).take(60).collect();
        let id = insert_officer(&mut tx, &new.login, name.trim(), new.language, now).await?;
        let id = match (id, by) {
            (None, None) => officer_named(&mut tx, &new.login).await?,
            (id, _) => id,
        };
        let id = id.ok_or(StaffError::Taken)?;
        insert_invitation(&mut tx, &token_digest(&token), id, now + INVITED).await?;
        let actor = by.map_or("operator", |by| by.login.as_str());
        for grant in &new.grants {
            self.give(&mut tx, id, grant, by, actor).await?;
        }
        let detail = json!({"name": new.name, "grants": new.grants});
        record(&mut tx, now, Entry::new(actor, "officer.invite", &new.login, detail));
        tx.commit().await?;
        Ok(token)
    }

    /// A new link for an officer who lost password or authenticator; a link of before is gone at once, password and authenticator hold
    /// until the new one is used. A signer's or administrator's works once another administrator has agreed.
    ///
    /// # Errors
    /// When there is no such officer, or the administrator may not.
    pub async fn invite_again(&self, id: OfficerId, by: &OfficerRow) -> Result<String, StaffError> {
        may_keep(by)?;
        let officer = self.store.officer(id).await?.ok_or(StaffError::Unknown)?;
        if officer.id == by.id {
            return Err(StaffError::Own);
        }
        let (now, token) = (self.clock.now(), random_token()?);
        let mut tx = self.store.begin().await?;
        let digest = token_digest(&token);
        if is_suspended(&mut tx, id).await? {
            return Err(StaffError::Suspended);
        }
        if is_grave(&officer) {
            let grave = Grave::Link { officer: id, digest };
            insert_proposal(&mut tx, grave.kind(), &grave.body()?, by.id, now).await?;
        } else {
            insert_invitation(&mut tx, &digest, id, now + INVITED).await?;
        }
        record(&mut tx, now, Entry::new(by.login.as_str(), "officer.invite-again", &officer.login, json!({})));
        tx.commit().await?;
        Ok(token)
    }

    /// Whom an invitation is for, with a fresh authenticator secret, sealed so that the form can carry it.
    ///
    /// # Errors
    /// When the invitation does not hold.
    pub async fn invited(&self, token: &str) -> Result<(OfficerRow, Totp, String), StaffError> {
        let digest = token_digest(token);
        let id = self.store.invitation(&digest, self.clock.now()).await?.ok_or(StaffError::Invitation)?;
        let officer = self.store.officer(id).await?.ok_or(StaffError::Unknown)?;
        let totp = Totp::random()?;
        let sealed = URL_SAFE_NO_PAD.encode(self.key.seal(totp.secret(), &digest)?);
        Ok((officer, totp, sealed))
    }

    /// Opens the authenticator secret that a form carried, so that it need not be made anew.
    ///
    /// # Errors
    /// When it is not ours.
    pub fn carried(&self, token: &str, sealed: &str) -> Result<Totp, StaffError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| StaffError::Unknown)?;
        let secret = self.key.open(&bytes, &token_digest(token))?;
        Ok(Totp::new(secret.try_into().map_err(|_| StaffError::Unknown)?))
    }

    /// Accepts an invitation: a password, and a code that proves the authenticator is set up.
    ///
    /// # Errors
    /// When the invitation does not hold, the password is weak, or the code is wrong.
    pub async fn accept(&self, token: &str, sealed: &str, password: String, code: &str) -> Result<(), StaffError> {
        let (officer, _, _) = self.invited(token).await?;
        let totp = self.carried(token, sealed)?;
        let now = self.clock.now();
        let step = totp.take(code, now, 0)?;
        let login = officer.login.clone();
        let _turn = self.turn().await?;
        let hash = slowly(move || hash_password(&password, login.as_str())).await??;
        let secret = self.key.seal(totp.secret(), &officer.id.to_string())?;
        let mut tx = self.store.begin().await?;
        if !use_invitation(&mut tx, &token_digest(token)).await? {
            return Err(StaffError::Invitation);
        }
        // Sessions of before end: whoever lost the password may have lost it to somebody.
        set_active(&mut tx, officer.id, false).await?;
        set_credentials(&mut tx, officer.id, &hash, &secret, step).await?;
        record(&mut tx, now, Entry::new(officer.login.as_str(), "officer.accept", &officer.login, json!({})));
        Ok(tx.commit().await?)
    }

    /// Gives a role, or takes one away. Grave roles wait for a second administrator; taking is at once.
    ///
    /// # Errors
    /// When the administrator may not, or there is no such officer.
    pub async fn set_role(&self, id: OfficerId, grant: &Grant, given: bool, by: &OfficerRow) -> Result<(), StaffError> {
        may_keep(by)?;
        self.check_grants(std::slice::from_ref(grant))?;
        let officer = self.store.officer(id).await?.ok_or(StaffError::Unknown)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        if given {
            self.give(&mut tx, id, grant, Some(by), by.login.as_str()).await?;
        } else {
            set_grant(&mut tx, id, grant, false).await?;
            somebody_stays(&mut tx).await?;
            let detail = json!({"grant": grant});
            record(&mut tx, now, Entry::new(by.login.as_str(), "officer.revoke", &officer.login, detail));
        }
        Ok(tx.commit().await?)
    }

    async fn give(
        &self,
        tx: &mut Tx,
        id: OfficerId,
        grant: &Grant,
        by: Option<&OfficerRow>,
        actor: &str,
    ) -> Result<(), StaffError> {
        let now = self.clock.now();
        let (kind, detail) =
            (if grant.role.is_grave() { "proposal" } else { "officer.grant" }, json!({"grant": grant}));
        match by {
            Some(by) if grant.role.is_grave() => {
                let grave = Grave::Grant { officer: id, grant: grant.clone() };
                insert_proposal(tx, grave.kind(), &grave.body()?, by.id, now).await?;
            }
            _ => set_grant(tx, id, grant, true).await?,
        }
        record(tx, now, Entry::new(actor, kind, format!("officer/{id}"), detail));
        Ok(())
    }

    /// Lets an officer sign in, or no longer; what was proposed for them ends with it.
    ///
    /// # Errors
    /// When the administrator may not, or it is themselves.
    pub async fn suspend(&self, id: OfficerId, active: bool, by: &OfficerRow) -> Result<(), StaffError> {
        may_keep(by)?;
        if id == by.id {
            return Err(StaffError::Own);
        }
        let officer = self.store.officer(id).await?.ok_or(StaffError::Unknown)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        set_active(&mut tx, id, active).await?;
        somebody_stays(&mut tx).await?;
        if !active {
            for row in open_proposals(&mut tx).await? {
                // One that cannot be read must not keep a suspension from being done.
                if Grave::of(&row).is_ok_and(|grave| grave.officer() == Some(id)) {
                    decide_proposal(&mut tx, row.id, "withdrawn", by.id, now).await?;
                }
            }
        }
        let kind = if active { "officer.restore" } else { "officer.suspend" };
        record(&mut tx, now, Entry::new(by.login.as_str(), kind, &officer.login, json!({})));
        Ok(tx.commit().await?)
    }

    /// Ties an officer to the name that the organisation's own sign-in knows them by. A signer or administrator is tied once another
    /// administrator has agreed.
    ///
    /// # Errors
    /// When the administrator may not, or somebody else is tied to this name.
    pub async fn tie(&self, id: OfficerId, subject: &str, by: &OfficerRow) -> Result<(), StaffError> {
        may_keep(by)?;
        let officer = self.store.officer(id).await?.ok_or(StaffError::Unknown)?;
        if officer.id == by.id {
            return Err(StaffError::Own);
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let subject = subject.trim();
        if is_suspended(&mut tx, id).await? {
            return Err(StaffError::Suspended);
        }
        if is_grave(&officer) {
            let grave = Grave::Tie { officer: id, subject: subject.to_owned() };
            insert_proposal(&mut tx, grave.kind(), &grave.body()?, by.id, now).await?;
        } else {
            tie(&mut tx, id, subject).await?;
        }
        let detail = json!({"subject": subject});
        record(&mut tx, now, Entry::new(by.login.as_str(), "officer.tie", &officer.login, detail));
        Ok(tx.commit().await?)
    }

    /// Sets how an officer is called.
    ///
    /// # Errors
    /// When an address cannot be one.
    pub async fn set_own_addresses(&self, officer: &OfficerRow, addresses: &[Address]) -> Result<(), StaffError> {
        let now = self.clock.now();
        let kept = addresses.get(..ADDRESSES).unwrap_or(addresses);
        let mut tx = self.store.begin().await?;
        set_addresses(&mut tx, officer.id, kept).await?;
        let masked: Vec<_> = kept.iter().map(|a| crate::delivery::mask(&a.value)).collect();
        let detail = json!({"addresses": masked});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "officer.addresses", &officer.login, detail));
        Ok(tx.commit().await?)
    }

    /// Sets the language of an officer's pages and calls.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_own_language(&self, officer: &OfficerRow, language: Language) -> Result<(), StaffError> {
        if officer.language == language {
            return Ok(());
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        set_language(&mut tx, officer.id, language).await?;
        let detail = json!({"language": language.tag()});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "officer.language", &officer.login, detail));
        Ok(tx.commit().await?)
    }

    /// Sets whose turns a position has.
    ///
    /// # Errors
    /// When the administrator may not for this jurisdiction, or somebody of it could not decide there.
    pub async fn set_rotation(&self, rotation: &Rotation, by: &OfficerRow) -> Result<(), StaffError> {
        self.may_roster(by, &rotation.jurisdiction)?;
        self.all_decide(&rotation.officers, &rotation.jurisdiction).await?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        set_rotation(&mut tx, rotation).await?;
        let detail = json!({"rotation": rotation});
        record(&mut tx, now, Entry::new(by.login.as_str(), "duty.rotation", &rotation.jurisdiction, detail));
        Ok(tx.commit().await?)
    }

    /// Takes a rotation away.
    ///
    /// # Errors
    /// When there is none, or the administrator may not for this jurisdiction.
    pub async fn end_rotation(&self, id: i64, by: &OfficerRow) -> Result<(), StaffError> {
        let mut tx = self.store.begin().await?;
        let jurisdiction = end_rotation(&mut tx, id).await?.ok_or(StaffError::Unknown)?;
        self.may_roster(by, &jurisdiction)?;
        let entry = Entry::new(by.login.as_str(), "duty.rotation.end", &jurisdiction, json!({"rotation": id}));
        record(&mut tx, self.clock.now(), entry);
        Ok(tx.commit().await?)
    }

    /// Lets somebody stand in.
    ///
    /// # Errors
    /// When the officer may not for this jurisdiction, or who stands in could not decide there.
    pub async fn stand_in(&self, new: &Override, by: &OfficerRow) -> Result<(), StaffError> {
        self.may_swap(by, &new.jurisdiction)?;
        self.all_decide(&[new.officer], &new.jurisdiction).await?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        insert_override(&mut tx, new).await?;
        let detail = json!({"override": new});
        record(&mut tx, now, Entry::new(by.login.as_str(), "duty.override", &new.jurisdiction, detail));
        Ok(tx.commit().await?)
    }

    /// Ends that somebody stands in, or keeps it from beginning: the rotation holds again.
    ///
    /// # Errors
    /// When it is over or was never there, or the officer may not for this jurisdiction.
    pub async fn end_stand_in(&self, id: i64, by: &OfficerRow) -> Result<(), StaffError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let jurisdiction = end_override(&mut tx, id, now).await?.ok_or(StaffError::Unknown)?;
        self.may_swap(by, &jurisdiction)?;
        let entry = Entry::new(by.login.as_str(), "duty.override.end", &jurisdiction, json!({"override": id}));
        record(&mut tx, now, entry);
        Ok(tx.commit().await?)
    }

    /// Whether each of these could decide for a jurisdiction.
    async fn all_decide(&self, officers: &[OfficerId], place: &crate::regions::RegionCode) -> Result<(), StaffError> {
        for id in officers {
            let officer = self.store.officer(*id).await?.ok_or(StaffError::Unknown)?;
            if !self.decides(&officer, place) {
                return Err(StaffError::CannotDecide(officer.name));
            }
        }
        Ok(())
    }

    fn decides(&self, officer: &OfficerRow, jurisdiction: &crate::regions::RegionCode) -> bool {
        let map = &self.policy.load().map;
        [Role::Reviewer, Role::Signer].into_iter().any(|role| officer.grants.may(role, jurisdiction, map))
    }

    /// Whoever may decide may also swap a turn.
    fn may_swap(&self, by: &OfficerRow, jurisdiction: &crate::regions::RegionCode) -> Result<(), StaffError> {
        let own = self.decides(by, jurisdiction);
        if own { Ok(()) } else { self.may_roster(by, jurisdiction) }
    }

    fn may_roster(&self, by: &OfficerRow, jurisdiction: &crate::regions::RegionCode) -> Result<(), StaffError> {
        let may = by.grants.may(Role::Administrator, jurisdiction, &self.policy.load().map);
        if may { Ok(()) } else { Err(StaffError::NotYours) }
    }

    fn check_grants(&self, grants: &[Grant]) -> Result<(), StaffError> {
        let map = &self.policy.load().map;
        let wrong = |grant: &&Grant| grant.region.as_ref().is_some_and(|code| map.get(code).is_none());
        match grants.iter().find(wrong) {
            Some(grant) => Err(StaffError::BadGrant(grant.place().to_owned())),
            None => Ok(()),
        }
    }
}

/// Whether coming in as this officer takes a second administrator: they sign, or keep the service. Where there is only one, the
/// command line on the server helps (`tocsin officers invite`).
fn is_grave(officer: &OfficerRow) -> bool {
    officer.grants.0.iter().any(|grant| grant.role.is_grave())
}

/// Ties an officer to a name; whoever was only invited may come in by it, and nobody who is suspended.
pub(super) async fn tie(tx: &mut Tx, id: OfficerId, subject: &str) -> Result<(), StaffError> {
    if is_suspended(tx, id).await? {
        return Err(StaffError::Suspended);
    }
    if !set_subject(tx, id, subject).await? {
        return Err(StaffError::Taken);
    }
    Ok(set_active(tx, id, true).await?)
}

/// Officers are kept by administrators of the whole service.
pub(super) fn may_keep(by: &OfficerRow) -> Result<(), StaffError> {
    if by.grants.everywhere(Role::Administrator) { Ok(()) } else { Err(StaffError::NotYours) }
}

/// Somebody must be left who can keep officers.
async fn somebody_stays(tx: &mut Tx) -> Result<(), StaffError> {
    if administrators(tx).await? > 0 { Ok(()) } else { Err(StaffError::Last) }
}
