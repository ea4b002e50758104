//! What people read on a terminal: tables that line up, in Chinese too, numbers, bars.

use chrono::{DateTime, FixedOffset, Utc};
use unicode_width::UnicodeWidthStr as _;

use crate::delivery::{DeliveryState, StateCounts};

/// What went wrong, as a person reads it.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A table: the first row is its head. Columns of numbers stand to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let number =
        |cell: &str| !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | '%'));
    let right: Vec<_> = (0..columns)
        .map(|n| rows.len() > 1 && rows.iter().skip(1).filter_map(|row| row.get(n)).all(|cell| number(cell)))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
            let pad = " ".repeat(width - cell.width());
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&if *right { format!("{pad}{cell}") } else { format!("{cell}{pad}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Deliveries by channel and state; states that nobody is in are left out.
pub(crate) fn state_table<K: std::fmt::Display>(channels: &std::collections::BTreeMap<K, StateCounts>) -> String {
    let used: Vec<_> =
        DeliveryState::ALL.into_iter().filter(|state| channels.values().any(|counts| counts.get(*state) > 0)).collect();
    let mut rows = vec![vec!["channel".to_owned(), "audience".to_owned()]];
    rows[0].extend(used.iter().map(|state| state.as_str().replace('_', " ")));
    let mut all = StateCounts::default();
    let row = |name: String, counts: &StateCounts| {
        let mut row = vec![name, number(counts.total())];
        row.extend(used.iter().map(|state| number(counts.get(*state))));
        row
    };
    for (channel, counts) in channels {
        rows.push(row(channel.to_string(), counts));
        all += *counts;
    }
    rows.push(row("all".into(), &all));
    table(&rows)
}

/// A time on Beijing's clocks.
pub(crate) fn beijing(at: DateTime<Utc>) -> DateTime<FixedOffset> {
    FixedOffset::east_opt(8 * 3_600).map_or(at.fixed_offset(), |zone| at.with_timezone(&zone))
}

/// So many of something, in English.
pub(crate) fn count(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

/// A number with commas.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text cut to so many columns.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let mut cut = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if cut.width() + 2 > columns {
            cut.push('…');
            break;
        }
        cut.push(c);
    }
    cut
}

/// A bar for long work, on a terminal only.
pub(crate) fn bar(total: Option<u64>, what: &'static str) -> indicatif::ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (indicatif::ProgressBar::new(total), "{msg} {bar:30} {human_pos}/{human_len} {per_sec} {eta} left")
        }
        None => (indicatif::ProgressBar::new_spinner(), "{msg} {human_pos} {per_sec}"),
    };
    let style = indicatif::ProgressStyle::with_template(template);
    bar.with_message(what).with_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_in_chinese_too() {
        let rows = [vec!["name", "n"], vec!["青浦区", "12"], vec!["a", "1,234"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        assert_eq!(table(&rows), "name        n\n青浦区     12\na       1,234\n");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(cut("上海市气象台", 7), "上海市…");
    }
}
