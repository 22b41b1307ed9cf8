//! What a report says, as data: the JSON file is this, and the page is drawn from it.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Figure;
use super::nodes::{BurstRow, MoveRow, NodeRow};
use crate::latency::latencies;
use crate::meter::Syncs;
use crate::process::Cpu;
use crate::sample::Sample;
use crate::scenario::Outcome;
use crate::scenario::storm::{Round, Weather};
use crate::target::Place;
use crate::verdict::Verdict;

/// Threads that use less than this, in µs a message, are left out of the figures.
const SHARE_LEAST: f64 = 0.05;

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// What was typed.
    pub command: String,
    /// When, in milliseconds since the Unix epoch.
    pub ended: u64,
    /// Where.
    pub machine: Machine,
    /// Against what.
    pub place: Place,
    /// Measured seconds.
    pub seconds: f64,
    /// Devices.
    pub devices: usize,
    /// The figures of the table.
    pub figures: Vec<Figure>,
    /// Second by second.
    pub samples: Vec<Sample>,
    /// Distributions of latencies.
    pub distributions: Vec<Distribution>,
    /// Messaging nodes.
    pub nodes: Vec<NodeRow>,
    /// Sessions that were lost and their devices caught up, by way.
    pub moves: Vec<MoveRow>,
    /// The same by time.
    pub bursts: Vec<BurstRow>,
    /// Of `storm`.
    pub storm: Option<Weather>,
    /// Of `idle`: sessions, and the server's memory in KiB.
    pub memory: Vec<(usize, u64)>,
    /// Errors of the whole run, by code.
    pub errors: Vec<(String, u64)>,
    /// What the checker says; absent if the run was not checked.
    pub verdict: Option<Verdict>,
}

/// The machine of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of it this process may use.
    pub cores: usize,
    /// MiB of memory.
    pub memory_mib: u64,
    /// The kernel.
    pub kernel: String,
    /// Mean number of runnable tasks of the last minute, when the run ended: other work disturbs.
    pub load: String,
    /// Of the load test and, if it was started by it, of the server.
    pub version: String,
}

impl Machine {
    /// Asks the kernel; what it does not say is empty.
    #[must_use]
    pub fn here() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            version: format!(
                "{}, {} build",
                env!("CARGO_PKG_VERSION"),
                if cfg!(debug_assertions) { "dev" } else { "release" }
            ),
        }
    }
}

/// A distribution: quantiles with their values in milliseconds, ascending, dense towards 1.
#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    /// Of what.
    pub name: &'static str,
    /// How many were measured.
    pub count: u64,
    /// Quantile, milliseconds.
    pub points: Vec<(f64, f64)>,
}

impl Distribution {
    /// Of a histogram of µs: five points to each halving of the rest.
    #[must_use]
    pub fn of(name: &'static str, histogram: &Histogram<u64>) -> Self {
        let point = |value: hdrhistogram::iterators::IterationValue<u64>| {
            (value.quantile_iterated_to(), value.value_iterated_to() as f64 / 1_000.0)
        };
        Self { name, count: histogram.len(), points: histogram.iter_quantiles(5).map(point).collect() }
    }
}

/// The distributions that hold anything.
#[must_use]
pub fn distributions(outcome: &Outcome) -> Vec<Distribution> {
    let tally = &outcome.tally;
    let all = [
        ("acknowledgement", &tally.ack),
        ("delivery", &tally.delivery),
        ("page", &tally.page),
        ("until synced", &tally.synced),
        ("back and caught up", &tally.back),
    ];
    let all = all.into_iter().filter(|(_, latency)| !latency.whole.is_empty());
    all.map(|(name, latency)| Distribution::of(name, &latency.whole)).collect()
}

