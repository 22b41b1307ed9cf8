//! A messaging node as the simulation runs it: its clock, its generator, its tails, and which
//! partitions it believes to own. It holds a tail of every partition.
//!
//! The truth about owners is the world's; a node that has not heard of a change goes on: a zombie.

use std::collections::{BTreeMap, BTreeSet};

use volery_kernel::code::Close;
use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_messaging::core::tail::Tail;

use crate::log::GENERATION;
use crate::network::ConnId;
use crate::oracle::Reader;
use crate::session::SessionShell;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// Farthest that a node's clock may be from the log's, with what the log's own jitters.
const CLOCK_MOST_MS: i64 = 230;
/// Longer than any run.
pub(crate) const FAR: u64 = 100_000_000_000;

/// See the module.
pub(crate) struct Node {
    /// Counts starts; odd while it runs.
    pub(crate) life: u64,
    pub(crate) paused_until: u64,
    offset: i64,
    drift_per_s: i64,
    drifts_since: u64,
    pub(crate) ids: Generator,
    /// For a node without a floor.
    pub(crate) floorless: Generator,
    pub(crate) tails: BTreeMap<Partition, Tail>,
    pub(crate) known: BTreeSet<UserId>,
    /// The partitions that it believes to own.
    serves: BTreeSet<Partition>,
    pub(crate) sessions: BTreeMap<ConnId, SessionShell>,
}

impl Node {
    pub(crate) fn down() -> Self {
        let ids = Generator::new(0, Timestamp(0), Timestamp(0));
        let (tails, known, serves, sessions) = Default::default();
        let (life, paused_until, offset, drift_per_s, drifts_since) = Default::default();
        let floorless = ids.clone();
        Self { life, paused_until, offset, drift_per_s, drifts_since, ids, floorless, tails, known, serves, sessions }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.life % 2 == 1
    }

    pub(crate) fn is_paused(&self, now: u64) -> bool {
        now < self.paused_until
    }

    pub(crate) fn serves(&self, partition: Partition) -> bool {
        self.serves.contains(&partition)
    }

    fn clock_offset(&self, now: u64) -> i64 {
        let drifted = self.drift_per_s.saturating_mul((now - self.drifts_since) as i64) / 1_000;
        (self.offset + drifted).clamp(-CLOCK_MOST_MS, CLOCK_MOST_MS)
    }

    pub(crate) fn clock(&self, now: u64) -> Timestamp {
        Timestamp(now.saturating_add_signed(self.clock_offset(now)))
    }

    pub(crate) fn tail_start(&self, partition: Partition) -> Offset {
        self.tails.get(&partition).map_or(0, Tail::start)
    }

    /// Everything up to where the tail ends.
    pub(crate) fn tail_end(&self, partition: Partition) -> Option<Position> {
        let tail = self.tails.get(&partition)?;
        tail.position_before(tail.head())
    }

    pub(crate) fn session_of(&self, device: DeviceId) -> Option<ConnId> {
        self.sessions.iter().find(|(_, held)| held.session.who().device == device).map(|(id, _)| *id)
    }
}

impl World {
    pub(crate) fn partitions(&self) -> Partitions {
        self.log.partitions()
    }

    // ----- life and death -----

    pub(crate) fn node_up(&mut self, n: usize) {
        let generator = self.next_generator;
        self.next_generator += 2;
        let partitions = self.partitions();
        if self.nodes[n].is_up() {
            return;
        }
        self.nodes[n].life += 1;
        let now = self.nodes[n].clock(self.now);
        self.nodes[n].ids = Generator::new(generator, now, now.plus(FAR));
        self.nodes[n].floorless = Generator::new(generator + 1, now, now.plus(FAR));
        for partition in partitions.iter() {
            let end = self.log.end(partition);
            let mut tail = Tail::new(partition, GENERATION, end, self.plan.tail_bytes);
            self.read_back(Reader::Owner, partition, end).iter().for_each(|record| tail.warm(record));
            self.nodes[n].tails.insert(partition, tail);
            self.map_heard(n, partition);
        }
        tell!(self, ["all"], "node n{n} is up");
    }

