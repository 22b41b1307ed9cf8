//! `map_imbalance` and `map_excess_moves`: who owns what, as a pure function, after many nodes came and went.

use std::collections::{BTreeMap, BTreeSet};

use loadtest::failure::Failure;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use volery_config::assign::{Step, next};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::Partitions;

use crate::bench::{Bench, Taken, progress};

/// The largest share over the mean.
pub(crate) const IMBALANCE: &str = "map_imbalance";
/// Partitions that moved over those that had to.
pub(crate) const EXCESS: &str = "map_excess_moves";

const PARTITIONS: u16 = 10_000;
const NODES: u32 = 1_000;
const CHANGES: u32 = 1_000;

pub(crate) fn run(bench: &Bench) -> Result<Taken, Failure> {
    let (mut imbalances, mut excesses) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let (imbalance, excess) = live(&mut StdRng::seed_from_u64(round as u64))?;
        progress(IMBALANCE, round, bench.rounds, &format!("{imbalance:.3}, {excess:.3} of the moves that had to be"));
        imbalances.push(imbalance);
        excesses.push(excess);
    }
    Ok(Taken { figures: vec![(IMBALANCE, imbalances), (EXCESS, excesses)], shares: Vec::new() })
}

/// A cluster's life: how uneven its last map is, and how much moved over what had to.
fn live(random: &mut StdRng) -> Result<(f64, f64), Failure> {
    let partitions = Partitions::new(PARTITIONS).ok_or(Failure("no partitions".to_owned()))?;
    let mut up: BTreeSet<u32> = (0..NODES).collect();
    let (mut map, _) = follow(&PartitionMap::unowned(partitions), &up)?;
    let (mut moved, mut least) = (0, 0);
    for newcomer in NODES..NODES + CHANGES {
        if random.random_bool(0.5) {
            up.insert(newcomer);
        } else if let Some(leaves) = up.iter().nth(random.random_range(0..up.len())).copied() {
            up.remove(&leaves);
        }
        let (next, moves) = follow(&map, &up)?;
        moved += moves;
        least += least_moves(&map, &up);
        map = next;
    }
    let most = holds(&map).into_values().max().unwrap_or_default();
    Ok((most as f64 * up.len() as f64 / f64::from(PARTITIONS), moved as f64 / least.max(1) as f64))
}

/// The map in which nothing is left to move, and how many moves led there, step by step.
fn follow(map: &PartitionMap, up: &BTreeSet<u32>) -> Result<(PartitionMap, usize), Failure> {
    let (mut map, mut moves) = (map.clone(), 0);
    while let Some(after) = next(&map, up.iter().map(|node| member(*node)), Step::Planned)? {
        moves += owners(&map).zip(owners(&after)).filter(|(before, after)| before != after).count();
        map = after;
    }
    Ok((map, moves))
}

fn member(node: u32) -> Member {
    Member::new(name(node), format!("ws://{node}"))
}

fn name(node: u32) -> String {
    format!("node-{node}")
}

fn owners(map: &PartitionMap) -> impl Iterator<Item = Option<&str>> {
    map.owners().map(move |owner| map.members().get(usize::from(owner?)).map(|member| member.name.as_str()))
}

/// How many partitions each node has.
fn holds(map: &PartitionMap) -> BTreeMap<&str, usize> {
    let mut holds = BTreeMap::new();
    owners(map).flatten().for_each(|owner| *holds.entry(owner).or_default() += 1);
    holds
}

/// What no even map could leave where it is: a node keeps its share at most, and those who hold most have the
/// larger shares where not all can be equal.
fn least_moves(map: &PartitionMap, up: &BTreeSet<u32>) -> usize {
    let holds = holds(map);
    let (each, larger) = (map.partitions() / up.len(), map.partitions() % up.len());
    let held: Vec<usize> = up.iter().map(|node| holds.get(name(*node).as_str()).copied().unwrap_or_default()).collect();
    let stay: usize = held.iter().map(|held| (*held).min(each)).sum();
    map.partitions() - stay - larger.min(held.iter().filter(|held| **held > each).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_move_is_what_leaves_and_what_newcomers_get() {
        let up = |count| (0..count).collect::<BTreeSet<u32>>();
        let partitions = Partitions::new(12).expect("some");
        let (of_three, _) = follow(&PartitionMap::unowned(partitions), &up(3)).expect("a map");
        assert_eq!([2, 3, 4, 5].map(|count| least_moves(&of_three, &up(count))), [4, 0, 3, 4]);
    }
}
