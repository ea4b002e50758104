//! Text for documents of several kinds.

/// Text without what XML cannot carry, and without what turns the direction of writing.
pub(super) fn printable(text: &str) -> String {
    let kept = |c: &char| {
        matches!(c, '\n' | '\t')
            || !(c.is_control()
                || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}'))
    };
    text.replace("\r\n", "\n").chars().filter(kept).collect()
}

/// Text in XML.
pub(super) fn xml(text: &str) -> String {
    quick_xml::escape::escape(printable(text).as_str()).into_owned()
}
