//! A messaging node as the simulation runs it: its clock, its generator, the partitions that it reads, its
//! sessions. What it believes to own is in the real [`Served`](crate::cluster::Served), fed by the maps that
//! reach it; one that has not heard of a change goes on: a zombie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::map::{NodeKind, PartitionMap};
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_messaging::core::tail::Tail;

use crate::cluster::{Process, member};
use crate::network::ConnId;
use crate::owning::Slot;
use crate::session::SessionShell;
use crate::story::{What, tell};
use crate::world::{START_MS, Task, World};

/// Farthest that a node's clock may be from the log's, with what the log's own jitters.
const CLOCK_MOST_MS: i64 = 230;
/// Longer than any run.
pub(crate) const FAR: u64 = 100_000_000_000;
/// A node that reaches no config-node asks for its first map this often.
const ASK_AGAIN_MS: u64 = 250;

/// See the module.
pub(crate) struct Node {
    pub(crate) process: Process,
    offset: i64,
    drift_per_s: i64,
    drifts_since: u64,
    pub(crate) ids: Generator,
    /// For a node without a floor.
    pub(crate) floorless: Generator,
    pub(crate) slots: BTreeMap<Partition, Slot>,
    /// It sends sessions to other nodes.
    pub(crate) parting: bool,
    pub(crate) known: BTreeSet<UserId>,
    pub(crate) sessions: BTreeMap<ConnId, SessionShell>,
}

impl Node {
    pub(crate) fn down(n: usize, partitions: Partitions) -> Self {
        let process = Process::down(NodeKind::Messaging, n, partitions);
        let ids = Generator::new(0, Timestamp(0), Timestamp(0));
        let (slots, parting, known, sessions) = Default::default();
        let (offset, drift_per_s, drifts_since) = Default::default();
        let floorless = ids.clone();
        Self { process, offset, drift_per_s, drifts_since, ids, floorless, slots, parting, known, sessions }
    }

    fn clock_offset(&self, now: u64) -> i64 {
        let drifted = self.drift_per_s.saturating_mul((now - self.drifts_since) as i64) / 1_000;
        (self.offset + drifted).clamp(-CLOCK_MOST_MS, CLOCK_MOST_MS)
    }

    pub(crate) fn clock(&self, now: u64) -> Timestamp {
        Timestamp(now.saturating_add_signed(self.clock_offset(now)))
    }

    pub(crate) fn tail(&self, partition: Partition) -> Option<&Tail> {
        self.slots.get(&partition).map(|slot| &slot.tail)
    }

    pub(crate) fn tail_start(&self, partition: Partition) -> Offset {
        self.tail(partition).map_or(0, Tail::start)
    }

    /// Everything up to where the tail ends.
    pub(crate) fn tail_end(&self, partition: Partition) -> Option<Position> {
        let tail = self.tail(partition)?;
        tail.position_before(tail.head())
    }

    pub(crate) fn session_of(&self, device: DeviceId) -> Option<ConnId> {
        self.sessions.iter().find(|(_, held)| held.session.who().device == device).map(|(id, _)| *id)
    }

    pub(crate) fn sessions_of(&self, partition: Partition) -> Vec<ConnId> {
        self.sessions.iter().filter(|(_, held)| held.partition == partition).map(|(id, _)| *id).collect()
    }
}

impl World {
    pub(crate) fn partitions(&self) -> Partitions {
        self.log.partitions()
    }

    // ----- life and death -----

    /// A node starts with the first map that a config-node tells it.
    pub(crate) fn node_up(&mut self, n: usize) {
        if self.nodes[n].process.is_up() {
            return;
        }
        if self.nodes[n].process.is_severed(self.now) {
            return self.after(ASK_AGAIN_MS, Task::NodeUp(n));
        }
        if self.nodes[n].process.life == 0 && self.now > START_MS {
            self.story.count(What::Joined);
        }
        let generator = self.next_generator;
        self.next_generator += 2;
        let map = self.first_map(n);
        let now = self.nodes[n].clock(self.now);
        self.nodes[n].ids = Generator::new(generator, now, now.plus(FAR));
        self.nodes[n].floorless = Generator::new(generator + 1, now, now.plus(FAR));
        self.nodes[n].process.start(NodeKind::Messaging, n, map);
        tell!(self, ["all"], "node n{n} is up");
        let held: Vec<Partition> = self.nodes[n].process.served.held().collect();
        held.into_iter().for_each(|partition| self.gain(n, partition));
    }

    fn first_map(&self, n: usize) -> Arc<PartitionMap> {
        let own = || Arc::new(PartitionMap::whole(member(NodeKind::Messaging, n), self.partitions()));
        if self.has_maps(NodeKind::Messaging) { Arc::clone(&self.clusters.of(NodeKind::Messaging).map) } else { own() }
    }

    pub(crate) fn crash_node(&mut self, n: usize, ms: u64) -> bool {
        if !self.nodes[n].process.is_up() {
            return false;
        }
        self.story.count(What::NodeCrash);
        let node = &mut self.nodes[n];
        node.process.end();
        node.parting = false;
        node.slots.clear();
        node.known.clear();
        node.sessions.clear();
        self.after(ms, Task::NodeUp(n));
        let here = self.conns.iter().filter(|(_, conn)| conn.node == n);
        let here: Vec<_> = here.map(|(id, conn)| (conn.device, (*id, conn.socket))).collect();
        for (device, conn) in here {
            if self.devices[device].conn == Some(conn) {
                self.cut_device(device);
            }
        }
        true
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

    // ----- zombies -----

    /// Whether a newer map than the node's gives the partition to another.
    pub(crate) fn is_zombie(&self, n: usize, partition: Partition) -> bool {
        self.has_maps(NodeKind::Messaging) && self.owner_of(partition).is_some_and(|owner| owner != n)
    }

    /// A node acts for a partition: is it still the owner?
    pub(crate) fn count_zombie(&mut self, n: usize, partition: Partition) {
        if self.is_zombie(n, partition) {
            self.story.count(What::ZombieOwner);
        }
    }

    /// A node has taken a send of somebody whose partition this is. Since the newest map, have two?
    pub(crate) fn count_takers(&mut self, n: usize, partition: Partition) {
        if !self.has_maps(NodeKind::Messaging) {
            return;
        }
        let version = self.clusters.of(NodeKind::Messaging).map.version();
        let takers = self.takers.entry(partition).or_default();
        if takers.0 != version {
            *takers = (version, BTreeSet::new());
        }
        let both = takers.1.insert(n) && takers.1.len() == 2;
        if self.is_zombie(n, partition) {
            self.story.count(What::ZombieSend);
        }
        if both {
            self.story.count(What::BothSides);
        }
    }
}
