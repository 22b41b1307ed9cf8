//! The log's model passes the suite that engines pass, and fails as it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::log::{AppendError, Log};
use volery_testkit::log::{Fate, ModelLog, conformance, random, record};

#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp(1_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn model() -> ModelLog {
    ModelLog::new(1, Partitions::new(3).unwrap(), Arc::new(Ticks::default()))
}

#[tokio::test]
async fn the_model_passes_the_suite() {
    conformance(async || Arc::new(model()) as Arc<dyn Log>).await;
}

#[tokio::test]
async fn the_comparison_allows_what_may_go_wrong() {
    let log = model();
    for _ in 0..40 {
        let fates = [Fate::Kept(1), Fate::Refused(AppendError::Full), Fate::Doubled, Fate::Late(2), Fate::Taken];
        fates.into_iter().for_each(|fate| log.fate(fate));
    }
    random(&log, 1).await;
}

#[tokio::test]
async fn what_fails_may_be_there_at_once_or_later() {
    let log = model();
    let batch = || vec![record(1, 8), record(2, 8)];
    log.fate(Fate::Kept(1));
    log.fate(Fate::Late(2));
    assert!(matches!(log.append(Partition(0), batch()).await, Err(AppendError::Unknown(_))));
    assert!(matches!(log.append(Partition(0), batch()).await, Err(AppendError::Unknown(_))));
    assert_eq!(log.extent(Partition(0)).await.unwrap().end, 1);
    assert_eq!(log.append(Partition(0), batch()).await.unwrap()[0].offset, 1);
    log.arrive();
    assert_eq!(log.extent(Partition(0)).await.unwrap().end, 5);
}
