//! The log of the simulation: partitions of records, stamped with a clock that jitters. What fails,
//! comes late or comes twice is decided by the world around it; what is old is released by the world.

use volery_kernel::event::{Event, Record};
use volery_kernel::position::Offset;
use volery_kernel::rules::read_back_from;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::log::Appended;

/// The only generation of a run.
pub const GENERATION: u16 = 1;

#[derive(Default)]
struct Part {
    records: Vec<Record>,
    /// Records before this are gone.
    start: Offset,
    /// The running maximum of the stamps.
    newest: Vec<Timestamp>,
    fanned_out: Vec<Offset>,
    /// The largest of these: fan-out that begins anew commits smaller ones after it.
    fanned_below: Offset,
}

/// See the module.
pub struct SimLog {
    partitions: Partitions,
    parts: Vec<Part>,
}

impl SimLog {
    /// An empty log.
    #[must_use]
    pub fn new(partitions: Partitions) -> Self {
        Self { partitions, parts: partitions.iter().map(|_| Part::default()).collect() }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> Partitions {
        self.partitions
    }

    fn part(&self, partition: Partition) -> &Part {
        &self.parts[usize::from(partition.0)]
    }

    /// Takes an event.
    pub fn take(&mut self, partition: Partition, event: Event, stamp: Timestamp) -> Appended {
        let part = &mut self.parts[usize::from(partition.0)];
        let offset = part.records.len() as Offset;
        part.newest.push(part.newest.last().map_or(stamp, |newest| stamp.max(*newest)));
        part.records.push(Record { offset, stamp, event });
        Appended { offset, stamp }
    }

    /// The first offset that is still there.
    #[must_use]
    pub fn start(&self, partition: Partition) -> Offset {
        self.part(partition).start
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn end(&self, partition: Partition) -> Offset {
        self.part(partition).records.len() as Offset
    }

    /// At most `most` records from `from` on; none if `from` is out of range.
    #[must_use]
    pub fn read(&self, partition: Partition, from: Offset, most: usize) -> &[Record] {
        let Part { records, start, .. } = self.part(partition);
        if from < *start {
            return &[];
        }
        let from = (from as usize).min(records.len());
        &records[from..records.len().min(from.saturating_add(most))]
    }

    /// What a reader that starts at `from` reads first, so that its rules know what came before.
    #[must_use]
    pub fn before(&self, partition: Partition, from: Offset) -> &[Record] {
        let start = self.start(partition);
        let earlier = self.read(partition, start, from.saturating_sub(start) as usize);
        let newest = earlier.iter().map(|record| record.stamp).max().unwrap_or_default();
        let first = earlier.iter().position(|record| record.stamp >= read_back_from(newest));
        &earlier[first.unwrap_or(earlier.len())..]
    }

    /// The largest stamp up to a record.
    #[must_use]
    pub fn newest_stamp(&self, partition: Partition, offset: Offset) -> Timestamp {
        self.part(partition).newest.get(offset as usize).copied().unwrap_or_default()
    }

    /// Deletes what lies below `done` and is older than `before`; true if that was anything.
    pub fn release(&mut self, partition: Partition, done: Offset, before: Timestamp) -> bool {
        let part = &mut self.parts[usize::from(partition.0)];
        let old = part.records.iter().take_while(|record| record.offset < done && record.stamp < before).count();
        let start = part.start.max(old as Offset);
        std::mem::replace(&mut part.start, start) < start
    }

    /// Fan-out has done everything below `offset`.
    pub fn commit_fanout(&mut self, partition: Partition, offset: Offset) {
        let part = &mut self.parts[usize::from(partition.0)];
        part.fanned_out.push(offset);
        part.fanned_below = offset.max(part.fanned_below);
    }

    /// Everything below this was done by fan-out once.
    #[must_use]
    pub fn fanned_below(&self, partition: Partition) -> Offset {
        self.part(partition).fanned_below
    }

    /// What fan-out committed last, or so many commits before that; never what is gone.
    #[must_use]
    pub fn fanned_out(&self, partition: Partition, back: usize) -> Offset {
        let part = self.part(partition);
        part.fanned_out.iter().rev().nth(back).copied().unwrap_or(0).max(part.start)
    }
}
