//! What, and to whom: ordered rules over an alert and its regions give a [`Decision`]. A pure function: the time is an
//! argument, and there is no store and no network.

mod condition;
mod decide;
mod decision;
mod rule;

pub use decide::{Facts, decide};
pub use decision::{Approval, Audience, Decision, Lane, NoSuchLane, RuleVerdict, Withheld};
pub use rule::{Rule, RuleError, RuleSet, Targets};
