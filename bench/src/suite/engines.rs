//! The suite `engines`: one machine, one process, on Kafka and Cassandra, which it starts.

use super::{Run, Suite};
use crate::figure::Better::{Higher, Lower};
use crate::figure::Spec;
use crate::{cpu, durable, kafka, page_cql, statements};

/// See the module.
pub(super) const SUITE: Suite = Suite { name: "engines", figures: FIGURES, runs: RUNS };

/// The targets of the issue that asked for them; `docs/research` says how far they are.
const FIGURES: &[Spec] = &[
    Spec {
        name: kafka::AT_200,
        what: "delivery over one broker at 200/s, socket to socket, against bare probes through it inside the same load",
        unit: "ratio",
        better: Lower,
        target: 1.25,
        goal: 1.1,
    },
    Spec { name: kafka::AT_1000, what: "the same at 1,000/s", unit: "ratio", better: Lower, target: 1.5, goal: 1.25 },
    Spec {
        name: cpu::NAME,
        what: "server CPU a message in flood on Kafka and Cassandra against the embedded engines",
        unit: "ratio",
        better: Lower,
        target: 2.5,
        goal: 1.5,
    },
    Spec {
        name: durable::NAME,
        what: "sends/s for a minute on three brokers and three nodes of Cassandra against a program that writes the same",
        unit: "ratio",
        better: Higher,
        target: 0.6,
        goal: 0.8,
    },
    Spec {
        name: statements::NAME,
        what: "CQL statements a message, delivered and read: pairs who talk in turns of four messages",
        unit: "count",
        better: Lower,
        target: 8.0,
        goal: 6.0,
    },
    Spec {
        name: page_cql::NAME,
        what: "page of 50 against one prepared read of the same rows and a bare round trip",
        unit: "ratio",
        better: Lower,
        target: 1.3,
        goal: 1.15,
    },
];

const RUNS: &[(Run, &[&str])] = &[
    (Run::Kafka200, &[kafka::AT_200]),
    (Run::Kafka1000, &[kafka::AT_1000]),
    (Run::Cpu, &[cpu::NAME]),
    (Run::Durable, &[durable::NAME]),
    (Run::Statements, &[statements::NAME]),
    (Run::PageCql, &[page_cql::NAME]),
];
