//! A log that loses, or is another, under whoever reads it.

use std::sync::atomic::{AtomicUsize, Ordering};

use volery_history::reads::Reads;
use volery_kernel::id::Id;
use volery_kernel::position::Source;
use volery_node::clock::SystemClock;
use volery_node::health::{Health, State};
use volery_ports::timeline::{Commit, Timeline as _};
use volery_testkit::log::{ModelLog, record};
use volery_testkit::timeline::ModelTimeline;

use super::*;

const P: Partition = Partition(0);
const ELSEWHERE: Partition = Partition(1);

/// A log that another takes the place of, how often it was asked how far it goes, and what archive does before the
/// first answer to that.
struct Swap(Mutex<ModelLog>, AtomicUsize, Mutex<Option<(Arc<ModelTimeline>, Offset)>>);

impl Swap {
    fn now(&self) -> ModelLog {
        self.0.lock().unwrap().clone()
    }
}

/// Archive has stored all below an offset.
async fn archives(timeline: &ModelTimeline, below: Offset) {
    let commit = Commit { source: Source::new(1, below - 1), id: Id::MAX, stamp: Timestamp(1) };
    timeline.apply(P, Vec::new(), Some(commit)).await.unwrap();
}

#[async_trait]
impl Log for Swap {
    fn generation(&self) -> u16 {
        1
    }

    fn partitions(&self) -> Partitions {
        self.now().partitions()
    }

    async fn append(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        self.now().append(partition, batch).await
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        self.now().read(partition, from, max_bytes).await
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let meanwhile = self.2.lock().unwrap().take();
        if let Some((timeline, below)) = meanwhile {
            archives(&timeline, below).await;
        }
        self.now().extent(partition).await
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        self.now().beyond(partition, seen).await
    }

    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        self.now().seek(partition, stamp, below).await
    }

    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError> {
        self.now().commit(reader, partition, offset).await
    }

    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError> {
        self.now().committed(reader, partition).await
    }

    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError> {
        self.now().release(partition, below, older_than).await
    }
}

struct Bench {
    swap: Arc<Swap>,
    log: Arc<TrustedLog>,
    health: Health,
    metrics: Metrics,
}

fn model() -> ModelLog {
    ModelLog::new(1, Partitions::new(2).unwrap(), Arc::new(SystemClock))
}

async fn append(log: &dyn Log, count: u64) {
    log.append(P, (0..count).map(|n| record(n, 10)).collect()).await.unwrap();
}

/// A log with ten records that were appended and read.
async fn bench() -> Bench {
    let (health, metrics) = (Health::new(), Metrics::new().unwrap());
    let swap = Arc::new(Swap(Mutex::new(model()), AtomicUsize::new(0), Mutex::default()));
    let log = TrustedLog::new(swap.clone(), health.part("log_generation"), metrics.clone());
    append(&log, 10).await;
    assert_eq!(log.read(P, 0, usize::MAX).await.unwrap().records.len(), 10);
    Bench { swap, log: Arc::new(log), health, metrics }
}

impl Bench {
    /// Another log with so many records takes the place of the one that was.
    async fn swap(&self, records: u64) {
        let other = model();
        append(&other, records).await;
        *self.swap.0.lock().unwrap() = other;
    }

    /// What is old enough and below this is deleted.
    async fn releases(&self, below: Offset) {
        self.swap.now().release(P, below, Timestamp(u64::MAX >> 1)).await.unwrap();
    }

    async fn agrees_with(&self, timeline: &Arc<ModelTimeline>) {
        let reads = Reads::new(Arc::clone(timeline) as _, self.log.partitions(), 1);
        self.log.agree(&(Arc::new(reads) as Arc<dyn History>)).await;
    }

    fn is_believed(&self) {
        assert_eq!(self.health.report().parts["log_generation"], State::Ready);
    }

