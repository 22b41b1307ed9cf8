//! The one writer: groups into segments, synced, then shown. A synchronous core without threads.
//!
//! | what goes wrong | answer | then |
//! |---|---|---|
//! | no room (the disk's, or the log's share) | `Full` | cut back; tried again with the next group |
//! | a segment cannot be begun | `Unavailable` or `Full` | tried again with the next group |
//! | a write or a sync fails | `Unknown` | the segment is sealed where the last good sync left it |
//!
//! The trap: after a failed sync the kernel may drop the pages and let the next sync succeed. So
//! nothing is ever written behind a failed sync; a new segment begins, and its header disowns what
//! stands behind the last good one. Its offsets are given out again.
//!
//! A segment grows by zeros ahead of its groups: a sync of bytes whose blocks and file length are
//! durable already waits for one write, not for the file system's own records too.

use std::ops::RangeInclusive;
use std::sync::Arc;

use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Appended, NewRecord, StoredRecord};

use super::disk::is_full;
use super::format::{GROUP_BYTES, Group, Head, encode_record, head_bytes, record_bytes};
use super::index::Index;
use super::options::Settings;
use super::recover::Recovered;
use super::segment::{Segment, file_name, index_name};
use super::stats::add;
use super::store::Store;
use super::tail::Budget;

/// Records of one append.
#[derive(Debug)]
pub(crate) struct Batch {
    partition: Partition,
    records: Vec<NewRecord>,
    /// The offset of its first record, once it is encoded.
    first: Offset,
}

impl Batch {
    pub(crate) fn new(partition: Partition, records: Vec<NewRecord>) -> Self {
        Self { partition, records, first: 0 }
    }

    fn lane(&self) -> usize {
        usize::from(self.partition.0)
    }
}

/// Zeros written ahead, with the group that reaches beyond the former ones: as much again as the segment
/// has, within these bounds. That group waits for the file system's own records, milliseconds; a busy log
/// meets it seldom, and a quiet one takes little of the disk.
const AHEAD: RangeInclusive<u64> = 256 << 10..=4 << 20;

/// Where a segment's random number comes from.
pub(crate) type Salts = Box<dyn FnMut() -> u32 + Send>;

/// Owns the end of the log.
pub(crate) struct Writer {
    store: Arc<Store>,
    settings: Settings,
    salts: Salts,
    budget: Budget,
    nexts: Vec<Offset>,
    /// The segment that takes the next group; none when one has to be begun first.
    active: Option<Arc<Segment>>,
    /// The largest sequence number in use, and how much of that segment counts.
    sequence: u64,
    former: u64,
    /// How far the active segment has zeros or groups.
    prepared: u64,
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(store: Arc<Store>, settings: Settings, salts: Salts, recovered: Recovered) -> Self {
        let Recovered { nexts, sequence, former, .. } = recovered;
        let budget = Budget::new(settings.cache_bytes);
        let (active, prepared, buffer) = (None, 0, Vec::new());
        Self { store, settings, salts, budget, nexts, active, sequence, former, prepared, buffer }
    }

    /// Appends a group: all of it, or none that anybody will be told about. Every partition must exist.
    pub(crate) fn append(
        &mut self,
        mut batches: Vec<Batch>,
        now: Timestamp,
    ) -> Result<Vec<Vec<Appended>>, AppendError> {
        let bytes = batches.iter().flat_map(|batch| &batch.records).map(record_bytes).sum::<usize>() + GROUP_BYTES;
        let segment = self.segment_for(bytes as u64)?;
        let group = self.encode(&segment, &mut batches, now);
        if let Err(error) = self.write(&segment, &group) {
            batches.iter().for_each(|batch| self.nexts[batch.lane()] -= batch.records.len() as u64);
            return Err(error);
        }
        Ok(self.publish(&segment, &group, batches))
    }

    /// The active segment and how far it goes.
    #[cfg(test)]
    pub(crate) fn place(&self) -> Option<(u64, u64)> {
        self.active.as_ref().map(|segment| (segment.head.sequence, segment.len()))
    }

    /// A segment with room for so many bytes.
    fn segment_for(&mut self, bytes: u64) -> Result<Arc<Segment>, AppendError> {
        let taken = self.store.stats.disk_bytes();
        if taken + bytes + head_bytes(self.nexts.len()) > self.settings.max_bytes {
            return Err(AppendError::Full);
        }
        match self.active.take() {
            Some(active) if !active.has_groups() || active.len() + bytes <= self.settings.segment_bytes => {
                Ok(self.active.insert(active).clone())
            }
            Some(active) => {
                self.seal(&active);
                self.begin()
            }
            None => self.begin(),
        }
    }

