//! The officers' desk: acts, deadlines and what follows from them, each in one transaction with its line in the record.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::ComposeError;
use super::compose::{BY_RULE, Draft, Replaced, Texts};
use super::escalation::{Act, ActError, Effect, Escalation, Who};
use super::page::{Call, Whom, callable, page, page_menders};
use super::split::Part;
use crate::cap::{self, Alert};
use crate::clock::Clock;
use crate::officers::OfficerId;
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::rules::{Approval, Decision, Stage};
use crate::store::{
    AlertRow, AlertState, Entry, EscalationRow, NewRelease, OfficerRow, ReleaseKind, Store, StoreError, Tx, as_read,
    escalation_in, escalation_of, hold_release, insert_escalation, insert_release, is_stopped, record,
    refresh_alert_state, set_alert_state, update_escalation,
};
use crate::world::{Exercise, Live, World};

/// An approved part whose messages cannot be made is tried again after this.
pub(super) const RETRY: TimeDelta = TimeDelta::seconds(10);

/// Why something is not done at the desk.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// No such thing, or not in this world.
    #[error("没有此项 / there is no such thing here")]
    Unknown,
    /// The state machine says no.
    #[error(transparent)]
    Act(#[from] ActError),
    /// Messages cannot be made.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The correction cannot be written as CAP.
    #[error(transparent)]
    Write(#[from] cap::WriteError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeskError {
    /// The stable code that the edge shows.
    pub const fn code(&self) -> &'static str {
        use ActError as Why;
        match self {
            Self::Unknown => "T6001",
            Self::Act(Why::Over(_) | Why::Corrected(_) | Why::Replaced(_) | Why::Stopped | Why::NotOut) => "T6002",
            Self::Act(Why::Changed) => "T6003",
            Self::Act(Why::OwnWords) => "T6004",
            Self::Act(Why::Twice) => "T6005",
            Self::Act(Why::StageDone) => "T6006",
            Self::Act(Why::OutOfOrder) => "T6007",
            Self::Act(Why::NoSuchStage) => "T6008",
            Self::Act(Why::NotYours) => "T6009",
            Self::Act(Why::NoReason) => "T6010",
            Self::Act(Why::MoreRegions | Why::NoRegions) => "T6011",
            Self::Act(Why::BadEnd) => "T6012",
            Self::Compose(_) | Self::Write(_) => "T6013",
            Self::Store(_) => "T5005",
        }
    }
}

/// Called when something may have to be sent.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The desk.
pub struct Desk {
    pub(super) store: Store,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Where the console stands, for links in calls.
    base: String,
    pub(super) wake: Wake,
}

/// What releases of an alert are made of; none of it changes once the alert is on record.
pub(crate) struct Material {
    pub(crate) alert: Alert,
    pub(crate) headline: String,
    pub(crate) chain: String,
    pub(crate) decision: Decision,
    pub(crate) replaced: Replaced,
}

/// An alert that comes in, with the parts that its decision falls into.
pub(crate) struct Admission<'a> {
    pub(crate) id: &'a str,
    pub(crate) material: &'a Material,
    pub(crate) parts: &'a [Part],
    pub(crate) authors: &'a BTreeSet<OfficerId>,
    /// Where its row says that it stands.
    pub(crate) state: AlertState,
    /// What was made ahead of what it says.
    pub(crate) texts: &'a Texts,
}

impl Desk {
    /// A desk over this store. `base` is the server's public address, empty if it has none.
    pub fn new(store: Store, policy: Arc<ArcSwap<Policy>>, clock: Arc<dyn Clock>, base: &str, wake: Wake) -> Self {
        Self { store, policy, clock, base: base.trim_end_matches('/').to_owned(), wake }
    }

    /// Who an officer is in this jurisdiction.
    pub fn who(&self, officer: &OfficerRow, jurisdiction: &RegionCode) -> Who {
        let roles = officer.grants.roles(jurisdiction, &self.policy.load().map);
        Who { id: officer.id, name: officer.name.clone(), roles }
    }

    /// Whether an officer may say yes to this stage now.
    ///
    /// # Errors
    /// When not, with the reason.
    pub fn may<W: World>(&self, officer: &OfficerRow, row: &EscalationRow<W>, stage: Stage) -> Result<(), DeskError> {
        let who = self.who(officer, &row.escalation.jurisdiction);
        Ok(row.escalation.may_approve(stage, &who)?)
    }

