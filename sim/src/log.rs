//! The log of the simulation: partitions of records, stamped with a clock that jitters. It keeps
//! everything for ever; what fails, comes late or comes twice is decided by the world around it.

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
    fanned_out: Vec<Offset>,
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
        let records = &mut self.parts[usize::from(partition.0)].records;
        let offset = records.len() as Offset;
        records.push(Record { offset, stamp, event });
        Appended { offset, stamp }
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn end(&self, partition: Partition) -> Offset {
        self.part(partition).records.len() as Offset
    }

    /// At most `most` records from `from` on.
    #[must_use]
    pub fn read(&self, partition: Partition, from: Offset, most: usize) -> &[Record] {
        let records = &self.part(partition).records;
        let from = (from as usize).min(records.len());
        &records[from..records.len().min(from + most)]
    }

    /// What a reader that starts at `from` reads first, so that its rules know what came before.
    #[must_use]
    pub fn before(&self, partition: Partition, from: Offset) -> &[Record] {
        let earlier = self.read(partition, 0, from as usize);
        let newest = earlier.iter().map(|record| record.stamp).max().unwrap_or_default();
        let first = earlier.iter().position(|record| record.stamp >= read_back_from(newest));
        &earlier[first.unwrap_or(earlier.len())..]
    }

    /// Fan-out has done everything below `offset`.
    pub fn commit_fanout(&mut self, partition: Partition, offset: Offset) {
        self.parts[usize::from(partition.0)].fanned_out.push(offset);
    }

    /// What fan-out committed last, or so many commits before that.
    #[must_use]
    pub fn fanned_out(&self, partition: Partition, back: usize) -> Offset {
        self.part(partition).fanned_out.iter().rev().nth(back).copied().unwrap_or(0)
    }
}