    pub(crate) fn crash_node(&mut self, n: usize, ms: u64) -> bool {
        if !self.nodes[n].is_up() {
            return false;
        }
        self.story.count(What::NodeCrash);
        let node = &mut self.nodes[n];
        node.life += 1;
        node.tails.clear();
        node.known.clear();
        node.paused_until = 0;
        let lost = std::mem::take(&mut node.sessions);
        self.after(ms, Task::NodeUp(n));
        for (id, _) in lost {
            let Some(conn) = self.conns.get(&id) else { continue };
            if self.devices[conn.device].conn == Some((id, conn.socket)) {
                self.cut_device(conn.device);
            }
        }
        true
    }

    pub(crate) fn pause_node(&mut self, n: usize, ms: u64) -> bool {
        self.story.count(What::NodePause);
        let longer = if self.plan.long_pauses { 60_000 } else { 0 };
        let node = &mut self.nodes[n];
        node.paused_until = node.paused_until.max(self.now + ms + longer);
        node.is_up()
    }

    // ----- clocks -----

    pub(crate) fn step_clock(&mut self, n: usize) {
        let offset = self.rng.within(0, 2 * CLOCK_MOST_MS as u64) as i64 - CLOCK_MOST_MS;
        (self.nodes[n].offset, self.nodes[n].drift_per_s) = (offset, 0);
        tell!(self, ["all"], "the clock of n{n} is {offset} ms off");
    }

    pub(crate) fn drift_clock(&mut self, n: usize, per_s: i64) {
        let now = self.now;
        let node = &mut self.nodes[n];
        (node.offset, node.drift_per_s, node.drifts_since) = (node.clock_offset(now), per_s, now);
    }

    // ----- the map -----

    /// The map changes. The new owner hears of it at once, the old one later.
    pub(crate) fn move_partition(&mut self, partition: Partition, to: usize, ms: u64) -> bool {
        let from = std::mem::replace(&mut self.owners[usize::from(partition.0)], to);
        if from != to {
            self.map_heard(to, partition);
            self.after(ms, Task::MapHeard(from, partition));
        }
        from != to && !self.plan.any_node
    }

    /// A node hears who owns a partition: one that does not any more sends its sessions away.
    pub(crate) fn map_heard(&mut self, n: usize, partition: Partition) {
        if self.plan.any_node || self.owners[usize::from(partition.0)] == n {
            self.nodes[n].serves.insert(partition);
        } else if self.nodes[n].serves.remove(&partition) {
            let sessions = self.nodes[n].sessions.iter().filter(|(_, held)| held.partition == partition);
            let sessions: Vec<ConnId> = sessions.map(|(id, _)| *id).collect();
            sessions.into_iter().for_each(|id| self.close_session(id, Close::Moved));
        }
    }

    /// A node that takes a user's device now: mostly the owner, or one that still believes so.
    pub(crate) fn node_for(&mut self, partition: Partition) -> usize {
        let willing: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].serves(partition)).collect();
        let owner = self.owners[usize::from(partition.0)];
        if willing.is_empty() { owner } else { willing[self.rng.index(willing.len())] }
    }

    /// A node acts for a partition: is it still the owner?
    pub(crate) fn count_zombie(&mut self, n: usize, partition: Partition) {
        if !self.plan.any_node && self.owners[usize::from(partition.0)] != n {
            self.story.count(What::ZombieOwner);
        }
    }

    // ----- reading -----

    pub(crate) fn node_read(&mut self, n: usize, life: u64, partition: Partition) {
        let node = &self.nodes[n];
        if node.life != life || !node.is_up() {
            return;
        }
        if node.is_paused(self.now) {
            let at = node.paused_until;
            return self.at(at, Task::NodeRead(n, life, partition));
        }
        let most = 1 + self.rng.index(8);
        let Some(head) = self.nodes[n].tails.get(&partition).map(Tail::head) else { return };
        let records = self.records(Reader::Owner, partition, head, most);
        let full = records.len() == most;
        if let Some(tail) = self.nodes[n].tails.get_mut(&partition) {
            for record in records {
                tail.push(record);
            }
        }
        let here = self.nodes[n].sessions.iter().filter(|(_, held)| held.partition == partition);
        let here: Vec<ConnId> = here.map(|(id, _)| *id).collect();
        for id in here {
            self.session(id, |session, ctx, effects| session.advance(ctx, effects));
        }
        if full {
            self.after(1, Task::NodeRead(n, life, partition));
        }
    }
}
