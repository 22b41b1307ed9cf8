//! The suite `spine`: one machine, one process, the embedded engines.

use super::{Run, Suite};
use crate::figure::Better::{Higher, Lower};
use crate::figure::Spec;
use crate::{ack, flow, idle, page, resume, stalled};

/// See the module.
pub(super) const SUITE: Suite = Suite { name: "spine", figures: FIGURES, runs: RUNS };

/// The targets of the issue that asked for them; `docs/research` says how far they are.
const FIGURES: &[Spec] = &[
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

const RUNS: &[(Run, &[&str])] = &[
    (Run::Flood, &[flow::FLOOD_CPU, flow::FLOOD_RATE]),
    (Run::Rate, &[flow::RATE_CPU, flow::DELIVERY]),
    (Run::Ack, &[ack::NAME]),
    (Run::Page, &[page::NAME]),
    (Run::Resume, &[resume::NAME]),
    (Run::Stalled, &[stalled::NAME]),
    (Run::Idle, &[idle::NAME]),
];
