//! Maps on their way to whoever goes by them: late, lost, twice, out of order. Who lacks the newest one is
//! told again and again, as a watch that is broken off is begun again.

use std::sync::Arc;

use volery_kernel::map::{NodeKind, PartitionMap};

use crate::cluster::Moves;
use crate::mutation::Mutation;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// Gateways: they send devices to nodes.
pub(crate) const GATEWAYS: usize = 2;

/// Who goes by maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follower {
    Node(NodeKind, usize),
    Gateway(usize),
}

impl World {
    fn followers(&self, kind: NodeKind) -> impl Iterator<Item = Follower> + use<> {
        let gateways = if kind == NodeKind::Messaging { GATEWAYS } else { 0 };
        let nodes = (0..self.count_of(kind)).map(move |n| Follower::Node(kind, n));
        nodes.chain((0..gateways).map(Follower::Gateway))
    }

    fn heard_by(&self, follower: Follower) -> u64 {
        match follower {
            Follower::Node(kind, n) => self.process(kind, n).heard,
            Follower::Gateway(n) => self.gateways[n].version(),
        }
    }

    /// There is a new map.
    pub(crate) fn tell_all(&mut self, kind: NodeKind) {
        self.followers(kind).for_each(|follower| self.tell_map(kind, follower));
    }

    pub(crate) fn tell_behind(&mut self, kind: NodeKind) {
        let newest = self.clusters.of(kind).map.version();
        for follower in self.followers(kind) {
            if self.heard_by(follower) < newest && self.rng.chance(500) {
                self.tell_map(kind, follower);
            }
        }
    }

    fn tell_map(&mut self, kind: NodeKind, to: Follower) {
        let life = match to {
            Follower::Node(kind, n) => self.process(kind, n).life,
            Follower::Gateway(_) => 0,
        };
        if self.rng.chance(150) {
            self.story.count(What::MapLost);
            return;
        }
        let times = if self.rng.chance(100) { 2 } else { 1 };
        for _ in 0..times {
            let late = self.rng.chance(250);
            let delay = if late { self.rng.within(200, 6_000) } else { self.rng.delay(20, 200) };
            let map = Arc::clone(&self.clusters.of(kind).map);
            self.after(delay, Task::Map(to, life, map));
        }
    }

    /// A map has come.
    pub(crate) fn map_heard(&mut self, follower: Follower, life: u64, map: Arc<PartitionMap>) {
        match follower {
            Follower::Gateway(n) if map.version() > self.gateways[n].version() => self.gateways[n] = map,
            Follower::Gateway(_) => {}
            Follower::Node(kind, n) => self.node_hears(kind, n, life, map),
        }
    }

    fn node_hears(&mut self, kind: NodeKind, n: usize, life: u64, map: Arc<PartitionMap>) {
        let (now, process) = (self.now, self.process_mut(kind, n));
        if process.is_paused(now) {
            let at = process.paused_until;
            return self.at(at, Task::Map(Follower::Node(kind, n), life, map));
        }
        if process.life != life || !process.is_up() || process.is_severed(now) {
            return;
        }
        let heard = process.heard;
        process.heard = heard.max(map.version());
        if map.version() < heard {
            self.story.count(What::MapOutOfOrder);
        }
        let map = if self.mutated(Mutation::LastMapWins) { as_newest(&map, now) } else { map };
        let moves = self.process_mut(kind, n).served.take(map);
        self.follow(kind, n, moves);
    }

    /// A node does what a map has changed for it.
    fn follow(&mut self, kind: NodeKind, n: usize, moves: Moves) {
        if moves != Moves::default() {
            let (Moves { gained, lost }, name) = (&moves, crate::cluster::member(kind, n).name);
            tell!(self, ["all"], "{name} gains {gained:?} and loses {lost:?}");
        }
        match kind {
            NodeKind::Messaging => self.node_moves(n, moves),
            NodeKind::History => self.historian_moves(n, moves),
        }
    }

    /// Whether everybody goes by the newest map.
    pub(crate) fn maps_unrest(&self, kind: NodeKind) -> Option<String> {
        let newest = self.clusters.of(kind).map.version();
        let behind = self.followers(kind).find(|follower| self.heard_by(*follower) < newest);
        behind.map(|follower| format!("{follower:?} has not heard of map {newest}"))
    }
}

/// The same map under a version above all that were heard.
fn as_newest(map: &PartitionMap, now: u64) -> Arc<PartitionMap> {
    let owners: Vec<_> = map.owners().collect();
    let same = PartitionMap::new(now, map.members().to_vec(), &owners);
    Arc::new(same.unwrap_or_else(|_| map.clone()))
}
