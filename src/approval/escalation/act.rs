//! What officers do to an escalation, what follows, and why not.

use std::collections::BTreeSet;

use crate::approval::Amendment;
use crate::officers::{OfficerId, Role};
use crate::regions::RegionCode;
use crate::rules::Stage;

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
    pub(super) fn any(&self, roles: &[Role]) -> bool {
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
    /// Call those who can mend it, for it came back: those who wrote it, and more of them with each call.
    CallBack(usize),
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
    /// A correction has taken its place.
    #[error("已由 {0} 更正，不再发送任何内容 / it was corrected by {0}; nothing of it goes out any more")]
    Corrected(String),
    /// A newer alert has taken its place.
    #[error("已由 {0} 取代，不再发送任何内容 / it was replaced by {0}; nothing of it goes out any more")]
    Replaced(String),
    /// It is stopped.
    #[error("已被叫停，请先恢复发送 / it is stopped; let it go on first")]
    Stopped,
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
    /// Nothing has gone out there that could be stopped, corrected or sent again.
    #[error(
        "此预警在您的辖区没有发出，无可停发、更正或重发：待批准的请驳回或撤回 / nothing of this alert has gone out for your jurisdiction: reject or withdraw what waits"
    )]
    NotOut,
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

/// A reviewer's or signer's reason.
pub(super) fn judged(who: &Who, reason: &str) -> Result<String, ActError> {
    if !who.any(&[Role::Reviewer, Role::Signer]) {
        return Err(ActError::NotYours);
    }
    said(reason)
}

/// A reason, cleaned and cut.
pub(super) fn said(reason: &str) -> Result<String, ActError> {
    let reason: String = reason.trim().chars().filter(|c| !c.is_control()).take(500).collect();
    if reason.is_empty() { Err(ActError::NoReason) } else { Ok(reason) }
}
