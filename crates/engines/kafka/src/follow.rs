//! Follows the ends of partitions: a few consumers, one of which is assigned a partition when somebody first waits there.
//! What they hear is kept as the partition's tail and told to who waits.
//!
//! Trap avoided: a consumer has one fetch under way, and what is appended while its answer travels waits for the next. So
//! partitions are shared out among several.
//!
//! Another: a stream that broke hears nothing, and so does one of a quiet partition. So who waits
//! looks for the end itself after a second without a word, and is delayed by a broken stream, never left hanging.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_ports::log::Chunk;

use crate::offsets::blocking;
use crate::options::{DEADLINE, Options, TAILS, followers, warm};
use crate::record;
use crate::revive::{Mortal, mortal};
use crate::tail::Tail;

/// How long a fetch waits for records: the more partitions are quiet, the less their waiting costs; and how
/// long a partition that is new here waits for the fetch before it.
const FETCH: Duration = Duration::from_millis(50);

pub(crate) struct Follower {
    topic: String,
    /// Never empty.
    consumers: Vec<Arc<StreamConsumer>>,
    ends: Arc<Ends>,
    listening: Vec<JoinHandle<()>>,
}

/// What was heard of each partition; nothing of one that nobody has waited for.
struct Ends {
    followed: Vec<Followed>,
    /// Bytes of each tail.
    budget: usize,
}

struct Followed {
    tail: RwLock<Option<Tail>>,
    /// One past the last record heard of.
    end: watch::Sender<Offset>,
}

impl Ends {
    fn new(partitions: Partitions) -> Self {
        let one = || Followed { tail: RwLock::default(), end: watch::Sender::new(0) };
        let followed = partitions.iter().map(|_| one()).collect();
        Self { followed, budget: TAILS / usize::from(partitions.count()) }
    }

    fn of(&self, partition: Partition) -> Option<&Followed> {
        self.followed.get(usize::from(partition.0))
    }

    /// What cannot be kept is left to who reads there: a broker tells them why.
    fn heard(&self, message: &BorrowedMessage<'_>) {
        let partition = u16::try_from(message.partition()).ok().map(Partition);
        let (Some(followed), Ok(record)) = (partition.and_then(|of| self.of(of)), record::stored(message)) else {
            return;
        };
        let next = record.offset + 1;
        let mut tail = followed.tail.write().unwrap_or_else(PoisonError::into_inner);
        // What was on its way when the partition was forgotten is not heard any more.
        let Some(tail) = tail.as_mut() else { return };
        tail.push(record, self.budget);
        followed.end.send_if_modified(|end| std::mem::replace(end, next.max(*end)) < next);
    }
}

impl Follower {
    pub(crate) async fn new(options: &Options) -> KafkaResult<Self> {
        let consumers = (0..followers(options.partitions))
            .map(|_| options.consumer("volery-followers", FETCH).map(Arc::new))
            .collect::<KafkaResult<Vec<Arc<StreamConsumer>>>>()?;
        let (clients, topic) = (consumers.clone(), options.topic());
        blocking(move || clients.iter().try_for_each(|client| warm(client.client(), &topic, DEADLINE))).await?;
        let ends = Arc::new(Ends::new(options.partitions));
        let listening = consumers.iter().map(|consumer| tokio::spawn(listen(consumer.clone(), ends.clone()))).collect();
        Ok(Self { topic: options.topic(), consumers, ends, listening })
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = Mortal> {
        self.consumers.iter().map(mortal)
    }

    fn consumer(&self, partition: Partition) -> &StreamConsumer {
        &self.consumers[usize::from(partition.0) % self.consumers.len()]
    }

    /// What is held of a partition from `from` on, about `max_bytes`; `None` if that is not known here. Empty:
    /// nothing more was heard.
    pub(crate) fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Option<Chunk> {
        let tail = self.ends.of(partition)?.tail.read().unwrap_or_else(PoisonError::into_inner);
        let tail = tail.as_ref()?;
        Some(Chunk { records: tail.read(from, max_bytes)?, end: tail.end() })
    }

    /// Waits until more than `seen` was heard of a partition that is followed, for `patience` at most, and
    /// answers its end. `None` if nothing was heard.
    pub(crate) async fn beyond(&self, partition: Partition, seen: Offset, patience: Duration) -> Option<Offset> {
        let followed = self.ends.of(partition)?;
        followed.tail.read().unwrap_or_else(PoisonError::into_inner).as_ref()?;
        let mut heard = followed.end.subscribe();
        let more = heard.wait_for(|end| *end > seen);
        let end = tokio::time::timeout(patience, more).await.ok()?.ok()?;
        Some(*end)
    }

    /// Follows a partition from `end` on, if nobody did.
    pub(crate) fn follow(&self, partition: Partition, end: Offset) -> KafkaResult<()> {
        let Some(followed) = self.ends.of(partition) else { return Ok(()) };
        let mut tail = followed.tail.write().unwrap_or_else(PoisonError::into_inner);
        if tail.is_none() {
            let mut place = TopicPartitionList::new();
            let from = Place::Offset(i64::try_from(end).unwrap_or(i64::MAX));
            place.add_partition_offset(&self.topic, i32::from(partition.0), from)?;
            self.consumer(partition).incremental_assign(&place)?;
            *tail = Some(Tail::at(end));
            followed.end.send_replace(end);
        }
        Ok(())
    }

    /// Lets go of what was heard of a partition, until somebody follows it anew.
    pub(crate) fn forget(&self, partition: Partition) {
        let Some(followed) = self.ends.of(partition) else { return };
        let mut tail = followed.tail.write().unwrap_or_else(PoisonError::into_inner);
        let mut place = TopicPartitionList::new();
        place.add_partition(&self.topic, i32::from(partition.0));
        // One that cannot be given up is followed still.
        if tail.is_some() && self.consumer(partition).incremental_unassign(&place).is_ok() {
            *tail = None;
            followed.end.send_replace(0);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.listening.iter().for_each(JoinHandle::abort);
    }
}

/// Errors of the stream are passed over: the next question about the end meets their cause.
async fn listen(consumer: Arc<StreamConsumer>, ends: Arc<Ends>) {
    loop {
        if let Ok(message) = consumer.recv().await {
            ends.heard(&message);
        }
    }
}
