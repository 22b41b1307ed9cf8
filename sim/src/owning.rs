//! The partitions that a messaging node reads: gained by a map and read from there on, lost by one and left
//! behind the last session. The same steps as in the real shell, `messaging-node/src/worker/moving.rs`.

use std::collections::BTreeSet;

use volery_kernel::chat::Recipient;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_messaging::core::parting::{STEP_MS, told_now};
use volery_messaging::core::tail::Tail;

use crate::cluster::{Moves, Place};
use crate::log::GENERATION;
use crate::mutation::Mutation;
use crate::network::ConnId;
use crate::oracle::Reader;
use crate::session::SessionShell;
use crate::world::{Task, World};

/// A partition that a node reads.
pub(crate) struct Slot {
    pub(crate) tail: Tail,
    /// Names this reading of it.
    pub(crate) reading: u64,
    /// The tail has begun.
    pub(crate) is_read: bool,
    /// When it was lost, or last had no owner after that; `None` while it is this node's.
    lost: Option<Timestamp>,
    /// Who has said hello too early.
    pub(crate) waiting: BTreeSet<ConnId>,
    /// Who wants to know when the tail's head is there.
    pub(crate) awaiting: Vec<(Offset, ConnId)>,
}

impl World {
    /// A map has changed which partitions a node serves.
    pub(crate) fn node_moves(&mut self, n: usize, Moves { gained, lost }: Moves) {
        gained.into_iter().for_each(|partition| self.gain(n, partition));
        let now = self.nodes[n].clock(self.now);
        for partition in lost {
            let silently = self.mutated(Mutation::LostInSilence) || self.mutated(Mutation::MovedUntold);
            if let Some(slot) = self.nodes[n].slots.get_mut(&partition).filter(|_| !silently) {
                slot.lost = Some(now);
            }
            self.stop_reading(n, partition);
        }
        if !self.nodes[n].parting {
            self.part(n);
        }
    }

    /// One that the last session has not left yet is read already.
    pub(crate) fn gain(&mut self, n: usize, partition: Partition) {
        if let Some(slot) = self.nodes[n].slots.get_mut(&partition) {
            slot.lost = None;
            return;
        }
        let reading = self.next_life();
        let tail = Tail::new(partition, GENERATION, 0, self.plan.tail_bytes);
        let slot = Slot { tail, reading, is_read: false, lost: None, waiting: BTreeSet::new(), awaiting: Vec::new() };
        self.nodes[n].slots.insert(partition, slot);
        let (end, delay) = (self.log.end(partition), self.rng.delay(60, 12_000));
        self.after(delay, Task::Begun(n, reading, partition, end));
    }

    fn slot(&mut self, n: usize, partition: Partition, reading: u64) -> Option<&mut Slot> {
        self.nodes[n].slots.get_mut(&partition).filter(|slot| slot.reading == reading)
    }

    /// What lies before the end, as it was when the partition was gained, is read.
    pub(crate) fn begun(&mut self, n: usize, reading: u64, partition: Partition, end: Offset) {
        if self.nodes[n].process.is_paused(self.now) {
            let at = self.nodes[n].process.paused_until;
            return self.at(at, Task::Begun(n, reading, partition, end));
        }
        let cold = self.mutated(Mutation::BeginsCold);
        let before = if cold { Vec::new() } else { self.read_back(Reader::Owner, partition, end) };
        let Some(slot) = self.slot(n, partition, reading) else { return };
        slot.tail.begin(end, &before);
        slot.is_read = true;
        let waiting = std::mem::take(&mut slot.waiting);
        waiting.into_iter().for_each(|id| self.read_frames(id));
        self.node_read(n, reading, partition);
    }

    pub(crate) fn node_read(&mut self, n: usize, reading: u64, partition: Partition) {
        if self.nodes[n].process.is_paused(self.now) {
            let at = self.nodes[n].process.paused_until;
            return self.at(at, Task::NodeRead(n, reading, partition));
        }
        let most = 1 + self.rng.index(8);
        let Some(slot) = self.slot(n, partition, reading).filter(|slot| slot.is_read) else { return };
        let head = slot.tail.head();
        let records = self.records(Reader::Owner, partition, head, most);
        let full = records.len() == most;
        let Some(slot) = self.slot(n, partition, reading) else { return };
        let news: BTreeSet<_> = records.into_iter().filter_map(|record| slot.tail.push(record)).collect();
        let head = slot.tail.head();
        let told: BTreeSet<_> = slot.awaiting.extract_if(.., |(end, _)| *end <= head).map(|(_, id)| id).collect();
        for id in self.nodes[n].sessions_of(partition) {
            let has_news = |held: &SessionShell| news.contains(&Recipient::User(held.session.who().user));
            if told.contains(&id) || self.nodes[n].sessions.get(&id).is_some_and(has_news) {
                self.session(id, |session, ctx, effects| session.advance(ctx, effects));
            }
        }
        if full {
            self.after(1, Task::NodeRead(n, reading, partition));
        }
    }

    fn stop_reading(&mut self, n: usize, partition: Partition) {
        let stops = self.mutated(Mutation::LostInSilence);
        if let Some(slot) = self.nodes[n].slots.get_mut(&partition).filter(|_| stops) {
            slot.reading = 0;
        }
    }

    /// One step of all partings, and the next one after it, while there is something to part from.
    pub(crate) fn part(&mut self, n: usize) {
        let lost: Vec<_> = self.nodes[n].slots.iter().filter_map(|(p, slot)| Some((*p, slot.lost?))).collect();
        self.nodes[n].parting = !lost.is_empty();
        if lost.is_empty() {
            return;
        }
        for (partition, since) in lost {
            self.part_from(n, partition, since);
        }
        let life = self.nodes[n].process.life;
        self.after(STEP_MS, Task::Part(n, life));
    }

    /// Sends those away whose turn it is; drops the partition behind the last.
    fn part_from(&mut self, n: usize, partition: Partition, since: Timestamp) {
        let now = self.nodes[n].clock(self.now);
        let node = &mut self.nodes[n];
        let sessions = node.sessions_of(partition);
        match node.process.served.place(partition) {
            Place::At(address) => {
                let (address, told) = (address.to_owned(), told_now(sessions.len(), now.since(since)));
                sessions.iter().take(told).for_each(|id| self.tell_moved(*id, &address));
            }
            Place::Here | Place::Nowhere => {
                node.slots.get_mut(&partition).into_iter().for_each(|slot| slot.lost = Some(now));
            }
        }
        if sessions.is_empty() {
            let dropped = self.nodes[n].slots.remove(&partition);
            let waiting = dropped.map(|slot| slot.waiting).unwrap_or_default();
            waiting.into_iter().for_each(|id| self.read_frames(id));
        }
    }

    pub(crate) fn part_on(&mut self, n: usize, life: u64) {
        let process = &self.nodes[n].process;
        if process.is_paused(self.now) {
            let at = process.paused_until;
            return self.at(at, Task::Part(n, life));
        }
        if process.life == life {
            self.part(n);
        }
    }
}
