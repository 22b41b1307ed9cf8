//! Which partitions a node serves as maps come and go, and who serves the others.
//!
//! A partition is gained when a newer map gives it to this node, and lost when one gives it to another:
//! while nobody owns it, whoever has it keeps it. Trap avoided: maps may come late, twice or out of order,
//! and a reader of them may miss some; so what changes is told from what is held, never from the last map.

use std::sync::Arc;

use volery_kernel::limits;
use volery_kernel::map::PartitionMap;
use volery_kernel::slot::Partition;

/// A lost partition's sessions are told in steps of this many milliseconds.
pub const STEP_MS: u64 = 10;

/// See the module.
#[derive(Clone, Debug)]
pub struct Served {
    name: String,
    map: Arc<PartitionMap>,
    /// By partition.
    held: Vec<bool>,
}

/// Who serves a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// This node.
    Here,
    /// Another, at this address.
    At(&'a str),
    /// Nobody for now.
    Nowhere,
}

/// What a map changed for this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// To be served from now on.
    pub gained: Vec<Partition>,
    /// Another serves them from now on.
    pub lost: Vec<Partition>,
}

impl Served {
    /// What the map gives to the node of this name.
    #[must_use]
    pub fn new(name: String, map: Arc<PartitionMap>) -> Self {
        let held = partitions(map.partitions()).map(|partition| map.is_owned_by(partition, &name)).collect();
        Self { name, map, held }
    }

    /// Goes by another map if it is newer and of the same cluster: the number of partitions never changes.
    pub fn take(&mut self, map: Arc<PartitionMap>) -> Moves {
        let mut moves = Moves::default();
        if map.version() <= self.map.version() || map.partitions() != self.held.len() {
            return moves;
        }
        for (partition, held) in partitions(map.partitions()).zip(&mut self.held) {
            match (*held, map.owner(partition).map(|owner| owner.name == self.name)) {
                (false, Some(true)) => moves.gained.push(partition),
                (true, Some(false)) => moves.lost.push(partition),
                (_, Some(_) | None) => continue,
            }
            *held = !*held;
        }
        self.map = map;
        moves
    }

    /// Who serves a partition, as far as this node knows.
    #[must_use]
    pub fn place(&self, partition: Partition) -> Place<'_> {
        if self.held.get(usize::from(partition.0)) == Some(&true) {
            return Place::Here;
        }
        self.map.owner(partition).map_or(Place::Nowhere, |owner| Place::At(&owner.url))
    }

    /// What this node serves.
    pub fn held(&self) -> impl Iterator<Item = Partition> {
        partitions(self.held.len()).zip(&self.held).filter_map(|(partition, held)| held.then_some(partition))
    }
}

fn partitions(count: usize) -> impl Iterator<Item = Partition> {
    (0..=u16::MAX).take(count).map(Partition)
}

/// How many of a lost partition's sessions are told now, if so many wait and the first were told
/// `since_ms` ago: evenly, so that the last are told in time.
#[must_use]
pub fn told_now(waiting: usize, since_ms: u64) -> usize {
    let steps_left = limits::MOVED_WITHIN_MS.value.saturating_sub(since_ms) / STEP_MS;
    waiting.div_ceil(steps_left.max(1) as usize)
}
