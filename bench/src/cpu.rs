//! `kafka_cpu_over_embedded`: what a message in flood costs the server's own processor on Kafka and Cassandra
//! against the embedded engines, two servers in turn. What brokers and nodes use is theirs, and not counted.

use loadtest::failure::Failure;
use loadtest::load::{self, Drive, Flow};
use loadtest::server::Server;

use crate::bench::{Bench, Taken, progress};
use crate::engines::{BOTH, Engines};
use crate::figure::Share;
use crate::flow::{WINDOW, per_message};
use crate::stages::shares;

/// The figure.
pub(crate) const NAME: &str = "kafka_cpu_over_embedded";
/// Threads that use less, in µs a message, are not told apart.
const LEAST: f64 = 0.5;

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let engines = Engines::start(bench, BOTH, 1)?;
    let users = 2 * bench.sizes.pairs;
    let (real, embedded) = (engines.server(bench, users, &engines.place())?, bench.server(users)?);
    let (mut ratios, mut behind) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..bench.rounds {
        let (a, b) = (flood(bench, &real).await?, flood(bench, &embedded).await?);
        let used = [&a, &b].map(|flow| per_message(flow, flow.server.total));
        let seen =
            format!("{:.1} µs at {:.0}/s, embedded {:.1} µs at {:.0}/s", used[0], a.per_second, used[1], b.per_second);
        progress(NAME, round, bench.rounds, &seen);
        ratios.push(used[0] / used[1]);
        behind.iter_mut().zip([&a, &b]).for_each(|(rounds, flow)| rounds.push(by_thread(flow)));
    }
    let shares = [shares("flood_kafka", &behind[0]), shares("flood_embedded", &behind[1])].concat();
    Ok(Taken { figures: vec![(NAME, ratios)], shares })
}

async fn flood(bench: &Bench, server: &Server) -> Result<Flow, Failure> {
    load::run(server, 0..2 * bench.sizes.pairs, Drive::Window(WINDOW), bench.sizes.flood).await
}

fn by_thread(flow: &Flow) -> Vec<Share> {
    let us = |name: &str, used: u64| Share { name: name.to_owned(), value: per_message(flow, used), unit: "us" };
    let threads = flow.server.threads.iter().map(|(name, used)| us(name, *used)).filter(|share| share.value >= LEAST);
    let rate = Share { name: "rate".to_owned(), value: flow.per_second, unit: "1/s" };
    threads.chain([us("all", flow.server.total), rate]).collect()
}