    /// From here on this segment takes nothing, whatever becomes of its successor: a header that was
    /// written once, and lost, may come back with a crash and disown all that was written meanwhile.
    fn seal(&mut self, segment: &Segment) {
        self.former = segment.len();
        // Zeros that stay are no harm: the successor's header says how far the file counts.
        let _ = segment.file.truncate(segment.len());
        let bytes = segment.index.read().encode(segment.head.salt, segment.len());
        let file = self.store.disk.create(&index_name(segment.head.sequence));
        if let Err(error) = file.and_then(|file| file.write_at(0, &bytes)) {
            tracing::warn!(%error, sequence = segment.head.sequence, "the index of a log segment was not kept");
        }
    }

    fn begin(&mut self) -> Result<Arc<Segment>, AppendError> {
        let head = Head {
            generation: self.settings.generation,
            sequence: self.sequence + 1,
            former: self.former,
            salt: (self.salts)(),
            firsts: self.nexts.clone(),
        };
        let bytes = head.encode();
        let disk = &self.store.disk;
        let created = disk.create(&file_name(head.sequence)).and_then(|file| {
            file.write_at(0, &bytes)?;
            file.sync_data()?;
            disk.sync_dir()?;
            Ok(file)
        });
        let file = created.map_err(|error| {
            tracing::error!(%error, sequence = head.sequence, "a log segment was not begun");
            if is_full(&error) { AppendError::Full } else { AppendError::Unavailable(error.to_string()) }
        })?;
        self.sequence = head.sequence;
        self.prepared = 0;
        add(&self.store.stats.disk_bytes, bytes.len() as u64);
        let (check, index) = (self.settings.check(head.salt), Index::new(self.nexts.len()));
        let segment = Arc::new(Segment::new(head, file, check, index, bytes.len() as u64));
        self.store.begin(segment.clone());
        Ok(self.active.insert(segment).clone())
    }

    /// Fills the buffer and gives out offsets.
    fn encode(&mut self, segment: &Segment, batches: &mut [Batch], now: Timestamp) -> Group {
        self.buffer.clear();
        self.buffer.resize(GROUP_BYTES, 0);
        let mut records = 0;
        for batch in batches {
            let next = &mut self.nexts[batch.lane()];
            batch.first = *next;
            for record in &batch.records {
                encode_record(&mut self.buffer, batch.partition, *next, record, segment.check);
                *next += 1;
            }
            records += batch.records.len() as u32;
        }
        let bytes = (self.buffer.len() - GROUP_BYTES) as u32;
        let group = Group { at: segment.len(), bytes, records, stamp: now };
        self.buffer[..GROUP_BYTES].copy_from_slice(&group.encode(segment.check));
        group
    }

    fn write(&mut self, segment: &Segment, group: &Group) -> Result<(), AppendError> {
        if group.end() > self.prepared {
            let ahead = group.end().clamp(*AHEAD.start(), *AHEAD.end());
            self.prepared = (group.end() + ahead).min(self.settings.segment_bytes.max(group.end()));
            self.buffer.resize((self.prepared - group.at) as usize, 0);
        }
        let error = match segment.file.write_at(group.at, &self.buffer) {
            Ok(()) => match segment.file.sync_data() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            // What was cut off before its end is not whole, now or after any crash.
            Err(error) if is_full(&error) && segment.file.truncate(group.at).is_ok() => {
                self.prepared = group.at;
                return Err(AppendError::Full);
            }
            Err(error) => error,
        };
        tracing::error!(%error, sequence = segment.head.sequence, "a log segment is given up");
        self.active = None;
        self.former = segment.len();
        // The next header disowns it anyway; without it, it may still be found after a crash.
        let _ = segment.file.truncate(group.at);
        Err(AppendError::Unknown(error.to_string()))
    }

    /// Shows the group to readers, and makes the answers.
    fn publish(&mut self, segment: &Segment, group: &Group, batches: Vec<Batch>) -> Vec<Vec<Appended>> {
        let mut index = segment.index.write();
        for batch in &batches {
            for (record, offset) in batch.records.iter().zip(batch.first..) {
                index.add(batch.partition, offset, group.at, group.stamp, record_bytes(record));
            }
        }
        drop(index);
        segment.grow_to(group.end());
        let answers = batches.into_iter().map(|batch| self.show(batch, group.stamp)).collect();
        self.budget.keep(&self.store.tails);
        let stats = &self.store.stats;
        add(&stats.records, u64::from(group.records));
        add(&stats.syncs, 1);
        [&stats.bytes, &stats.disk_bytes].iter().for_each(|counter| add(counter, group.end() - group.at));
        answers
    }

    fn show(&mut self, batch: Batch, stamp: Timestamp) -> Vec<Appended> {
        let Batch { partition, records, first } = batch;
        let count = records.len();
        let answer = (first..).take(count).map(|offset| Appended { offset, stamp }).collect();
        if let Some(tail) = self.store.tails.get(partition) {
            let stored = records.into_iter().zip(first..);
            let stored = stored.map(|(record, offset)| StoredRecord { offset, stamp, record });
            self.budget.publish(tail, partition, count, stored);
        }
        answer
    }
}
