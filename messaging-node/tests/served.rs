//! What a node serves, over every sequence of maps: those that come late or twice, and those that give a
//! partition to nobody.

#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use volery_kernel::limits;
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::Partition;
use volery_messaging::core::served::{Moves, Place, STEP_MS, Served, told_now};

const NODES: [&str; 3] = ["here", "there", "yonder"];

fn url(name: &str) -> String {
    format!("ws://{name}/v1/ws")
}

fn map(version: u64, owners: &[Option<u16>]) -> Arc<PartitionMap> {
    let members = NODES.map(|name| Member::new(name.to_owned(), url(name)));
    Arc::new(PartitionMap::new(version, members.to_vec(), owners).expect("a map"))
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

    #[test]
    fn a_lost_partitions_sessions_are_told_in_time_and_never_all_at_once(sessions in 0usize..20_000) {
        let steps = limits::MOVED_WITHIN_MS.value / STEP_MS;
        let (mut waiting, mut most) = (sessions, 0);
        for step in 0..steps {
            let told = told_now(waiting, step * STEP_MS);
            (waiting, most) = (waiting - told, most.max(told));
        }
        prop_assert_eq!(waiting, 0);
        prop_assert!(most <= sessions.div_ceil(steps as usize), "{} of {} in one step", most, sessions);
        prop_assert_eq!(told_now(sessions, limits::MOVED_WITHIN_MS.value + 1), sessions, "late: all at once");
    }
}