    /// Does what an officer says about an escalation, to the revision that they saw.
    ///
    /// # Errors
    /// When it must not be done, or the store does not answer; nothing has changed then.
    pub async fn act<W: World>(
        &self,
        id: i64,
        act: Act,
        seen: u32,
        officer: &OfficerRow,
    ) -> Result<EscalationRow<W>, DeskError> {
        let (kind, said) = told(&act);
        let now = self.clock.now();
        // Whatever a release is made of is read while nobody else writes: what was told before must not grow meanwhile.
        let mut tx = self.store.begin().await?;
        let mut row = escalation_in::<W>(&mut tx, id).await?.ok_or(DeskError::Unknown)?;
        let material = self.material(&row.alert).await?;
        let who = self.who(officer, &row.escalation.jurisdiction);
        let effects = row.escalation.act(act, seen, &who, now)?;
        let detail =
            json!({"escalation": id, "jurisdiction": row.escalation.jurisdiction, "revision": seen, "said": said});
        record(&mut tx, now, Entry::new(officer.login.as_str(), kind, &row.alert, detail));
        self.follow(&mut tx, &mut row, effects, &material, now).await?;
        tx.commit().await?;
        (self.wake)();
        Ok(row)
    }

    /// Takes some counties out into an escalation of their own.
    ///
    /// # Errors
    /// When it must not be done, or the store does not answer.
    pub async fn split<W: World>(
        &self,
        id: i64,
        regions: &[RegionCode],
        seen: u32,
        officer: &OfficerRow,
    ) -> Result<i64, DeskError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let mut row = escalation_in::<W>(&mut tx, id).await?.ok_or(DeskError::Unknown)?;
        let material = self.material(&row.alert).await?;
        let who = self.who(officer, &row.escalation.jurisdiction);
        let (part, effects) = row.escalation.split(regions, seen, &who, now)?;
        update_escalation(&mut tx, id, &row.escalation, now).await?;
        let new = insert_escalation(&mut tx, &row.alert, row.lane, &part, now).await?;
        let detail = json!({"escalation": id, "new": new, "jurisdiction": part.jurisdiction, "regions": regions});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "escalation.split", &row.alert, detail));
        let mut part = EscalationRow { id: new, escalation: part, created_at: now, ..row };
        self.follow(&mut tx, &mut part, effects, &material, now).await?;
        tx.commit().await?;
        (self.wake)();
        Ok(new)
    }

    /// Lets an alert in: what needs nobody is released, the rest waits for officers, who are called.
    pub(crate) async fn admit<W: World>(
        &self,
        tx: &mut Tx,
        policy: &Policy,
        admission: &Admission<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), DeskError> {
        let Admission { id, material, parts, authors, state, texts } = admission;
        let end = match material.alert.expires() {
            Some(end) if !material.alert.is_the_end() => end.to_utc(),
            _ => now + super::compose::HOLDS,
        };
        let whole = parts.iter().all(|part| part.approval.is_none());
        let shared = whole && parts.len() > 1 && material.chain != *id;
        let shared = shared.then(|| Texts::ahead(policy, &material.alert, &material.chain, &material.decision));
        let texts = shared.as_ref().unwrap_or(texts);
        for (n, part) in parts.iter().enumerate() {
            let Some(jurisdiction) = part.jurisdiction.clone().filter(|_| !part.approval.is_none()) else {
                let place = part.jurisdiction.as_ref().map_or("all", RegionCode::as_str);
                let release = Draft {
                    policy,
                    alert: &material.alert,
                    chain: &material.chain,
                    decision: &material.decision,
                    replaced: &material.replaced,
                    part,
                    // One jurisdiction may have two parts: the sender's own, and what it asked others about.
                    name: format!("alert/{id}/{place}/{n}"),
                    signed_by: BY_RULE,
                    whole,
                    correction: false,
                    texts,
                };
                // No part of it can have been stopped yet.
                let release = release.release(now)?;
                self.write::<W>(tx, release, (id, false), now).await?;
                continue;
            };
            let area = (part.regions.clone(), part.within.clone().unwrap_or_default());
            let (escalation, effects) =
                Escalation::<W>::begin(jurisdiction, area, part.approval.clone(), authors.iter().copied(), end, now);
            let lane = material.replaced.lane().map_or(material.decision.lane, |lane| lane.min(material.decision.lane));
            let row = insert_escalation(tx, id, lane, &escalation, now).await?;
            let detail = json!({
                "escalation": row, "jurisdiction": escalation.jurisdiction, "counties": escalation.regions.len(),
                "approval": escalation.approval.name,
            });
            record(tx, now, Entry::new("tocsin", "escalation.begin", id, detail));
            let mut row =
                EscalationRow { id: row, alert: (*id).to_owned(), lane, created_at: now, closed_at: None, escalation };
            self.follow(tx, &mut row, effects, material, now).await?;
        }
        if whole && *state == AlertState::Released {
            return Ok(());
        }
        Ok(refresh_alert_state(tx, id)?)
    }

    /// Looks at every escalation whose time has come; returns how many there were.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn look(&self) -> Result<usize, StoreError> {
        let due = self.store.due_escalations(self.clock.now(), 100).await?;
        for escalation in &due {
            let done = match escalation.world.as_str() {
                Live::SLUG => self.tick::<Live>(escalation.id).await,
                _ => self.tick::<Exercise>(escalation.id).await,
            };
            if let Err(error) = done {
                tracing::error!(%error, escalation = escalation.id, "a deadline could not be kept; it is tried again");
            }
        }
        Ok(due.len())
    }

    async fn tick<W: World>(&self, id: i64) -> Result<(), DeskError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let mut row = escalation_in::<W>(&mut tx, id).await?.ok_or(DeskError::Unknown)?;
        let material = self.material(&row.alert).await?;
        // An officer may have been quicker: then the clock finds nothing to do.
        let step = row.escalation.step;
        let effects = row.escalation.tick(now);
        let detail = json!({
            "escalation": id, "jurisdiction": row.escalation.jurisdiction, "step": step,
            "state": row.escalation.state.as_str(), "overdue": row.escalation.overdue,
        });
        record(&mut tx, now, Entry::new("tocsin", "escalation.deadline", &row.alert, detail));
        self.follow(&mut tx, &mut row, effects, &material, now).await?;
        tx.commit().await?;
        (self.wake)();
        Ok(())
    }

    /// Does what a change of an escalation asks for, and writes where it stands.
    async fn follow<W: World>(
        &self,
        tx: &mut Tx,
        row: &mut EscalationRow<W>,
        effects: Vec<Effect>,
        material: &Material,
        now: DateTime<Utc>,
    ) -> Result<(), DeskError> {
        let policy = self.policy.load_full();
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let call = |step, whom| Call {
                whom,
                id: row.id,
                alert: &row.alert,
                headline: &material.headline,
                escalation: &row.escalation,
                step,
                base: &self.base,
            };
            match effect {
                Effect::Page(step) => {
                    if page(tx, &self.store, &policy, &call(step, Whom::OnDuty), now).await? > 0 {
                        continue;
                    }
                    let next = callable(&self.store, &policy, &row.escalation, now).await?;
                    if next.is_none() && page(tx, &self.store, &policy, &call(step, Whom::Everybody), now).await? > 0 {
                        continue;
                    }
                    effects.extend(row.escalation.nobody_called(next, now));
                }
                Effect::CallBack(n) => {
                    if page_menders(tx, &self.store, &policy, &call(n, Whom::Everybody), now).await? == 0 {
                        row.escalation.nobody_called_back();
                    }
                }
                Effect::Release { by } => self.go_out(tx, row, &policy, material, by, now).await?,
            }
        }
        update_escalation(tx, row.id, &row.escalation, now).await?;
        Ok(refresh_alert_state(tx, &row.alert)?)
    }

    async fn go_out<W: World>(
        &self,
        tx: &mut Tx,
        row: &mut EscalationRow<W>,
        policy: &Policy,
        material: &Material,
        by: String,
        now: DateTime<Utc>,
    ) -> Result<(), DeskError> {
        let escalation = &row.escalation;
        let part = Part {
            jurisdiction: Some(escalation.jurisdiction.clone()),
            regions: escalation.regions.clone(),
            within: Some(escalation.within.clone()),
            approval: escalation.approval.clone(),
        };
        let alert = escalation.amendment.apply(&material.alert);
        let draft = Draft {
            policy,
            alert: &alert,
            chain: &material.chain,
            decision: &material.decision,
            replaced: &material.replaced,
            part: &part,
            name: format!("escalation/{}", row.id),
            signed_by: &by,
            whole: false,
            correction: false,
            texts: &Texts::default(),
        };
        match self.release::<W>(tx, &draft, &row.alert, now).await {
            Ok(_) => row.escalation.released(by),
            Err(DeskError::Compose(error)) => {
                tracing::error!(%error, alert.id = %row.alert, "approved, and its messages cannot be made");
                row.escalation.not_released(now);
                let detail = json!({"escalation": row.id, "error": error.to_string()});
                record(tx, now, Entry::new("tocsin", "release.failed", &row.alert, detail));
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Writes a release of this world: whatever was asked for, an exercise reaches the drill's list.
    pub(super) async fn release<W: World>(
        &self,
        tx: &mut Tx,
        draft: &Draft<'_>,
        alert: &str,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskError> {
        let release = draft.release(now)?;
        // A stop holds what is still to come of that alert, too.
        let held = is_stopped(tx, &release).await?;
        self.write::<W>(tx, release, (alert, held), now).await
    }

    async fn write<W: World>(
        &self,
        tx: &mut Tx,
        mut release: NewRelease,
        (alert, held): (&str, bool),
        now: DateTime<Utc>,
    ) -> Result<i64, DeskError> {
        release.reach = W::reach(release.reach);
        let id = insert_release(tx, &release, now).await?;
        if held {
            hold_release(tx, id, now).await?;
        }
        let detail = json!({
            "release": id, "jurisdiction": release.jurisdiction, "counties": release.regions.len(),
            "lane": release.lane, "audience": release.reach, "channels": release.channels, "signed_by": release.signed_by, "held": held,
        });
        record(tx, now, Entry::new("tocsin", "release", alert, detail));
        Ok(id)
    }

    /// The head of an event speaks also to people of older alerts that came to belong to it only now, by `late`. What waits for
    /// officers will speak to them when it goes out; whoever heard the head already does not hear it again.
    pub(crate) async fn tell_also<W: World>(
        &self,
        tx: &mut Tx,
        policy: &Policy,
        head: &str,
        material: &Material,
        late: &str,
        now: DateTime<Utc>,
    ) -> Result<(), DeskError> {
        let own = self.store.releases_of(&[head.to_owned()]).await?;
        // One for each part, the first: those that spoke to others before do not multiply.
        let mut seen = BTreeSet::new();
        let own = own.into_iter().filter(|r| {
            r.kind == ReleaseKind::Alert
                && r.superseded_at.is_none()
                && seen.insert((r.jurisdiction.clone(), r.within.clone()))
        });
        let row = self.store.alert(head).await?.ok_or(DeskError::Unknown)?;
        let part = |regions, jurisdiction, within| Part { jurisdiction, regions, within, approval: Approval::none() };
        let mut parts = Vec::new();
        for r in own {
            // Whoever signed it signed these words.
            let amended = match escalation_of(&r.name) {
                Some(id) => {
                    self.store.escalation::<W>(id).await?.map(|row| row.escalation.amendment.apply(&material.alert))
                }
                None => None,
            };
            let name = if amended.is_some() { r.name } else { r.id.to_string() };
            parts.push((part(r.regions, r.jurisdiction, r.within), name, r.signed_by, amended));
        }
        // Nobody had been told of anything when it came, so it went to nobody; now there are people whom it concerns.
        if row.state == AlertState::Withheld && super::concerns_those_told(&material.decision, &material.replaced) {
            parts.push((part(Vec::new(), None, None), head.to_owned(), BY_RULE.to_owned(), None));
            set_alert_state(tx, head, AlertState::Released)?;
        }
        for (part, name, signed_by, amended) in &parts {
            let draft = Draft {
                policy,
                alert: amended.as_ref().unwrap_or(&material.alert),
                chain: &material.chain,
                decision: &material.decision,
                replaced: &material.replaced,
                part,
                name: format!("joined/{name}/{late}"),
                signed_by,
                whole: false,
                correction: false,
                texts: &Texts::default(),
            };
            self.release::<W>(tx, &draft, head, now).await?;
        }
        Ok(())
    }

    /// Everything that releases of an alert on record are made of.
    pub(crate) async fn material(&self, id: &str) -> Result<Material, DeskError> {
        self.material_over(id, &self.store.replaced_by(id).await?).await
    }

    /// Everything that releases of an alert on record are made of, where it takes the place of these.
    pub(crate) async fn material_over(&self, id: &str, older: &[String]) -> Result<Material, DeskError> {
        let row = self.store.alert(id).await?.ok_or(DeskError::Unknown)?;
        let (raw, format) = self.store.alert_raw(id).await?.ok_or(DeskError::Unknown)?;
        self.material_of(row, (&raw, &format), older).await
    }

    /// Everything that releases are made of whose alert has this row and these bytes, where it takes the place of these.
    pub(crate) async fn material_of(
        &self,
        row: AlertRow,
        (raw, format): (&[u8], &str),
        older: &[String],
    ) -> Result<Material, DeskError> {
        let decision: Decision = serde_json::from_value(row.decision).map_err(StoreError::corrupt)?;
        let alert = as_read(raw, format).ok_or_else(|| StoreError::corrupt(format!("alert {}", row.id)))?;
        let alert = super::complete(&self.store, alert, older).await?;
        let replaced = Replaced::of(&self.store, older).await?;
        Ok(Material { alert, headline: row.headline, chain: row.chain, decision, replaced })
    }
}

/// What an act is called in the record, and what was said with it.
fn told(act: &Act) -> (&'static str, serde_json::Value) {
    match act {
        Act::Take => ("escalation.take", json!(null)),
        Act::Approve(stage) => ("escalation.approve", json!({"stage": stage})),
        Act::Return(reason) => ("escalation.return", json!({"reason": reason})),
        Act::Reject(reason) => ("escalation.reject", json!({"reason": reason})),
        Act::Withdraw(reason) => ("escalation.withdraw", json!({"reason": reason})),
        Act::Amend { amendment, regions, reason } => {
            ("escalation.amend", json!({"reason": reason, "amendment": amendment, "regions": regions}))
        }
    }
}
