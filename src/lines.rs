//! Which line of a file a row of CSV begins on. The CSV reader's own count is short where lines end with CRLF, as spreadsheets write them,
//! and behind empty lines: it stands before what ends the line before.

use std::collections::VecDeque;
use std::io::{Read, Result};

/// A file on its way to a CSV reader.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    file: R,
    read: u64,
    /// The line that the reader is on.
    line: u64,
    /// Where what ends lines stands further on, and whether it is an LF.
    ends: VecDeque<(u64, bool)>,
}

impl<R: Read> Lines<R> {
    pub(crate) fn of(file: R) -> Self {
        Self { file, read: 0, line: 1, ends: VecDeque::new() }
    }

    /// The line of the row that the reader found at this byte. Rows are asked about in their order.
    pub(crate) fn line_of(&mut self, row: Option<&csv::Position>) -> u64 {
        let mut byte = row.map_or(0, csv::Position::byte);
        while let Some((_, lf)) = self.ends.front().filter(|(at, _)| *at < byte).copied() {
            self.line += u64::from(lf);
            self.ends.pop_front();
        }
        let mut line = self.line;
        for (at, lf) in &self.ends {
            if *at != byte {
                break;
            }
            line += u64::from(*lf);
            byte += 1;
        }
        line
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.file.read(buffer)?;
        let bytes = buffer.get(..n).unwrap_or_default();
        for (at, byte) in (self.read..).zip(bytes).filter(|(_, byte)| matches!(byte, b'\r' | b'\n')) {
            self.ends.push_back((at, *byte == b'\n'));
        }
        self.read += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_its_line_however_lines_end() {
        for end in ["\n", "\r\n"] {
            let text = ["\u{feff}a,b", "1,2", "\"3", "x\",4", "", "", "5,6", "7,8"].join(end);
            let mut reader = csv::Reader::from_reader(Lines::of(text.as_bytes()));
            reader.byte_headers().unwrap();
            let mut row = csv::ByteRecord::new();
            let mut lines = Vec::new();
            while reader.read_byte_record(&mut row).unwrap() {
                lines.push(reader.get_mut().line_of(row.position()));
            }
            assert_eq!(lines, [2, 3, 7, 8], "{end:?}");
        }
    }
}
