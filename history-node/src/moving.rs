//! A thread's partitions as maps come: the reader of one that is gained begins, that of one that is lost ends.
//!
//! Which they are is decided in [`volery_kernel::served`]. A reader ends wherever it waits, as in a crash: whoever
//! reads the partition next goes on from what is committed, and two readers at once are harmless. So the new owner and
//! the old one need no word with each other. Trap avoided: what a reader knew and said of a partition must not outlive
//! it, or health would complain of what is another's by now. So it has dropped everything before anything else begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_local};
use volery_kernel::served::Served;
use volery_kernel::slot::Partition;
use volery_node::metrics::HistoryReader;

use crate::node::Shared;

/// The readers of one kind that run on this thread.
struct Readers<F> {
    kind: HistoryReader,
    shared: Arc<Shared>,
    begin: F,
    running: BTreeMap<Partition, JoinHandle<()>>,
}

/// Runs readers of this kind, each as `begin` has it, for the partitions that are this node's. When nobody tells of
/// maps any more they go on by the last one.
pub(crate) async fn follow<F, R>(kind: HistoryReader, shared: Arc<Shared>, begin: F)
where
    F: Fn(Partition) -> R,
    R: Future<Output = ()> + 'static,
{
    let (mut maps, mut refused) = (shared.map.clone(), shared.refused.clone());
    let mut served = Served::new(shared.name.clone(), Arc::clone(&maps.borrow_and_update()));
    let mut readers = Readers { kind, shared, begin, running: BTreeMap::new() };
    loop {
        let works = !*refused.borrow_and_update();
        readers.run(served.held().filter(|_| works).collect()).await;
        tokio::select! {
            Ok(()) = maps.changed() => drop(served.take(Arc::clone(&maps.borrow_and_update()))),
            Ok(()) = refused.changed() => {}
            else => return,
        }
    }
}

impl<F, R> Readers<F>
where
    F: Fn(Partition) -> R,
    R: Future<Output = ()> + 'static,
{
    /// Those of these partitions run, and no others.
    async fn run(&mut self, held: BTreeSet<Partition>) {
        let running = self.running.keys().copied().collect::<BTreeSet<_>>();
        let (gained, lost) = (&held - &running, &running - &held);
        if !gained.is_empty() || !lost.is_empty() {
            tracing::info!(reader = ?self.kind, ?gained, ?lost, "partitions move");
        }
        for partition in lost {
            self.end(partition).await;
        }
        self.running.extend(gained.into_iter().map(|partition| (partition, spawn_local((self.begin)(partition)))));
        self.shared.standing(self.kind).holds(self.running.len(), self.shared.clock.now());
    }

    async fn end(&mut self, partition: Partition) {
        if let Some(reader) = self.running.remove(&partition) {
            reader.abort();
            // It was cut off, or had ended by itself.
            let _ = reader.await;
        }
        self.shared.standing(self.kind).goes_on(partition, self.shared.clock.now());
    }
}
