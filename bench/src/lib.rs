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
//! | `idle`, `flow`, `ack`, `page`, `resume`, `stalled` | one run each |
//! | [`stages`] | which stage of a message used the processor |
//!
//! The server is a process of its own and is looked at from outside; the bare arms are the programs in
//! `bare/`. Everything here lives on one thread.

pub mod asker;
pub mod bench;
pub mod figure;
pub mod program;
pub mod sender;
pub mod stages;
pub mod stats;
pub mod suite;

mod ack;
mod flow;
mod idle;
mod page;
mod post;
mod resume;
mod stalled;
