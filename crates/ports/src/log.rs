//! The durable topic: partitions of records, appended, read in order, deleted from the front.
//!
//! ```text
//!            start                committed            end
//!   deleted  | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 |  ← append
//! ```
//!
//! # Contract
//! - Offsets of a partition are contiguous from 0. A reader that meets a hole has met damage.
//! - A record is *durable* before its append answers `Ok` and before any reader sees it.
//! - The log stamps each record with its own clock at the append. Stamps may step back a little.
//! - A batch is kept as a prefix: all of it, its first records, or nothing, in order, with no record of
//!   the same batch out of place. Records of other appends may stand in between.
//! - [`AppendError::Unknown`]: any prefix may be there, now *or later*. Never retried by an engine.
//!   Every other error means that nothing was and will be written.
//! - A record may be there twice (an engine's own retry). Readers are idempotent.
//! - The log deletes nothing by itself: only [`Log::release`] does, and it may keep more than it was told.
//!   What was released may be there again after a crash: a start steps back.
//! - Committed offsets live beside the log; an older one than committed may come back after a crash.

use async_trait::async_trait;
use bytes::Bytes;
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;

/// A name and a value beside a record: trace context and the like. Names are short and few.
pub type Header = (String, Bytes);

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Whose stream it is in: [`volery_kernel::chat::Recipient::to_key`]. Its partition follows from it.
    pub key: [u8; 9],
    /// Usually empty.
    pub headers: Vec<Header>,
    /// An encoded event; at most 1 MiB with the headers.
    pub value: Bytes,
}

/// Where and when a record was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its offset.
    pub offset: Offset,
    /// The log's clock.
    pub stamp: Timestamp,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its offset.
    pub offset: Offset,
    /// The log's clock at the append.
    pub stamp: Timestamp,
    /// As appended.
    pub record: NewRecord,
}

/// What one read brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Contiguous from the offset that was asked for; empty only at the end.
    pub records: Vec<StoredRecord>,
    /// The partition's end when this was read: the offset that the next append gets.
    pub end: Offset,
}

/// What a partition holds: `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first record that is kept.
    pub start: Offset,
    /// One past the last.
    pub end: Offset,
}

/// Why an append did not answer `Ok`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written: the log is away, or closed.
    #[error("the log takes nothing: {0}")]
    Unavailable(String),
    /// Nothing was written: the disk (or the share of it that is allowed) is full.
    #[error("the log's disk is full")]
    Full,
    /// Nothing was written: a record is larger than 1 MiB.
    #[error("a record of {0} bytes is too large")]
    TooLarge(usize),
    /// Any prefix may be there, now or later.
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
}

/// Why a read brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The offset was deleted or is beyond the end.
    #[error("offset {asked} is outside {}..{}", extent.start, extent.end)]
    OutOfRange {
        /// What was asked for.
        asked: Offset,
        /// What there is.
        extent: Extent,
    },
    /// The records from here on cannot be trusted. Never skipped: a person decides.
    #[error("the log is damaged in partition {partition} at offset {offset}: {what}")]
    Damaged {
        /// Where.
        partition: Partition,
        /// First offset that cannot be read.
        offset: Offset,
        /// What is wrong.
        what: String,
    },
    /// Try again later.
    #[error("the log cannot be read: {0}")]
    Unavailable(String),
    /// The partition is not the one that was read or archived before: it lost records, or was made anew.
    /// It stays so for this process: a person decides.
    #[error("the log of partition {partition} is not the one that was known: {what}")]
    Replaced {
        /// Which.
        partition: Partition,
        /// How that was noticed.
        what: String,
    },
}

/// Who commits offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// Appends derived events.
    Fanout,
    /// Writes the timeline. (Its own truth is in the timeline store; here it allows deletion.)
    Archive,
}

/// See the module's contract. Handles are shared and cheap to call from any thread.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// The log generation, from 1; a new one begins when a log is replaced.
    fn generation(&self) -> u16;

    /// How many partitions there are, fixed for the generation.
    fn partitions(&self) -> Partitions;

    /// Appends a batch to one partition and answers when it is durable, one answer a record.
    /// Several calls may be under way at once; those of one caller to one partition that overlap
    /// have no order among them. An empty batch answers at once.
    async fn append(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError>;

    /// The same for what nobody waits for: it may take some milliseconds longer, to be made durable together with what
    /// comes meanwhile.
    async fn append_soon(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        self.append(partition, batch).await
    }

    /// Reads durable records from `from` on, about `max_bytes` (at least one record if there is one).
    /// At the end it answers at once with nothing.
    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError>;

    /// What the partition holds now.
    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError>;

    /// Waits until the partition's end is beyond `seen`, and answers the end. Cancel-safe. Where the
    /// partition ends before `seen`, nobody waits: that is [`ReadError::OutOfRange`].
    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError>;

    /// An offset from which reading meets every record before `below` whose stamp is at least `stamp`;
    /// may lie earlier than needed (readers skip), never later; at least the start, at most `below`.
    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError>;

    /// Stores that `reader` has done everything below `offset`. May be called again after any error.
    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError>;

    /// What was committed last; 0 if nothing ever was.
    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError>;

    /// Allows deletion of records below `below` and stamped before `older_than`. May be called again
    /// after any error.
    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError>;
}
