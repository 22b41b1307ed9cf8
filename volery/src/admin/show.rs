//! Answers as people and as scripts read them: a table, or one JSON value.
//!
//! Trap avoided: what stands in a cell may come from elsewhere; a control character in it could make one line
//! look like another.

use std::io::{ErrorKind, Write as _};

use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;
use volery_kernel::time::Timestamp;

use crate::Failure;

/// Days in 400 years of the Gregorian calendar, after which it repeats itself.
const ERA_DAYS: u64 = 146_097;

/// What a command found.
pub(super) struct Answer {
    /// For people.
    pub(super) text: String,
    /// For scripts.
    pub(super) json: Value,
    /// What was asked for and is missing in it, and what to do.
    pub(super) missing: Option<String>,
}

impl Answer {
    /// Nothing is missing.
    pub(super) fn whole(text: String, json: Value) -> Self {
        Self { text, json, missing: None }
    }

    /// To standard output. A reader that has left wanted no more.
    pub(super) fn print(self, as_json: bool) -> Result<(), Failure> {
        let text = if as_json { format!("{:#}\n", self.json) } else { self.text };
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => self.missing.map_or(Ok(()), |missing| Err(Failure(missing))),
        }
    }
}

/// Columns as wide as their widest cell, two spaces between them.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let heads = heads.map(str::to_owned);
    let lines: Vec<_> =
        std::iter::once(&heads).chain(rows).map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let widths: [usize; N] = std::array::from_fn(|at| lines.iter().map(|line| line[at].width()).max().unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn printable(cell: &str) -> String {
    cell.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// `2026-11-22T09:30:00Z`.
pub(super) fn moment(at: Timestamp) -> String {
    let seconds = at.0 / 1_000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day so many days after 1970-01-01.
fn date(days: u64) -> (u64, usize, u64) {
    let (mut year, mut left) = (1970 + days / ERA_DAYS * 400, days % ERA_DAYS);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let rows = [["a", "1"], ["longer", "2"], ["日本", "x\ny\u{1b}[2J"]].map(|row| row.map(str::to_owned));
        let text = table(["NAME", "N"], &rows);
        assert_eq!(text, "NAME    N\na       1\nlonger  2\n日本    x\u{fffd}y\u{fffd}[2J\n");
        assert_eq!(table(["NAME"], &[]), "NAME\n");
    }

    #[test]
    fn moments_are_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_868_799_000, "2000-02-29T23:59:59Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59Z"),
            (1_795_339_800_000, "2026-11-22T09:30:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(moment(Timestamp(millis)), text);
        }
        assert!(moment(Timestamp(u64::MAX)).ends_with('Z'));
    }
}
