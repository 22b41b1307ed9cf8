//! The shell of [`crate::fanout::Fanout`]: reads, appends, commits; again and again, whatever fails.
//!
//! Traps avoided: a log that ends before what was committed lost records. To wait until it has grown again
//! would pass over all that it took meanwhile: this partition's fan-out stops instead, loudly. And a target that
//! takes nothing is seen in no lag, which is measured when something is done with: it is told apart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;
use volery_kernel::event::{Event, Record};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_node::metrics::{Leg, Reader, Stage};
use volery_ports::log::{AppendError, Log, ReadError, Reader as LogReader};

use crate::fanout::{Done, Fanout, LANE_MOST};
use crate::news::{Following, News};
use crate::node::Shared;

/// How long a failed append or read waits for its next try.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How often the committed offset is stored: an older one only repeats work.
const COMMIT_EVERY: Duration = Duration::from_millis(500);

/// Records are taken up in time with this: what all partitions derive within it becomes durable in one sync.
pub(crate) const TICK_MS: u64 = 20;

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(
        "fan-out was done below offset {committed}, and the log ends at {end}. Restore what is older, or begin a new \
         log generation (docs/operations.md)"
    )]
    Shorter { committed: Offset, end: Offset },
}

impl Failed {
    /// Whether no patience heals it.
    const fn is_final(&self) -> bool {
        matches!(self, Self::Shorter { .. } | Self::Log(ReadError::Replaced { .. }))
    }
}

/// Runs one partition's fan-out until the task is dropped.
pub(crate) async fn run(partition: Partition, shared: Arc<Shared>, news: News) {
    loop {
        match follow(partition, &shared, &news).await {
            Ok(()) => {}
            Err(error) if error.is_final() => {
                tracing::error!(%partition, %error, "fan-out has stopped");
                return shared.fanout.stopped(partition, error.to_string(), shared.clock.now());
            }
            Err(error) => shared.fanout.waits(partition, error.to_string(), shared.clock.now()),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Where to begin. Only what fan-out was done with is ever deleted, so an offset from before a crash may
/// lie before the log's start, and what lies between was done.
async fn beginning(log: &dyn Log, partition: Partition) -> Result<Offset, Failed> {
    let extent = log.extent(partition).await?;
    let committed = log.committed(LogReader::Fanout, partition).await?;
    if committed > extent.end {
        return Err(Failed::Shorter { committed, end: extent.end });
    }
    if committed < extent.start {
        tracing::warn!(%partition, committed, start = extent.start, "fan-out begins where the log does");
    }
    Ok(committed.max(extent.start))
}

async fn follow(partition: Partition, shared: &Shared, news: &News) -> Result<(), Failed> {
    let log = shared.log.as_ref();
    let from = beginning(log, partition).await?;
    let mut fanout = Fanout::new(log.generation(), shared.partitions, LANE_MOST, from);
    for record in volery_reader::read_back(log, partition, from).await? {
        fanout.warm(&record);
    }
    shared.fanout.goes_on(partition, shared.clock.now());
    let mut following = Following::new(log, news, partition);
    let (mut appends, mut again) = (FuturesUnordered::new(), FuturesUnordered::new());
    let (mut committed, mut refusing) = (from, BTreeSet::new());
    let mut commit = tokio::time::interval(COMMIT_EVERY);
    commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        while let Some((target, events)) = fanout.depart() {
            appends.push(append(log, target, events));
        }
        if let (true, Some(step)) = (again.is_empty(), Again::next(&fanout)) {
            again.push(step.read(log, partition));
        }
        tokio::select! {
            biased;
            Some((target, result)) = appends.next(), if !appends.is_empty() => {
                count(fanout.appended(target, result.is_ok()), shared);
                note(partition, target, result, &mut refusing, shared);
            }
            Some(step) = again.next(), if !again.is_empty() => match step? {
                (Again::Begin(from), before) => fanout.begin_again(from, &before),
                (Again::On(_), records) => records.into_iter().for_each(|record| fanout.read_again(record)),
            },
            records = following.next(fanout.read_below()) => {
                count(records?.into_iter().filter_map(|record| fanout.read(record)), shared);
            }
            // A quiet partition wakes nobody.
            _ = commit.tick(), if fanout.done_below() > committed => {
                let done = fanout.done_below();
                if log.commit(LogReader::Fanout, partition, done).await.is_ok() {
                    committed = done;
                }
            }
        }
    }
}

/// A step of the second reading. It is not cut short by the first: a log may take longer over old records
/// than the first waits for new ones.
enum Again {
    Begin(Offset),
    On(Offset),
}

impl Again {
    fn next(fanout: &Fanout) -> Option<Self> {
        fanout.missed().map(Self::Begin).or_else(|| fanout.again_below().map(Self::On))
    }

    async fn read(self, log: &dyn Log, partition: Partition) -> Result<(Self, Vec<Record>), ReadError> {
        let records = match self {
            Self::Begin(from) => volery_reader::read_back(log, partition, from).await?,
            Self::On(from) => volery_reader::read(log, partition, from).await?.records,
        };
        Ok((self, records))
    }
}

fn count(done: impl IntoIterator<Item = Done>, shared: &Shared) {
    let (now, metrics) = (shared.clock.now(), &shared.metrics);
    let seconds = |since: Timestamp| now.since(since) as f64 / 1_000.0;
    for Done { stamp, echo } in done {
        metrics.reader_lag_seconds.of(Reader::Fanout).observe(seconds(stamp));
        if let Some(id) = echo {
            metrics.messages.of(Stage::Echoed).inc();
            metrics.stage_seconds.of(Leg::Echoed).observe(seconds(id.time()));
        }
    }
}

/// A partition waits as long as any of its targets is `refusing`.
fn note(
    partition: Partition,
    target: Partition,
    result: Result<(), AppendError>,
    refusing: &mut BTreeSet<Partition>,
    shared: &Shared,
) {
    let Err(error) = result else {
        if refusing.remove(&target) && refusing.is_empty() {
            shared.fanout.goes_on(partition, shared.clock.now());
        }
        return;
    };
    tracing::warn!(%partition, %target, %error, "derived events were not appended; they will be again");
    refusing.insert(target);
    let reason = format!("partition {target} takes no echoes and marks: {error}");
    shared.fanout.waits(partition, reason, shared.clock.now());
}

/// A refused target is tried again a little later.
async fn append(log: &dyn Log, target: Partition, events: Vec<Event>) -> (Partition, Result<(), AppendError>) {
    let result = log.append_soon(target, volery_reader::to_batch(&events)).await;
    if result.is_err() {
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    (target, result.map(drop))
}
