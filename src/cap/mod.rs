//! The Common Alerting Protocol: reads CAP 1.2, 1.1 and 1.0 into a typed [`Alert`] with a [`Verdict`], and writes CAP 1.2.
//!
//! Lenient in what it reads, strict in what it writes. Knows no clock, store or network.

mod alert;
mod hazard;

pub use alert::{
    Alert, Area, Category, Certainty, Circle, Element, Info, MsgType, NamedValue, Point, Polygon, Reference, Resource,
    ResponseType, Scope, Severity, Status, Urgency, Version,
};
pub use hazard::{Colour, Hazard};
