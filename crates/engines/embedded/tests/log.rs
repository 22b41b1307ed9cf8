//! The embedded log as roles meet it: on a real folder, with its thread.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use volery_embedded::log::{EmbeddedLog, OpenError, Options};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::log::{AppendError, Log, NewRecord, ReadError};

/// Moves on by one millisecond with each reading.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp(1_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn options(dir: &tempfile::TempDir) -> Options {
    Options { segment_bytes: 4_096, cache_bytes: 2_048, ..Options::new(dir.path().to_owned(), partitions(4)) }
}

fn partitions(count: u16) -> Partitions {
    Partitions::new(count).unwrap()
}

fn open(options: &Options) -> EmbeddedLog {
    EmbeddedLog::open(options, Arc::new(Ticks::default())).unwrap()
}

fn record(n: u64) -> NewRecord {
    NewRecord {
        key: [7; 9],
        headers: vec![("n".to_owned(), Bytes::from(n.to_string()))],
        value: vec![n as u8; 100].into(),
    }
}

async fn fill(log: &EmbeddedLog, partition: Partition, count: u64) {
    for n in 0..count {
        log.append(partition, vec![record(n)]).await.unwrap();
    }
}

#[tokio::test]
async fn it_passes_the_suite() {
    let mut dirs = Vec::new();
    volery_testkit::log::conformance(async || {
        let dir = tempfile::tempdir().unwrap();
        let log = open(&options(&dir));
        dirs.push(dir);
        Arc::new(log) as Arc<dyn Log>
    })
    .await;
}

#[tokio::test]
async fn what_was_appended_is_read_again_after_opening_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&options(&dir));
    fill(&log, Partition(1), 200).await;
    drop(log);

    let log = open(&options(&dir));
    let mut next = 0;
    while next < 200 {
        for read in log.read(Partition(1), next, 1_000).await.unwrap().records {
            assert_eq!((read.offset, &read.record), (next, &record(next)));
            next += 1;
        }
    }
    assert_eq!(log.append(Partition(1), vec![record(0)]).await.unwrap()[0].offset, 200);
    assert!(log.stats().disk_reads > 0);
}

#[tokio::test]
async fn what_nobody_waits_for_shares_the_next_sync_and_does_not_wait_long_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&options(&dir));
    fill(&log, Partition(0), 1).await;
    let before = log.stats().syncs;
    // In this order: both that may wait are there when the one comes that may not.
    let soon = |partition| log.append_soon(Partition(partition), vec![record(1)]);
    let (first, second, urgent) = tokio::join!(biased; soon(1), soon(2), log.append(Partition(3), vec![record(2)]));
    assert_eq!([first, second, urgent].map(|answer| answer.unwrap()[0].offset), [0, 0, 0]);
    assert_eq!(log.stats().syncs - before, 1);
    assert_eq!(soon(1).await.unwrap()[0].offset, 1, "nothing else comes");
}

#[tokio::test]
async fn a_second_process_is_refused_and_so_is_another_shape() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&options(&dir));
    fill(&log, Partition(0), 1).await;
    let second = EmbeddedLog::open(&options(&dir), Arc::new(Ticks::default()));
    assert!(matches!(second, Err(OpenError::InUse(_))));
    drop(log);
    let other = Options { partitions: partitions(5), ..options(&dir) };
    let other = EmbeddedLog::open(&other, Arc::new(Ticks::default()));
    assert!(matches!(other, Err(OpenError::Different { generation: 1, partitions: 4 })));
}

#[tokio::test]
async fn a_full_log_refuses_and_goes_on_when_segments_are_released() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&Options { max_bytes: Some(20_000), ..options(&dir) });
    let mut taken = 0;
    while log.append(Partition(2), vec![record(taken)]).await.is_ok() {
        taken += 1;
    }
    assert_eq!(log.append(Partition(2), vec![record(taken)]).await, Err(AppendError::Full));
    log.release(Partition(2), taken / 2, Timestamp(u64::MAX)).await.unwrap();
    assert_eq!(log.append(Partition(2), vec![record(taken)]).await.unwrap()[0].offset, taken);

    let extent = log.extent(Partition(2)).await.unwrap();
    assert!(extent.start > 0 && extent.start <= taken / 2, "{extent:?}");
    let gone = log.read(Partition(2), extent.start - 1, 100).await;
    assert_eq!(gone, Err(ReadError::OutOfRange { asked: extent.start - 1, extent }));
}

#[tokio::test]
async fn who_waits_is_woken_by_an_append_and_by_the_end_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&options(&dir));
    let waiter = log.clone();
    let waiting = tokio::spawn(async move { waiter.beyond(Partition(3), 0).await });
    fill(&log, Partition(3), 1).await;
    assert_eq!(waiting.await.unwrap(), Ok(1));
    let waiter = log.clone();
    let waiting = tokio::spawn(async move { waiter.beyond(Partition(3), 1).await });
    log.close();
    assert!(matches!(waiting.await.unwrap(), Err(ReadError::Unavailable(_))));
    assert!(matches!(log.append(Partition(3), vec![record(1)]).await, Err(AppendError::Unavailable(_))));
}
