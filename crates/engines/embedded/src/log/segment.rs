//! One segment file: an open handle, what its header says, how far it counts, where things are in it.
//!
//! Nothing here writes records. `len` is moved by the writer alone, after the sync, so a reader that
//! stays below it sees only what is durable.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::log::StoredRecord;

use super::disk::DiskFile;
use super::format::{Check, Head, RawRecord, head_bytes};
use super::index::Index;
use super::scan::{Found, Scanner};

/// A segment that readers may read.
pub(crate) struct Segment {
    pub(crate) head: Head,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) check: Check,
    pub(crate) index: RwLock<Index>,
    len: AtomicU64,
}

/// The name of a segment's file.
pub(crate) fn file_name(sequence: u64) -> String {
    format!("{sequence:016x}.seg")
}

/// The name of its index's side file.
pub(crate) fn index_name(sequence: u64) -> String {
    format!("{sequence:016x}.idx")
}

/// The sequence number in a segment's file name. The largest of all is nobody's: another comes after each.
pub(crate) fn sequence_of(name: &str) -> Option<u64> {
    let sequence = u64::from_str_radix(name.strip_suffix(".seg")?, 16).ok()?;
    (file_name(sequence) == name && sequence < u64::MAX).then_some(sequence)
}

impl Segment {
    /// `len` bytes of the file count; 0 if not even its header can be trusted.
    pub(crate) fn new(head: Head, file: Arc<dyn DiskFile>, check: Check, index: Index, len: u64) -> Self {
        Self { head, file, check, index: RwLock::new(index), len: AtomicU64::new(len) }
    }

    /// How many bytes count.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// The writer has synced up to here.
    pub(crate) fn grow_to(&self, len: u64) {
        self.len.store(len, Ordering::Release);
    }

    /// Whether its header can be trusted.
    pub(crate) fn is_readable(&self) -> bool {
        self.len() > 0
    }

    /// Whether anything was ever appended.
    pub(crate) fn has_groups(&self) -> bool {
        self.len() > head_bytes(self.head.firsts.len())
    }

    /// The first offset that a partition can have in here.
    pub(crate) fn first(&self, partition: Partition) -> Offset {
        self.head.firsts.get(usize::from(partition.0)).copied().unwrap_or(Offset::MAX)
    }

    /// The records of a partition from `from` on, contiguous and each as it was written, about
    /// `max_bytes` of them. None if the first one is not there: the caller knows whether it should be.
    pub(crate) fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> io::Result<Vec<StoredRecord>> {
        let start = self.index.read().locate(partition, from);
        let start = start.unwrap_or_else(|| head_bytes(self.head.firsts.len()));
        let mut scanner = Scanner::new(&*self.file, self.check, start, self.len());
        let mut taken = Taken { partition, next: from, room: max_bytes, check: self.check, records: Vec::new() };
        while !taken.is_done() {
            match scanner.next()? {
                Found::Group(group) => taken.take_from(scanner.records(), group.stamp),
                Found::Broken { .. } => {}
                Found::End => break,
            }
        }
        Ok(taken.records)
    }
}

/// What a read has gathered so far.
struct Taken {
    partition: Partition,
    next: Offset,
    room: usize,
    check: Check,
    records: Vec<StoredRecord>,
}

impl Taken {
    /// Full, or stopped by a hole.
    fn is_done(&self) -> bool {
        self.room == 0
    }

    /// Other partitions' records are stepped over by their length alone. Should that be wrong, what
    /// follows fails its checksum or leaves a hole, and is not passed off as contiguous.
    fn take_from(&mut self, mut body: &[u8], stamp: volery_kernel::time::Timestamp) {
        while let Some(raw) = RawRecord::take(&mut body)
            && !self.is_done()
        {
            if raw.partition != self.partition || raw.offset < self.next {
                continue;
            }
            if !raw.is_whole(self.check) {
                return;
            }
            let record = if raw.offset == self.next { raw.to_stored(stamp) } else { None };
            let Some(record) = record else {
                self.room = 0;
                return;
            };
            self.next += 1;
            self.room = self.room.saturating_sub(raw.len());
            self.records.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_unless_none_could_follow_it() {
        for sequence in [0, 1, u64::MAX - 1] {
            assert_eq!(sequence_of(&file_name(sequence)), Some(sequence));
        }
        assert_eq!(sequence_of(&file_name(u64::MAX)), None, "what comes after it?");
        assert_eq!(sequence_of("1.seg"), None);
    }
}
