//! `nodes8_cpu_over_1` and the same on Kafka: what a message costs with eight messaging nodes against one, at the
//! same load of all together. What the processes use when nobody writes is measured before, with the same
//! sessions open, and taken off.

use std::time::Duration;

use loadtest::clock;
use loadtest::failure::Failure;

use super::cluster::Cluster;
use super::pairs::Pairs;
use crate::bench::{Bench, Taken, progress};
use crate::figure::Share;
use crate::stages::shares;

/// The figure on the embedded log.
pub(crate) const EMBEDDED: &str = "nodes8_cpu_over_1";
/// The figure on Kafka.
pub(crate) const KAFKA: &str = "kafka_nodes8_cpu_over_1";

/// What follows from the last messages (marks, archive) is over by then.
const SETTLE: Duration = Duration::from_secs(3);

/// A cluster, and those who write there.
pub(crate) struct Arm<'c> {
    cluster: &'c dyn Cluster,
    pairs: Pairs,
}

impl<'c> Arm<'c> {
    /// Everybody connects.
    ///
    /// # Errors
    /// Who does not.
    pub(crate) async fn new(bench: &Bench, cluster: &'c dyn Cluster) -> Result<Self, Failure> {
        Ok(Self { cluster, pairs: Pairs::connect(cluster, bench.sizes.pairs, None).await? })
    }

    /// µs a message of all processes, and the cores that they use for nothing.
    async fn cost(&self, bench: &Bench) -> Result<(f64, f64), Failure> {
        let idle = self.used(bench.sizes.moving.node_time).await?;
        let acked = self.pairs.fleet.tally().acked;
        self.pairs.write(bench.sizes.moving.nodes as u64 * bench.sizes.moving.node_rate);
        let begun = clock::nanos();
        let before = self.cluster.cpu()?;
        tokio::time::sleep(bench.sizes.moving.node_time).await;
        self.pairs.fleet.quiet();
        tokio::time::sleep(SETTLE).await;
        let used = (self.cluster.cpu()? - before) as f64 - idle * clock::since(begun).as_micros() as f64;
        let messages = self.pairs.fleet.tally().acked - acked;
        if messages == 0 {
            return Err(Failure("no message was acknowledged: nothing was measured".to_owned()));
        }
        Ok((used / messages as f64, idle))
    }

    /// Cores in use while nobody writes.
    async fn used(&self, time: Duration) -> Result<f64, Failure> {
        let (begun, before) = (clock::nanos(), self.cluster.cpu()?);
        tokio::time::sleep(time).await;
        Ok((self.cluster.cpu()? - before) as f64 / clock::since(begun).as_micros() as f64)
    }
}

/// Rounds of both, in turn.
///
/// # Errors
/// Nobody could write.
pub(crate) async fn run(bench: &Bench, name: &'static str, one: &Arm<'_>, many: &Arm<'_>) -> Result<Taken, Failure> {
    let (mut ratios, mut behind) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let ((one, one_idle), (many, many_idle)) = (one.cost(bench).await?, many.cost(bench).await?);
        let seen = format!("{many:.0} µs against {one:.0} µs; idle {many_idle:.3} cores against {one_idle:.3}");
        progress(name, round, bench.rounds, &seen);
        ratios.push(many / one);
        behind.push(
            [
                ("one", one, "us"),
                ("many", many, "us"),
                ("one_idle", one_idle, "cores"),
                ("many_idle", many_idle, "cores"),
            ]
            .map(|(what, value, unit)| Share { name: what.to_owned(), value, unit })
            .to_vec(),
        );
    }
    Ok(Taken { figures: vec![(name, ratios)], shares: shares(name, &behind) })
}
