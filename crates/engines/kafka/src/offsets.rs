//! Questions about places: what a partition holds, where a time begins, what readers have committed.

use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};
use tokio::time::{Duration, Instant, sleep};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{Extent, ReadError, Reader};

use crate::options::{DEADLINE, Options, warm};
use crate::revive::{Mortal, mortal};

/// The readers that commit, and the groups whose offsets are theirs.
const GROUPS: [(Reader, &str); 2] = [(Reader::Fanout, "volery-fanout"), (Reader::Archive, "volery-archive")];

/// A question is asked twice, and so is who leads: all four within the deadline.
const ANSWERED_WITHIN: Duration = Duration::from_millis(1_250);

pub(crate) struct Offsets {
    topic: String,
    questions: Arc<BaseConsumer>,
    groups: HashMap<Reader, Arc<BaseConsumer>>,
    admin: Arc<AdminClient<DefaultClientContext>>,
}

/// Runs a call that waits on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    tokio::task::spawn_blocking(call).await.unwrap_or(Err(KafkaError::Canceled))
}

/// As [`blocking`], for a call that may be made twice: again while the group has no coordinator, which
/// it is given when it is first asked for and whenever a broker goes.
async fn coordinated<T: Send + 'static>(call: impl Fn() -> KafkaResult<T> + Clone + Send + 'static) -> KafkaResult<T> {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator, WaitingForCoordinator};
    let until = Instant::now() + DEADLINE;
    loop {
        let result = blocking(call.clone()).await;
        let code = result.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        match code {
            Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator | WaitingForCoordinator)
                if Instant::now() < until => {}
            _ => return result,
        }
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn unavailable(error: KafkaError) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

/// Asks whoever leads; where that fails, learns who does now, and asks again. A client that has no topic of its own
/// never looks for itself: librdkafka asks whom it knew for a quarter of an hour, dead, held or deposed. Waits.
fn ask<T>(questions: &BaseConsumer, topic: &str, ask: impl Fn(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    ask(ANSWERED_WITHIN).or_else(|_| {
        learn(questions, topic)?;
        ask(ANSWERED_WITHIN)
    })
}

/// Learns who leads. The broker that was asked last is asked first, be it the one that stands still; by the second
/// time it is left. Waits.
fn learn(questions: &BaseConsumer, topic: &str) -> KafkaResult<()> {
    let learn = || warm(questions.client(), topic, ANSWERED_WITHIN);
    learn().or_else(|_| learn())
}

impl Offsets {
    pub(crate) fn new(options: &Options) -> KafkaResult<Self> {
        // They fetch nothing.
        let consumer = |group| options.consumer(group, Duration::ZERO).map(Arc::new);
        let groups = GROUPS.iter().map(|(reader, group)| Ok((*reader, consumer(group)?)));
        Ok(Self {
            topic: options.topic(),
            questions: Arc::new(options.plain()?),
            groups: groups.collect::<KafkaResult<_>>()?,
            admin: Arc::new(options.plain()?),
        })
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = Mortal> {
        [mortal(&self.questions), mortal(&self.admin)].into_iter().chain(self.groups.values().map(mortal))
    }

    pub(crate) async fn extent(&self, partition: Partition) -> KafkaResult<Extent> {
        let (questions, topic) = (self.questions.clone(), self.topic.clone());
        let ends = move || {
            ask(&questions, &topic, |within| questions.fetch_watermarks(&topic, i32::from(partition.0), within))
        };
        let (start, end) = blocking(ends).await?;
        Ok(Extent { start: start.max(0).unsigned_abs(), end: end.max(0).unsigned_abs() })
    }

    /// The same of whoever leads by now, as a look at the cluster says.
    pub(crate) async fn extent_anew(&self, partition: Partition) -> KafkaResult<Extent> {
        let (questions, topic) = (self.questions.clone(), self.topic.clone());
        blocking(move || learn(&questions, &topic)).await?;
        self.extent(partition).await
    }

    /// The first offset whose stamp is at least `stamp`; nothing if there is none.
    async fn since(&self, partition: Partition, stamp: Timestamp) -> KafkaResult<Option<Offset>> {
        let millis = i64::try_from(stamp.0).unwrap_or(i64::MAX);
        let (questions, times) = (self.questions.clone(), self.list(partition, millis)?);
        let topic = self.topic.clone();
        let found = move || ask(&questions, &topic, |within| questions.offsets_for_times(times.clone(), within));
        let found = blocking(found).await?;
        self.place(&found, partition)
    }

    pub(crate) async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> KafkaResult<Offset> {
        let found = self.since(partition, stamp).await?;
        Ok(found.map_or(below, |found| found.min(below)))
    }

    pub(crate) async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> KafkaResult<()> {
        let group = self.group(reader)?;
        let list = self.list(partition, i64::try_from(offset).unwrap_or(i64::MAX))?;
        coordinated(move || group.commit(&list, CommitMode::Sync)).await
    }

    pub(crate) async fn committed(&self, reader: Reader, partition: Partition) -> KafkaResult<Offset> {
        let (group, list) = (self.group(reader)?, self.list(partition, 0)?);
        let found = coordinated(move || group.committed_offsets(list.clone(), DEADLINE)).await?;
        Ok(self.place(&found, partition)?.unwrap_or(0))
    }

    /// Deletes from the front up to the first record that is too young.
    pub(crate) async fn release(&self, partition: Partition, below: Offset, older: Timestamp) -> KafkaResult<()> {
        let extent = self.extent(partition).await?;
        let young = self.since(partition, older).await?.unwrap_or(extent.end);
        let cut = below.min(young).min(extent.end);
        if cut <= extent.start {
            return Ok(());
        }
        let list = self.list(partition, i64::try_from(cut).unwrap_or(i64::MAX))?;
        let options = AdminOptions::new().request_timeout(Some(DEADLINE));
        let done = self.admin.delete_records(&list, &options).await?;
        self.place(&done, partition).map(drop)
    }

    fn group(&self, reader: Reader) -> KafkaResult<Arc<BaseConsumer>> {
        self.groups.get(&reader).cloned().ok_or(KafkaError::Canceled)
    }

    fn list(&self, partition: Partition, place: i64) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, i32::from(partition.0), Place::Offset(place))?;
        Ok(list)
    }

    /// The offset that an answer gives for the partition, if it gives one.
    fn place(&self, answer: &TopicPartitionList, partition: Partition) -> KafkaResult<Option<Offset>> {
        let Some(element) = answer.find_partition(&self.topic, i32::from(partition.0)) else { return Ok(None) };
        element.error()?;
        match element.offset() {
            Place::Offset(offset) => Ok(u64::try_from(offset).ok()),
            _ => Ok(None),
        }
    }
}
