//! The state machine of what waits for officers. Pure: the time is an argument, and what must be done about a change is returned.

mod act;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::marker::PhantomData;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::amend::Amendment;
use crate::officers::{OfficerId, Role};
use crate::regions::RegionCode;
use crate::rules::{Approval, Stage, Step, Then};
use crate::world::World;

pub use act::{Act, ActError, Effect, Who};
use act::{judged, said};
pub use state::{Signature, State, Taken};

/// What waits for the officers of one jurisdiction: a part of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Escalation<W: World> {
    /// Whose officers decide.
    pub jurisdiction: RegionCode,
    /// Counties to be told, sorted.
    pub regions: Vec<RegionCode>,
    /// Counties whose people it may tell, also those told before who are no longer in the area.
    pub within: Vec<RegionCode>,
    /// Who must say yes, and who is called.
    pub approval: Approval,
    /// Officers who wrote or changed its words.
    pub authors: BTreeSet<OfficerId>,
    /// Where it stands.
    pub state: State,
    /// Counts changes of words and regions: a yes is to one of them.
    pub revision: u32,
    /// What officers changed.
    pub amendment: Amendment,
    /// Counties that officers took away, sorted.
    #[serde(default)]
    pub trimmed: Vec<RegionCode>,
    /// Why they changed what they changed last.
    #[serde(default)]
    pub changed_why: String,
    /// Who has said yes to this revision.
    pub signatures: Vec<Signature>,
    /// Who signed, or which rule, once it is approved.
    #[serde(default)]
    pub approved_by: String,
    /// The ladder's step.
    pub step: usize,
    /// When the ladder moves on.
    pub due: Option<DateTime<Utc>>,
    /// The last step's time is over.
    pub overdue: bool,
    /// Nobody could be called: nobody who could decide has an address.
    #[serde(default)]
    pub uncalled: bool,
    /// Who looks at it.
    pub taken: Option<Taken>,
    /// When the alert itself is over.
    pub expires: DateTime<Utc>,
    #[serde(skip)]
    world: PhantomData<fn() -> W>,
}

