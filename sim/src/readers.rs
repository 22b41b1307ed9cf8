//! What the three readers of a partition are given of the log: the records as they are, unless a
//! mutation lets readers judge them wrongly.

use volery_kernel::event::{Event, Record};
use volery_kernel::limits;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;

use crate::mutation::Mutation;
use crate::oracle::Reader;
use crate::story::What;
use crate::world::World;

impl World {
    /// The next records, at most `most`.
    pub(crate) fn records(&self, reader: Reader, partition: Partition, from: Offset, most: usize) -> Vec<Record> {
        let records = self.log.read(partition, from, most).iter().cloned();
        records.map(|record| self.as_read(reader, partition, record)).collect()
    }

    /// Counts those below `done`: somebody has read and applied them before.
    pub(crate) fn count_replayed(&mut self, what: What, records: &[Record], done: Offset) {
        let again = records.iter().filter(|record| record.offset < done);
        again.for_each(|_| self.story.count(what));
    }

    /// What a reader that starts at `from` reads first.
    pub(crate) fn read_back(&self, reader: Reader, partition: Partition, from: Offset) -> Vec<Record> {
        if self.mutated(Mutation::NoReadBack) {
            return Vec::new();
        }
        let records = self.log.before(partition, from).iter().cloned();
        records.map(|record| self.as_read(reader, partition, record)).collect()
    }

    fn as_read(&self, reader: Reader, partition: Partition, mut record: Record) -> Record {
        let (offset, stamp) = (record.offset, record.stamp);
        let Event::Send(send) = &mut record.event else { return record };
        match self.plan.case.mutation {
            Some(Mutation::NoFence) => {
                send.session = self.oracle.newest_session(partition, send.key.device).unwrap_or(send.session);
            }
            Some(Mutation::OwnersShowRetries) if reader == Reader::Owner => send.flagged = false,
            Some(Mutation::LateKept) => record.stamp = stamp.min(send.id.time().plus(limits::LATE_AFTER_MS.value)),
            Some(Mutation::LateByMaximum) => record.stamp = self.log.newest_stamp(partition, offset),
            _ => {}
        }
        record
    }
}
