//! The suite `moves`: partitions that move, nodes that are drained and killed, storms. On the embedded log several
//! messaging nodes are in one process; figures on Kafka are of processes as operators run them.

use super::{Run, Suite};
use crate::figure::Better::{Higher, Lower};
use crate::figure::Spec;
use crate::moves::{drained, killed, many, map, planned, storm};

/// See the module.
pub(super) const SUITE: Suite = Suite { name: "moves", figures: FIGURES, runs: RUNS };

/// The targets of the issue that asked for them; `docs/research` says how far they are.
const FIGURES: &[Spec] = &[
    Spec {
        name: planned::EMBEDDED,
        what: "a partition given to another node under load: from a socket's loss until its device is caught up",
        unit: "s",
        better: Lower,
        target: 1.0,
        goal: 0.3,
    },
    Spec {
        name: planned::KAFKA,
        what: "the same on Kafka, by admin move",
        unit: "s",
        better: Lower,
        target: 1.0,
        goal: 0.3,
    },
    Spec {
        name: killed::NAME,
        what: "kill -9 of a node with 5,000 sessions on Kafka, its lease of 3 s included, until all are caught up",
        unit: "s",
        better: Lower,
        target: 5.0,
        goal: 4.0,
    },
    Spec {
        name: drained::EMBEDDED[0],
        what: "lost while a node is drained under load, five times",
        unit: "count",
        better: Lower,
        target: 0.0,
        goal: 0.0,
    },
    Spec {
        name: drained::EMBEDDED[1],
        what: "there twice after that",
        unit: "count",
        better: Lower,
        target: 0.0,
        goal: 0.0,
    },
    Spec {
        name: drained::KAFKA[0],
        what: "the same on Kafka, by admin drain: lost",
        unit: "count",
        better: Lower,
        target: 0.0,
        goal: 0.0,
    },
    Spec {
        name: drained::KAFKA[1],
        what: "there twice after that",
        unit: "count",
        better: Lower,
        target: 0.0,
        goal: 0.0,
    },
    Spec {
        name: storm::NAME,
        what: "sessions of a server that are back and synced, a second, after 14,900 broke at once",
        unit: "1/s",
        better: Higher,
        target: 3_000.0,
        goal: 8_000.0,
    },
    Spec {
        name: many::EMBEDDED,
        what: "CPU a message with eight nodes against one at 800 messages a second, idle CPU taken off",
        unit: "ratio",
        better: Lower,
        target: 1.3,
        goal: 1.1,
    },
    Spec {
        name: many::KAFKA,
        what: "the same on Kafka, eight processes against one",
        unit: "ratio",
        better: Lower,
        target: 1.3,
        goal: 1.1,
    },
    Spec {
        name: map::IMBALANCE,
        what: "largest part over the mean: 10,000 partitions, about 1,000 nodes, 1,000 of them come or gone",
        unit: "ratio",
        better: Lower,
        target: 1.1,
        goal: 1.05,
    },
    Spec {
        name: map::EXCESS,
        what: "partitions that moved meanwhile over those that had to",
        unit: "ratio",
        better: Lower,
        target: 1.05,
        goal: 1.0,
    },
];

const RUNS: &[(Run, &[&str])] = &[
    (Run::Map, &[map::IMBALANCE, map::EXCESS]),
    (Run::Storm, &[storm::NAME]),
    (Run::Moves, &[planned::EMBEDDED, drained::EMBEDDED[0], drained::EMBEDDED[1]]),
    (Run::Many, &[many::EMBEDDED]),
    (Run::KafkaMoves, &[planned::KAFKA, killed::NAME, drained::KAFKA[0], drained::KAFKA[1]]),
    (Run::KafkaMany, &[many::KAFKA]),
];
