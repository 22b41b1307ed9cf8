//! Appends through a few idempotent producers, each for its share of the partitions.
//!
//! The first trap: an idempotent producer keeps order, not completeness. When one message times out, it goes
//! on with those behind it, and a batch that was handed over at once may be kept with a hole. So the
//! records of a batch are sent one after another, each when the one before it is durable; batches of
//! different callers travel together all the same.
//!
//! The second: a broker takes up a connection's next request when it has answered the one before, and a request is of
//! one partition. Through one producer, every partition would wait for the others' flushes or copies.

use std::sync::Arc;

use rdkafka::error::KafkaResult;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::log::{AppendError, Appended, NewRecord};

use crate::options::{Options, producers};
use crate::producer::Producer;
use crate::record;
use crate::revive::{Mortal, mortal};

pub(crate) struct Appender {
    /// A partition's is always the same: partition 10 of 8 producers is the second lane of the third.
    producers: Vec<Arc<Producer>>,
}

impl Appender {
    pub(crate) async fn new(options: &Options) -> KafkaResult<Self> {
        let count = producers(options.partitions);
        let mut producers = Vec::with_capacity(count);
        for first in 0..count {
            let share = options.partitions.iter().map(|partition| partition.0).skip(first).step_by(count);
            producers.push(Producer::open(options, share).await?);
        }
        Ok(Self { producers })
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = Mortal> {
        self.producers.iter().map(mortal)
    }

    fn way(&self, to: Partition) -> (&Producer, usize) {
        let (number, count) = (usize::from(to.0), self.producers.len());
        (&self.producers[number % count], number / count)
    }

    /// One past the last record that was appended here; 0 before the first.
    pub(crate) fn end(&self, partition: Partition) -> Offset {
        let (producer, lane) = self.way(partition);
        producer.end(lane)
    }

    /// See [`volery_ports::log::Log::append`]; the partition exists.
    pub(crate) async fn append(&self, to: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        record::refuse_too_large(&batch)?;
        let (producer, lane) = self.way(to);
        let mut answers = Vec::with_capacity(batch.len());
        for record in batch {
            let answer = producer.append(lane, record).await;
            answers.push(answer.map_err(|error| after(answers.len(), error))?);
        }
        Ok(answers)
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
