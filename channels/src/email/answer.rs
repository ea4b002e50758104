//! What a relay's answers mean, as data.

use serde::Deserialize;

use super::config::EmailError;
use crate::Class;

/// One line of the table: what it fits, and what that means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// The beginning of the three-digit code.
    pub code: Option<String>,
    /// The beginning of the enhanced status code (RFC 3463).
    pub enhanced: Option<String>,
    /// A part of the text, capitals or not.
    pub says: Option<String>,
    /// What it means.
    pub class: Class,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    answer: Vec<AnswerRule>,
}

/// The table in force.
#[derive(Debug, Clone)]
pub(super) struct Answers(Vec<AnswerRule>);

impl Answers {
    /// A relay's own lines, then the shipped ones.
    pub(super) fn new(own: &[AnswerRule]) -> Result<Self, EmailError> {
        let shipped: File =
            toml::from_str(include_str!("answers.toml")).map_err(|e| EmailError::Mail(e.to_string()))?;
        Ok(Self(own.iter().cloned().chain(shipped.answer).collect()))
    }

    /// What an answer means: its code, and its text without the code.
    pub(super) fn class(&self, code: u16, text: &str) -> Class {
        let (code, lower) = (code.to_string(), text.to_lowercase());
        let enhanced = lower.split_whitespace().next().filter(|word| is_enhanced(word)).unwrap_or_default();
        let fits = |rule: &&AnswerRule| {
            rule.code.as_ref().is_none_or(|want| code.starts_with(want))
                && rule.enhanced.as_ref().is_none_or(|want| enhanced.starts_with(want))
                && rule.says.as_ref().is_none_or(|want| lower.contains(&want.to_lowercase()))
        };
        self.0.iter().find(fits).map_or(Class::Transient, |rule| rule.class)
    }
}

fn is_enhanced(word: &str) -> bool {
    word.split('.').count() == 3 && word.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_the_table_says() {
        let answers = Answers::new(&[]).unwrap();
        for (code, text, class) in [
            (250, "2.0.0 Ok: queued as 1234", Class::Accepted),
            (421, "4.7.0 Too fast", Class::Throttled),
            (421, "Too many connections", Class::Throttled),
            (421, "Service shutting down", Class::Transient),
            (451, "4.3.0 Try again later", Class::Transient),
            (450, "Rate limit", Class::Throttled),
            (550, "5.1.1 No such user", Class::BadAddress),
            (550, "No such user here", Class::BadAddress),
            (552, "5.2.2 Mailbox full", Class::Transient),
            (552, "5.3.4 Message too big", Class::Content),
            (550, "5.7.1 Blocked", Class::Policy),
            (554, "Looks like spam", Class::Policy),
            (535, "5.7.8 Bad credentials", Class::Policy),
            (503, "Bad sequence", Class::Policy),
        ] {
            assert_eq!(answers.class(code, text), class, "{code} {text}");
        }
        let own = AnswerRule {
            code: Some("550".into()),
            enhanced: None,
            says: Some("greylist".into()),
            class: Class::Transient,
        };
        assert_eq!(Answers::new(&[own]).unwrap().class(550, "5.7.1 Greylisted"), Class::Transient);
    }
}
