//! What Volery costs: suites of figures, each against a target, some against a bare program.
//!
//! | module | owns |
//! |---|---|
//! | [`suite`] | which figures there are, in which order they are taken, what becomes of failures |
//! | [`figure`] | targets, the table, the file |
//! | [`stats`] | medians, quantiles |
//! | [`bench`] | what a run is given: programs, folders, rounds, sizes |
//! | [`program`] | the bare programs, started and ended |
//! | [`asker`] | a socket that asks and times the answer |
//! | [`sender`] | sessions that send at their times and time the acknowledgements |
//! | `engines` | Kafka and Cassandra, started for a run and ended with it |
//! | `places` | pages that can be read: written, then found |
//! | `records` | what the log takes, counted |
//! | `versus` | two arms, round by round, as figure and shares |
//! | `idle`, `flow`, `ack`, `page`, `resume`, `stalled` | one run each, on the embedded engines |
//! | [`moves`] | partitions that move: runs over clusters of several messaging nodes |
//! | `kafka`, `cpu`, `durable`, `statements`, `page_cql` | one run each, on real engines |
//! | [`stages`] | which stage of a message used the processor |
//!
//! The server is a process of its own and is looked at from outside; the bare arms are the programs in
//! `bare/`. Everything here lives on one thread.

pub mod asker;
pub mod bench;
pub mod figure;
pub mod moves;
pub mod program;
pub mod sender;
pub mod stages;
pub mod stats;
pub mod suite;

mod ack;
mod cpu;
mod durable;
mod engines;
mod flow;
mod idle;
mod kafka;
mod page;
mod page_cql;
mod places;
mod post;
mod records;
mod resume;
mod stalled;
mod statements;
mod versus;
