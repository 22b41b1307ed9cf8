//! `kafka_200_delivery_p99_over_bare`, `kafka_1000_delivery_p99_over_bare`: a message from socket to socket over one
//! broker, against a program that produces and consumes records of as many bytes through the same broker, in
//! the same seconds: whatever the broker or the disk does, both meet it.
//!
//! The timeline is embedded here: another engine on the same cores would be what is timed.

use std::ffi::OsStr;
use std::time::Duration;

use hdrhistogram::Histogram;
use loadtest::account::log_in;
use loadtest::failure::Failure;
use loadtest::server::Server;

use crate::bench::{Bench, Taken};
use crate::engines::{Engines, KAFKA};
use crate::program::Program;
use crate::records::Records;
use crate::sender::{Senders, Timed};
use crate::stats::histogram;
use crate::versus::Versus;

/// The figure at 200 messages a second.
pub(crate) const AT_200: &str = "kafka_200_delivery_p99_over_bare";
/// The figure at 1,000.
pub(crate) const AT_1000: &str = "kafka_1000_delivery_p99_over_bare";
/// Probes a second: few beside the load, enough for a 99th percentile.
const PROBES: u64 = 100;

pub(crate) async fn at_200(bench: &Bench) -> Result<Taken, Failure> {
    run(bench, Versus::new(AT_200), 200).await.map(|versus| versus.taken("kafka_200"))
}

pub(crate) async fn at_1000(bench: &Bench) -> Result<Taken, Failure> {
    run(bench, Versus::new(AT_1000), 1_000).await.map(|versus| versus.taken("kafka_1000"))
}

async fn run(bench: &Bench, mut versus: Versus, rate: u64) -> Result<Versus, Failure> {
    let engines = Engines::start(bench, KAFKA, 1)?;
    let users = 2 * bench.sizes.pairs;
    let server = engines.server(bench, users, &engines.place())?;
    let accounts = log_in(server.gateway(), &Server::people(0..users)).await?;
    let ours = Senders::open(&accounts, Timed::Delivered).await?;
    ours.window(rate, bench.sizes.probed / 4).await?;
    let bytes = Records::some(&server).await?.bytes_each().to_string();
    let topic = engines.topic(1).await?;
    let arguments = [engines.brokers(), &topic, &bytes].map(OsStr::new);
    let mut probes = Program::start(&bench.programs.bare_probe, &arguments)?;
    both(&ours, &mut probes, rate, bench.sizes.window).await?;
    for _ in 0..bench.rounds {
        let (us, bare) = both(&ours, &mut probes, rate, bench.sizes.probed).await?;
        versus.add(bench, &us, &bare)?;
    }
    Ok(versus)
}

/// Both arms at once.
async fn both(
    ours: &Senders,
    probes: &mut Program,
    rate: u64,
    length: Duration,
) -> Result<(Histogram<u64>, Histogram<u64>), Failure> {
    probes.tell(&format!("{PROBES} {}", length.as_millis()))?;
    let us = ours.window(rate, length).await?;
    let mut bare = histogram()?;
    for micros in probes.hear()?.split(' ') {
        bare.saturating_record(micros.parse()?);
    }
    Ok((us, bare))
}
