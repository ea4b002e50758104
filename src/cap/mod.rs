//! The Common Alerting Protocol: reads CAP 1.2, 1.1 and 1.0 into a typed [`Alert`] with findings, and writes CAP 1.2.
//!
//! Lenient in what it reads, strict in what it writes. Knows no clock, store or network.

mod alert;
mod checks;
mod china;
mod crossing;
mod document;
mod finding;
mod hazard;
mod id;
mod json_nmc;
mod json_qweather;
mod order;
mod profiles;
mod read;
mod signature;
mod strict;
mod values;
mod write;
pub(crate) mod xml;

pub use alert::{
    Alert, Area, Category, Certainty, Circle, Element, Info, MsgType, NamedValue, Point, Polygon, Reference, Resource,
    ResponseType, Scope, Severity, Status, Urgency, Version,
};
pub use china::NationalId;
pub(crate) use china::{colour_field, event_code};
pub use document::{Document, Enclosed, Listed, read, read_document, read_json, read_json_document};
pub(crate) use document::{list_in_json, other_content, packed, refused, several_in_json};
pub use finding::{Code, Finding, Gravity, Verdict};
pub use hazard::{Colour, Hazard};
pub use id::{AlertId, BadAlertId};
pub(crate) use profiles::grade;
pub use profiles::{Profile, ProfileName, hold_against};
pub use read::Reading;
pub use signature::{Keys, SignatureError, SignatureFault, SignaturePolicy, SigningKey};
pub use strict::is_strict;
pub use write::{WriteError, write};
pub use xml::MAX_BYTES;

/// A time as people write it, read as leniently as an alert's own.
pub(crate) fn time(text: &str) -> Option<chrono::DateTime<chrono::FixedOffset>> {
    values::time(text.trim()).map(|(at, _)| at)
}
