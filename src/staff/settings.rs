//! Grave settings of the configuration. The operator of the machine writes them, one administrator agrees: two people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Grave, Staff, StaffError};
use crate::grave::{Change, GraveSettings, changes, in_force};
use crate::officers::{OfficerId, Role, token_digest};
use crate::regions::RegionMap;
use crate::store::{Entry, StoreError, Tx, insert_agreed, insert_proposal, record, withdraw_settings};

/// Whose seal the settings carry.
const OWNER: &str = "grave settings";
/// The operator of the machine is nobody's id.
const OPERATOR: OfficerId = OfficerId(0);

/// How the settings that a configuration wants stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// What is in force.
    pub in_force: GraveSettings,
    /// What waits for an administrator.
    pub waits: Vec<Change>,
    /// Whether two administrators are there, without whom nothing waits.
    pub asks: bool,
}

impl Staff {
    /// How settings would stand if they were read now; changes nothing.
    ///
    /// # Errors
    /// When the store does not answer, or what was agreed to was sealed with another key.
    pub async fn standing(&self, wanted: &GraveSettings, map: &RegionMap) -> Result<Standing, StaffError> {
        let officers = self.store.officers().await?;
        let administrators = officers.iter().filter(|o| o.active && o.grants.everywhere(Role::Administrator));
        let asks = administrators.count() >= 2;
        let free = Standing { in_force: wanted.clone(), waits: Vec::new(), asks };
        let Some(agreed) = self.agreed().await? else { return Ok(free) };
        if !asks {
            return Ok(free);
        }
        let in_force = in_force(&agreed, wanted, map);
        Ok(Standing { waits: changes(&in_force, wanted), in_force, asks })
    }

    /// Takes the settings of a configuration: what is narrower holds at once, what is wider is proposed.
    ///
    /// # Errors
    /// When the store does not answer, or what was agreed to was sealed with another key.
    pub async fn take_settings(&self, wanted: &GraveSettings, map: &RegionMap) -> Result<Standing, StaffError> {
        let standing = self.standing(wanted, map).await?;
        let agreed = self.agreed().await?;
        let wants = digest(wanted)?;
        let open = self.store.proposals().await?;
        let open: Vec<_> = open.iter().filter_map(|row| Grave::of(row).ok()?.settings_digest()).collect();
        let asked = if standing.waits.is_empty() { open.is_empty() } else { open == [wants.clone()] };
        if agreed.as_ref() == Some(&standing.in_force) && asked {
            return Ok(standing);
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        withdraw_settings(&mut tx, now).await?;
        if agreed.as_ref() != Some(&standing.in_force) {
            self.keep(&mut tx, &standing.in_force, OPERATOR).await?;
            let what = agreed.map_or_else(Vec::new, |old| lines(&changes(&old, &standing.in_force)));
            let detail =
                json!({"digest": digest(&standing.in_force)?, "changes": what, "administrators": standing.asks});
            record(&mut tx, now, Entry::new("operator", "settings", "settings", detail));
        }
        if !standing.waits.is_empty() {
            let sealed = STANDARD.encode(self.key.seal(text(wanted)?.as_bytes(), OWNER)?);
            let grave = Grave::Settings { digest: wants.clone(), sealed, changes: standing.waits.clone() };
            insert_proposal(&mut tx, grave.kind(), &grave.body()?, OPERATOR, now).await?;
            let detail = json!({"digest": wants, "changes": lines(&standing.waits)});
            record(&mut tx, now, Entry::new("operator", "proposal", "settings", detail));
        }
        tx.commit().await?;
        Ok(standing)
    }

    /// Puts proposed settings in force, inside the transaction of the yes.
    pub(super) async fn agree_settings(
        &self,
        tx: &mut Tx,
        (expected, sealed): (&str, &str),
        by: OfficerId,
    ) -> Result<GraveSettings, StaffError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| StaffError::Forged)?;
        let settings = self.open(&bytes).map_err(|_| StaffError::Forged)?;
        if digest(&settings)? != expected {
            return Err(StaffError::Forged);
        }
        self.keep(tx, &settings, by).await?;
        Ok(settings)
    }

    /// Since when what is in force is like this, and by whose word: an officer's login, or none where nobody had to agree.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn since(
        &self,
        is_like: impl Fn(&GraveSettings) -> bool,
    ) -> Result<Option<(DateTime<Utc>, Option<String>)>, StaffError> {
        let mut since = None;
        for (sealed, at, by) in self.store.all_agreed().await? {
            if !self.open(&sealed).is_ok_and(|settings| is_like(&settings)) {
                break;
            }
            since = Some((at, by));
        }
        Ok(since)
    }

    async fn agreed(&self) -> Result<Option<GraveSettings>, StaffError> {
        match self.store.agreed().await? {
            Some(sealed) => Ok(Some(self.open(&sealed)?)),
            None => Ok(None),
        }
    }

    async fn keep(&self, tx: &mut Tx, settings: &GraveSettings, by: OfficerId) -> Result<(), StaffError> {
        let sealed = self.key.seal(text(settings)?.as_bytes(), OWNER)?;
        Ok(insert_agreed(tx, &sealed, by, self.clock.now()).await?)
    }

    fn open(&self, sealed: &[u8]) -> Result<GraveSettings, StaffError> {
        Ok(serde_json::from_slice(&self.key.open(sealed, OWNER)?).map_err(StoreError::corrupt)?)
    }
}

fn text(settings: &GraveSettings) -> Result<String, StaffError> {
    Ok(settings.text().map_err(StoreError::corrupt)?)
}

fn digest(settings: &GraveSettings) -> Result<String, StaffError> {
    Ok(token_digest(&text(settings)?))
}

fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}
