//! What config-nodes decide in the simulation: who is up, by the real rules of leases, and who owns what, by
//! the real function. There are two clusters, of messaging nodes and of history nodes, with a map each.
//!
//! How maps reach whoever goes by them is in `maps`. Trap avoided: a node that is severed or stands still
//! knows nothing of all this; what it believes is in its own `Served`, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use volery_config::assign;
use volery_config::leases::Watched;
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
// How nodes follow maps: imported here alone.
pub(crate) use volery_messaging::core::served::{Moves, Place, STEP_MS, Served, told_now};
use volery_ports::cluster_store::Lease;

use crate::fault::Role;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// Config-nodes look at the store this often, and nodes renew their leases as often.
const LOOK_MS: u64 = 500;

/// A node as a process that goes by maps, whatever its role.
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
    pub(crate) fn down(role: Role, n: usize, partitions: Partitions) -> Self {
        let served = Served::new(member(role, n).name, Arc::new(PartitionMap::unowned(partitions)));
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
    pub(crate) fn start(&mut self, role: Role, n: usize, map: Arc<PartitionMap>) {
        self.life += 1;
        self.heard = map.version();
        self.served = Served::new(member(role, n).name, map);
    }

    pub(crate) fn end(&mut self) {
        self.life += 1;
        self.paused_until = 0;
    }
}

/// What config-nodes hold of the nodes of a role.
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
pub(crate) fn member(role: Role, n: usize) -> Member {
    match role {
        Role::Messaging => Member { name: format!("n{n}"), url: format!("ws://n{n}") },
        Role::History => Member { name: format!("h{n}"), url: format!("http://h{n}") },
    }
}

impl World {
    pub(crate) fn cluster(&self, role: Role) -> &Cluster {
        match role {
            Role::Messaging => &self.messaging,
            Role::History => &self.history_nodes,
        }
    }

    fn cluster_mut(&mut self, role: Role) -> &mut Cluster {
        match role {
            Role::Messaging => &mut self.messaging,
            Role::History => &mut self.history_nodes,
        }
    }

    pub(crate) fn process(&self, role: Role, n: usize) -> &Process {
        match role {
            Role::Messaging => &self.nodes[n].process,
            Role::History => &self.historians[n].process,
        }
    }

    pub(crate) fn process_mut(&mut self, role: Role, n: usize) -> &mut Process {
        match role {
            Role::Messaging => &mut self.nodes[n].process,
            Role::History => &mut self.historians[n].process,
        }
    }

    pub(crate) fn count_of(&self, role: Role) -> usize {
        match role {
            Role::Messaging => self.nodes.len(),
            Role::History => self.historians.len(),
        }
    }

    /// The messaging node that owns a partition, as the newest map says.
    pub(crate) fn owner_of(&self, partition: Partition) -> Option<usize> {
        self.node_at(&self.messaging.map.owner(partition)?.url)
    }

    /// The messaging node at an address.
    pub(crate) fn node_at(&self, url: &str) -> Option<usize> {
        (0..self.nodes.len()).find(|n| member(Role::Messaging, *n).url == url)
    }

    // ----- what breaks -----

    pub(crate) fn sever(&mut self, role: Role, n: usize, ms: u64) -> bool {
        let until = self.now + ms;
        let process = self.process_mut(role, n);
        process.severed_until = process.severed_until.max(until);
        process.is_up() && self.has_maps(role)
    }

    /// The last node cannot be drained.
    pub(crate) fn drain(&mut self, role: Role, n: usize, ms: u64) -> bool {
        let now = self.now;
        let others = (0..self.count_of(role)).filter(|other| *other != n);
        let stays = others.into_iter().any(|other| !self.process(role, other).is_drained(now));
        if stays && self.has_maps(role) {
            self.story.count(What::Drain);
            self.process_mut(role, n).drained_until = now + ms;
        }
        stays && self.has_maps(role)
    }

