//! `drain_lost`, `drain_doubled` and the same on Kafka: a node is drained under load, again and again; then
//! everything comes to rest, and the checker says what was lost and what is there twice.

use std::time::Duration;

use loadtest::failure::Failure;
use volery_checker::examine;
use volery_checker::violation::{Promise, Violation};

use super::cluster::Cluster;
use super::pairs::Pairs;
use crate::bench::{Bench, Rounds};

/// Figures: on the embedded log, and on Kafka.
pub(crate) const EMBEDDED: [&str; 2] = ["drain_lost", "drain_doubled"];
/// The same on Kafka.
pub(crate) const KAFKA: [&str; 2] = ["kafka_drain_lost", "kafka_drain_doubled"];

const REST_WITHIN: Duration = Duration::from_secs(120);

/// Drains the second node.
///
/// # Errors
/// Devices do not follow or rest, or another promise was broken.
pub(crate) async fn run(
    bench: &Bench,
    cluster: &mut dyn Cluster,
    names: [&'static str; 2],
) -> Result<Vec<Rounds>, Failure> {
    let pairs = Pairs::connect(cluster, bench.sizes.moving.drained_pairs, Some("drains".to_owned())).await?;
    pairs.write(bench.sizes.moving.drained_rate);
    let (drained, all) = (cluster.address(1).to_owned(), pairs.all());
    for drain in 1..=bench.sizes.moving.drains {
        pairs.talk().await?;
        cluster.drain(1)?;
        pairs.are(&all, |node| node != drained).await?;
        pairs.talk().await?;
        cluster.undrain(1)?;
        pairs.come_back_to(&drained).await?;
        eprintln!("  {}: drain {drain} of {}", names[0], bench.sizes.moving.drains);
    }
    let history = pairs.fleet.come_to_rest(REST_WITHIN).await?.ok_or(Failure("nothing was recorded".to_owned()))?;
    let report = examine(&history);
    if report.summary.proves_nothing() {
        return Err(Failure("no message was acknowledged and read: nothing was shown".to_owned()));
    }
    report.violations.iter().for_each(|violation| eprintln!("{}", violation.tell(&history)));
    let [lost, doubled] = counted(&report.violations)?;
    Ok(vec![(names[0], vec![lost]), (names[1], vec![doubled])])
}

/// What is not there, and what is there twice.
fn counted(violations: &[Violation]) -> Result<[f64; 2], Failure> {
    let count = |promises: &[Promise]| violations.iter().filter(|one| promises.contains(&one.promise)).count();
    let (lost, doubled) = (count(&[Promise::G1, Promise::G4]), count(&[Promise::G2]));
    match violations.len() - lost - doubled {
        0 => Ok([lost as f64, doubled as f64]),
        others => Err(Failure(format!("{others} other promises were broken: see above"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_from_what_is_doubled_and_from_the_rest() {
        let broken = |promise| Violation { promise, what: String::new(), steps: Vec::new() };
        let two = counted(&[broken(Promise::G1), broken(Promise::G2), broken(Promise::G4)]);
        assert_eq!(two.ok(), Some([2.0, 1.0]));
        assert!(counted(&[broken(Promise::G3)]).is_err());
    }
}
