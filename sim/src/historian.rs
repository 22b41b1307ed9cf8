//! A history node as the simulation runs it: which partitions' fan-outs and archives it runs, as the maps say
//! that have reached it. The readers themselves are in `fanout` and `archive`. One that has not heard of a
//! change goes on beside its successor; one that stands still goes on later.

use std::collections::BTreeMap;
use std::sync::Arc;

use volery_kernel::map::NodeKind;
use volery_kernel::position::Source;
use volery_kernel::slot::{Partition, Partitions};

use crate::cluster::{Moves, Place, Process};
use crate::mutation::Mutation;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// It asks for its first map this often.
const ASK_AGAIN_MS: u64 = 250;

/// See the module.
pub(crate) struct Historian {
    pub(crate) process: Process,
    /// Through which place each partition's archive here has said that its rows are there.
    pub(crate) written: BTreeMap<Partition, Source>,
}

impl Historian {
    pub(crate) fn down(n: usize, partitions: Partitions) -> Self {
        Self { process: Process::down(NodeKind::History, n, partitions), written: BTreeMap::new() }
    }
}

impl World {
    pub(crate) fn historian_up(&mut self, n: usize) {
        if self.historians[n].process.is_up() {
            return;
        }
        if self.historians[n].process.is_severed(self.now) {
            return self.after(ASK_AGAIN_MS, Task::HistorianUp(n));
        }
        let map = Arc::clone(&self.clusters.of(NodeKind::History).map);
        self.historians[n].process.start(NodeKind::History, n, map);
        tell!(self, ["all"], "history node h{n} is up");
        let held: Vec<Partition> = self.historians[n].process.served.held().collect();
        held.into_iter().for_each(|partition| self.take_up(n, partition));
    }

    pub(crate) fn crash_historian(&mut self, n: usize, ms: u64) -> bool {
        if !self.historians[n].process.is_up() {
            return false;
        }
        self.story.count(What::NodeCrash);
        self.historians[n].process.end();
        self.historians[n].written.clear();
        self.partitions().iter().for_each(|partition| self.give_up(n, partition));
        self.after(ms, Task::HistorianUp(n));
        true
    }

    /// A map has changed which partitions a history node reads.
    pub(crate) fn historian_moves(&mut self, n: usize, Moves { gained, lost }: Moves) {
        for partition in lost {
            if self.mutated(Mutation::HandsOverUndone) {
                self.commit_all_read(n, partition);
            }
            self.give_up(n, partition);
        }
        gained.into_iter().for_each(|partition| self.take_up(n, partition));
    }

    /// At times from an older commit than the newest.
    fn take_up(&mut self, n: usize, partition: Partition) {
        let back = if self.rng.chance(300) { self.rng.index(6) } else { 0 };
        let life = self.historians[n].process.life;
        self.start_fanout(partition, (n, life), back);
        self.start_archive(partition, (n, life), back);
    }

    fn give_up(&mut self, n: usize, partition: Partition) {
        self.remove_fanout(partition, n);
        self.remove_archive(partition, n);
    }

    /// Whether this start of a history node is to run a partition's readers now.
    pub(crate) fn reads(&self, (n, life): (usize, u64), partition: Partition) -> bool {
        let process = &self.historians[n].process;
        process.life == life && process.is_up() && process.served.place(partition) == Place::Here
    }

    /// When a history node that stands still goes on.
    pub(crate) fn stands_still(&self, n: usize) -> Option<u64> {
        let process = &self.historians[n].process;
        process.is_paused(self.now).then_some(process.paused_until)
    }
}
