//! The node put together: a thread for fan-out, a thread for archive, the reads. Options → start → handle.
//!
//! Fan-out has a thread of its own, because archive's store may block its thread and echoes must not
//! wait for that.

use std::sync::Arc;

use tokio::sync::oneshot;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock;
use volery_node::health::Health;
use volery_node::metrics::{HistoryReader, Metrics};
use volery_ports::log::Log;
use volery_ports::timeline::Timeline;

use crate::aside::Refusals;
use crate::news::News;
use crate::reads::Reads;
use crate::standing::Standing;
use crate::written::WrittenThrough;
use crate::{archiving, fanning};

/// [`Parts::archive_every_ms`] where an apply costs little.
pub const ARCHIVE_OFTEN_MS: u64 = 50;
/// The same where each row is a statement: what a conversation writes to one chat row again and again, and how far
/// a partition is, are then written twice a second at most. What is read is as much older.
pub const ARCHIVE_SELDOM_MS: u64 = 500;

/// What the node works with.
pub struct Parts {
    /// What it reads and appends to.
    pub log: Arc<dyn Log>,
    /// What it writes.
    pub timeline: Arc<dyn Timeline>,
    /// Archive takes up records in time with this, in milliseconds: one apply for what came within it, one waking
    /// for all partitions.
    pub archive_every_ms: u64,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// What the node counts.
    pub metrics: Metrics,
    /// What the node says of itself.
    pub health: Health,
}

pub(crate) struct Shared {
    pub(crate) partitions: Partitions,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) timeline: Arc<dyn Timeline>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) written: WrittenThrough,
    pub(crate) refusals: Refusals,
    pub(crate) fanout: Standing,
    pub(crate) archive: Standing,
}

/// A running node.
pub struct HistoryNode {
    reads: Arc<Reads>,
    threads: Vec<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl HistoryNode {
    /// Starts both readers of every partition.
    ///
    /// # Errors
    /// The operating system's, when it has no thread to give.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let Parts { log, timeline, archive_every_ms, clock, metrics, health } = parts;
        let partitions = log.partitions();
        let written = WrittenThrough::new(partitions);
        let reads = Arc::new(Reads::new(Arc::clone(&timeline), partitions, log.generation()));
        let fanout = Standing::new(HistoryReader::Fanout, health.part("fanout"), metrics.clone());
        let archive = Standing::new(HistoryReader::Archive, health.part("archive"), metrics.clone());
        let refusals = Refusals::default();
        let shared = Shared { partitions, log, timeline, clock, metrics, written, refusals, fanout, archive };
        let shared = Arc::new(shared);
        let fanout = thread("fanout", &shared, fanning::TICK_MS, fanning::run)?;
        let archive = thread("archive", &shared, archive_every_ms, archiving::run)?;
        Ok(Self { reads, threads: vec![fanout, archive] })
    }

    /// Pages, chat lists, stretches.
    #[must_use]
    pub fn reads(&self) -> Arc<Reads> {
        Arc::clone(&self.reads)
    }

    /// Stops both readers between two steps; what was not committed is done again at the next start.
    pub fn stop(self) {
        for (stop, thread) in self.threads {
            drop(stop);
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

type Running = (oneshot::Sender<()>, std::thread::JoinHandle<()>);

/// One task a partition, on a thread of its own, until the sender is dropped.
fn thread<F, R>(name: &str, shared: &Arc<Shared>, tick_ms: u64, run: F) -> std::io::Result<Running>
where
    F: Fn(Partition, Arc<Shared>, News) -> R + Send + 'static,
    R: Future<Output = ()> + 'static,
{
    let (stop, stopped) = oneshot::channel();
    let shared = Arc::clone(shared);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let local = tokio::task::LocalSet::new();
        let (news, watch) = News::new(Arc::clone(&shared.log), Arc::clone(&shared.clock), tick_ms);
        local.spawn_local(watch.run());
        for partition in shared.partitions.iter() {
            local.spawn_local(run(partition, Arc::clone(&shared), news.clone()));
        }
        local.block_on(&runtime, async {
            // Dropped, never sent.
            let _ = stopped.await;
        });
    })?;
    Ok((stop, thread))
}
