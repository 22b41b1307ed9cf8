//! What a log is opened with, and why it may refuse.

use std::io;
use std::path::PathBuf;

use volery_kernel::slot::Partitions;

use super::format::Check;

/// Largest record, with its headers.
pub const RECORD_BYTES_MOST: usize = 1 << 20;

/// How a log is kept. Generation and partitions are fixed when the folder is first used.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's folder; made if it is missing. One process at a time.
    pub dir: PathBuf,
    /// The log generation, from 1.
    pub generation: u16,
    /// How many partitions there are.
    pub partitions: Partitions,
    /// A segment file is sealed at about this size: deletion frees whole segments.
    pub segment_bytes: u64,
    /// Newest records kept in memory, of all partitions together.
    pub cache_bytes: usize,
    /// What waits to be written, at most; appends beyond it wait. Also the largest batch.
    pub queue_bytes: u32,
    /// What all segments may take on the disk; appends beyond it are refused as full.
    pub max_bytes: Option<u64>,
}

impl Options {
    /// The defaults for a folder: generation 1, segments of 128 MiB, 64 MiB of cache, 32 MiB of queue.
    #[must_use]
    pub fn new(dir: PathBuf, partitions: Partitions) -> Self {
        Self {
            dir,
            generation: 1,
            partitions,
            segment_bytes: 128 << 20,
            cache_bytes: 64 << 20,
            queue_bytes: 32 << 20,
            max_bytes: None,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            generation: self.generation,
            partitions: self.partitions,
            segment_bytes: self.segment_bytes.min(self.max_bytes.map_or(1 << 30, |most| most / 4)),
            cache_bytes: self.cache_bytes,
            max_bytes: self.max_bytes.unwrap_or(u64::MAX),
            #[cfg(test)]
            blind: false,
        }
    }
}

/// What the core needs of the options.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) generation: u16,
    pub(crate) partitions: Partitions,
    pub(crate) segment_bytes: u64,
    pub(crate) cache_bytes: usize,
    pub(crate) max_bytes: u64,
    /// A mutation for the crash harness: checksums are not compared.
    #[cfg(test)]
    pub(crate) blind: bool,
}

impl Settings {
    pub(crate) fn partitions(&self) -> usize {
        usize::from(self.partitions.count())
    }

    pub(crate) fn check(&self, salt: u32) -> Check {
        Check {
            #[cfg(test)]
            blind: self.blind,
            ..Check::new(salt)
        }
    }
}

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder's lock file.
    #[error("the log in {0} is in use by another process")]
    InUse(PathBuf),
    /// The folder holds a log of another shape.
    #[error("the folder holds a log of generation {generation} with {partitions} partitions")]
    Different {
        /// The generation of the log that is there.
        generation: u16,
        /// How many partitions it has.
        partitions: u16,
    },
    /// Written by another version of Volery.
    #[error("the log's format is version {0}, which this program does not know")]
    Version(u16),
    /// The folder cannot be used.
    #[error("the log cannot be opened: {0}")]
    Io(#[from] io::Error),
}
