//! The newest records of each partition, in memory, and its end: what owner, fan-out and archive read
//! while they keep up.
//!
//! One budget of bytes for all partitions; the oldest record of all goes first. A record shares the
//! buffer of whoever appended it, so a value cut out of a large buffer keeps that buffer alive.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::watch;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::log::{Chunk, StoredRecord};

use super::format::headers_bytes;

/// What a record costs beside its bytes.
const OVERHEAD: usize = 128;

/// One partition's newest records.
pub(crate) struct Tail {
    kept: Mutex<Kept>,
    end: watch::Sender<End>,
}

struct Kept {
    first: Offset,
    records: VecDeque<StoredRecord>,
}

/// How far a partition goes, and whether it can still grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) offset: Offset,
    pub(crate) closed: bool,
}

impl Tail {
    fn new(end: Offset) -> Self {
        let kept = Kept { first: end, records: VecDeque::new() };
        Self { kept: Mutex::new(kept), end: watch::Sender::new(End { offset: end, closed: false }) }
    }

    /// The end that readers see.
    pub(crate) fn end(&self) -> Offset {
        self.end.borrow().offset
    }

    /// Follows the end.
    pub(crate) fn watch(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// Wakes whoever waits for more: there will be none.
    pub(crate) fn close(&self) {
        self.end.send_modify(|end| end.closed = true);
    }

    /// The records from `from` on, about `max_bytes` of them; `None` if they are not held.
    pub(crate) fn read(&self, from: Offset, max_bytes: usize) -> Option<Chunk> {
        let kept = self.kept.lock();
        let skip = usize::try_from(from.checked_sub(kept.first)?).ok()?;
        let end = kept.first + kept.records.len() as u64;
        let mut room = max_bytes;
        let fits = |record: &&StoredRecord| {
            let fits = room > 0;
            room = room.saturating_sub(cost(record) - OVERHEAD);
            fits
        };
        (from <= end).then(|| Chunk { records: kept.records.range(skip..).take_while(fits).cloned().collect(), end })
    }

    /// Answers what the records cost. The end is moved before anybody can read beyond it: to whoever asks for
    /// it after reading, the log would seem to have lost what they read.
    fn push(&self, records: impl Iterator<Item = StoredRecord>) -> usize {
        let mut sum = 0;
        let mut kept = self.kept.lock();
        kept.records.extend(records.inspect(|record| sum += cost(record)));
        let offset = kept.first + kept.records.len() as u64;
        self.end.send_modify(|end| end.offset = offset);
        sum
    }

    /// Forgets the oldest `count` records and answers what they cost.
    fn forget(&self, count: usize) -> usize {
        let gone: Vec<_> = {
            let mut kept = self.kept.lock();
            let count = count.min(kept.records.len());
            kept.first += count as u64;
            kept.records.drain(..count).collect()
        };
        gone.iter().map(cost).sum()
    }
}

fn cost(record: &StoredRecord) -> usize {
    OVERHEAD + record.record.value.len() + headers_bytes(&record.record.headers)
}

/// Puts records into tails and keeps them all within the budget. Owned by the writer.
pub(crate) struct Budget {
    most: usize,
    held: usize,
    order: VecDeque<(Partition, usize)>,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: 0, order: VecDeque::new() }
    }

    /// Shows `count` durable records to readers.
    pub(crate) fn publish(
        &mut self,
        tail: &Tail,
        partition: Partition,
        count: usize,
        records: impl Iterator<Item = StoredRecord>,
    ) {
        self.order.push_back((partition, count));
        self.held += tail.push(records);
    }

    /// Forgets the oldest records until the budget is kept.
    pub(crate) fn keep(&mut self, tails: &Tails) {
        while self.held > self.most
            && let Some((partition, count)) = self.order.pop_front()
        {
            self.held -= tails.get(partition).map_or(0, |tail| tail.forget(count));
        }
    }
}

/// The tails of all partitions.
pub(crate) struct Tails(Vec<Tail>);

impl Tails {
    pub(crate) fn new(ends: &[Offset]) -> Self {
        Self(ends.iter().map(|&end| Tail::new(end)).collect())
    }

    pub(crate) fn get(&self, partition: Partition) -> Option<&Tail> {
        self.0.get(usize::from(partition.0))
    }

    /// Wakes all who wait.
    pub(crate) fn close(&self) {
        self.0.iter().for_each(Tail::close);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use volery_kernel::time::Timestamp;
    use volery_ports::log::NewRecord;

    use super::*;

    fn stored(offset: Offset) -> StoredRecord {
        let record = NewRecord { key: [0; 9], headers: Vec::new(), value: Bytes::new() };
        StoredRecord { offset, stamp: Timestamp(0), record }
    }

    #[test]
    fn the_end_is_never_before_what_was_read() {
        const RECORDS: u64 = 300_000;
        let tail = Tail::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..RECORDS).map(stored).for_each(|record| _ = tail.push(std::iter::once(record))));
            let mut read = 0;
            while read < RECORDS {
                read = tail.read(read, usize::MAX).unwrap().end;
                assert!(tail.end() >= read, "it ends at {}, and {read} were read", tail.end());
            }
        });
    }
}
