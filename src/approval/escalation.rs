//! The state machine of what waits for officers. Pure: the time is an argument, and what must be done about a change is returned.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::amend::Amendment;
use crate::officers::{OfficerId, Role};
use crate::regions::RegionCode;
use crate::rules::{Approval, Stage, Step, Then};
use crate::world::World;

/// Where an escalation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// For officers to decide.
    Waiting,
    /// For its author to mend.
    Returned {
        /// Who gave it back.
        by: String,
        /// Why.
        reason: String,
    },
    /// Everyone has said yes; it goes out as soon as its messages can be made.
    Approved,
    /// It goes out.
    Released {
        /// Who signed, or which rule.
        by: String,
    },
    /// Refused for good.
    Rejected {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// Taken back, or replaced by a newer alert.
    Withdrawn {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// Its time was over first.
    Expired,
}

impl State {
    /// The word in tables.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Returned { .. } => "returned",
            Self::Approved => "approved",
            Self::Released { .. } => "released",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Whether something can still happen.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::Returned { .. } | Self::Approved)
    }
}

/// Somebody's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose.
    pub by: OfficerId,
    /// Their name.
    pub name: String,
    /// As what.
    pub stage: Stage,
    /// When.
    pub at: DateTime<Utc>,
}

/// Somebody who has said that they look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Who.
    pub by: OfficerId,
    /// Their name.
    pub name: String,
    /// When.
    pub at: DateTime<Utc>,
    /// In which step of the ladder.
    pub step: usize,
}

/// Who acts, with what they may do for this jurisdiction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Their id.
    pub id: OfficerId,
    /// Their name, as the record shows it.
    pub name: String,
    /// What they may do here.
    pub roles: BTreeSet<Role>,
}

impl Who {
    fn any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }
}

/// What an officer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// "I look at it": the ladder gives them the step's time once more.
    Take,
    /// Yes, to what was shown.
    Approve(Stage),
    /// Back to its author.
    Return(String),
    /// No, for good.
    Reject(String),
    /// Other words, another end, or fewer regions; approval begins anew.
    Amend {
        /// The words and the end.
        amendment: Amendment,
        /// The regions that stay.
        regions: Vec<RegionCode>,
        /// Why.
        reason: String,
    },
    /// Taken back by its author.
    Withdraw(String),
}

/// What must be done about a change, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Call the officers of this step.
    Page(usize),
    /// Write the release.
    Release {
        /// Who signed, or which rule.
        by: String,
    },
}

