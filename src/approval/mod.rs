//! Who says yes: a decision becomes a release, signed by a rule or by an officer, with its renderings frozen.

mod compose;

pub use compose::ComposeError;
pub(crate) use compose::{Replaced, areas, compose};

use crate::cap::{self, AlertId};
use crate::clock::Clock;
use crate::policy::Policy;
use crate::rules::{Decision, Withheld};
use crate::store::{AlertState, Store, StoreError, insert_release, set_alert_state};

/// Why an alert is not released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// No such alert.
    #[error("没有编号为 {0} 的预警 / there is no alert {0}; `tocsin status` lists them")]
    Unknown(AlertId),
    /// It does not wait.
    #[error("预警 {id} 并非待发布（现为 {state}） / alert {id} does not wait for release: it is {state}")]
    NotWaiting {
        /// Which.
        id: AlertId,
        /// Where it stands.
        state: String,
    },
    /// It is over, or a newer one has taken its place.
    #[error("预警 {id} 已结束或已被取代，不可再发布 / alert {id} is over or was replaced, and must not go out")]
    TooLate {
        /// Which.
        id: AlertId,
    },
    /// Its messages cannot be made.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Releases an alert that waits, in the name of an officer.
///
/// # Errors
/// When it does not wait, is over, or cannot be written.
pub async fn release(
    store: &Store,
    policy: &Policy,
    clock: &dyn Clock,
    id: &AlertId,
    officer: &str,
) -> Result<(), ReleaseError> {
    let row = store.alert(id.as_str()).await?.ok_or_else(|| ReleaseError::Unknown(id.clone()))?;
    let now = clock.now();
    if row.superseded_by.is_some() || row.expires.is_some_and(|expires| expires <= now && row.msg_type != "Cancel") {
        return Err(ReleaseError::TooLate { id: id.clone() });
    }
    if row.state != AlertState::Waiting {
        return Err(ReleaseError::NotWaiting { id: id.clone(), state: row.state.as_str().into() });
    }
    let decision: Decision = serde_json::from_value(row.decision).map_err(StoreError::corrupt)?;
    let (raw, format) = store.alert_raw(id.as_str()).await?.ok_or_else(|| ReleaseError::Unknown(id.clone()))?;
    let reading = if format == "json" { cap::read_json(&raw) } else { cap::read(&raw) };
    let alert = reading.alert.ok_or_else(|| StoreError::corrupt(format!("alert {id}")))?;
    let replaced = Replaced::load(store, id.as_str()).await?;
    let alert = complete(store, alert, &store.replaced_by(id.as_str()).await?).await?;
    let new = compose(policy, &alert, &row.chain, &decision, &replaced, officer, now)?;
    let mut tx = store.begin().await?;
    // Two officers at once: the second finds the alert released.
    if !set_alert_state(&mut tx, id.as_str(), AlertState::Waiting, AlertState::Released).await? {
        return Err(ReleaseError::NotWaiting { id: id.clone(), state: "released".into() });
    }
    insert_release(&mut tx, &new, now).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// A Cancel may come without any info: then it speaks of what the newest alert that it replaces spoke of.
pub(crate) async fn complete(store: &Store, mut alert: cap::Alert, older: &[String]) -> Result<cap::Alert, StoreError> {
    if !alert.infos.is_empty() {
        return Ok(alert);
    }
    let mut rows = store.alerts_by_id(older).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.sent));
    for row in rows {
        let Some((raw, format)) = store.alert_raw(&row.id).await? else { continue };
        let reading = if format == "json" { cap::read_json(&raw) } else { cap::read(&raw) };
        if let Some(old) = reading.alert.filter(|old| !old.infos.is_empty()) {
            alert.infos = old.infos;
            break;
        }
    }
    Ok(alert)
}

/// Whether an alert that the rules withhold must still go to those told by what it replaces: people told of a danger are told
/// that it has moved on or ended.
pub(crate) fn concerns_those_told(decision: &Decision, replaced: &Replaced) -> bool {
    !replaced.is_empty() && matches!(decision.withheld, Some(Withheld::NoRule | Withheld::NoRegion))
}
