//! Reads by a few consumers that are assigned a place for each read and let go of it afterwards.
//!
//! The trap: the end of a partition can be told by waiting for nothing only after a fetch came back
//! empty. So the end is asked first, and a read stops there.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::log::{ReadError, StoredRecord};

use crate::offsets::{blocking, unavailable};
use crate::options::{DEADLINE, Options, warm};
use crate::record;

/// So many reads are under way at once, each with a consumer; the others wait.
const READERS: usize = 4;

/// Reads stop at the end, so no fetch has anything to wait for.
const PATIENCE: Duration = Duration::from_millis(1);

/// What a read is after: records of `partition` in `from..end`, about `max_bytes` of them.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) end: Offset,
    pub(crate) max_bytes: usize,
}

pub(crate) struct Readers {
    options: Options,
    topic: String,
    idle: Mutex<Vec<BaseConsumer>>,
    free: Semaphore,
}

impl Readers {
    pub(crate) fn new(options: &Options) -> Self {
        let (options, topic) = (options.clone(), options.topic());
        Self { options, topic, idle: Mutex::default(), free: Semaphore::new(READERS) }
    }

    /// Reads what there is; at least one record, since `from` is before `end`.
    pub(crate) async fn read(self: &Arc<Self>, wanted: Wanted) -> Result<Vec<StoredRecord>, Stopped> {
        let _permit = self.free.acquire().await.map_err(|_| KafkaError::Canceled)?;
        let readers = self.clone();
        let read = move || {
            let consumer = readers.take()?;
            let records = read(&consumer, &readers.topic, wanted);
            // One that failed may know of no broker any more: the next read makes another.
            if records.is_ok() {
                consumer.unassign()?;
                readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(consumer);
            }
            Ok(records)
        };
        blocking(read).await?
    }

    /// One that is idle, or a new one.
    fn take(&self) -> KafkaResult<BaseConsumer> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.make(), Ok)
    }

    fn make(&self) -> KafkaResult<BaseConsumer> {
        let consumer: BaseConsumer = self.options.consumer("volery-readers", PATIENCE)?;
        warm(consumer.client(), &self.topic, DEADLINE)?;
        Ok(consumer)
    }
}

/// Why a read did not bring what was there a moment ago.
pub(crate) enum Stopped {
    /// The offset is not there any more: deleted meanwhile.
    Gone,
    /// As the port says it.
    Error(ReadError),
}

impl From<KafkaError> for Stopped {
    fn from(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => Self::Gone,
            _ => Self::Error(unavailable(error)),
        }
    }
}

fn read(consumer: &BaseConsumer, topic: &str, wanted: Wanted) -> Result<Vec<StoredRecord>, Stopped> {
    let mut place = TopicPartitionList::new();
    let from = i64::try_from(wanted.from).unwrap_or(i64::MAX);
    place.add_partition_offset(topic, i32::from(wanted.partition.0), Place::Offset(from))?;
    consumer.assign(&place)?;

    let until = Instant::now() + DEADLINE;
    let (mut records, mut bytes, mut next) = (Vec::new(), 0, wanted.from);
    while next < wanted.end && (records.is_empty() || bytes < wanted.max_bytes) {
        match one(consumer, wanted.partition, next, until) {
            Ok(record) => {
                bytes += record::size(&record.record);
                next += 1;
                records.push(record);
            }
            // What was read is good; the next read meets the reason at its first record.
            Err(_) if !records.is_empty() => break,
            Err(stopped) => return Err(stopped),
        }
    }
    Ok(records)
}

/// The record at `offset`, which is the next one.
fn one(consumer: &BaseConsumer, partition: Partition, offset: Offset, until: Instant) -> Result<StoredRecord, Stopped> {
    let damaged = |what: String| Stopped::Error(ReadError::Damaged { partition, offset, what });
    let message = match message(consumer, until) {
        Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BadMessage)) => {
            return Err(damaged("a checksum is wrong".to_owned()));
        }
        other => other?,
    };
    match record::stored(&message) {
        Ok(record) if record.offset == offset => Ok(record),
        Ok(record) => Err(damaged(format!("the record after it is {}", record.offset))),
        Err(what) => Err(damaged(what.to_owned())),
    }
}

/// The next message. Errors of connections are told among the messages, even old ones; what librdkafka
/// mends by itself is waited for.
fn message(consumer: &BaseConsumer, until: Instant) -> KafkaResult<BorrowedMessage<'_>> {
    use RDKafkaErrorCode::{AutoOffsetReset, BadMessage, OffsetOutOfRange};
    let mut last = KafkaError::NoMessageReceived;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match consumer.poll(left) {
            Some(Err(KafkaError::MessageConsumption(code)))
                if !matches!(code, AutoOffsetReset | BadMessage | OffsetOutOfRange) =>
            {
                last = KafkaError::MessageConsumption(code);
            }
            Some(result) => return result,
            None => return Err(last),
        }
    }
}
