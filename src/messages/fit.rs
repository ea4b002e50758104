//! Texts that must fit: places and details shortened until they do, never inside a character.

use tocsin_channels::sms::encoding;

use super::language::Language;

/// Places for a line: the first few, and how many more.
pub(super) fn places(all: &[String], most: usize, language: Language) -> String {
    let shown: Vec<_> = all.iter().take(most.max(1)).map(String::as_str).collect();
    let more = all.len() - shown.len();
    match (language, more) {
        (Language::Chinese, 0) => shown.join("、"),
        (Language::Chinese, _) => format!("{}等{}地", shown.join("、"), all.len()),
        (Language::English, 0) => shown.join(", "),
        (Language::English, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A text that ends as a sentence does: what follows it must not read as its last words.
pub(super) fn ended(text: String, language: Language) -> String {
    if text.is_empty() || text.ends_with(['。', '！', '？', '；', '…', '.', '!', '?', ';']) {
        return text;
    }
    text + match language {
        Language::Chinese => "。",
        Language::English => ".",
    }
}

/// A text cut to so many characters, at the end of a sentence or clause where one is near.
pub(super) fn cut(text: &str, most: usize) -> String {
    let line: Vec<char> = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    if line.len() <= most {
        return line.into_iter().collect();
    }
    let head = line.get(..most).unwrap_or_default();
    let ends = |c: &char| matches!(c, '。' | '；' | '！' | '.' | ';' | '!');
    match head.iter().rposition(ends) {
        Some(at) if at + 1 >= most / 2 => head.get(..=at).unwrap_or_default().iter().collect(),
        // One character beyond GSM-7 would double what an English message costs.
        _ if most > 3 && text.is_ascii() => {
            head.get(..most - 3).unwrap_or_default().iter().chain(&['.', '.', '.']).collect()
        }
        _ if most >= 2 => head.get(..most - 1).unwrap_or_default().iter().chain(&['…']).collect(),
        _ => String::new(),
    }
}

/// Parts that a short message travels in.
pub(super) fn sms_parts(text: &str) -> u32 {
    encoding::parts(text)
}
