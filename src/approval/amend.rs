//! What officers change of an alert before it goes out. The alert itself stays as it was sent.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cap::Alert;
use crate::messages::Language;

/// Other words in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    /// In place of the headline.
    pub headline: String,
    /// In place of the description.
    pub description: String,
    /// In place of the instruction.
    pub instruction: String,
}

/// Everything that officers changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Amendment {
    /// By language; a language that is not here says what the alert says.
    pub words: BTreeMap<Language, Words>,
    /// Another end.
    pub expires: Option<DateTime<Utc>>,
}

impl Amendment {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.expires.is_none()
    }

    /// The alert as it goes out, its times by the clock that it was sent by.
    #[must_use]
    pub fn apply(&self, alert: &Alert) -> Alert {
        let mut changed = alert.clone();
        if let Some(end) = self.expires {
            for info in &mut changed.infos {
                info.expires = Some(end.with_timezone(alert.sent.offset()));
            }
        }
        for (language, words) in &self.words {
            let own = |tag: &str| Language::of_tag(tag) == Some(*language);
            if !changed.infos.iter().any(|info| own(&info.language))
                && let Some(chief) = changed.infos.iter().min_by_key(|info| info.severity)
            {
                let mut info = chief.clone();
                info.language = language.tag().to_owned();
                changed.infos.push(info);
            }
            for info in changed.infos.iter_mut().filter(|info| own(&info.language)) {
                let text = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
                info.headline = text(&words.headline);
                info.description = text(&words.description);
                info.instruction = text(&words.instruction);
            }
        }
        changed
    }

    /// What an alert says in a language, as far as officers can change it.
    pub fn words_of(alert: &Alert, language: Language) -> Words {
        let own = alert.infos.iter().filter(|info| Language::of_tag(&info.language) == Some(language));
        let Some(info) = own.min_by_key(|info| info.severity) else { return Words::default() };
        let text = |text: &Option<String>| text.clone().unwrap_or_default().replace("\r\n", "\n").trim().to_owned();
        Words {
            headline: text(&info.headline),
            description: text(&info.description),
            instruction: text(&info.instruction),
        }
    }
}
