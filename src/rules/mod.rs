//! What, and to whom: ordered rules over an alert and its regions give a [`Decision`]. A pure function: the time is an
//! argument, and there is no store and no network.

mod decision;

pub use decision::{Approval, Audience, Decision, Lane, NoSuchLane, RuleVerdict, Withheld};
