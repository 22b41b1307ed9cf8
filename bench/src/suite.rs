//! The suite `spine`: its figures, the runs that measure them, and what becomes of a run that fails: its
//! figures have no value, and the others are measured all the same.

use loadtest::clock;
use loadtest::failure::Failure;

use crate::bench::{Bench, Taken};
use crate::figure::Better::{Higher, Lower};
use crate::figure::{Row, Share, Spec};
use crate::{ack, flow, idle, page, resume, stalled};

/// The targets of the issue that asked for them; `docs/research` says how far they are.
pub const SPINE: &[Spec] = &[
    Spec {
        name: flow::FLOOD_CPU,
        what: "server CPU a message: durable, delivered, archived; pairs with 8 unconfirmed texts of 256 bytes",
        unit: "us",
        better: Lower,
        target: 60.0,
        goal: 35.0,
    },
    Spec {
        name: flow::FLOOD_RATE,
        what: "the same flood, the load test on the same cores",
        unit: "1/s",
        better: Higher,
        target: 15_000.0,
        goal: 37_000.0,
    },
    Spec {
        name: flow::RATE_CPU,
        what: "server CPU a message at 1,000 messages a second, open loop",
        unit: "us",
        better: Lower,
        target: 140.0,
        goal: 95.0,
    },
    Spec {
        name: flow::DELIVERY,
        what: "delivery at that rate, socket to socket, from the time when it was meant to be sent",
        unit: "ms",
        better: Lower,
        target: 2.0,
        goal: 1.5,
    },
    Spec {
        name: ack::NAME,
        what: "acknowledgement at that rate against a program that appends, syncs in groups and answers",
        unit: "ratio",
        better: Lower,
        target: 1.5,
        goal: 1.2,
    },
    Spec {
        name: page::NAME,
        what: "page of 50 against the same rows of the same store and a bare round trip",
        unit: "ratio",
        better: Lower,
        target: 1.3,
        goal: 1.15,
    },
    Spec {
        name: resume::NAME,
        what: "server CPU to bring back a device that missed 20 messages, from the tail",
        unit: "us",
        better: Lower,
        target: 100.0,
        goal: 60.0,
    },
    Spec {
        name: stalled::NAME,
        what: "delivery of everybody else beside 1,000 stalled readers against none",
        unit: "ratio",
        better: Lower,
        target: 1.25,
        goal: 1.1,
    },
    Spec {
        name: idle::NAME,
        what: "slope of the server's memory from 5,000 to 15,000 sessions that have talked and are silent",
        unit: "KiB",
        better: Lower,
        target: 3.0,
        goal: 2.0,
    },
];

/// What measures figures: some come from one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Flood,
    Rate,
    Ack,
    Page,
    Resume,
    Stalled,
    Idle,
}

const RUNS: &[(Run, &[&str])] = &[
    (Run::Flood, &[flow::FLOOD_CPU, flow::FLOOD_RATE]),
    (Run::Rate, &[flow::RATE_CPU, flow::DELIVERY]),
    (Run::Ack, &[ack::NAME]),
    (Run::Page, &[page::NAME]),
    (Run::Resume, &[resume::NAME]),
    (Run::Stalled, &[stalled::NAME]),
    (Run::Idle, &[idle::NAME]),
];

impl Run {
    async fn take(self, bench: &Bench) -> Result<Taken, Failure> {
        match self {
            Self::Flood => flow::flood(bench).await,
            Self::Rate => flow::rate(bench).await,
            Self::Ack => ack::run(bench).await,
            Self::Page => page::run(bench).await,
            Self::Resume => resume::run(bench).await,
            Self::Stalled => stalled::run(bench).await,
            Self::Idle => idle::run(bench).await,
        }
    }
}

/// Takes these figures of the suite; all if none is named.
pub async fn spine(bench: &Bench, only: &[String]) -> (Vec<Row>, Vec<Share>) {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let runs: Vec<_> = RUNS.iter().filter(|(_, figures)| figures.iter().any(|name| wanted(name))).collect();
    let mut taken = Taken::default();
    for (at, (run, figures)) in runs.iter().enumerate() {
        eprintln!("[{} of {}] {}", at + 1, runs.len(), figures.join(", "));
        let begun = clock::nanos();
        match run.take(bench).await {
            Ok(more) => {
                taken.figures.extend(more.figures);
                taken.shares.extend(more.shares);
            }
            Err(Failure(what)) => eprintln!("  not measured: {what}"),
        }
        eprintln!("  {:.0} s", clock::since(begun).as_secs_f64());
    }
    let rounds = |name| taken.figures.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, rounds)| rounds);
    let rows = SPINE.iter().filter(|spec| wanted(spec.name)).map(|spec| spec.judge(rounds(spec.name)));
    (rows.collect(), taken.shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_one_run() {
        let mut measured: Vec<_> = RUNS.iter().flat_map(|(_, figures)| *figures).collect();
        let mut promised: Vec<_> = SPINE.iter().map(|spec| &spec.name).collect();
        measured.sort();
        promised.sort();
        assert_eq!(measured, promised);
    }

    #[test]
    fn goals_are_beyond_targets() {
        for spec in SPINE {
            let beyond = if spec.better == Lower { spec.goal < spec.target } else { spec.goal > spec.target };
            assert!(beyond, "{}", spec.name);
        }
    }
}
