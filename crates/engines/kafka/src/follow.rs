//! Waits at the ends of partitions: one consumer, assigned a partition when somebody first waits there.
//!
//! What it hears is a hint that there is more. The end itself is asked, and asked again after a
//! second without a hint, so that a stream that broke delays who waits and never leaves them hanging.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};

use crate::offsets::blocking;
use crate::options::{Options, warm};

/// How long to trust that no hint means no record.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a fetch waits for records: the more partitions are quiet, the less their waiting costs; and how
/// long a partition that is new here waits for the fetch before it.
const FETCH: Duration = Duration::from_millis(50);

pub(crate) struct Follower {
    topic: String,
    consumer: Arc<StreamConsumer>,
    followed: Mutex<HashSet<Partition>>,
    ends: Arc<Ends>,
    listening: JoinHandle<()>,
}

/// One past the last record heard of, by partition.
struct Ends(Vec<watch::Sender<Offset>>);

impl Ends {
    fn new(partitions: Partitions) -> Self {
        Self(partitions.iter().map(|_| watch::Sender::new(0)).collect())
    }

    fn heard(&self, partition: i32, offset: i64) {
        let sender = usize::try_from(partition).ok().and_then(|partition| self.0.get(partition));
        if let (Some(sender), Ok(offset)) = (sender, u64::try_from(offset)) {
            sender.send_if_modified(|end| {
                let later = offset >= *end;
                *end = (*end).max(offset + 1);
                later
            });
        }
    }
}

impl Follower {
    pub(crate) async fn new(options: &Options) -> KafkaResult<Self> {
        let consumer: Arc<StreamConsumer> = Arc::new(options.consumer("volery-followers", FETCH)?);
        let (client, topic) = (consumer.clone(), options.topic());
        blocking(move || warm(client.client(), &topic)).await?;
        let ends = Arc::new(Ends::new(options.partitions));
        let listening = tokio::spawn(listen(consumer.clone(), ends.clone()));
        Ok(Self { topic: options.topic(), consumer, followed: Mutex::default(), ends, listening })
    }

    /// Waits for a hint that `partition`, whose end was just `end`, has more; a second at most.
    pub(crate) async fn hint(&self, partition: Partition, end: Offset) -> KafkaResult<()> {
        self.follow(partition, end)?;
        if let Some(sender) = self.ends.0.get(usize::from(partition.0)) {
            let mut heard = sender.subscribe();
            let more = heard.wait_for(|heard| *heard > end);
            let _none_is_a_hint_too = tokio::time::timeout(PATIENCE, more).await;
        }
        Ok(())
    }

    fn follow(&self, partition: Partition, end: Offset) -> KafkaResult<()> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if !followed.contains(&partition) {
            let mut place = TopicPartitionList::new();
            let end = Place::Offset(i64::try_from(end).unwrap_or(i64::MAX));
            place.add_partition_offset(&self.topic, i32::from(partition.0), end)?;
            self.consumer.incremental_assign(&place)?;
            followed.insert(partition);
        }
        Ok(())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Errors of the stream are passed over: the next question about the end meets their cause.
async fn listen(consumer: Arc<StreamConsumer>, ends: Arc<Ends>) {
    loop {
        if let Ok(message) = consumer.recv().await {
            ends.heard(message.partition(), message.offset());
        }
    }
}
