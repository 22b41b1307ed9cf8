//! A log that is reached over a network, watched from outside: what it takes is counted, and health says
//! while it is away. Decides nothing: every answer is passed on as it came.
//!
//! Trap avoided: a log that can be read may still take nothing (too few copies in sync), be it in one partition
//! alone, so all of it is watched apart, and one cannot declare the other healed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_node::health::Part;
use volery_node::metrics::{EngineCall, Metrics};
use volery_ports::log::{AppendError, Appended, Chunk, Extent, Log, NewRecord, ReadError, Reader};

use super::ailing::{Ailing, Trouble};
use crate::calls::timed;

pub(crate) struct WatchedLog {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    part: Part,
    metrics: Metrics,
    ailing: Mutex<Ailing>,
    /// Something ails: as long as nothing does, what works is not noted.
    ails: AtomicBool,
}

impl WatchedLog {
    /// Watches a log that was just opened.
    pub(crate) fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, part: Part, metrics: Metrics) -> Self {
        part.ready();
        Self { log, clock, part, metrics, ailing: Mutex::default(), ails: AtomicBool::new(false) }
    }

    fn appended(&self, partition: Partition, batch: &Batch, result: &Result<Vec<Appended>, AppendError>) {
        match result {
            Ok(_) => {
                self.metrics.log_appends.inc_by(batch.records);
                self.metrics.log_append_bytes.inc_by(batch.bytes);
                self.metrics.log_sync_seconds.observe(self.clock.now().since(batch.begun) as f64 / 1_000.0);
                self.worked(partition, Trouble::TakesNothing);
            }
            Err(AppendError::TooLarge(_)) => {}
            Err(error) => {
                self.metrics.log_refused.inc_by(batch.records);
                self.failed(partition, Trouble::TakesNothing, error);
            }
        }
    }

    fn was_read<T>(&self, partition: Partition, result: Result<T, ReadError>) -> Result<T, ReadError> {
        match &result {
            Err(error @ ReadError::Unavailable(_)) => self.failed(partition, Trouble::CannotBeRead, error),
            _ => self.worked(partition, Trouble::CannotBeRead),
        }
        result
    }

    fn failed(&self, partition: Partition, trouble: Trouble, error: &dyn std::error::Error) {
        let mut ailing = self.ailing.lock();
        ailing.failed(partition, trouble, self.clock.now(), error.to_string());
        self.tell(&mut ailing);
    }

    fn worked(&self, partition: Partition, trouble: Trouble) {
        if self.ails.load(Ordering::Acquire) {
            let mut ailing = self.ailing.lock();
            ailing.worked(partition, trouble);
            self.tell(&mut ailing);
        }
    }

    /// It serves, without what does not work: whoever is connected goes on, and reads what was stored.
    fn tell(&self, ailing: &mut Ailing) {
        let word = ailing.word(self.clock.now());
        self.ails.store(word.is_some(), Ordering::Release);
        match word {
            Some(word) => self.part.degraded(word),
            None => self.part.ready(),
        }
    }
}

/// What is known of a batch before it is given away.
struct Batch {
    records: u64,
    bytes: u64,
    begun: Timestamp,
}

impl Batch {
    fn of(batch: &[NewRecord], begun: Timestamp) -> Self {
        let bytes = batch.iter().map(|record| record.key.len() + record.value.len()).sum::<usize>();
        Self { records: batch.len() as u64, bytes: bytes as u64, begun }
    }
}

#[async_trait]
impl Log for WatchedLog {
    fn generation(&self) -> u16 {
        self.log.generation()
    }

    fn partitions(&self) -> Partitions {
        self.log.partitions()
    }

    async fn append(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        let known = Batch::of(&batch, self.clock.now());
        let result = timed(&self.metrics, EngineCall::LogAppend, self.log.append(partition, batch)).await;
        self.appended(partition, &known, &result);
        result
    }

    async fn append_soon(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        let known = Batch::of(&batch, self.clock.now());
        let result = timed(&self.metrics, EngineCall::LogAppend, self.log.append_soon(partition, batch)).await;
        self.appended(partition, &known, &result);
        result
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        let answer = self.log.read(partition, from, max_bytes);
        self.was_read(partition, timed(&self.metrics, EngineCall::LogRead, answer).await)
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        self.was_read(partition, timed(&self.metrics, EngineCall::LogExtent, self.log.extent(partition)).await)
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        self.was_read(partition, self.log.beyond(partition, seen).await)
    }

    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        let answer = self.log.seek(partition, stamp, below);
        self.was_read(partition, timed(&self.metrics, EngineCall::LogSeek, answer).await)
    }

    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError> {
        timed(&self.metrics, EngineCall::LogCommit, self.log.commit(reader, partition, offset)).await
    }

    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError> {
        let answer = self.log.committed(reader, partition);
        self.was_read(partition, timed(&self.metrics, EngineCall::LogCommitted, answer).await)
    }

    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError> {
        let answer = self.log.release(partition, below, older_than);
        timed(&self.metrics, EngineCall::LogRelease, answer).await
    }
}

#[cfg(test)]
mod tests {
    use volery_node::clock::SystemClock;
    use volery_node::health::{Health, State};
    use volery_testkit::log::{Fate, ModelLog, record};

    use super::*;

    #[tokio::test]
    async fn it_says_while_a_partition_takes_nothing_and_counts_what_is_taken() {
        let (health, metrics) = (Health::new(), Metrics::new().unwrap());
        let model = ModelLog::new(1, Partitions::new(2).unwrap(), Arc::new(SystemClock));
        let log = WatchedLog::new(Arc::new(model.clone()), Arc::new(SystemClock), health.part("log"), metrics.clone());
        let state = || health.report().parts["log"].clone();
        let append_to = async |partition| log.append(Partition(partition), vec![record(1, 10), record(2, 10)]).await;
        let append = async || append_to(0).await;
        append().await.unwrap();
        assert_eq!((state(), metrics.log_appends.get()), (State::Ready, 2));
        model.fate(Fate::Refused(AppendError::Unavailable("no broker".to_owned())));
        append().await.unwrap_err();
        assert!(matches!(state(), State::Degraded(reason) if reason.contains("no broker")));
        log.read(Partition(0), 0, 1).await.unwrap();
        assert!(matches!(state(), State::Degraded(_)), "that it can be read heals no appends");
        append_to(1).await.unwrap();
        assert!(matches!(state(), State::Degraded(_)), "nor does what another partition takes");
        assert!(health.report().ready, "who is connected goes on");
        append().await.unwrap();
        assert_eq!((state(), metrics.log_appends.get(), metrics.log_refused.get()), (State::Ready, 6, 2));
    }
}
