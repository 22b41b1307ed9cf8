//! The newest records of a partition, held in memory as they came in: what readers at the end are served
//! from, without a question to a broker. No I/O.
//!
//! Trap avoided: a tail with a hole would be a log with one. What does not come right after the last record
//! begins the tail anew, and who was behind it reads from the broker.

use std::collections::VecDeque;

use volery_kernel::position::Offset;
use volery_ports::log::StoredRecord;

use crate::record;

/// Records `start..end`.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    records: VecDeque<StoredRecord>,
    end: Offset,
    bytes: usize,
}

impl Tail {
    /// Nothing yet; the next record is expected at `end`.
    pub(crate) fn at(end: Offset) -> Self {
        Self { end, ..Self::default() }
    }

    /// One past the last record.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    fn start(&self) -> Offset {
        self.end - self.records.len() as Offset
    }

    /// Takes a record, and lets the oldest ones go until about `budget` bytes are held. One that is held
    /// already changes nothing.
    pub(crate) fn push(&mut self, record: StoredRecord, budget: usize) {
        if record.offset < self.end {
            return;
        }
        if record.offset > self.end {
            *self = Self::at(record.offset);
        }
        self.end += 1;
        self.bytes += record::size(&record.record);
        self.records.push_back(record);
        while self.bytes > budget
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= record::size(&oldest.record);
        }
    }

    /// Records from `from` on, about `max_bytes`, at least one if there is one. `None` if `from` lies before
    /// what is held or beyond it.
    pub(crate) fn read(&self, from: Offset, max_bytes: usize) -> Option<Vec<StoredRecord>> {
        let skip = usize::try_from(from.checked_sub(self.start())?).ok()?;
        if from > self.end {
            return None;
        }
        let mut bytes = 0;
        let fits = |record: &&StoredRecord| {
            let room = bytes < max_bytes;
            bytes += record::size(&record.record);
            room
        };
        let mut first = self.records.iter().skip(skip).peekable();
        let at_least = usize::from(first.peek().is_some());
        let records: Vec<_> = first.clone().take_while(fits).cloned().collect();
        Some(if records.is_empty() { first.take(at_least).cloned().collect() } else { records })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use volery_kernel::time::Timestamp;
    use volery_ports::log::NewRecord;

    use super::*;

    fn record(offset: Offset) -> StoredRecord {
        let record = NewRecord { key: [0; 9], headers: Vec::new(), value: Bytes::from_static(&[7; 10]) };
        StoredRecord { offset, stamp: Timestamp(offset), record }
    }

    fn offsets(tail: &Tail, from: Offset, max_bytes: usize) -> Option<Vec<Offset>> {
        Some(tail.read(from, max_bytes)?.iter().map(|record| record.offset).collect())
    }

    #[test]
    fn what_came_in_is_read_from_any_place_that_is_held() {
        let mut tail = Tail::at(5);
        assert_eq!(offsets(&tail, 5, 100), Some(vec![]));
        (5..9).for_each(|offset| tail.push(record(offset), 1_000));
        assert_eq!(offsets(&tail, 5, 1_000), Some(vec![5, 6, 7, 8]));
        assert_eq!(offsets(&tail, 7, 1_000), Some(vec![7, 8]));
        assert_eq!((offsets(&tail, 9, 1_000), tail.end()), (Some(vec![]), 9));
        assert_eq!((offsets(&tail, 4, 1_000), offsets(&tail, 10, 1_000)), (None, None));
    }

    #[test]
    fn a_read_is_bounded_and_brings_one_at_least() {
        let mut tail = Tail::at(0);
        (0..4).for_each(|offset| tail.push(record(offset), 1_000));
        assert_eq!(offsets(&tail, 0, 11), Some(vec![0, 1]));
        assert_eq!(offsets(&tail, 1, 0), Some(vec![1]));
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let mut tail = Tail::at(0);
        (0..9).for_each(|offset| tail.push(record(offset), 30));
        assert_eq!((offsets(&tail, 5, 1_000), offsets(&tail, 6, 1_000)), (None, Some(vec![6, 7, 8])));
        tail.push(record(9), 0);
        assert_eq!((offsets(&tail, 9, 1_000), offsets(&tail, 10, 1_000)), (None, Some(vec![])));
    }

    #[test]
    fn a_hole_begins_it_anew_and_a_repetition_changes_nothing() {
        let mut tail = Tail::at(0);
        [0, 1, 0, 1, 5, 6].into_iter().for_each(|offset| tail.push(record(offset), 1_000));
        assert_eq!((offsets(&tail, 1, 1_000), offsets(&tail, 5, 1_000)), (None, Some(vec![5, 6])));
    }
}