/// Why an act is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// It does not wait any more.
    #[error("已不在等待：{0} / it does not wait any more: it is {0}")]
    Over(&'static str),
    /// It was changed meanwhile.
    #[error("内容已被修改，请重新查看后再决定 / it was changed since you looked; look again, then decide")]
    Changed,
    /// One's own words.
    #[error("不可审批自己编写或修改的内容 / nobody approves their own words")]
    OwnWords,
    /// Once is enough.
    #[error("您已审批过，须由另一位值班员完成 / you have said yes already; it takes another officer")]
    Twice,
    /// That stage is done.
    #[error("这一环节已完成 / this stage is done already")]
    StageDone,
    /// The review comes first.
    #[error("须先复核后签发 / it is reviewed first, then signed")]
    OutOfOrder,
    /// The policy does not ask for it.
    #[error("此预警不需要这一环节 / this alert does not need that stage")]
    NoSuchStage,
    /// Not their part, or not their people.
    #[error("您在该辖区没有相应权限 / you may not do this for this jurisdiction")]
    NotYours,
    /// A reason is missing.
    #[error("请写明原因 / say why")]
    NoReason,
    /// Regions that were not there.
    #[error("只能缩小区域，不能增加 / regions can be taken away here, not added")]
    MoreRegions,
    /// Nothing would be left.
    #[error("至少保留一个区县 / at least one county must be left")]
    NoRegions,
    /// The new end is over, or after the alert's own.
    #[error("结束时间须在现在之后，且不晚于原定结束时间 / the end is after now, and not after the alert's own")]
    BadEnd,
}

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
    /// Who has said yes to this revision.
    pub signatures: Vec<Signature>,
    /// The ladder's step.
    pub step: usize,
    /// When the ladder moves on.
    pub due: Option<DateTime<Utc>>,
    /// The last step's time is over.
    pub overdue: bool,
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
        author: Option<OfficerId>,
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> (Self, Vec<Effect>) {
        let mut new = Self {
            jurisdiction,
            regions,
            within,
            approval,
            authors: author.into_iter().collect(),
            state: State::Waiting,
            revision: 0,
            amendment: Amendment::default(),
            signatures: Vec::new(),
            step: 0,
            due: None,
            overdue: false,
            taken: None,
            expires,
            world: PhantomData,
        };
        let effects = new.climb_from(0, now);
        (new, effects)
    }

    /// When the clock must look at it next.
    pub fn next_look(&self) -> Option<DateTime<Utc>> {
        match self.state {
            State::Waiting | State::Approved => Some(self.due.map_or(self.expires, |due| due.min(self.expires))),
            State::Returned { .. } => Some(self.expires),
            _ => None,
        }
    }

    /// The stages that nobody has said yes to, in order.
    pub fn missing(&self) -> Vec<Stage> {
        let done = |stage: &Stage| self.signatures.iter().any(|signature| signature.stage == *stage);
        self.approval.stages.iter().copied().filter(|stage| !done(stage)).collect()
    }

    /// The stage that this officer could say yes to now.
    pub fn next_stage(&self, who: &Who) -> Option<Stage> {
        self.missing().into_iter().find(|stage| self.may_approve(*stage, who).is_ok())
    }

    /// Does what an officer says, to the revision that they saw.
    ///
    /// # Errors
    /// When it must not be done; nothing has changed then.
    pub fn act(&mut self, act: Act, seen: u32, who: &Who, now: DateTime<Utc>) -> Result<Vec<Effect>, ActError> {
        if !matches!(self.state, State::Waiting | State::Returned { .. }) {
            return Err(ActError::Over(self.state.as_str()));
        }
        if seen != self.revision {
            return Err(ActError::Changed);
        }
        if now >= self.expires {
            return Err(ActError::Over("expired"));
        }
        match act {
            Act::Take => self.take(who, now),
            Act::Approve(stage) => self.approve(stage, who, now),
            Act::Return(reason) => {
                self.waits()?;
                let reason = judged(who, &reason)?;
                self.state = State::Returned { by: who.name.clone(), reason };
                self.signatures.clear();
                (self.due, self.taken, self.overdue) = (None, None, false);
                Ok(Vec::new())
            }
            Act::Reject(reason) => {
                self.waits()?;
                let reason = judged(who, &reason)?;
                self.close(State::Rejected { by: who.name.clone(), reason });
                Ok(Vec::new())
            }
            Act::Amend { amendment, regions, reason } => self.amend(amendment, regions, &reason, who, now),
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
        if self.state.is_open() && now >= self.expires {
            self.close(State::Expired);
            return Vec::new();
        }
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        match self.state {
            State::Approved => {
                self.due = Some(now + super::RETRY);
                vec![Effect::Release { by: self.signers() }]
            }
            State::Waiting => self.deadline(now),
            _ => Vec::new(),
        }
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
        if seen != self.revision {
            return Err(ActError::Changed);
        }
        if !who.any(&[Role::Author, Role::Reviewer, Role::Signer]) {
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

    fn waits(&self) -> Result<(), ActError> {
        if self.state == State::Waiting { Ok(()) } else { Err(ActError::Over(self.state.as_str())) }
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
        } else if !self.approval.green && missing.first() != Some(&stage) {
            Err(ActError::OutOfOrder)
        } else {
            Ok(())
        }
    }

    fn approve(&mut self, stage: Stage, who: &Who, now: DateTime<Utc>) -> Result<Vec<Effect>, ActError> {
        self.may_approve(stage, who)?;
        self.signatures.push(Signature { by: who.id, name: who.name.clone(), stage, at: now });
        if self.missing().is_empty() {
            self.state = State::Approved;
            return Ok(vec![Effect::Release { by: self.signers() }]);
        }
        Ok(Vec::new())
    }

    fn amend(
        &mut self,
        amendment: Amendment,
        regions: Vec<RegionCode>,
        reason: &str,
        who: &Who,
        now: DateTime<Utc>,
    ) -> Result<Vec<Effect>, ActError> {
        if !who.any(&[Role::Author, Role::Reviewer, Role::Signer]) {
            return Err(ActError::NotYours);
        }
        said(reason)?;
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
        self.regions = regions;
        self.amendment = amendment;
        self.authors.insert(who.id);
        self.begin_anew();
        Ok(self.climb_from(0, now))
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
        self.step = step;
        self.due = self.ladder_step().map(|step| now + step.within.time());
        // Without a ladder nobody is called: it waits in the queue.
        if self.due.is_some() { vec![Effect::Page(step)] } else { Vec::new() }
    }

    /// A step's time is over. Whoever is called next has the step's whole time, however late the clock looks.
    fn deadline(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let Some(then) = self.ladder_step().map(|step| step.then) else { return Vec::new() };
        match then {
            Then::ReleaseSigned if !self.signatures.is_empty() => {
                self.state = State::Approved;
                vec![Effect::Release { by: format!("{}（{} 时限）", self.signers(), self.approval.name) }]
            }
            Then::Next | Then::ReleaseSigned => self.climb_from(self.step + 1, now),
            Then::Release => {
                self.state = State::Approved;
                vec![Effect::Release {
                    by: format!("规则 {} 时限 / deadline of {}", self.approval.name, self.approval.name),
                }]
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

/// A reviewer's or signer's reason.
fn judged(who: &Who, reason: &str) -> Result<String, ActError> {
    if !who.any(&[Role::Reviewer, Role::Signer]) {
        return Err(ActError::NotYours);
    }
    said(reason)
}

fn said(reason: &str) -> Result<String, ActError> {
    let reason: String = reason.trim().chars().filter(|c| !c.is_control()).take(500).collect();
    if reason.is_empty() { Err(ActError::NoReason) } else { Ok(reason) }
}
