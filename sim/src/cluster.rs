//! What config-nodes decide in the simulation: who is up, by the real rules of leases, and who owns what, by
//! the real function. There are two clusters, of messaging nodes and of history nodes, with a map each.
//!
//! How maps reach whoever goes by them is in `maps`. Trap avoided: a node that is severed or stands still
//! knows nothing of all this; what it believes is in its own `Served`, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use volery_config::assign::{self, Step};
use volery_config::leases::Watched;
use volery_kernel::map::{Member, MemberState, NodeKind, PartitionMap};
// How nodes follow maps: imported here alone.
pub(crate) use volery_kernel::served::{Moves, Place, Served};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::cluster_store::Lease;

use crate::story::{What, tell};
use crate::world::{Task, World};

/// Config-nodes look at the store this often, and nodes renew their leases as often.
const LOOK_MS: u64 = 500;

/// A node as a process that goes by maps, whatever its kind.
pub(crate) struct Process {
    /// Counts starts and ends; odd while it runs.
    pub(crate) life: u64,
    pub(crate) paused_until: u64,
    /// It reaches no config-node before this.
    pub(crate) severed_until: u64,
    /// It is to own nothing before this.
    drained_until: u64,
    pub(crate) served: Served,
    /// The newest map that it has heard of.
    pub(crate) heard: u64,
}

impl Process {
    pub(crate) fn down(kind: NodeKind, n: usize, partitions: Partitions) -> Self {
        let served = Served::new(member(kind, n).name, Arc::new(PartitionMap::unowned(partitions)));
        Self { life: 0, paused_until: 0, severed_until: 0, drained_until: 0, served, heard: 0 }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.life % 2 == 1
    }

    pub(crate) fn is_paused(&self, now: u64) -> bool {
        now < self.paused_until
    }

    pub(crate) fn is_severed(&self, now: u64) -> bool {
        now < self.severed_until
    }

    pub(crate) fn is_drained(&self, now: u64) -> bool {
        now < self.drained_until
    }

    fn renews(&self, now: u64) -> bool {
        self.is_up() && !self.is_paused(now) && !self.is_severed(now)
    }

    /// Starts, by this map.
    pub(crate) fn start(&mut self, kind: NodeKind, n: usize, map: Arc<PartitionMap>) {
        self.life += 1;
        self.heard = map.version();
        self.served = Served::new(member(kind, n).name, map);
    }

    pub(crate) fn end(&mut self) {
        self.life += 1;
        self.paused_until = 0;
    }
}

/// What config-nodes hold of the nodes of a kind.
pub(crate) struct Cluster {
    pub(crate) map: Arc<PartitionMap>,
    watched: Watched,
    leases: BTreeMap<usize, Lease>,
}

impl Cluster {
    pub(crate) fn new(partitions: Partitions) -> Self {
        let (watched, leases) = Default::default();
        Self { map: Arc::new(PartitionMap::unowned(partitions)), watched, leases }
    }
}

/// A node as its cluster knows it.
pub(crate) fn member(kind: NodeKind, n: usize) -> Member {
    match kind {
        NodeKind::Messaging => Member::new(format!("n{n}"), format!("ws://n{n}")),
        NodeKind::History => Member::new(format!("h{n}"), format!("http://h{n}")),
    }
}

impl World {
    pub(crate) fn process(&self, kind: NodeKind, n: usize) -> &Process {
        match kind {
            NodeKind::Messaging => &self.nodes[n].process,
            NodeKind::History => &self.historians[n].process,
        }
    }

    pub(crate) fn process_mut(&mut self, kind: NodeKind, n: usize) -> &mut Process {
        match kind {
            NodeKind::Messaging => &mut self.nodes[n].process,
            NodeKind::History => &mut self.historians[n].process,
        }
    }

    pub(crate) fn count_of(&self, kind: NodeKind) -> usize {
        match kind {
            NodeKind::Messaging => self.nodes.len(),
            NodeKind::History => self.historians.len(),
        }
    }

    /// The messaging node that owns a partition, as the newest map says.
    pub(crate) fn owner_of(&self, partition: Partition) -> Option<usize> {
        self.node_at(&self.clusters.of(NodeKind::Messaging).map.owner(partition)?.url)
    }

    /// The messaging node at an address.
    pub(crate) fn node_at(&self, url: &str) -> Option<usize> {
        (0..self.nodes.len()).find(|n| member(NodeKind::Messaging, *n).url == url)
    }

    // ----- what breaks -----

    pub(crate) fn sever(&mut self, kind: NodeKind, n: usize, ms: u64) -> bool {
        let until = self.now + ms;
        let process = self.process_mut(kind, n);
        process.severed_until = process.severed_until.max(until);
        process.is_up() && self.has_maps(kind)
    }

