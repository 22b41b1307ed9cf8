//! The embedded log: `volery_ports::log` in append-only segment files of our own.
//!
//! All partitions share one sequence of segments, so that one fdatasync covers every partition's
//! appends. Everything that waits while a sync runs makes up the next group: one write, one sync.
//!
//! ```text
//! append ─▶ queue ─▶ writer's thread ─▶ segment files ─▶ tails (memory) ─▶ answers
//!                                             └── read, older than the tails
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`disk`] | the traits through which files are touched |
//! | `format` | bytes of segments |
//! | `scan`, `index`, `segment` | reading one segment |
//! | `recover` | what a folder holds after whatever happened |
//! | `writer` | appending, sealing, failing: a synchronous core |
//! | `tail`, `store` | what readers share with the writer |
//! | `committed` | readers' offsets |
//! | `queue`, `engine` | the shell: thread, clock, runtime |
//! | [`simdisk`] | a disk that crashes, for tests |
//!
//! # What a crash and a bad disk may do
//! - The last group may be torn: nobody was told about it, and it is cut. A whole one is kept.
//! - A group that is not whole while another one was begun behind it was damaged after it was synced:
//!   its partitions answer `Damaged` from there on, the others are read on. A partition that has no
//!   later record in that segment goes on with larger offsets, so that the hole cannot close.
//! - Damage in the very last group cannot be told from a torn write, and is taken for one.
//! - A failed sync: see `writer`.

mod committed;
#[cfg(test)]
mod crash;
pub mod disk;
mod engine;
mod format;
mod index;
mod options;
mod queue;
mod recover;
mod scan;
mod segment;
pub mod simdisk;
mod stats;
mod store;
mod tail;
mod writer;

pub use engine::EmbeddedLog;
pub use options::{OpenError, Options, RECORD_BYTES_MOST};
pub use stats::Figures;
