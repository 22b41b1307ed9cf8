//! Counters that a metrics page reads. They only grow, but for the two gauges.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Written by the log alone.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) disk_bytes: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanos: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) disk_reads: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes that wait to be written (gauge).
    pub queued_bytes: u64,
    /// Bytes of all segment files (gauge).
    pub disk_bytes: u64,
    /// Records that were made durable.
    pub records: u64,
    /// Bytes that they took on the disk.
    pub bytes: u64,
    /// Groups written, each with one sync.
    pub syncs: u64,
    /// Time that writing and syncing took, together.
    pub sync_time: Duration,
    /// Groups that were refused: full, or the disk failed before anything was written.
    pub refused: u64,
    /// Groups whose outcome is unknown.
    pub unknown: u64,
    /// Reads that the memory could not answer.
    pub disk_reads: u64,
}

impl Stats {
    /// All counters now.
    pub(crate) fn read(&self, queued_bytes: u64) -> Figures {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            queued_bytes,
            disk_bytes: get(&self.disk_bytes),
            records: get(&self.records),
            bytes: get(&self.bytes),
            syncs: get(&self.syncs),
            sync_time: Duration::from_nanos(get(&self.sync_nanos)),
            refused: get(&self.refused),
            unknown: get(&self.unknown),
            disk_reads: get(&self.disk_reads),
        }
    }
}

impl Stats {
    /// Bytes of all segment files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.disk_bytes.load(Ordering::Relaxed)
    }

    /// A file is gone. It may have been a little larger than what was counted: a torn group.
    pub(crate) fn freed(&self, bytes: u64) {
        let rest = |held: u64| Some(held.saturating_sub(bytes));
        let _ = self.disk_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
    }
}

/// Counts up.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
