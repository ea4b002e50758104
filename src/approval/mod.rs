//! Who says yes: a decision falls into parts by jurisdiction, each waits for its officers where the rules say so, and becomes a
//! release with its renderings frozen.

mod amend;
mod compose;
mod desk;
mod duty;
mod escalation;
mod page;
mod recall;
mod split;
mod watch;

pub use amend::{Amendment, Words};
#[cfg(test)]
pub(crate) use compose::CANCEL_HOLDS;
pub use compose::ComposeError;
pub(crate) use compose::{BY_RULE, HOLDS, Replaced, Texts, areas};
pub(crate) use desk::{Admission, Material};
pub use desk::{Desk, DeskError, Wake};
pub use duty::{Override, Roster, Rotation};
pub use escalation::{Act, ActError, Effect, Escalation, Signature, State, Taken, Who};
pub use recall::Correction;
pub(crate) use recall::Rest;
pub(crate) use split::{Asked, split};
pub(crate) use watch::watch;

use desk::RETRY;

use crate::cap;
use crate::rules::{Decision, Withheld};
use crate::store::{Store, StoreError};

/// Whether an alert on record is an officer's correction: these are no bureau's, and no part of its events.
pub(crate) fn is_officers(bureau: &str) -> bool {
    bureau.starts_with("officer:")
}

/// A Cancel may come without any info: then it speaks of what the newest alert that it replaces spoke of.
pub(crate) async fn complete(store: &Store, mut alert: cap::Alert, older: &[String]) -> Result<cap::Alert, StoreError> {
    if !alert.infos.is_empty() {
        return Ok(alert);
    }
    let mut rows = store.alerts_by_id(older).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.sent));
    for row in rows {
        if let Some(old) = store.alert_as_read(&row.id).await?.filter(|old| !old.infos.is_empty()) {
            alert.infos = old.infos;
            break;
        }
    }
    Ok(alert)
}

/// What would go out of an alert to these counties: every channel, language and variant.
pub(crate) fn preview(
    policy: &crate::policy::Policy,
    material: &Material,
    alert: &cap::Alert,
    regions: &[crate::regions::RegionCode],
) -> Result<Vec<crate::store::NewDispatch>, ComposeError> {
    let part = split::Part {
        jurisdiction: None,
        regions: regions.to_vec(),
        within: None,
        approval: crate::rules::Approval::none(),
    };
    let draft = compose::Draft {
        policy,
        alert,
        chain: &material.chain,
        decision: &material.decision,
        replaced: &material.replaced,
        part: &part,
        name: String::new(),
        signed_by: "",
        whole: false,
        correction: false,
        texts: &compose::Texts::default(),
    };
    draft.render(&draft.places(), false)
}

/// Whether an alert that the rules withhold must still go to those told by what it replaces: people told of a danger are told
/// that it has moved on or ended.
pub(crate) fn concerns_those_told(decision: &Decision, replaced: &Replaced) -> bool {
    !replaced.is_empty() && matches!(decision.withheld, Some(Withheld::NoRule | Withheld::NoRegion))
}
