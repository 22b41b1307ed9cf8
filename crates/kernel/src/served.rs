//! Which partitions a node serves as the maps of its kind come and go, and who serves the others.
//!
//! A partition is gained when a newer map gives it to this node, and lost when one gives it to another:
//! while nobody owns it, whoever has it keeps it. Trap avoided: maps may come late, twice or out of order,
//! and a reader of them may miss some; so what changes is told from what is held, never from the last map.

use std::sync::Arc;

use crate::map::PartitionMap;
use crate::slot::Partition;

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::map::Member;

    const NODES: [&str; 3] = ["here", "there", "yonder"];

    fn url(name: &str) -> String {
        format!("ws://{name}/v1/ws")
    }

    fn map(version: u64, owners: &[Option<u16>]) -> Arc<PartitionMap> {
        let members = NODES.map(|name| Member::new(name.to_owned(), url(name)));
        Arc::new(PartitionMap::new(version, members.to_vec(), owners).unwrap())
    }

    fn here(version: u64, owners: &[Option<u16>]) -> Served {
        Served::new("here".to_owned(), map(version, owners))
    }

    fn held(served: &Served) -> BTreeSet<u16> {
        served.held().map(|partition| partition.0).collect()
    }

    #[test]
    fn a_partition_that_nobody_owns_stays_until_somebody_does() {
        let mut served = here(1, &[Some(0), Some(0), None]);
        assert_eq!(served.take(map(2, &[None, Some(0), None])), Moves::default());
        assert_eq!((served.place(Partition(0)), served.place(Partition(2))), (Place::Here, Place::Nowhere));
        let lost = Moves { gained: Vec::new(), lost: vec![Partition(0)] };
        assert_eq!(served.take(map(3, &[Some(1), Some(0), None])), lost);
        assert_eq!(served.place(Partition(0)), Place::At(&url("there")));
        // It is not this node's again because its new owner has gone.
        assert_eq!(served.take(map(4, &[None, Some(0), None])), Moves::default());
        assert_eq!(served.place(Partition(0)), Place::Nowhere);
    }

    #[test]
    fn only_a_newer_map_of_the_same_cluster_counts() {
        let mut served = here(5, &[Some(0), None]);
        for other in [map(5, &[Some(1), Some(0)]), map(4, &[Some(1), Some(0)]), map(6, &[Some(1), Some(0), Some(0)])] {
            assert_eq!(served.take(other), Moves::default());
        }
        assert_eq!(
            served.take(map(6, &[Some(1), Some(0)])),
            Moves { gained: vec![Partition(1)], lost: vec![Partition(0)] }
        );
        assert_eq!(served.place(Partition(9)), Place::Nowhere, "there is no such partition");
    }

    proptest! {
        #[test]
        fn what_is_held_follows_the_newest_map(
            maps in vec((0u64..6, vec(option::of(0u16..3), 8)), 1..12),
        ) {
            let mut served = here(0, &[None; 8]);
            let mut newest = (0, vec![None; 8]);
            for (version, owners) in maps {
                let before = held(&served);
                let moves = served.take(map(version, &owners));
                if version > newest.0 {
                    newest = (version, owners);
                }
                for (partition, owner) in (0u16..).zip(&newest.1) {
                    let place = served.place(Partition(partition));
                    let is_right = match owner {
                        Some(0) => place == Place::Here,
                        Some(other) => place == Place::At(&url(NODES[usize::from(*other)])),
                        None if before.contains(&partition) => place == Place::Here,
                        None => place == Place::Nowhere,
                    };
                    prop_assert!(is_right, "{partition} of {newest:?}: {place:?}");
                }
                let after = held(&served);
                prop_assert_eq!(moves.gained.iter().map(|p| p.0).collect::<BTreeSet<_>>(), &after - &before);
                prop_assert_eq!(moves.lost.iter().map(|p| p.0).collect::<BTreeSet<_>>(), &before - &after);
            }
        }
    }
}
