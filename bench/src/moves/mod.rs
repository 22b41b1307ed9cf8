//! Partitions that move: runs over clusters of several messaging nodes, on the embedded log and on Kafka.
//!
//! | module | owns |
//! |---|---|
//! | `cluster` | what a run asks of a cluster, whatever is below it |
//! | `embedded`, `kafka` | the two kinds that there are |
//! | `pairs` | people who write to each other meanwhile |
//! | `planned`, `drained`, `killed`, `many` | one run each, over any cluster or a number of them |
//! | `storm`, `map` | one run each without a cluster of several |

mod cluster;
mod embedded;
mod kafka;
mod pairs;
mod sizes;

pub(crate) mod drained;
pub(crate) mod killed;
pub(crate) mod many;
pub(crate) mod map;
pub(crate) mod planned;
pub(crate) mod storm;

pub use sizes::Moving;

use loadtest::failure::Failure;

use crate::bench::{Bench, Taken};
use crate::engines::{Engines, KAFKA};
use embedded::Embedded;
use kafka::OnKafka;
use many::Arm;

/// Partitions given away, and nodes drained, on the embedded log.
pub(crate) async fn embedded(bench: &Bench) -> Result<Taken, Failure> {
    let people = 2 * bench.sizes.moving.pairs;
    let mut cluster = Embedded::start(bench, 2, people)?;
    let moves = planned::run(bench, &mut cluster, planned::EMBEDDED, 2).await?;
    // Who was recorded must begin with nothing.
    let mut cluster = Embedded::start(bench, 2, people)?;
    let mut figures = drained::run(bench, &mut cluster, drained::EMBEDDED).await?;
    figures.push((planned::EMBEDDED, moves));
    Ok(Taken { figures, shares: Vec::new() })
}

/// The same on Kafka, and nodes killed.
pub(crate) async fn on_kafka(bench: &Bench) -> Result<Taken, Failure> {
    let engines = Engines::start(bench, KAFKA, 1)?;
    let sizes = &bench.sizes.moving;
    let people = 2 * sizes.pairs.max(sizes.killed_pairs);
    let mut cluster = OnKafka::start(bench, &engines, 2, people)?;
    let mut figures = drained::run(bench, &mut cluster, drained::KAFKA).await?;
    figures.push((killed::NAME, killed::run(bench, &mut cluster).await?));
    figures.push((planned::KAFKA, planned::run(bench, &mut cluster, planned::KAFKA, 2).await?));
    Ok(Taken { figures, shares: Vec::new() })
}

/// Many nodes against one on the embedded log.
pub(crate) async fn many_embedded(bench: &Bench) -> Result<Taken, Failure> {
    let people = 2 * bench.sizes.pairs;
    let (one, many) = (Embedded::start(bench, 1, people)?, Embedded::start(bench, bench.sizes.moving.nodes, people)?);
    let (one, many) = (Arm::new(bench, &one).await?, Arm::new(bench, &many).await?);
    many::run(bench, many::EMBEDDED, &one, &many).await
}

/// The same on Kafka.
pub(crate) async fn many_on_kafka(bench: &Bench) -> Result<Taken, Failure> {
    let (engines, people) = (Engines::start(bench, KAFKA, 1)?, 2 * bench.sizes.pairs);
    let one = OnKafka::start(bench, &engines, 1, people)?;
    let many = OnKafka::start(bench, &engines, bench.sizes.moving.nodes, people)?;
    let (one, many) = (Arm::new(bench, &one).await?, Arm::new(bench, &many).await?);
    many::run(bench, many::KAFKA, &one, &many).await
}
