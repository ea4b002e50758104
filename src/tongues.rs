//! The languages of pages, and of what single people are sent: one file each, from the English to its own. Chinese ships with Tocsin,
//! others lie in the folder that config names, each called by its BCP 47 tag.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;

use crate::messages::Language;

/// One language's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tongue {
    /// What its own people call it.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) direction: Direction,
    /// From the English to its own.
    pub(crate) texts: HashMap<String, String>,
    #[serde(skip)]
    pub(crate) tag: String,
}

/// Which way it is written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Direction {
    #[default]
    #[serde(rename = "ltr")]
    LeftToRight,
    #[serde(rename = "rtl")]
    RightToLeft,
}

/// The one that ships with Tocsin.
pub(crate) static CHINESE: LazyLock<Tongue> =
    LazyLock::new(|| toml::from_str(include_str!("web/words/zh-CN.toml")).unwrap_or_default());
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

/// Those beside Chinese and English.
pub(crate) fn others() -> &'static [Tongue] {
    OTHERS.get().map_or(&[], Vec::as_slice)
}

/// The one of a tag, or of its first part.
pub(crate) fn other(tag: &str) -> Option<&'static Tongue> {
    let first = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let exact = others().iter().find(|tongue| tongue.tag.eq_ignore_ascii_case(tag));
    exact.or_else(|| others().iter().find(|tongue| first(&tongue.tag) == first(tag)))
}

/// A text whose `{}` are filled in their order.
pub(crate) fn fill(text: &str, values: &[&dyn Display]) -> String {
    let mut pieces = text.split("{}");
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
