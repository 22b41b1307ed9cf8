//! `flood` and `rate_1000`: what a message costs the server, how many go through, how long a delivery
//! takes. The load test does the work; here are rounds and the shares of the stages.

use loadtest::failure::Failure;
use loadtest::load::{self, Drive, Flow};
use loadtest::server::Server;

use crate::bench::{Bench, Taken, progress};
use crate::stages::{Stages, shares};
use crate::stats::p99;

/// Server CPU a message in flood.
pub(crate) const FLOOD_CPU: &str = "flood_cpu_us_per_message";
/// Messages a second in flood.
pub(crate) const FLOOD_RATE: &str = "flood_messages_per_s";
/// Server CPU a message at 1,000 a second.
pub(crate) const RATE_CPU: &str = "rate_1000_cpu_us_per_message";
/// Socket to socket at 1,000 a second.
pub(crate) const DELIVERY: &str = "pairs_1000_delivery_p99_ms";

/// Unacknowledged messages of a pair in flood.
pub(crate) const WINDOW: usize = 8;

pub(crate) async fn flood(bench: &Bench) -> Result<Taken, Failure> {
    let server = bench.server(2 * bench.sizes.pairs)?;
    let (mut cpu, mut rate, mut stages) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let before = Stages::of(&server).await?;
        let flow = load::run(&server, 0..2 * bench.sizes.pairs, Drive::Window(WINDOW), bench.sizes.flood).await?;
        stages.push(Stages::of(&server).await?.per_message(&before, flow.messages)?);
        cpu.push(per_message(&flow, flow.server.total));
        rate.push(flow.per_second);
        let seen = format!("{:.1} µs, {:.0}/s, load test {:.1} µs", cpu[round], rate[round], client(&flow));
        progress(FLOOD_CPU, round, bench.rounds, &seen);
    }
    Ok(Taken { figures: vec![(FLOOD_CPU, cpu), (FLOOD_RATE, rate)], shares: shares("flood", &stages) })
}

pub(crate) async fn rate(bench: &Bench) -> Result<Taken, Failure> {
    let server = bench.server(2 * bench.sizes.pairs)?;
    let (mut cpu, mut delivery, mut stages) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let before = Stages::of(&server).await?;
        let flow = steady(bench, &server).await?;
        stages.push(Stages::of(&server).await?.per_message(&before, flow.messages)?);
        cpu.push(per_message(&flow, flow.server.total));
        delivery.push(p99(&flow.delivery)? / 1_000.0);
        let seen =
            format!("{:.1} µs, delivery {:.2} ms, load test {:.1} µs", cpu[round], delivery[round], client(&flow));
        progress(RATE_CPU, round, bench.rounds, &seen);
    }
    Ok(Taken { figures: vec![(RATE_CPU, cpu), (DELIVERY, delivery)], shares: shares("rate_1000", &stages) })
}

async fn steady(bench: &Bench, server: &Server) -> Result<Flow, Failure> {
    load::run(server, 0..2 * bench.sizes.pairs, Drive::Rate(bench.sizes.rate), bench.sizes.steady).await
}

/// A message's part of what was used.
pub(crate) fn per_message(flow: &Flow, used: u64) -> f64 {
    used as f64 / flow.messages.max(1) as f64
}

fn client(flow: &Flow) -> f64 {
    per_message(flow, flow.client.total)
}
