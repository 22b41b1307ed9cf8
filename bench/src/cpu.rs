//! `kafka_cpu_over_embedded`: what a message in flood costs the server's own processor on Kafka and Cassandra
//! against the embedded engines, two servers in turn. What brokers and nodes use is theirs, and not counted.
//!
//! Its bound stands beside it: what a program costs that does nothing but produce, consume and write the same through
//! the same client libraries. The figure cannot be below `bare_over_embedded`.

use loadtest::failure::Failure;
use loadtest::load::{self, Drive, Flow};
use loadtest::server::Server;

use crate::bench::{Bench, Taken, progress};
use crate::durable::{FLOOD, Ours, Theirs};
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
    let place = engines.place();
    let (real, embedded) = (engines.server(bench, users, &place)?, bench.server(users)?);
    let first = Ours::take(bench, &real, FLOOD, bench.sizes.flood).await?;
    let mut bare = Theirs::start(bench, &engines, &place, &first, &["reads"]).await?;
    let (mut ratios, mut behind) = (Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
    for round in 0..bench.rounds {
        let (a, b) = (flood(bench, &real).await?, flood(bench, &embedded).await?);
        let bare = bare.take(bench.sizes.flood)?;
        let used = [&a, &b].map(|flow| per_message(flow, flow.server.total));
        let seen = format!(
            "{:.1} µs at {:.0}/s, embedded {:.1} µs at {:.0}/s, bare {:.1} µs at {:.0}/s",
            used[0], a.per_second, used[1], b.per_second, bare.cpu, bare.per_second
        );
        progress(NAME, round, bench.rounds, &seen);
        ratios.push(used[0] / used[1]);
        let bare = vec![
            share("all", bare.cpu, "us"),
            share("rate", bare.per_second, "1/s"),
            share("over_embedded", bare.cpu / used[1], "ratio"),
        ];
        let rounds = [by_thread(&a), by_thread(&b), bare];
        behind.iter_mut().zip(rounds).for_each(|(rounds, shares)| rounds.push(shares));
    }
    let runs = ["flood_kafka", "flood_embedded", "flood_bare"];
    let shares = runs.into_iter().zip(&behind).flat_map(|(run, rounds)| shares(run, rounds));
    Ok(Taken { figures: vec![(NAME, ratios)], shares: shares.collect() })
}

fn share(name: &str, value: f64, unit: &'static str) -> Share {
    Share { name: name.to_owned(), value, unit }
}

async fn flood(bench: &Bench, server: &Server) -> Result<Flow, Failure> {
    load::run(server, 0..2 * bench.sizes.pairs, Drive::Window(WINDOW), bench.sizes.flood).await
}

fn by_thread(flow: &Flow) -> Vec<Share> {
    let us = |name: &str, used: u64| share(name, per_message(flow, used), "us");
    let threads = flow.server.threads.iter().map(|(name, used)| us(name, *used)).filter(|share| share.value >= LEAST);
    threads.chain([us("all", flow.server.total), share("rate", flow.per_second, "1/s")]).collect()
}
