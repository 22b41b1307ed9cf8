//! The shell of [`crate::archive::Archive`]: reads, looks up, applies, appends; again and again,
//! whatever fails. One step of a partition at a time, so its order is the log's; within a step everything at once.
//!
//! Trap avoided: a log that was restored, recreated or cut too far disagrees about what was archived last.
//! Then this partition's archive stops, loudly, instead of mixing two histories or leaving a hole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use volery_kernel::event::Event;
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_node::metrics::{Leg, Reader, Stage};
use volery_ports::log::{ReadError, Reader as LogReader};
use volery_ports::timeline::{Commit, Refused, Unavailable, Write};
use volery_reader::{Disagreement, releasable};

use crate::archive::{Archive, Lane, Step};
use crate::aside::{self, Refusals};
use crate::news::{Following, News};
use crate::node::Shared;
use crate::written::Here;

const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often the log is told what it may delete.
const RELEASE_EVERY_MS: u64 = 10_000;
/// The same where nothing comes: what came last grows old.
const RELEASE_IDLE: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Timeline(#[from] Unavailable),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{0}. Restore what is older, or begin a new log generation (docs/operations.md)")]
    Disagrees(#[from] Disagreement),
}

impl Failed {
    /// Whether no patience heals it.
    const fn is_final(&self) -> bool {
        matches!(self, Self::Disagrees(_) | Self::Log(ReadError::Replaced { .. }))
    }
}

/// Runs one partition's archive until the task is dropped.
pub(crate) async fn run(partition: Partition, shared: Arc<Shared>, news: News) {
    let (here, refusals) = (shared.written.here(partition), Refusals::default());
    loop {
        match follow(partition, &here, &refusals, &shared, &news).await {
            Ok(()) => {}
            Err(error) if error.is_final() => {
                tracing::error!(%partition, %error, "archive has stopped");
                return shared.archive.stopped(partition, error.to_string(), shared.clock.now());
            }
            Err(error) => shared.archive.waits(partition, error.to_string(), shared.clock.now()),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn follow(
    partition: Partition,
    here: &Here<'_>,
    refusals: &Refusals,
    shared: &Shared,
    news: &News,
) -> Result<(), Failed> {
    let log = shared.log.as_ref();
    let committed = shared.timeline.committed(partition).await?;
    agree(partition, committed, shared).await?;
    if let Some(committed) = committed {
        here.raise(committed.source);
    }
    let written = |partition| shared.written.of(partition);
    let mut archive = Archive::new(log.generation(), shared.partitions, committed);
    let from = archive.next_offset();
    for record in volery_reader::read_back(log, partition, from).await? {
        archive.warm(&record);
    }
    shared.archive.goes_on(partition, shared.clock.now());
    let mut following = Following::new(log, news, partition);
    let mut released = Released { at: shared.clock.now(), done: 0 };
    // At most one: answers that were set by go in order.
    let mut again = FuturesUnordered::new();
    loop {
        // Pages can wait, people cannot: a session that wakes on this core waits for a step, not for all partitions.
        std::thread::yield_now();
        match archive.next(&written) {
            Step::Write(rows, through) => {
                aside::apply(partition, rows, None, through, refusals, shared).await?;
                archive.wrote();
                here.raise(through);
            }
            Step::Await(places) => {
                shared.written.reach(places).await;
                archive.waited(&written);
            }
            Step::Apply(writes, commit) => {
                apply(partition, writes, commit, archive.taken(), refusals, shared).await?;
                archive.applied();
            }
            Step::LookUp(keys) => archive.looked_up(aside::sent(&keys, refusals, shared).await?),
            Step::Note(rows) => {
                aside::apply(partition, rows, None, archive.taken(), refusals, shared).await?;
                archive.noted();
            }
            Step::Append(lanes) => append_all(partition, lanes, &mut archive, shared).await,
            Step::Read => {
                release(partition, archive.committed_below(), &mut released, shared).await;
                if let (true, Some((target, event))) = (again.is_empty(), archive.set_by()) {
                    again.push(append_again(target, vec![event.clone()], shared));
                }
                tokio::select! {
                    biased;
                    Some(offsets) = again.next(), if !again.is_empty() => if offsets.is_some() {
                        archive.answered();
                        if archive.set_by().is_none() {
                            shared.archive.goes_on(partition, shared.clock.now());
                        }
                    },
                    records = following.next(archive.next_offset()) => archive.read(records?),
                    () = tokio::time::sleep(RELEASE_IDLE) => {}
                }
            }
        }
    }
}

/// What was never archived is compared as well: the log may begin too late for it.
async fn agree(partition: Partition, committed: Option<Commit>, shared: &Shared) -> Result<(), Failed> {
    let (source, id) = committed.map(|commit| (commit.source, commit.id)).unwrap_or_default();
    let archived = Position { partition, source, id };
    match volery_reader::disagreement(shared.log.as_ref(), archived).await? {
        Some(disagreement) => Err(disagreement.into()),
        None => Ok(()),
    }
}

async fn apply(
    partition: Partition,
    writes: Vec<Write>,
    commit: Option<Commit>,
    taken: Source,
    refusals: &Refusals,
    shared: &Shared,
) -> Result<(), Refused> {
    let messages: Vec<_> = writes.iter().filter_map(came_in).collect();
    let set_aside = writes.iter().filter(|write| matches!(write, Write::SetAside { .. })).count() as u64;
    aside::apply(partition, writes, commit, taken, refusals, shared).await?;
    let now = shared.clock.now();
    let metrics = &shared.metrics;
    if let Some(commit) = commit {
        metrics.reader_lag_seconds.of(Reader::Archive).observe(now.since(commit.stamp) as f64 / 1_000.0);
    }
    metrics.messages.of(Stage::Archived).inc_by(messages.len() as u64);
    let seconds = metrics.stage_seconds.of(Leg::Archived);
    messages.iter().for_each(|id| seconds.observe(now.since(id.time()) as f64 / 1_000.0));
    shared.set_aside(partition, set_aside);
    Ok(())
}

/// The message that was accepted where this row is written: in the stream of whom it is for. Its echo is not counted
/// again.
fn came_in(write: &Write) -> Option<Id> {
    let Write::Newest { user, chat, id, incoming } = write else { return None };
    (incoming.is_some() || chat.peer_of(*user) == Some(*user)).then_some(*id)
}

fn held_up(target: Partition) -> String {
    format!("answers to retries wait for partition {target}, which takes nothing")
}

/// Appends what all lanes have. Whose target takes nothing is set by, or tried again a moment later.
async fn append_all(partition: Partition, lanes: BTreeMap<Lane, Vec<Event>>, archive: &mut Archive, shared: &Shared) {
    let (mut appends, mut refused) = (FuturesUnordered::new(), false);
    for (lane, events) in lanes {
        if !(archive.waits_for(lane.0) && archive.sets_by(lane)) {
            appends.push(async move { (lane, append(lane.0, events, shared).await) });
        }
    }
    while let Some((lane, offsets)) = appends.next().await {
        match offsets {
            Some(offsets) => archive.appended(lane, &offsets),
            None if archive.sets_by(lane) => shared.archive.waits(partition, held_up(lane.0), shared.clock.now()),
            None => refused = true,
        }
    }
    if refused {
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Where the events are durable; nothing if they are not known to be. More than once is harmless.
async fn append(target: Partition, events: Vec<Event>, shared: &Shared) -> Option<Vec<Offset>> {
    match shared.log.append(target, volery_reader::to_batch(&events)).await {
        Ok(appended) if appended.len() == events.len() => {
            return Some(appended.iter().map(|appended| appended.offset).collect());
        }
        Ok(_) => tracing::error!(%target, "the log answered an append with other than a place for each record"),
        Err(error) => tracing::warn!(%target, %error, "events of archive were not appended; they will be again"),
    }
    None
}

/// The same a moment after it failed.
async fn append_again(target: Partition, events: Vec<Event>, shared: &Shared) -> Option<Vec<Offset>> {
    tokio::time::sleep(AGAIN_AFTER).await;
    append(target, events, shared).await
}

/// When the log was told last what it may delete, and what both readers were done with then.
struct Released {
    at: Timestamp,
    done: Offset,
}

/// What fan-out and archive are done with and what is old enough may go, and so may old index rows.
///
/// Trap avoided: a reader that comes back after a crash at an earlier place must find what it reads again, and what lies
/// before that. So what is done is durable in the timeline first, and goes one turn later, when the offsets that were
/// committed have reached the disk.
async fn release(partition: Partition, below: Offset, released: &mut Released, shared: &Shared) {
    let now = shared.clock.now();
    if now.since(released.at) < RELEASE_EVERY_MS {
        return;
    }
    released.at = now;
    let log = shared.log.as_ref();
    let result = async {
        let expired = shared.timeline.expire_index(partition, now.minus(limits::INDEX_MS.value)).await;
        expired.map_err(|error| error.to_string())?;
        log.commit(LogReader::Archive, partition, below).await.map_err(|error| error.to_string())?;
        let fanout = log.committed(LogReader::Fanout, partition).await.map_err(|error| error.to_string())?;
        let done = std::mem::replace(&mut released.done, below.min(fanout));
        let before = releasable(log, partition, done, now).await.map_err(|error| error.to_string())?;
        log.release(partition, done, before).await.map_err(|error| error.to_string())
    };
    if let Err(error) = result.await {
        tracing::warn!(%partition, %error, "old records were not released");
    }
}
