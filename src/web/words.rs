//! The pages' languages. A text is written in English in its page; each other language is one file, from the English to its own:
//! Chinese ships with Tocsin, others lie in the folder that config names, each called by its BCP 47 tag.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use axum::http::{HeaderMap, header};
use serde::Deserialize;

use crate::messages::{Facts, Language};

/// One language's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tongue {
    /// What its own people call it.
    name: String,
    #[serde(default)]
    direction: Direction,
    /// From the English to its own.
    texts: HashMap<String, String>,
    #[serde(skip)]
    tag: String,
}

/// Which way it is written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Direction {
    #[default]
    #[serde(rename = "ltr")]
    LeftToRight,
    #[serde(rename = "rtl")]
    RightToLeft,
}

static CHINESE: LazyLock<Tongue> =
    LazyLock::new(|| toml::from_str(include_str!("words/zh-CN.toml")).unwrap_or_default());
/// Those of the folder; read once, when the program starts.
static OTHERS: OnceLock<Vec<Tongue>> = OnceLock::new();

/// Why a language is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LanguageError {
    /// A file or folder cannot be read.
    #[error("server.languages: cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not as it should be.
    #[error("server.languages: {}: {why}", path.display())]
    Bad {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Takes in the languages of a folder, for as long as the program runs.
///
/// # Errors
/// When a file cannot be read, is no table of texts, or changes the number of places to fill in.
pub fn load_languages(folder: &Path) -> Result<(), LanguageError> {
    let read = |source| LanguageError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        files.push(entry.map_err(read)?.path());
    }
    files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    files.sort();
    let tongues = files.iter().map(|path| tongue(path)).collect::<Result<_, _>>()?;
    // The first folder stays: a program has one.
    let _ = OTHERS.set(tongues);
    Ok(())
}

fn tongue(path: &Path) -> Result<Tongue, LanguageError> {
    let bad = |why: String| LanguageError::Bad { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|source| LanguageError::Read { path: path.to_owned(), source })?;
    let mut tongue: Tongue = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
    tongue.tag = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let plain = tongue
        .tag
        .split('-')
        .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if !plain || Language::of_tag(&tongue.tag).is_some() {
        return Err(bad("a file is called by its language's tag (`ar.toml`); Chinese and English are there".into()));
    }
    let holes = |text: &str| text.matches("{}").count();
    match tongue.texts.iter().find(|(english, own)| holes(english) != holes(own)) {
        Some((english, _)) => Err(bad(format!("`{english}` has another number of {{}}"))),
        None => Ok(tongue),
    }
}

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
        let first = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let other = || {
            let all = OTHERS.get()?;
            let exact = all.iter().find(|tongue| tongue.tag.eq_ignore_ascii_case(tag));
            let found = exact.or_else(|| all.iter().find(|tongue| first(&tongue.tag) == first(tag)))?;
            Some(Self { language: Language::English, tongue: Some(found) })
        };
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
        let mut pieces = self.s(english).split("{}");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        let mut values = values.iter();
        for piece in pieces {
            if let Some(value) = values.next() {
                text.push_str(&value.to_string());
            }
            text.push_str(piece);
        }
        text
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
        let more = OTHERS.get().into_iter().flatten().map(|tongue| Other { tag: &tongue.tag, name: &tongue.name });
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
        for folder in
            ["web/pages", "web/console", "web/console/compose", "web/public", "web/portal", "web", "residents"]
        {
            for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
                if !matches!(kind, "html" | "rs") || path.ends_with("words.rs") || path.ends_with("tests.rs") {
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
                let shown =
                    ["sign_up.rs", "settings.rs", "places.rs", "session.rs"].iter().any(|name| path.ends_with(name));
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
    fn a_language_is_one_file_and_a_broken_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            tongue(&path)
        };
        let arabic = put("ar.toml", "name = 'العربية'\ndirection = 'rtl'\n[texts]\n'In force' = 'سارٍ'").unwrap();
        assert_eq!((arabic.tag.as_str(), arabic.direction), ("ar", Direction::RightToLeft));
        for (name, text) in [
            ("ar.toml", "name = 'x'\n[texts]\n'in force: {}' = 'no place'"),
            ("ar.toml", "name = 'x'\ndirection = 'up'\n[texts]"),
            ("ar.toml", "nonsense"),
            ("zh.toml", "name = 'x'\n[texts]"),
            ("a b.toml", "name = 'x'\n[texts]"),
        ] {
            assert!(put(name, text).is_err(), "{name} {text}");
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
