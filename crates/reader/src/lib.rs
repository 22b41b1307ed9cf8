//! Reading a partition as its three readers do: decoded, in order, with the read-back that the rules
//! need before they may judge. Also how events become records to append.
//!
//! Trap avoided: bytes that cannot be decoded are no reason to stop. They come as an unknown event
//! in the stream that their key names, which owner and fan-out pass over and archive sets aside.

mod agreement;

use volery_kernel::chat::Recipient;
use volery_kernel::event::{Event, Record};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Offset;
use volery_kernel::rules::{read_back_from, release_before};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{Log, NewRecord, ReadError, StoredRecord};

pub use agreement::{Disagreement, disagreement, trimmed};

/// Bytes that one read asks for.
const CHUNK_BYTES: usize = 256 * 1024;

/// The events as a batch to append.
#[must_use]
pub fn to_batch(events: &[Event]) -> Vec<NewRecord> {
    let record = |event| {
        let (key, value) = volery_proto::encode_record(event);
        NewRecord { key, headers: Vec::new(), value }
    };
    events.iter().map(record).collect()
}

/// What one read brings.
pub struct Read {
    /// Contiguous from where it began; none at the end.
    pub records: Vec<Record>,
    /// The partition's end at that time: beyond the last record if there is more to read.
    pub end: Offset,
}

/// The records from `from` on, as many as one read brings.
///
/// # Errors
/// The log's.
pub async fn read(log: &dyn Log, partition: Partition, from: Offset) -> Result<Read, ReadError> {
    let chunk = log.read(partition, from, CHUNK_BYTES).await?;
    Ok(Read { records: chunk.records.into_iter().map(to_record).collect(), end: chunk.end })
}

/// What must be told to the rules before the record at `from` may be judged: everything before it
/// that was stamped within N and the clocks' bound of the newest stamp.
///
/// # Errors
/// The log's.
pub async fn read_back(log: &dyn Log, partition: Partition, from: Offset) -> Result<Vec<Record>, ReadError> {
    let Some(newest) = stamp_before(log, partition, from).await? else { return Ok(Vec::new()) };
    let begin = log.seek(partition, read_back_from(newest), from).await?;
    between(log, partition, begin, from).await
}

async fn stamp_before(log: &dyn Log, partition: Partition, from: Offset) -> Result<Option<Timestamp>, ReadError> {
    let start = log.extent(partition).await?.start;
    let Some(last) = from.checked_sub(1).filter(|last| *last >= start) else { return Ok(None) };
    Ok(log.read(partition, last, 1).await?.records.first().map(|last| last.stamp))
}

/// What is stamped before this may be [released](Log::release) below `done`, the offset that all readers have committed.
///
/// # Errors
/// The log's.
pub async fn releasable(
    log: &dyn Log,
    partition: Partition,
    done: Offset,
    now: Timestamp,
) -> Result<Timestamp, ReadError> {
    let unread = done < log.extent(partition).await?.end;
    let after = if unread { stamp_before(log, partition, done).await? } else { None };
    Ok(release_before(after, now))
}

/// The records of `from..to`.
///
/// # Errors
/// The log's.
pub async fn between(log: &dyn Log, partition: Partition, from: Offset, to: Offset) -> Result<Vec<Record>, ReadError> {
    let mut records: Vec<Record> = Vec::new();
    let mut next = from;
    while next < to {
        let chunk = read(log, partition, next).await?.records;
        let Some(last) = chunk.last() else { break };
        next = last.offset + 1;
        records.extend(chunk.into_iter().filter(|record| record.offset < to));
    }
    Ok(records)
}

/// The id that names a record.
#[must_use]
pub fn id_of(stored: StoredRecord) -> Id {
    to_record(stored).event.id()
}

fn to_record(stored: StoredRecord) -> Record {
    let StoredRecord { offset, stamp, record } = stored;
    let event = volery_proto::decode(record.value.clone()).unwrap_or_else(|_| Event::Unknown {
        id: Id::ZERO,
        stream: Recipient::from_key(record.key).unwrap_or(Recipient::User(UserId(Id::ZERO))),
        bytes: record.value,
    });
    Record { offset, stamp, event }
}
