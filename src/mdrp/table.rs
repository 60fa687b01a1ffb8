//! Cells of text files: what was expected where, in an error that a person can act on.

use std::path::{Path, PathBuf};

/// A file of an instance or a solution that cannot be used. Nothing was built from it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not there, not readable or not UTF-8.
    #[error("{}: {source}", file.display())]
    Io { file: PathBuf, source: std::io::Error },
    /// A cell (or a whole line, then `column` says so) is not what it must be. `line` counts from 1.
    #[error("{file}, line {line}, column {column}: expected {expected}, found {found:?}")]
    Cell { file: String, line: usize, column: String, expected: String, found: String },
    /// The parts are fine one by one, but not together.
    #[error("{0}")]
    Inconsistent(String),
}

/// One cell and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub file: &'a str,
    pub line: usize,
    pub column: &'a str,
    pub text: &'a str,
}

impl<'a> Cell<'a> {
    pub fn fault(&self, expected: impl Into<String>) -> ReadError {
        ReadError::Cell {
            file: self.file.into(),
            line: self.line,
            column: self.column.into(),
            expected: expected.into(),
            found: self.text.into(),
        }
    }

    pub fn id(&self) -> Result<&'a str, ReadError> {
        let usable = !self.text.is_empty() && self.text != "0" && !self.text.contains(char::is_whitespace);
        if usable { Ok(self.text) } else { Err(self.fault("an id (one word, not 0)")) }
    }

    pub fn number(&self, expected: &str) -> Result<f64, ReadError> {
        let number = self.text.parse().ok().filter(|number: &f64| number.abs() < 1e9);
        number.ok_or_else(|| self.fault(expected))
    }

    /// Minutes that are a whole number of seconds, as seconds.
    pub fn minutes(&self) -> Result<i64, ReadError> {
        let expected = "minutes (a whole number of seconds)";
        let seconds = self.number(expected)? * 60.0;
        // Four digits are written, so a second may be off by 0.003 and no more.
        if (seconds - seconds.round()).abs() > 0.01 {
            return Err(self.fault(expected));
        }
        Ok(seconds.round() as i64)
    }

    /// Whole minutes, as seconds.
    pub fn whole_minutes(&self) -> Result<i64, ReadError> {
        let expected = "whole minutes";
        let minutes = self.number(expected)?;
        if minutes.fract() == 0.0 { Ok(minutes as i64 * 60) } else { Err(self.fault(expected)) }
    }

    pub fn duration(&self) -> Result<i64, ReadError> {
        let seconds = self.whole_minutes()?;
        if seconds < 0 { Err(self.fault("whole minutes, not negative")) } else { Ok(seconds) }
    }

    /// An amount with at most two decimals, as cents, without passing through a float.
    pub fn cents(&self) -> Result<i64, ReadError> {
        let (units, cents) = self.text.split_once('.').unwrap_or((self.text, ""));
        let digits = |text: &str| text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
        if units.is_empty() || !digits(units) || !digits(cents) || cents.len() > 2 {
            return Err(self.fault("an amount, not negative, at most two decimals"));
        }
        format!("{units}{cents:0<2}").parse().map_err(|_| self.fault("an amount that is not so large"))
    }
}

/// Seconds as the minutes of a file: whole where they are, else as few decimals as bring the second back (at most four).
pub(super) fn minutes(seconds: i64) -> String {
    if seconds % 60 == 0 {
        return (seconds / 60).to_string();
    }
    let text = format!("{:.4}", seconds as f64 / 60.0);
    text.trim_end_matches('0').to_owned()
}

pub(super) fn load(folder: &Path, file: &str) -> Result<String, ReadError> {
    let path = folder.join(file);
    std::fs::read_to_string(&path).map_err(|source| ReadError::Io { file: path, source })
}

/// The lines that hold something, counted from 1; CRLF, a byte-order mark and blank lines do not matter.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim().is_empty())
}

/// The rows of a tab-separated file, cells in the order of `columns` whatever the header's order; other columns are passed over.
pub(super) fn tabbed<'a, const N: usize>(file: &'a str, text: &'a str, columns: [&'a str; N]) -> Result<Vec<[Cell<'a>; N]>, ReadError> {
    let mut lines = lines(text);
    let whole = |line, text| Cell { file, line, column: "(the line)", text };
    let (first, header) = lines.next().ok_or_else(|| whole(1, "").fault("a header"))?;
    let header: Vec<&str> = header.split('\t').map(str::trim).collect();
    let mut at = [0; N];
    for (slot, column) in at.iter_mut().zip(columns) {
        let found = header.iter().position(|name| *name == column);
        let header = Cell { file, line: first, column, text: "" };
        *slot = found.ok_or_else(|| header.fault("this column in the header"))?;
    }
    lines
        .map(|(line, text)| {
            let cells: Vec<&str> = text.split('\t').map(str::trim).collect();
            if cells.len() < header.len() {
                return Err(whole(line, text).fault(format!("{} cells, tab separated", header.len())));
            }
            Ok(std::array::from_fn(|i| Cell { file, line, column: columns[i], text: cells[at[i]] }))
        })
        .collect()
}
