//! The words of pages. A text is written in English in its page; each other language is one file, from the English to its own.

use std::fmt::Display;

use axum::http::{HeaderMap, header};

use crate::messages::{Facts, Language};
use crate::tongues::{self, CHINESE, Direction, Tongue};

/// A language to change to.
pub(super) struct Other {
    pub(super) tag: &'static str,
    pub(super) name: &'static str,
}

/// The words of one language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// The language of alerts and names of regions for its readers.
    pub(super) language: Language,
    tongue: Option<&'static Tongue>,
}

impl From<Language> for Words {
    fn from(language: Language) -> Self {
        let tongue = match language {
            Language::English => None,
            Language::Chinese => Some(&*CHINESE),
        };
        Self { language, tongue }
    }
}

impl Words {
    /// The words of a tag such as `zh-CN`, `en-US`, `ar`.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let other = || Some(Self { language: Language::English, tongue: Some(tongues::other(tag)?) });
        Language::of_tag(tag).map(Self::from).or_else(other)
    }

    /// What a browser asks for; Chinese where it asks for nothing that there is.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first = wanted.split(',').find_map(|tag| Self::of_tag(tag.split(';').next()?.trim()));
        first.unwrap_or(Self::from(Language::Chinese))
    }

    /// A text, or the English one where the language has none.
    pub(super) fn s<'a>(&self, english: &'a str) -> &'a str {
        // The table lives as long as the program.
        self.tongue.and_then(|tongue| tongue.texts.get(english)).map_or(english, |text| text.as_str())
    }

    /// A text with `{}` in it.
    pub(super) fn f(&self, english: &str, value: impl Display) -> String {
        self.fill(english, &[&value])
    }

    /// A text with several `{}` in it, filled in their order.
    pub(super) fn fill(&self, english: &str, values: &[&dyn Display]) -> String {
        tongues::fill(self.s(english), values)
    }

    /// One of two texts that come in both languages.
    pub(super) fn pick<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        match self.language {
            Language::Chinese => zh,
            Language::English => self.s(en),
        }
    }

    /// A text that comes in both languages, apart by ` / `.
    pub(super) fn both<'a>(&self, text: &'a str) -> &'a str {
        text.split_once(" / ").map_or(text, |(zh, en)| self.pick(zh, en))
    }

    /// Level and danger, as a title.
    pub(super) fn title(&self, facts: &Facts) -> String {
        if self.tag() == self.language.tag() {
            return facts.title();
        }
        let hazard = self.s(facts.hazard.name_en());
        facts.colour.map_or_else(|| hazard.to_owned(), |colour| format!("{} · {hazard}", self.s(colour.name_en())))
    }

    /// The BCP 47 tag.
    pub(super) fn tag(&self) -> &'static str {
        match self.tongue {
            Some(tongue) if self.language == Language::English => &tongue.tag,
            _ => self.language.tag(),
        }
    }

    /// Which way it is written.
    pub(super) fn dir(&self) -> &'static str {
        match self.tongue.map(|tongue| tongue.direction) {
            Some(Direction::RightToLeft) => "rtl",
            _ => "ltr",
        }
    }

    /// Every language that there is.
    pub(super) fn all(&self) -> Vec<Other> {
        let own = [Other { tag: "zh-CN", name: &CHINESE.name }, Other { tag: "en", name: "English" }];
        let more = tongues::others().iter().map(|tongue| Other { tag: &tongue.tag, name: &tongue.name });
        own.into_iter().chain(more).collect()
    }

    /// Every other language.
    pub(super) fn others(&self) -> Vec<Other> {
        self.all().into_iter().filter(|other| other.tag != self.tag()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every text of pages and code: what stands between the quotes of a call, the name of a mark, and the English half of what comes
    /// in both languages.
    fn used() -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        for folder in [
            "web/pages",
            "web/console",
            "web/console/compose",
            "web/console/record",
            "web/public",
            "web/portal",
            "web",
            "residents",
            "messages",
        ] {
            for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
                if !matches!(kind, "html" | "rs") || path.ends_with("words.rs") || path.ends_with("tests.rs") {
                    continue;
                }
                // Warnings have templates; what single people are sent are texts as of pages.
                if folder == "messages" && !path.ends_with("code.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let calls = [".s(", ".f(", ".fill("];
                for rest in calls.iter().flat_map(|call| text.split(call).skip(1)) {
                    if let Some(rest) = rest.trim_start().strip_prefix('"') {
                        found.insert(rest.split('"').next().unwrap().to_owned());
                    }
                }
                let marks = text.lines().filter(|line| line.contains("shape: \"") || line.contains("..mark"));
                for (_, rest) in marks.filter_map(|line| line.split_once("name: \"")) {
                    found.insert(rest.split('"').next().unwrap().to_owned());
                }
                // Texts of officers' pages come in both languages where they stand; the other ones may have more readers.
                let shown = ["sign_up.rs", "settings.rs", "places.rs", "session.rs", "code.rs"]
                    .iter()
                    .any(|name| path.ends_with(name));
                if folder == "web/portal" || shown {
                    let halves = text.split('"').filter_map(|text| text.split_once(" / "));
                    let both = halves.filter(|(zh, _)| zh.chars().any(|c| c > '\u{2fff}') && !zh.contains('\n'));
                    found.extend(both.map(|(_, english)| english.to_owned()));
                }
            }
        }
        found
    }

    #[test]
    fn every_text_of_the_pages_is_there_in_chinese_and_none_is_left_over() {
        let tongue: Tongue = toml::from_str(include_str!("words/zh-CN.toml")).expect("a table of texts");
        let used = used();
        let missing: Vec<_> = used.iter().filter(|text| !tongue.texts.contains_key(*text)).collect();
        assert!(missing.is_empty(), "not in words/zh-CN.toml: {missing:#?}");
        let over: Vec<_> = tongue.texts.keys().filter(|text| !used.contains(*text)).collect();
        assert!(over.is_empty(), "no page says: {over:#?}");
        for (english, chinese) in &tongue.texts {
            assert_eq!(english.matches("{}").count(), chinese.matches("{}").count(), "{english}");
            assert!(
                chinese.chars().any(|c| c > '\u{2000}') || english == chinese,
                "not Chinese: {english} = {chinese}"
            );
        }
    }

    #[test]
    fn residents_and_everybody_read_no_text_that_is_written_in_two_languages_only() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web");
        for folder in ["pages", "public", "portal"] {
            for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if folder == "pages" && !name.starts_with("public_") && !name.starts_with("portal_") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains(".pick(\""), "{name} has texts that no further language can say");
            }
        }
    }

    #[test]
    fn texts_are_filled_in_their_order() {
        let words = Words::from(Language::English);
        assert_eq!(words.fill("{}: danger. {} until {}.", &[&"A", &"B", &"{}"]), "A: danger. B until {}.");
        assert_eq!(Words::of_tag("zh-Hant").unwrap().tag(), "zh-CN");
        assert!(Words::of_tag("xx").is_none());
    }
}
