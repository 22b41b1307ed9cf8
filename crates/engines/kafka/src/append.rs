//! Appends through a few idempotent producers, each for its share of the partitions.
//!
//! The first trap: an idempotent producer keeps order, not completeness. When one message times out, it goes
//! on with those behind it, and a batch that was handed over at once may be kept with a hole. So the
//! records of a batch are sent one after another, each when the one before it is durable; batches of
//! different callers travel together all the same.
//!
//! The second: a broker takes up a connection's next request when it has answered the one before, and a request is of
//! one partition. Through one producer, every partition would wait for the others' flushes or copies.

use std::sync::atomic::{AtomicU64, Ordering};

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::log::{AppendError, Appended, NewRecord};

use crate::offsets::blocking;
use crate::options::{DEADLINE, Options, PRODUCERS, warm};
use crate::record;

pub(crate) struct Appender {
    /// A partition's is always the same.
    producers: Vec<FutureProducer>,
    topic: String,
    /// By partition: one past the last record that was appended here.
    ends: Vec<AtomicU64>,
}

impl Appender {
    pub(crate) async fn new(options: &Options) -> KafkaResult<Self> {
        let topic = options.topic();
        let producers = (0..PRODUCERS.min(usize::from(options.partitions.count()))).map(|_| options.producer());
        let producers: Vec<FutureProducer> = producers.collect::<KafkaResult<_>>()?;
        let (clients, name) = (producers.clone(), topic.clone());
        blocking(move || clients.iter().try_for_each(|producer| warm(producer.client(), &name, DEADLINE))).await?;
        let ends = options.partitions.iter().map(|_| AtomicU64::new(0)).collect();
        Ok(Self { producers, topic, ends })
    }

    /// One past the last record that was appended here; 0 before the first.
    pub(crate) fn end(&self, partition: Partition) -> Offset {
        self.ends.get(usize::from(partition.0)).map_or(0, |end| end.load(Ordering::Acquire))
    }

    /// See [`volery_ports::log::Log::append`]; the partition exists.
    pub(crate) async fn append(&self, to: Partition, batch: &[NewRecord]) -> Result<Vec<Appended>, AppendError> {
        record::refuse_too_large(batch)?;
        let mut answers = Vec::with_capacity(batch.len());
        for record in batch {
            let answer = self.send(to, record).await;
            answers.push(answer.map_err(|error| after(answers.len(), error))?);
        }
        Ok(answers)
    }

    async fn send(&self, to: Partition, record: &NewRecord) -> Result<Appended, AppendError> {
        let message = FutureRecord::to(&self.topic)
            .partition(i32::from(to.0))
            .key(&record.key[..])
            .payload(&record.value[..])
            .headers(record::headers(record));
        let refused = |error: KafkaError| AppendError::Unavailable(error.to_string());
        let producer = &self.producers[usize::from(to.0) % self.producers.len()];
        let delivery = producer.send_result(message).map_err(|(error, _)| refused(error))?;
        let unknown = |what: String| AppendError::Unknown(what);
        let delivered = delivery.await.map_err(|_| unknown("the producer was closed".to_owned()))?;
        let delivered = delivered.map_err(|(error, _)| unknown(error.to_string()))?;
        let (offset, stamp) = (u64::try_from(delivered.offset).ok(), record::stamp(delivered.timestamp));
        let appended = offset.zip(stamp).map(|(offset, stamp)| Appended { offset, stamp });
        if let (Some(Appended { offset, .. }), Some(end)) = (appended, self.ends.get(usize::from(to.0))) {
            end.fetch_max(offset + 1, Ordering::AcqRel);
        }
        appended.ok_or_else(|| unknown("it is durable, but the broker does not say where or when".to_owned()))
    }
}

/// A refusal is none for a batch whose first records are there.
fn after(sent: usize, error: AppendError) -> AppendError {
    match error {
        AppendError::Unavailable(what) if sent > 0 => AppendError::Unknown(format!("{sent} are there, then: {what}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_in_the_middle_of_a_batch_says_nothing_about_the_batch() {
        let refusal = || AppendError::Unavailable("full".to_owned());
        assert_eq!(after(0, refusal()), refusal());
        assert!(matches!(after(1, refusal()), AppendError::Unknown(_)));
        assert_eq!(after(1, AppendError::Unknown("late".to_owned())), AppendError::Unknown("late".to_owned()));
    }
}
