//! `killed_node_p99_s`: `kill -9` of a messaging node under load, on Kafka; from the loss of each socket until the
//! device is caught up at another node, the dead one's lease of 3 s included.

use hdrhistogram::Histogram;
use loadtest::failure::Failure;

use super::cluster::Cluster as _;
use super::kafka::OnKafka;
use super::pairs::Pairs;
use crate::bench::{Bench, progress};
use crate::stats::p99;

/// The figure.
pub(crate) const NAME: &str = "killed_node_p99_s";

/// Kills the second of two nodes, which has about half of all sessions.
///
/// # Errors
/// Devices do not come back.
pub(crate) async fn run(bench: &Bench, cluster: &mut OnKafka) -> Result<Vec<f64>, Failure> {
    let pairs = Pairs::connect(cluster, bench.sizes.moving.killed_pairs, None).await?;
    pairs.write(bench.sizes.moving.killed_rate);
    let (killed, all) = (cluster.address(1).to_owned(), pairs.all());
    let mut rounds = Vec::new();
    for round in 0..bench.sizes.moving.kills.min(bench.rounds) {
        pairs.talk().await?;
        pairs.fleet.begin();
        cluster.kill(1)?;
        pairs.are(&all, |node| node != killed).await?;
        let times = away(&pairs, &killed)?;
        let seconds = p99(&times)? / 1e6;
        progress(NAME, round, bench.rounds, &format!("{seconds:.2} s, {} sessions", times.len()));
        rounds.push(seconds);
        cluster.restart(1)?;
        pairs.come_back_to(&killed).await?;
    }
    Ok(rounds)
}

/// How long those were away who were at the node, in µs.
fn away(pairs: &Pairs, node: &str) -> Result<Histogram<u64>, Failure> {
    let tally = pairs.fleet.tally();
    let mut all = Histogram::new(2)?;
    for (_, times) in tally.moves.ways().filter(|(way, _)| tally.nodes[way.from].address == node) {
        all.add(times)?;
    }
    Ok(all)
}
