//! Maps on their way to whoever goes by them: late, lost, twice, out of order. Who lacks the newest one is
//! told again and again, as a watch that is broken off is begun again.

use std::sync::Arc;

use volery_kernel::map::PartitionMap;

use crate::cluster::Moves;
use crate::fault::Role;
use crate::mutation::Mutation;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// Gateways: they send devices to nodes.
pub(crate) const GATEWAYS: usize = 2;

/// Who goes by maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follower {
    Node(Role, usize),
    Gateway(usize),
}

impl World {
    fn followers(&self, role: Role) -> impl Iterator<Item = Follower> + use<> {
        let gateways = if role == Role::Messaging { GATEWAYS } else { 0 };
        let nodes = (0..self.count_of(role)).map(move |n| Follower::Node(role, n));
        nodes.chain((0..gateways).map(Follower::Gateway))
    }

    fn heard_by(&self, follower: Follower) -> u64 {
        match follower {
            Follower::Node(role, n) => self.process(role, n).heard,
            Follower::Gateway(n) => self.gateways[n].version(),
        }
    }

    /// There is a new map.
    pub(crate) fn tell_all(&mut self, role: Role) {
        self.followers(role).for_each(|follower| self.tell_map(role, follower));
    }

    pub(crate) fn tell_behind(&mut self, role: Role) {
        let newest = self.cluster(role).map.version();
        for follower in self.followers(role) {
            if self.heard_by(follower) < newest && self.rng.chance(500) {
                self.tell_map(role, follower);
            }
        }
    }

    fn tell_map(&mut self, role: Role, to: Follower) {
        let life = match to {
            Follower::Node(role, n) => self.process(role, n).life,
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
            let map = Arc::clone(&self.cluster(role).map);
            self.after(delay, Task::Map(to, life, map));
        }
    }

    /// A map has come.
    pub(crate) fn map_heard(&mut self, follower: Follower, life: u64, map: Arc<PartitionMap>) {
        match follower {
            Follower::Gateway(n) if map.version() > self.gateways[n].version() => self.gateways[n] = map,
            Follower::Gateway(_) => {}
            Follower::Node(role, n) => self.node_hears(role, n, life, map),
        }
    }

    fn node_hears(&mut self, role: Role, n: usize, life: u64, map: Arc<PartitionMap>) {
        let (now, process) = (self.now, self.process_mut(role, n));
        if process.is_paused(now) {
            let at = process.paused_until;
            return self.at(at, Task::Map(Follower::Node(role, n), life, map));
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
        let moves = self.process_mut(role, n).served.take(map);
        self.follow(role, n, moves);
    }

    /// A node does what a map has changed for it.
    fn follow(&mut self, role: Role, n: usize, moves: Moves) {
        if moves != Moves::default() {
            let (Moves { gained, lost }, name) = (&moves, crate::cluster::member(role, n).name);
            tell!(self, ["all"], "{name} gains {gained:?} and loses {lost:?}");
        }
        match role {
            Role::Messaging => self.node_moves(n, moves),
            Role::History => self.historian_moves(n, moves),
        }
    }

    /// Whether everybody goes by the newest map.
    pub(crate) fn maps_unrest(&self, role: Role) -> Option<String> {
        let newest = self.cluster(role).map.version();
        let behind = self.followers(role).find(|follower| self.heard_by(*follower) < newest);
        behind.map(|follower| format!("{follower:?} has not heard of map {newest}"))
    }
}

/// The same map under a version above all that were heard.
fn as_newest(map: &PartitionMap, now: u64) -> Arc<PartitionMap> {
    let owners: Vec<_> = map.owners().collect();
    let same = PartitionMap::new(now, map.members().to_vec(), &owners);
    Arc::new(same.unwrap_or_else(|_| map.clone()))
}
