//! The pages' languages. A text is written in English in its page; each other language is one file, from the English to its own.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::messages::Language;

type Table = HashMap<String, String>;

static CHINESE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("words/zh-CN.toml")).unwrap_or_default());

/// The words of one language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) language: Language,
}

impl Words {
    /// A text, or the English one where the language has none.
    pub(super) fn s<'a>(&self, english: &'a str) -> &'a str {
        match self.language {
            Language::English => english,
            // The table lives as long as the program.
            Language::Chinese => CHINESE.get(english).map_or(english, |text| text.as_str()),
        }
    }

    /// A text with `{}` in it.
    pub(super) fn f(&self, english: &str, value: impl std::fmt::Display) -> String {
        self.s(english).replacen("{}", &value.to_string(), 1)
    }

    /// One of two texts that come in both languages.
    pub(super) fn pick<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        match self.language {
            Language::Chinese => zh,
            Language::English => en,
        }
    }

    /// The half of a text that holds both languages, apart by ` / `.
    pub(super) fn either<'a>(&self, text: &'a str) -> &'a str {
        text.split_once(" / ").map_or(text, |(zh, en)| self.pick(zh, en))
    }

    /// The BCP 47 tag.
    pub(super) fn tag(&self) -> &'static str {
        self.language.tag()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text between `s("` or `f("` and the quote after it, in pages and code.
    fn used() -> std::collections::BTreeSet<String> {
        let mut found = std::collections::BTreeSet::new();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web");
        for folder in ["pages", "console", "console/compose", "public", "."] {
            for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
                if !matches!(kind, "html" | "rs") || path.ends_with("words.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for call in ["t.s(", "t.f(", "words.s(", "words.f("] {
                    for rest in text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')) {
                        found.insert(rest.split('"').next().unwrap().to_owned());
                    }
                }
            }
        }
        found
    }

    #[test]
    fn every_text_of_the_pages_is_there_in_chinese_and_none_is_left_over() {
        let table: Table = toml::from_str(include_str!("words/zh-CN.toml")).expect("a table of texts");
        let used = used();
        let missing: Vec<_> = used.iter().filter(|text| !table.contains_key(*text)).collect();
        assert!(missing.is_empty(), "not in words/zh-CN.toml: {missing:#?}");
        let over: Vec<_> = table.keys().filter(|text| !used.contains(*text)).collect();
        assert!(over.is_empty(), "no page says: {over:#?}");
        for (english, chinese) in &table {
            assert_eq!(english.contains("{}"), chinese.contains("{}"), "{english}");
        }
    }
}