    async fn is_given_up(&self) {
        let refused = self.log.append(P, vec![record(1, 10)]).await;
        assert!(matches!(refused, Err(AppendError::Unavailable(_))), "nothing is appended: {refused:?}");
        for answer in [self.log.read(P, 0, 1).await.map(drop), self.log.extent(P).await.map(drop)] {
            assert!(matches!(answer, Err(ReadError::Replaced { .. })), "nothing is read: {answer:?}");
        }
        let State::Degraded(reason) = self.health.report().parts["log_generation"].clone() else {
            panic!("health says nothing");
        };
        assert!(reason.contains("partition 0") && self.metrics.log_replaced.get() == 1, "{reason}");
        self.log.append(ELSEWHERE, vec![record(1, 10)]).await.unwrap();
        assert_eq!(self.log.extent(ELSEWHERE).await.unwrap().end, 1, "other partitions go on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_made_anew_is_noticed_by_whoever_reads() {
    let bench = bench().await;
    bench.swap(0).await;
    let waiting = bench.log.beyond(P, 10).await;
    assert!(matches!(waiting, Err(ReadError::Replaced { .. })), "nobody waits for it to grow: {waiting:?}");
    bench.is_given_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_its_newest_is_noticed_by_whoever_was_behind() {
    let bench = bench().await;
    bench.swap(4).await;
    let waiting = bench.log.beyond(P, 4).await;
    assert!(matches!(waiting, Err(ReadError::Replaced { .. })), "nobody waits where it ends now: {waiting:?}");
    bench.is_given_up().await;
}

#[tokio::test]
async fn who_is_behind_is_told_without_a_question_to_the_broker() {
    let bench = bench().await;
    assert_eq!(bench.log.beyond(P, 4).await.unwrap(), 10);
    assert_eq!(bench.swap.1.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_log_that_was_made_anew_is_noticed_by_whoever_appends() {
    let bench = bench().await;
    bench.swap(3).await;
    let appended = bench.log.append(P, vec![record(1, 10)]).await;
    assert!(matches!(appended, Err(AppendError::Unknown(_))), "it is not acknowledged: {appended:?}");
    bench.is_given_up().await;
}

#[tokio::test]
async fn a_log_that_has_grown_again_after_trouble_is_noticed_by_its_newest_record() {
    let bench = bench().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    bench.swap(20).await;
    bench.swap.now().fate(volery_testkit::log::Fate::Refused(AppendError::Unavailable("away".to_owned())));
    bench.log.append(P, vec![record(1, 10)]).await.unwrap_err();
    let read = bench.log.read(P, 10, usize::MAX).await;
    assert!(matches!(read, Err(ReadError::Replaced { .. })), "{read:?}");
    bench.is_given_up().await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_told_late_for_a_moment_is_no_loss() {
    let bench = bench().await;
    let whole = bench.swap.now();
    bench.swap(0).await;
    let (asked, ()) = tokio::join!(bench.log.extent(P), async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        *bench.swap.0.lock().unwrap() = whole;
    });
    assert!(matches!(asked, Err(ReadError::Unavailable(_))), "{asked:?}");
    assert_eq!(bench.log.extent(P).await.unwrap().end, 10);
    append(bench.log.as_ref(), 1).await;
    assert_eq!(bench.health.report().parts["log_generation"], State::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_begins_above_what_was_archived_is_given_up_at_the_start() {
    let (bench, timeline) = (bench().await, Arc::<ModelTimeline>::default());
    archives(&timeline, 4).await;
    bench.releases(6).await;
    bench.agrees_with(&timeline).await;
    bench.is_given_up().await;
}

#[tokio::test(start_paused = true)]
async fn records_that_are_deleted_before_archive_has_read_them_are_noticed_as_it_runs() {
    let (bench, timeline) = (bench().await, Arc::<ModelTimeline>::default());
    bench.agrees_with(&timeline).await;
    bench.is_believed();
    bench.releases(6).await;
    tokio::time::sleep(BEGINNING_EVERY * 2).await;
    bench.is_given_up().await;
}

#[tokio::test(start_paused = true)]
async fn what_archive_is_done_with_meanwhile_may_be_deleted() {
    let (bench, timeline) = (bench().await, Arc::<ModelTimeline>::default());
    bench.agrees_with(&timeline).await;
    bench.releases(6).await;
    *bench.swap.2.lock().unwrap() = Some((timeline, 6));
    tokio::time::sleep(BEGINNING_EVERY * 2).await;
    bench.is_believed();
    assert!(bench.swap.2.lock().unwrap().is_none(), "it was asked");
}
