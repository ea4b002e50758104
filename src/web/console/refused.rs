//! A form that was refused for its word or its code: its page again, with the refusal by the form and what was typed.

use axum::http::StatusCode;

use crate::staff::SignInError;
use crate::web::page::Fault;
use crate::web::session::{Fields, Posted};
use crate::web::words::Words;

/// What was refused, and why.
pub(super) struct Refused {
    /// Which form of the page.
    form: String,
    fields: Fields,
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) text: String,
}

impl Refused {
    /// None where another word or code would not mend it.
    pub(super) fn of(fault: &Fault, form: String, posted: &Posted) -> Option<Self> {
        let mends = match fault {
            Fault::NotConfirmed => true,
            Fault::SignIn(why) => !matches!(why, SignInError::Over),
            _ => false,
        };
        mends.then(|| {
            let (status, code, text) = fault.told();
            let text = Words::from(posted.session.officer.language).both(&text).to_owned();
            Self { form, fields: posted.fields.clone(), status, code, text }
        })
    }

    pub(super) fn is_of(&self, form: &str) -> bool {
        self.form == form
    }

    /// What was typed into a field; a code is good or bad once, and never shown.
    pub(super) fn typed(&self, field: &str) -> &str {
        if field == "code" { "" } else { self.fields.get(field) }
    }
}
