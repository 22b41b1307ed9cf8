//! What readers and writer share: the segments, the tails, and every way to read them.
//!
//! Synchronous; may block on the disk. Locks are held for moments and never across a read of a file:
//! a segment that is deleted meanwhile stays readable through its open handle.

use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{Chunk, Extent, ReadError};

use super::disk::Disk;
use super::recover::Recovered;
use super::segment::{Segment, file_name, index_name};
use super::stats::{Stats, add};
use super::tail::{Tail, Tails};

/// The log as readers see it.
pub(crate) struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) tails: Tails,
    pub(crate) stats: Stats,
    segments: RwLock<Vec<Arc<Segment>>>,
    released: Mutex<Vec<(Offset, Timestamp)>>,
}

impl Store {
    pub(crate) fn new(disk: Arc<dyn Disk>, recovered: &Recovered) -> Self {
        let stats = Stats::default();
        add(&stats.disk_bytes, recovered.bytes);
        Self {
            disk,
            tails: Tails::new(&recovered.nexts),
            stats,
            segments: RwLock::new(recovered.segments.clone()),
            released: Mutex::new(vec![(0, Timestamp(0)); recovered.nexts.len()]),
        }
    }

    /// The writer has begun a segment.
    pub(crate) fn begin(&self, segment: Arc<Segment>) {
        self.segments.write().push(segment);
    }

    pub(crate) fn tail(&self, partition: Partition) -> Result<&Tail, ReadError> {
        self.tails.get(partition).ok_or_else(|| ReadError::Unavailable(format!("there is no partition {partition}")))
    }

    pub(crate) fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        let end = self.tail(partition)?.end();
        let start = self.segments.read().first().map_or(end, |segment| segment.first(partition));
        Ok(Extent { start, end })
    }

    /// What memory can answer; `None` if the disk has to.
    pub(crate) fn read_tail(
        &self,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Option<Chunk>, ReadError> {
        Ok(self.tail(partition)?.read(from, max_bytes.max(1)))
    }

    /// What the disk answers.
    pub(crate) fn read_disk(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        let extent = self.extent(partition)?;
        if from == extent.end {
            return Ok(Chunk { records: Vec::new(), end: extent.end });
        }
        let Some(segment) = self.segment_of(partition, from).filter(|_| from < extent.end) else {
            return Err(ReadError::OutOfRange { asked: from, extent });
        };
        add(&self.stats.disk_reads, 1);
        let records = segment.read(partition, from, max_bytes.max(1)).map_err(|error| unavailable(&error))?;
        if records.is_empty() {
            let what = format!("no whole record in {}", file_name(segment.head.sequence));
            return Err(ReadError::Damaged { partition, offset: from, what });
        }
        Ok(Chunk { records, end: extent.end })
    }

    fn segment_of(&self, partition: Partition, offset: Offset) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let after = segments.partition_point(|segment| segment.first(partition) <= offset);
        segments.get(after.checked_sub(1)?).cloned()
    }

    pub(crate) fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        let extent = self.extent(partition)?;
        let segments = self.segments.read();
        let found = segments.iter().find_map(|segment| segment.index.read().seek(partition, stamp));
        Ok(found.unwrap_or(extent.end).min(below).max(extent.start.min(below)))
    }

    /// Deletes whole segments from the front, as far as all partitions allow it.
    pub(crate) fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> io::Result<()> {
        let mut released = self.released.lock();
        if let Some(allowed) = released.get_mut(usize::from(partition.0)) {
            // The latest word alone: two of them do not add up to one.
            *allowed = (below, older_than);
        }
        while let Some(segment) = self.first_released(&released) {
            self.delete(&segment)?;
        }
        Ok(())
    }

    fn first_released(&self, released: &[(Offset, Timestamp)]) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let [first, second, ..] = segments.as_slice() else { return None };
        let index = first.index.read();
        let free = (0u16..).map(Partition).zip(released).all(|(partition, (below, older_than))| {
            let end = second.first(partition);
            let young = || index.newest(partition).is_some_and(|newest| newest >= *older_than);
            end == first.first(partition) || (end <= *below && !young())
        });
        free.then(|| first.clone())
    }

    /// One at a time, each only after the one before is surely gone: a later one gone and an earlier
    /// one still there after a crash would look like damage.
    fn delete(&self, segment: &Arc<Segment>) -> io::Result<()> {
        let size = segment.file.len()?;
        self.disk.sync_dir()?;
        self.disk.delete(&file_name(segment.head.sequence))?;
        self.segments.write().retain(|other| !Arc::ptr_eq(other, segment));
        self.stats.freed(size);
        // The side file may be missing; without its segment it means nothing.
        let _ = self.disk.delete(&index_name(segment.head.sequence));
        Ok(())
    }
}

fn unavailable(error: &io::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