    /// The last node cannot be drained.
    pub(crate) fn drain(&mut self, kind: NodeKind, n: usize, ms: u64) -> bool {
        let now = self.now;
        let others = (0..self.count_of(kind)).filter(|other| *other != n);
        let stays = others.into_iter().any(|other| !self.process(kind, other).is_drained(now));
        if stays && self.has_maps(kind) {
            self.story.count(What::Drain);
            self.process_mut(kind, n).drained_until = now + ms;
        }
        stays && self.has_maps(kind)
    }

    pub(crate) fn pause(&mut self, kind: NodeKind, n: usize, ms: u64) -> bool {
        self.story.count(What::NodePause);
        let longer = if self.plan.long_pauses { 60_000 } else { 0 };
        let until = self.now + ms + longer;
        let process = self.process_mut(kind, n);
        process.paused_until = process.paused_until.max(until);
        process.is_up()
    }

    /// Nobody is severed or drained any more; what stands still goes on by itself.
    pub(crate) fn heal_clusters(&mut self) {
        for kind in NodeKind::ALL {
            for n in 0..self.count_of(kind) {
                let process = self.process_mut(kind, n);
                (process.severed_until, process.drained_until) = (0, 0);
            }
        }
        (0..self.nodes.len()).for_each(|n| self.node_up(n));
    }

    /// Whether its nodes go by maps at all.
    pub(crate) fn has_maps(&self, kind: NodeKind) -> bool {
        kind == NodeKind::History || !self.plan.any_node
    }

    // ----- leases and maps -----

    /// A look at the store: leases that were renewed, leases that ended, the map that follows.
    pub(crate) fn look(&mut self, kind: NodeKind) {
        self.renew_leases(kind);
        self.end_leases(kind);
        self.draw_map(kind);
        self.tell_behind(kind);
        self.at((self.now + LOOK_MS).max(self.night_until), Task::Look(kind));
    }

    /// A process that started anew waits until the lease of the one before has ended.
    fn renew_leases(&mut self, kind: NodeKind) {
        let now = self.now;
        for n in 0..self.count_of(kind) {
            let process = self.process(kind, n);
            if !process.renews(now) {
                continue;
            }
            let holder = process.life.to_string();
            let first = || Lease { member: member(kind, n), process: holder.clone(), renewed: Timestamp(now) };
            let lease = self.clusters.of_mut(kind).leases.entry(n).or_insert_with(first);
            if lease.process == holder {
                lease.renewed = Timestamp(now);
            }
        }
    }

    fn end_leases(&mut self, kind: NodeKind) {
        let now = Timestamp(self.now);
        let cluster = self.clusters.of_mut(kind);
        let ended = cluster.watched.look(cluster.leases.values().cloned().collect(), now, now);
        for lease in ended {
            self.clusters.of_mut(kind).leases.retain(|_, held| *held != lease);
            let n = (0..self.count_of(kind)).find(|n| member(kind, *n) == lease.member);
            let stands_still = n.is_some_and(|n| self.process(kind, n).is_paused(now.0));
            self.story.count(if stands_still { What::LeaseLostPaused } else { What::LeaseLost });
            tell!(self, ["all"], "the lease of {} has ended", lease.member.name);
        }
    }

    fn draw_map(&mut self, kind: NodeKind) {
        match assign::next(&self.clusters.of(kind).map, self.up(kind), Step::Planned) {
            Ok(Some(map)) => {
                tell!(self, ["all"], "{}", describe(&map));
                self.clusters.of_mut(kind).map = Arc::new(map);
                self.tell_all(kind);
            }
            Ok(None) => {}
            Err(error) => self.violate(format!("no map can be made: {error}"), Vec::new()),
        }
    }

    /// Those whose lease stands.
    fn up(&self, kind: NodeKind) -> Vec<Member> {
        let state =
            |n| if self.process(kind, n).is_drained(self.now) { MemberState::Draining } else { MemberState::Serving };
        let leases = self.clusters.of(kind).leases.iter();
        leases.map(|(n, lease)| Member { state: state(*n), ..lease.member.clone() }).collect()
    }

    /// What is not settled: who has no lease, what would move.
    pub(crate) fn cluster_unrest(&self, kind: NodeKind) -> Option<String> {
        let cluster = self.clusters.of(kind);
        if cluster.leases.len() < self.count_of(kind) {
            return Some(format!("not every {kind:?} node has a lease"));
        }
        let settled = matches!(assign::next(&cluster.map, self.up(kind), Step::Planned), Ok(None));
        (!settled).then(|| format!("partitions of {kind:?} nodes still move"))
    }
}

fn describe(map: &PartitionMap) -> String {
    let name = |owner: Option<u16>| owner.and_then(|owner| map.members().get(usize::from(owner)));
    let owner = |(p, owner)| format!(" p{p} {}", name(owner).map_or("nobody", |member| &member.name));
    let owners: String = map.owners().enumerate().map(owner).collect();
    format!("map {}:{owners}", map.version())
}
