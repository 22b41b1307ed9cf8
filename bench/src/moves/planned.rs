//! `planned_move_p99_s` and the same on Kafka: a partition is given to another node under load; from the loss of a
//! device's socket until it is caught up there.

use hdrhistogram::Histogram;
use loadtest::failure::Failure;
use loadtest::moves::Why;

use super::cluster::{Cluster, PARTITIONS};
use super::pairs::Pairs;
use crate::bench::{Bench, progress};
use crate::stats::p99;

/// The figure on the embedded log.
pub(crate) const EMBEDDED: &str = "planned_move_p99_s";
/// The figure on Kafka.
pub(crate) const KAFKA: &str = "kafka_planned_move_p99_s";

/// A round for each figure: partitions go to the next node, one after the other.
///
/// # Errors
/// Devices do not follow, or too few moved.
pub(crate) async fn run(
    bench: &Bench,
    cluster: &mut dyn Cluster,
    name: &'static str,
    nodes: usize,
) -> Result<Vec<f64>, Failure> {
    let pairs = Pairs::connect(cluster, bench.sizes.moving.pairs, None).await?;
    pairs.write(bench.sizes.moving.rate);
    let mut rounds = Vec::new();
    for round in 0..bench.rounds {
        pairs.fleet.begin();
        for step in 0..bench.sizes.moving.moves {
            pairs.talk().await?;
            one(cluster, &pairs, ((round * bench.sizes.moving.moves + step) % usize::from(PARTITIONS)) as u16, nodes)
                .await?;
        }
        let times = moved(&pairs)?;
        let seconds = p99(&times)? / 1e6;
        progress(name, round, bench.rounds, &format!("{seconds:.3} s, {} devices", times.len()));
        rounds.push(seconds);
    }
    Ok(rounds)
}

/// Gives a partition to the node after the one that has it.
async fn one(cluster: &mut dyn Cluster, pairs: &Pairs, partition: u16, nodes: usize) -> Result<(), Failure> {
    let devices = pairs.of(partition);
    let Some(from) = devices.first().and_then(|device| pairs.at(*device)) else { return Ok(()) };
    let number = (0..nodes).find(|node| cluster.address(*node) == from).unwrap_or_default();
    let to = (number + 1) % nodes;
    cluster.give(partition, to)?;
    let there = cluster.address(to).to_owned();
    pairs.are(&devices, |node| node == there).await
}

/// How long those were away who were told to move, in µs.
fn moved(pairs: &Pairs) -> Result<Histogram<u64>, Failure> {
    let tally = pairs.fleet.tally();
    let mut all = Histogram::new(2)?;
    for (_, times) in tally.moves.ways().filter(|(way, _)| way.why == Why::Moved) {
        all.add(times)?;
    }
    Ok(all)
}