/// The figures of a run.
#[must_use]
pub fn figures(outcome: &Outcome) -> Vec<Figure> {
    let tally = &outcome.tally;
    let a_second = |count: u64| count as f64 / outcome.seconds;
    let mut figures = vec![
        Figure::new("messages_acknowledged", tally.acked as f64, "messages"),
        Figure::new("messages_per_s", a_second(tally.acked), "1/s"),
        Figure::new("deliveries_per_s", a_second(tally.delivered), "1/s"),
    ];
    let counts = [
        ("changes", tally.changes, "changes"),
        ("retried", tally.retried, "sends"),
        ("failed", tally.failed, "sends"),
        ("connections", tally.connects, "sockets"),
        ("pages", tally.pages, "pages"),
        ("marks", tally.marks, "marks"),
        ("moves", tally.back.whole.len(), "devices"),
    ];
    let counts = counts.into_iter().filter(|(_, count, _)| *count > 0);
    figures.extend(counts.map(|(name, count, unit)| Figure::new(name, count as f64, unit)));
    let of = [("ack", &tally.ack), ("delivery", &tally.delivery), ("page", &tally.page), ("synced", &tally.synced)];
    let of = of.into_iter().chain([("back", &tally.back)]).filter(|(_, latency)| !latency.whole.is_empty());
    figures.extend(of.flat_map(|(name, latency)| latencies(name, &latency.whole)));
    figures.extend(outcome.weather.iter().flat_map(of_storm));
    if let Some(server) = &outcome.server {
        figures.extend(costs("server_cpu", &server.cpu, tally.acked, outcome.seconds));
        figures.push(Figure::new("server_rss", server.rss_kib as f64 / 1_024.0, "MiB"));
    }
    figures.extend(costs("own_cpu", &outcome.own, tally.acked, outcome.seconds).into_iter().take(2));
    figures
}

fn of_storm(storm: &Weather) -> Vec<Figure> {
    let rounds = &storm.rounds;
    let sum = |of: fn(&Round) -> f64| rounds.iter().map(of).sum::<f64>();
    let broken = sum(|round| round.broken as f64);
    let mut figures: Vec<_> = rounds.iter().zip(1..).flat_map(|(round, number)| of_round(round, number)).collect();
    figures.push(Figure::new(
        "storm_sessions_per_s",
        broken / sum(|round| round.broken as f64 / round.per_second),
        "1/s",
    ));
    figures.push(Figure::new("storm_bystanders_p99_before", storm.calm_p99, "ms"));
    figures.push(Figure::new("storm_bystanders_p99", storm.storm_p99, "ms"));
    let cpu = rounds.iter().map(|round| round.cpu).sum::<Option<f64>>();
    figures.extend(cpu.map(|cpu| Figure::new("storm_cpu_per_session", cpu * 1e6 / broken.max(1.0), "us")));
    figures.extend(storm.idle_cores.map(|cores| Figure::new("storm_cpu_idle_after", cores, "cores")));
    let syncs: Option<Vec<Syncs>> = rounds.iter().map(|round| round.syncs).collect();
    figures.extend(syncs.into_iter().flat_map(|syncs| {
        let from = |way: &str, of: fn(&Syncs) -> u64| {
            Figure::new(format!("storm_synced_from_{way}"), syncs.iter().map(of).sum::<u64>() as f64, "sessions")
        };
        [from("tail", |s| s.tail), from("log", |s| s.log), from("index", |s| s.index), from("reset", |s| s.reset)]
    }));
    figures
}

fn of_round(round: &Round, number: usize) -> [Figure; 4] {
    let figure = |what: &str, value, unit| Figure::new(format!("storm_{number}_{what}"), value, unit);
    [
        figure("synced_p50", round.p50, "ms"),
        figure("synced_p99", round.p99, "ms"),
        figure("synced_last", round.last, "ms"),
        figure("sessions_per_s", round.per_second, "1/s"),
    ]
}

fn costs(name: &str, used: &Cpu, messages: u64, seconds: f64) -> Vec<Figure> {
    let each = |micros: u64| micros as f64 / messages.max(1) as f64;
    let mut figures = vec![
        Figure::new(format!("{name}_per_message"), each(used.total), "us"),
        Figure::new(format!("{name}_cores"), used.total as f64 / 1e6 / seconds, "cores"),
    ];
    let threads = used.threads.iter().map(|(thread, used)| (thread, each(*used)));
    let threads = threads.filter(|(_, share)| *share >= SHARE_LEAST);
    figures.extend(threads.map(|(thread, share)| Figure::new(format!("{name}_per_message[{thread}]"), share, "us")));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_ascends_to_its_maximum() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).expect("bounds");
        (1..=1_000_u64).for_each(|micros| histogram.saturating_record(micros * 100));
        let distribution = Distribution::of("x", &histogram);
        assert!(distribution.points.windows(2).all(|two| two[0].0 <= two[1].0 && two[0].1 <= two[1].1));
        let last = distribution.points.last().expect("points");
        assert!(last.0 >= 1.0 && (99.9..100.2).contains(&last.1), "{last:?}");
    }
}
