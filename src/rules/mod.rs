//! What, and to whom: ordered rules over an alert and its regions give a [`Decision`]. A pure function: the time is an
//! argument, and there is no store and no network.

mod approval;
mod condition;
mod decide;
mod decision;
mod rule;

pub use approval::{Approval, Level, Position, Stage, Step, Then};
pub use condition::Span;
pub use decide::{Facts, decide};
pub use decision::{Audience, Crossed, Decision, Lane, NoSuchLane, Reach, RuleVerdict, Withheld};
pub use rule::{Rule, RuleError, RuleSet, Targets};