impl<W: World> Escalation<W> {
    /// A new one, and the first call.
    pub fn begin(
        jurisdiction: RegionCode,
        (regions, within): (Vec<RegionCode>, Vec<RegionCode>),
        approval: Approval,
        authors: impl IntoIterator<Item = OfficerId>,
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> (Self, Vec<Effect>) {
        let mut new = Self {
            jurisdiction,
            regions,
            within,
            approval,
            authors: authors.into_iter().collect(),
            state: State::Waiting,
            revision: 0,
            amendment: Amendment::default(),
            trimmed: Vec::new(),
            changed_why: String::new(),
            signatures: Vec::new(),
            approved_by: String::new(),
            step: 0,
            due: None,
            overdue: false,
            uncalled: false,
            taken: None,
            expires,
            world: PhantomData,
        };
        let effects = new.climb_from(0, now);
        (new, effects)
    }

    /// When it is over: the alert's end, or the earlier one that officers gave it.
    pub fn end(&self) -> DateTime<Utc> {
        self.amendment.expires.map_or(self.expires, |end| end.min(self.expires))
    }

    /// When the clock must look at it next.
    pub fn next_look(&self) -> Option<DateTime<Utc>> {
        match self.state {
            State::Waiting | State::Returned { .. } | State::Approved => {
                Some(self.due.map_or(self.end(), |due| due.min(self.end())))
            }
            _ => None,
        }
    }

    /// Whether it needs somebody now: a step went by and the next one's call nobody has answered, by a look or a yes; its time is over,
    /// or nobody could be called.
    pub fn is_unanswered(&self) -> bool {
        let looks = self.taken.as_ref().map(|taken| taken.step);
        let answered = |step: usize| step == self.step;
        let passed = self.step > 0
            && !looks.is_some_and(answered)
            && !self.signatures.iter().any(|signature| answered(signature.step));
        match self.state {
            State::Waiting => passed || self.overdue || self.uncalled,
            State::Returned { .. } | State::Approved => self.overdue || self.uncalled,
            _ => false,
        }
    }

    /// The stages that nobody has said yes to, in order.
    pub fn missing(&self) -> Vec<Stage> {
        let done = |stage: &Stage| self.signatures.iter().any(|signature| signature.stage == *stage);
        self.approval.stages.iter().copied().filter(|stage| !done(stage)).collect()
    }

    /// A step has ended after which one officer's signature is enough, whatever else is missing.
    pub fn one_is_enough(&self) -> bool {
        let mut ended = self.approval.steps.iter().take(self.step);
        self.state == State::Waiting && ended.any(|step| step.then == Then::ReleaseSigned)
    }

    /// The stage that this officer could say yes to now: the one that lets it go out, where one is enough.
    pub fn next_stage(&self, who: &Who) -> Option<Stage> {
        let mut missing = self.missing();
        if self.one_is_enough() {
            missing.sort_by_key(|stage| *stage != Stage::Sign);
        }
        missing.into_iter().find(|stage| self.may_approve(*stage, who).is_ok())
    }

    /// Does what an officer says, to the revision that they saw.
    ///
    /// # Errors
    /// When it must not be done; nothing has changed then.
    pub fn act(&mut self, act: Act, seen: u32, who: &Who, now: DateTime<Utc>) -> Result<Vec<Effect>, ActError> {
        if !matches!(self.state, State::Waiting | State::Returned { .. }) {
            return Err(ActError::Over(self.state.as_str()));
        }
        self.still(seen, now)?;
        match act {
            Act::Take => self.take(who, now),
            Act::Approve(stage) => self.approve(stage, who, now),
            Act::Return(reason) => {
                self.waits()?;
                let reason = judged(who, &reason)?;
                self.state = State::Returned { by: who.name.clone(), reason };
                self.signatures.clear();
                (self.taken, self.overdue) = (None, false);
                Ok(self.call_back(0, now))
            }
            Act::Reject(reason) => {
                self.waits()?;
                let reason = judged(who, &reason)?;
                self.close(State::Rejected { by: who.name.clone(), reason });
                Ok(Vec::new())
            }
            Act::Amend { amendment, regions, reason } => self.amend(amendment, &regions, &reason, who, now),
            Act::Withdraw(reason) => {
                if !self.authors.contains(&who.id) && !who.any(&[Role::Signer]) {
                    return Err(ActError::NotYours);
                }
                let reason = said(&reason)?;
                self.close(State::Withdrawn { by: who.name.clone(), reason });
                Ok(Vec::new())
            }
        }
    }

    /// The clock's part: deadlines that have passed.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        if self.state.is_open() && now >= self.end() {
            self.close(State::Expired);
            return Vec::new();
        }
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        match self.state {
            State::Approved => {
                self.due = Some(now + super::RETRY);
                vec![Effect::Release { by: self.approved_by.clone() }]
            }
            State::Waiting => self.deadline(now),
            // Nobody has mended it: more are called, again and again.
            State::Returned { .. } => {
                self.overdue = true;
                self.call_back(self.step + 1, now)
            }
            _ => Vec::new(),
        }
    }

    /// The steps after this one that would be next if nobody answered, in order. A step whose end lets something go out, or holds
    /// it, is not passed over.
    pub fn steps_after(&self, step: usize) -> impl Iterator<Item = usize> {
        let goes_on = |at: &usize| self.approval.steps.get(*at).is_some_and(|step| step.then == Then::Next);
        (step..).take_while(goes_on).map(|at| at + 1).take_while(|at| *at < self.approval.steps.len())
    }

    /// Nobody who could mend it can be called.
    pub fn nobody_called_back(&mut self) {
        self.uncalled = true;
    }

    /// Nobody can be called for the step that it is at. Where a later one has somebody, they are called now; what their step ends
    /// with comes no sooner than the rules say.
    pub fn nobody_called(&mut self, next: Option<usize>, now: DateTime<Utc>) -> Vec<Effect> {
        self.uncalled = next.is_none();
        let Some(next) = next else { return Vec::new() };
        let over = self.approval.steps.get(self.step..next).unwrap_or_default();
        let over: TimeDelta = over.iter().map(|step| step.within.time()).sum();
        let effects = self.climb_from(next, now);
        self.due = self.due.map(|due| due + over);
        effects
    }

    /// A newer alert has taken its place.
    pub fn replaced(&mut self, by: &str) {
        if self.state.is_open() {
            let reason = format!("由新预警取代 / replaced by {by}");
            self.close(State::Withdrawn { by: "tocsin".into(), reason });
        }
    }

    /// Its release is written.
    pub fn released(&mut self, by: String) {
        self.close(State::Released { by });
    }

    /// Its messages could not be made: it stays approved, and is tried again.
    pub fn not_released(&mut self, now: DateTime<Utc>) {
        self.state = State::Approved;
        self.due = Some(now + super::RETRY);
        self.overdue = true;
    }

    /// Takes these regions out into an escalation of their own, that begins anew as this one does.
    ///
    /// # Errors
    /// When it does not wait, the officer may not, or either part would be empty.
    pub fn split(
        &mut self,
        regions: &[RegionCode],
        seen: u32,
        who: &Who,
        now: DateTime<Utc>,
    ) -> Result<(Self, Vec<Effect>), ActError> {
        self.waits()?;
        self.still(seen, now)?;
        if !self.may_change(who) {
            return Err(ActError::NotYours);
        }
        if regions.iter().any(|region| !self.regions.contains(region)) {
            return Err(ActError::MoreRegions);
        }
        let stay: Vec<_> = self.regions.iter().filter(|own| !regions.contains(own)).cloned().collect();
        if regions.is_empty() || stay.is_empty() {
            return Err(ActError::NoRegions);
        }
        let mut part = self.clone();
        part.regions.retain(|own| regions.contains(own));
        part.within.clone_from(&part.regions);
        part.trimmed.clear();
        self.regions = stay;
        self.within.retain(|own| !part.regions.contains(own));
        self.begin_anew();
        part.begin_anew();
        // Those who were called know of both.
        let _ = self.climb_from(0, now);
        let effects = part.climb_from(0, now);
        Ok((part, effects))
    }

    /// Who has said yes, for the release.
    pub fn signers(&self) -> String {
        let names: Vec<_> = self.signatures.iter().map(|signature| signature.name.as_str()).collect();
        names.join("、")
    }

    /// The same where the time let their yes be enough.
    fn signers_in_time(&self) -> String {
        format!("{}（{} 时限）", self.signers(), self.approval.name)
    }

    fn waits(&self) -> Result<(), ActError> {
        if self.state == State::Waiting { Ok(()) } else { Err(ActError::Over(self.state.as_str())) }
    }

    /// What was seen is what it is, and its time is not over.
    fn still(&self, seen: u32, now: DateTime<Utc>) -> Result<(), ActError> {
        match () {
            () if seen != self.revision => Err(ActError::Changed),
            () if now >= self.end() => Err(ActError::Over("expired")),
            () => Ok(()),
        }
    }

    fn take(&mut self, who: &Who, now: DateTime<Utc>) -> Result<Vec<Effect>, ActError> {
        self.waits()?;
        if !who.any(&[Role::Reviewer, Role::Signer]) {
            return Err(ActError::NotYours);
        }
        let first = self.taken.as_ref().is_none_or(|taken| taken.step != self.step);
        self.taken = Some(Taken { by: who.id, name: who.name.clone(), at: now, step: self.step });
        if let (true, Some(step)) = (first, self.ladder_step()) {
            self.due = Some(now + step.within.time());
        }
        Ok(Vec::new())
    }

    /// Whether this officer may change it: whoever has a role here, and its authors wherever they are at home once it came back to them.
    pub fn may_change(&self, who: &Who) -> bool {
        (matches!(self.state, State::Returned { .. }) && self.authors.contains(&who.id))
            || who.any(&[Role::Author, Role::Reviewer, Role::Signer])
    }

    /// Whether this officer may say yes to this stage now.
    ///
    /// # Errors
    /// When not, with the reason.
    pub fn may_approve(&self, stage: Stage, who: &Who) -> Result<(), ActError> {
        self.waits()?;
        let role = match stage {
            Stage::Review => Role::Reviewer,
            Stage::Sign => Role::Signer,
        };
        let missing = self.missing();
        if !who.any(&[role]) {
            Err(ActError::NotYours)
        } else if !self.approval.stages.contains(&stage) {
            Err(ActError::NoSuchStage)
        } else if self.authors.contains(&who.id) {
            Err(ActError::OwnWords)
        } else if self.signatures.iter().any(|signature| signature.by == who.id) {
            Err(ActError::Twice)
        } else if !missing.contains(&stage) {
            Err(ActError::StageDone)
        } else if !self.approval.green && missing.first() != Some(&stage) && !self.one_is_enough() {
            Err(ActError::OutOfOrder)
        } else {
            Ok(())
        }
    }

    fn approve(&mut self, stage: Stage, who: &Who, now: DateTime<Utc>) -> Result<Vec<Effect>, ActError> {
        self.may_approve(stage, who)?;
        self.signatures.push(Signature { by: who.id, name: who.name.clone(), stage, at: now, step: self.step });
        Ok(match self.missing().as_slice() {
            [] => self.approved(self.signers(), now),
            _ if stage == Stage::Sign && self.one_is_enough() => self.approved(self.signers_in_time(), now),
            _ => Vec::new(),
        })
    }

    fn amend(
        &mut self,
        amendment: Amendment,
        regions: &[RegionCode],
        reason: &str,
        who: &Who,
        now: DateTime<Utc>,
    ) -> Result<Vec<Effect>, ActError> {
        if !self.may_change(who) {
            return Err(ActError::NotYours);
        }
        let reason = said(reason)?;
        if regions.iter().any(|region| !self.regions.contains(region)) {
            return Err(ActError::MoreRegions);
        }
        // A Cancel has no regions of its own.
        if regions.is_empty() && !self.regions.is_empty() {
            return Err(ActError::NoRegions);
        }
        if amendment.expires.is_some_and(|end| end <= now || end > self.expires) {
            return Err(ActError::BadEnd);
        }
        self.trimmed.extend(self.regions.extract_if(.., |own| !regions.contains(own)));
        self.trimmed.sort_unstable();
        (self.amendment, self.changed_why) = (amendment, reason);
        self.authors.insert(who.id);
        self.begin_anew();
        Ok(self.climb_from(0, now))
    }

    /// It may go out. Should its messages not be made, they are tried again later under the same name.
    fn approved(&mut self, by: String, now: DateTime<Utc>) -> Vec<Effect> {
        self.state = State::Approved;
        self.approved_by.clone_from(&by);
        self.due = Some(now + super::RETRY);
        vec![Effect::Release { by }]
    }

    fn begin_anew(&mut self) {
        self.revision += 1;
        self.signatures.clear();
        self.state = State::Waiting;
        (self.taken, self.overdue) = (None, false);
    }

    fn close(&mut self, state: State) {
        self.state = state;
        self.due = None;
        self.overdue = false;
    }

    fn ladder_step(&self) -> Option<&Step> {
        self.approval.steps.get(self.step)
    }

    fn climb_from(&mut self, step: usize, now: DateTime<Utc>) -> Vec<Effect> {
        (self.step, self.uncalled) = (step, false);
        self.due = self.ladder_step().map(|step| now + step.within.time());
        // Without a ladder nobody is called: it waits in the queue.
        if self.due.is_some() { vec![Effect::Page(step)] } else { Vec::new() }
    }

    /// It came back, and those who can mend it are called: more of them from call to call, each for a step's time.
    fn call_back(&mut self, call: usize, now: DateTime<Utc>) -> Vec<Effect> {
        (self.step, self.uncalled) = (call, false);
        let step = self.approval.steps.get(call).or(self.approval.steps.last());
        self.due = step.map(|step| now + step.within.time());
        vec![Effect::CallBack(call)]
    }

    /// A step's time is over. Whoever is called next has the step's whole time, however late the clock looks.
    fn deadline(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let Some(then) = self.ladder_step().map(|step| step.then) else { return Vec::new() };
        match then {
            Then::ReleaseSigned if !self.signatures.is_empty() => self.approved(self.signers_in_time(), now),
            Then::Next | Then::ReleaseSigned => self.climb_from(self.step + 1, now),
            Then::Release => {
                self.approved(format!("规则 {} 时限 / deadline of {}", self.approval.name, self.approval.name), now)
            }
            Then::Hold => {
                self.overdue = true;
                self.climb_from(self.step, now)
            }
            Then::Lapse => {
                self.close(State::Expired);
                Vec::new()
            }
        }
    }
}
