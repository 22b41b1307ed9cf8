//! How much is measured of partitions that move.

use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Moving {
    /// Pairs who write while partitions are given away.
    pub pairs: usize,
    /// Messages a second of all of them.
    pub rate: u64,
    /// Partitions given away in a round.
    pub moves: usize,
    /// Pairs who write while a node is drained, each of them recorded.
    pub drained_pairs: usize,
    /// Messages a second of all of them.
    pub drained_rate: u64,
    /// How often the node is drained.
    pub drains: usize,
    /// Pairs at two nodes, one of which is killed.
    pub killed_pairs: usize,
    /// Messages a second of all of them.
    pub killed_rate: u64,
    /// How often, at most.
    pub kills: usize,
    /// Messaging nodes against one.
    pub nodes: usize,
    /// Messages a second of each.
    pub node_rate: u64,
    /// How long their load lasts, and the silence before it.
    pub node_time: Duration,
    /// Pairs whose sessions break at once.
    pub storm_pairs: usize,
    /// Messages a second of all of them.
    pub storm_rate: u64,
    /// The calm before each storm.
    pub calm: Duration,
}

impl Moving {
    /// Those of the issue.
    pub(crate) const FULL: Self = Self {
        pairs: 200,
        rate: 500,
        moves: 8,
        drained_pairs: 100,
        drained_rate: 200,
        drains: 5,
        killed_pairs: 5_000,
        killed_rate: 100,
        kills: 3,
        nodes: 8,
        node_rate: 100,
        node_time: Duration::from_secs(10),
        storm_pairs: 7_450,
        storm_rate: 300,
        calm: Duration::from_secs(4),
    };

    /// For a test of the suite itself.
    pub(crate) const TINY: Self = Self {
        pairs: 40,
        rate: 200,
        moves: 8,
        drained_pairs: 6,
        drained_rate: 50,
        drains: 2,
        killed_pairs: 40,
        killed_rate: 30,
        kills: 1,
        nodes: 3,
        node_rate: 30,
        node_time: Duration::from_secs(2),
        storm_pairs: 20,
        storm_rate: 50,
        calm: Duration::from_secs(1),
    };
}
