//! Small tables that people write in spreadsheets.

use std::collections::BTreeMap;

use super::KeepError;
use crate::lines::Lines;

/// Bytes and rows of one file.
const BYTES: usize = 2 << 20;
const ROWS: usize = 10_000;

/// The cells of a row, by column.
#[derive(Debug, Default)]
pub(crate) struct Row(BTreeMap<String, String>);

impl Row {
    pub(crate) fn get(&self, column: &str) -> &str {
        self.0.get(column).map_or("", String::as_str)
    }
}

/// A small CSV whole, UTF-8 or what Chinese spreadsheets write, each row with its line.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<(u64, Row)>,
}

impl Table {
    /// Reads a file whose header names known columns, the first `needed` of them all.
    pub(crate) fn of(file: &[u8], columns: &[&str], needed: usize) -> Result<Self, KeepError> {
        if file.len() > BYTES {
            return Err(KeepError::input("文件超过 2 MiB / the file is larger than 2 MiB"));
        }
        let text = match std::str::from_utf8(file) {
            Ok(text) => text.to_owned(),
            Err(_) => encoding_rs::GB18030.decode(file).0.into_owned(),
        };
        let text = text.trim_start_matches('\u{feff}');
        let bad = |e: csv::Error| KeepError::input(format!("不是 CSV：{e} / not CSV: {e}"));
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(Lines::of(text.as_bytes()));
        let header: Vec<String> = reader.headers().map_err(bad)?.iter().map(str::to_lowercase).collect();
        if let Some(strange) = header.iter().find(|name| !columns.contains(&name.as_str())) {
            let strange: String = strange.chars().take(40).collect();
            return Err(KeepError::input(format!("没有 `{strange}` 这一列 / the column `{strange}` is not known")));
        }
        if let Some(missing) = columns.iter().take(needed).find(|name| !header.iter().any(|own| own == *name)) {
            return Err(KeepError::input(format!("缺少 `{missing}` 列 / the column `{missing}` is missing")));
        }
        let mut rows = Vec::new();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(bad)? {
            if rows.len() >= ROWS {
                return Err(KeepError::input(format!("超过 {ROWS} 行 / more than {ROWS} rows")));
            }
            let line = reader.get_mut().line_of(record.position());
            rows.push((line, Row(header.iter().cloned().zip(record.iter().map(str::to_owned)).collect())));
        }
        Ok(Self { rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_its_line_however_lines_end() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "1,2", "\"3", "x\",4", "", "5,6", ""].join(end);
            let table = Table::of(text.as_bytes(), &["a", "b"], 2).unwrap();
            let lines: Vec<u64> = table.rows.iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [2, 3, 6], "{end:?}");
        }
    }
}
