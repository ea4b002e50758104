//! What changed between two texts, word by word; in Chinese, character by character.

use similar::{Algorithm, ChangeTag, TextDiff};

/// A piece of a comparison.
pub(super) struct Piece {
    /// `-` taken away, `+` added, ` ` the same.
    pub(super) sign: char,
    pub(super) text: String,
}

/// A text that changed.
pub(super) struct Change {
    pub(super) what: String,
    pub(super) parts: Vec<Piece>,
}

/// How a text changed; None where it did not.
pub(super) fn change(what: &str, old: &str, new: &str) -> Option<Change> {
    if old.trim() == new.trim() {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (tokens(old), tokens(new));
    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_slices(&old, &new);
    let mut parts: Vec<Piece> = Vec::new();
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        match parts.last_mut() {
            Some(last) if last.sign == sign => last.text.push_str(change.value()),
            _ => parts.push(Piece { sign, text: change.value().to_owned() }),
        }
    }
    Some(Change { what: what.to_owned(), parts })
}

/// Words of letters and digits, and every other character by itself.
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begin = 0;
    let mut word = false;
    for (at, c) in text.char_indices().take(20_000) {
        let letter = c.is_ascii_alphanumeric();
        if at > 0 && !(word && letter) {
            found.extend(text.get(begin..at));
            begin = at;
        }
        word = letter;
    }
    found.extend(text.get(begin..));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_hour_shows_as_that_hour() {
        let change = change("", "今晚8时至明晨", "今晚20时至明晨").unwrap();
        let told: String = change.parts.iter().map(|p| format!("{}{}|", p.sign, p.text)).collect();
        assert_eq!(told, " 今晚|-8|+20| 时至明晨|");
        assert!(super::change("", "a b", "a b ").is_none());
    }
}
