//! The node put together: a thread for fan-out, a thread for archive, the reads. Parts → start → handle. The threads
//! work on the partitions that the map gives to this node; the reads answer for everybody.
//!
//! Fan-out has a thread of its own, because archive's store may block its thread and echoes must not
//! wait for that.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use volery_kernel::map::PartitionMap;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock;
use volery_node::health::Health;
use volery_node::metrics::{HistoryReader, Metrics};
use volery_ports::log::Log;
use volery_ports::timeline::Timeline;

use crate::news::News;
use crate::reads::Reads;
use crate::standing::Standing;
use crate::written::WrittenThrough;
use crate::{archiving, fanning, moving};

/// [`Parts::archive_every_ms`] where an apply costs little.
pub const ARCHIVE_OFTEN_MS: u64 = 50;
/// The same where each row is a statement: what a conversation writes to one chat row again and again, and how far
/// a partition is, are then written twice a second at most. What is read is as much older.
pub const ARCHIVE_SELDOM_MS: u64 = 500;

/// What the node works with.
pub struct Parts {
    /// What maps call it.
    pub name: String,
    /// Which history node works on which partition.
    pub map: watch::Receiver<Arc<PartitionMap>>,
    /// Whether the cluster refuses the node. While it does, the node works on nothing, whatever the map says.
    pub refused: watch::Receiver<bool>,
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

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The map is another cluster's.
    #[error("the map speaks of {map} partitions, and the log has {log}")]
    Partitions {
        /// Those of the map.
        map: usize,
        /// Those of the log.
        log: u16,
    },
    /// The operating system has no thread to give.
    #[error("a thread of the history node did not start: {0}")]
    Thread(#[from] std::io::Error),
}

pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) map: watch::Receiver<Arc<PartitionMap>>,
    pub(crate) refused: watch::Receiver<bool>,
    pub(crate) partitions: Partitions,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) timeline: Arc<dyn Timeline>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) written: Arc<WrittenThrough>,
    pub(crate) fanout: Standing,
    pub(crate) archive: Standing,
}

impl Shared {
    pub(crate) fn standing(&self, reader: HistoryReader) -> &Standing {
        match reader {
            HistoryReader::Fanout => &self.fanout,
            HistoryReader::Archive => &self.archive,
        }
    }
}

/// A running node.
pub struct HistoryNode {
    reads: Arc<Reads>,
    threads: Vec<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl HistoryNode {
    /// Starts both readers of every partition that the map gives to this node.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { name, map, refused, log, timeline, archive_every_ms, clock, metrics, health } = parts;
        let partitions = same_partitions(log.partitions(), &map.borrow())?;
        let written = Arc::new(WrittenThrough::new(partitions));
        let reads = Reads::new(Arc::clone(&timeline), partitions, log.generation());
        let reads = Arc::new(reads.beside(Arc::clone(&written)));
        let fanout = Standing::new(HistoryReader::Fanout, health.part("fanout"), metrics.clone());
        let archive = Standing::new(HistoryReader::Archive, health.part("archive"), metrics.clone());
        let shared = Shared { name, map, refused, partitions, log, timeline, clock, metrics, written, fanout, archive };
        let shared = Arc::new(shared);
        let fanout = thread("fanout", HistoryReader::Fanout, &shared, fanning::TICK_MS, fanning::run)?;
        let archive = thread("archive", HistoryReader::Archive, &shared, archive_every_ms, archiving::run)?;
        Ok(Self { reads, threads: vec![fanout, archive] })
    }

    /// Pages, chat lists, stretches.
    #[must_use]
    pub fn reads(&self) -> Arc<Reads> {
        Arc::clone(&self.reads)
    }

    /// Stops both readers wherever they wait; what was not committed is done again by whoever goes on.
    pub fn stop(self) {
        for (stop, thread) in self.threads {
            drop(stop);
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

fn same_partitions(log: Partitions, map: &PartitionMap) -> Result<Partitions, StartError> {
    let same = usize::from(log.count()) == map.partitions();
    same.then_some(log).ok_or(StartError::Partitions { map: map.partitions(), log: log.count() })
}

type Running = (oneshot::Sender<()>, std::thread::JoinHandle<()>);

/// One task for each partition of this node, on a thread of its own, until the sender is dropped.
fn thread<F, R>(
    name: &str,
    reader: HistoryReader,
    shared: &Arc<Shared>,
    tick_ms: u64,
    run: F,
) -> std::io::Result<Running>
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
        let begin = {
            let shared = Arc::clone(&shared);
            move |partition| run(partition, Arc::clone(&shared), news.clone())
        };
        local.spawn_local(moving::follow(reader, shared, begin));
        local.block_on(&runtime, async {
            // Dropped, never sent.
            let _ = stopped.await;
        });
    })?;
    Ok((stop, thread))
}
