//! Which row something belongs to: windows of a chat, days of an index, and time stamps.
//!
//! # Windows
//! A chat's messages stand in rows of Cassandra by window: the top ten bits of the id, 2^31 ms or 25
//! days. So a write knows its window without asking anybody, on every node and in every replay. What
//! it costs: a chat in which little is said is spread over many windows (a page reads several at
//! once), and nothing bounds a window but the rate of the chat: at 2,000 messages a day it is 50,000
//! rows. Windows opened by count would bound it, but each archive would have to count and to
//! re-read a chat's windows; that can begin at any first id later, with these as they are.
//!
//! # Days of an index
//! An index row goes to the day of its apply's commit, and a replay with other batches may put it
//! into another day as well. What holds all the same: a commit's stamp is the largest of all records
//! up to it, so an offset above a commit of day D is only ever put into D or later. Hence, if an
//! apply put rows from offset F on into day D, then every row from F on is in D or later, and a
//! reader who wants them begins at the last day with such an F. `F` is noted after its rows are
//! there: a half-done apply promises nothing. Rows without a commit have a day of their own,
//! [`UNDATED`], which is always looked at.

use volery_kernel::id::Id;
use volery_kernel::position::Offset;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Commit, Span};

const DAY_MS: u64 = 86_400_000;
const MICROS: u64 = 1_000;
/// 22 bits of an id are below its milliseconds.
const WINDOW_BITS: u32 = 22 + 31;

/// The day of rows that came without a commit.
pub(crate) const UNDATED: i32 = -1;

/// The window of an id. From 0 to 1,023.
pub(crate) fn window_of(id: Id) -> i32 {
    signed(id.get() >> WINDOW_BITS) as i32
}

/// The windows of a chat in which a span may lie, in the order in which it reads.
pub(crate) fn windows_of(span: Span, mut windows: Vec<i32>) -> Vec<i32> {
    match span {
        Span::Before(id) => {
            windows.retain(|window| *window <= window_of(id));
            windows.sort_unstable_by_key(|window| std::cmp::Reverse(*window));
        }
        Span::After(id) => {
            windows.retain(|window| *window >= window_of(id));
            windows.sort_unstable();
        }
    }
    windows
}

/// The day (UTC) of an apply.
pub(crate) fn day_of(commit: Option<Commit>) -> i32 {
    commit.map_or(UNDATED, |commit| i32::try_from(commit.stamp.0 / DAY_MS).unwrap_or(i32::MAX))
}

/// The days that hold the index from `from` up to `to`, given each day's first offsets: ascending, with
/// the smallest offset from which each may hold rows.
pub(crate) fn days_of(from: Offset, to: Offset, firsts: &[(i32, Offset)]) -> Vec<(i32, Offset)> {
    let begun = firsts.iter().filter(|(_, first)| *first <= from).map(|(day, _)| *day);
    let begin = begun.max().filter(|day| *day != UNDATED).unwrap_or(i32::MIN);
    let mut days: Vec<(i32, Offset)> =
        firsts.iter().copied().filter(|(day, first)| (*day >= begin || *day == UNDATED) && *first < to).collect();
    days.sort_unstable();
    days.dedup_by_key(|(day, _)| *day);
    days
}

/// When an id was taken, in microseconds.
pub(crate) fn time_of(id: Id) -> i64 {
    micros(id.time())
}

/// The same for all rows of a day, in microseconds: so they are compacted by days, and of two that are
/// equal the one that expires later stays.
pub(crate) fn time_of_day(day: i32) -> i64 {
    micros(Timestamp(u64::try_from(day).unwrap_or(0) * DAY_MS))
}

fn micros(at: Timestamp) -> i64 {
    signed(at.0.saturating_mul(MICROS))
}

/// As CQL has it: ids and offsets have their top bit free; what is larger means "to the end".
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_pinned_and_read_in_the_span_s_order() {
        let id = |raw| Id::new(raw).unwrap();
        assert_eq!([0, (1 << 53) - 1, 1 << 53].map(|raw| window_of(id(raw))), [0, 0, 1]);
        assert_eq!(window_of(Id::MAX), 1_023);
        let windows = vec![4, 0, 2, 3];
        assert_eq!(windows_of(Span::Before(id(3 << 53)), windows.clone()), [3, 2, 0]);
        assert_eq!(windows_of(Span::After(id((2 << 53) + 1)), windows), [2, 3, 4]);
    }

    #[test]
    fn no_time_stamp_lies_in_the_future_of_its_id_or_day() {
        assert_eq!(time_of(Id::ZERO), 1_767_225_600_000_000);
        assert_eq!([UNDATED, 0, 2].map(time_of_day), [0, 0, 172_800_000_000]);
    }

    #[test]
    fn an_index_is_read_from_the_last_day_that_holds_all_from_there() {
        let firsts = [(10, 0), (11, 100), (11, 90), (12, 200)];
        assert_eq!(days_of(150, 1_000, &firsts), [(11, 90), (12, 200)]);
        assert_eq!(days_of(0, 100, &firsts), [(10, 0), (11, 90)]);
        assert_eq!(days_of(90, 91, &firsts), [(11, 90)]);
        assert_eq!(days_of(5, 5, &[]), []);
        // What was before the first of all is not there, but what comes after it is.
        assert_eq!(days_of(0, 60, &[(10, 50)]), [(10, 50)]);
        // A replay in a later day, from before that day: it has everything from there on.
        assert_eq!(days_of(30, 60, &[(10, 50), (11, 20)]), [(11, 20)]);
        assert_eq!(days_of(150, 1_000, &[(UNDATED, 120), (10, 0), (11, 140)]), [(UNDATED, 120), (11, 140)]);
        assert_eq!(days_of(150, 1_000, &[(UNDATED, 120), (10, 160)]), [(UNDATED, 120), (10, 160)]);
    }
}