    pub(crate) fn pause(&mut self, role: Role, n: usize, ms: u64) -> bool {
        self.story.count(What::NodePause);
        let longer = if self.plan.long_pauses { 60_000 } else { 0 };
        let until = self.now + ms + longer;
        let process = self.process_mut(role, n);
        process.paused_until = process.paused_until.max(until);
        process.is_up()
    }

    /// Nobody is severed or drained any more; what stands still goes on by itself.
    pub(crate) fn heal_clusters(&mut self) {
        for role in [Role::Messaging, Role::History] {
            for n in 0..self.count_of(role) {
                let process = self.process_mut(role, n);
                (process.severed_until, process.drained_until) = (0, 0);
            }
        }
        (0..self.nodes.len()).for_each(|n| self.node_up(n));
    }

    /// Whether its nodes go by maps at all.
    pub(crate) fn has_maps(&self, role: Role) -> bool {
        role == Role::History || !self.plan.any_node
    }

    // ----- leases and maps -----

    /// A look at the store: leases that were renewed, leases that ended, the map that follows.
    pub(crate) fn look(&mut self, role: Role) {
        self.renew_leases(role);
        self.end_leases(role);
        self.draw_map(role);
        self.tell_behind(role);
        self.at((self.now + LOOK_MS).max(self.night_until), Task::Look(role));
    }

    /// A process that started anew waits until the lease of the one before has ended.
    fn renew_leases(&mut self, role: Role) {
        let now = self.now;
        for n in 0..self.count_of(role) {
            let process = self.process(role, n);
            if !process.renews(now) {
                continue;
            }
            let holder = process.life.to_string();
            let first = || Lease { member: member(role, n), process: holder.clone(), renewed: Timestamp(now) };
            let lease = self.cluster_mut(role).leases.entry(n).or_insert_with(first);
            if lease.process == holder {
                lease.renewed = Timestamp(now);
            }
        }
    }

    fn end_leases(&mut self, role: Role) {
        let now = Timestamp(self.now);
        let cluster = self.cluster_mut(role);
        let ended = cluster.watched.look(cluster.leases.values().cloned().collect(), now, now);
        for lease in ended {
            self.cluster_mut(role).leases.retain(|_, held| *held != lease);
            let n = (0..self.count_of(role)).find(|n| member(role, *n) == lease.member);
            let stands_still = n.is_some_and(|n| self.process(role, n).is_paused(now.0));
            self.story.count(if stands_still { What::LeaseLostPaused } else { What::LeaseLost });
            tell!(self, ["all"], "the lease of {} has ended", lease.member.name);
        }
    }

    fn draw_map(&mut self, role: Role) {
        match assign::next(&self.cluster(role).map, self.up(role)) {
            Ok(Some(map)) => {
                tell!(self, ["all"], "{}", describe(&map));
                self.cluster_mut(role).map = Arc::new(map);
                self.tell_all(role);
            }
            Ok(None) => {}
            Err(error) => self.violate(format!("no map can be made: {error}"), Vec::new()),
        }
    }

    /// Those whose lease stands and who may own something.
    fn up(&self, role: Role) -> Vec<Member> {
        let leases = self.cluster(role).leases.iter();
        let up = leases.filter(|(n, _)| !self.process(role, **n).is_drained(self.now));
        up.map(|(_, lease)| lease.member.clone()).collect()
    }

    /// What is not settled: who has no lease, what would move.
    pub(crate) fn cluster_unrest(&self, role: Role) -> Option<String> {
        let cluster = self.cluster(role);
        if cluster.leases.len() < self.count_of(role) {
            return Some(format!("not every {role:?} node has a lease"));
        }
        let settled = matches!(assign::next(&cluster.map, self.up(role)), Ok(None));
        (!settled).then(|| format!("partitions of {role:?} nodes still move"))
    }
}

fn describe(map: &PartitionMap) -> String {
    let name = |owner: Option<u16>| owner.and_then(|owner| map.members().get(usize::from(owner)));
    let owner = |(p, owner)| format!(" p{p} {}", name(owner).map_or("nobody", |member| &member.name));
    let owners: String = map.owners().enumerate().map(owner).collect();
    format!("map {}:{owners}", map.version())
}
