//! What sessions and partitions decide, without I/O, clock or randomness: event in, effects out.
//!
//! The actors feed these and carry out their [`session::Effect`]s; so does the simulation, in
//! virtual time. A session never waits for a queue of deliveries: it holds a cursor into its
//! partition's [`tail::Tail`] and reads from there as its window has room, so a stalled reader
//! costs one cursor.
//!
//! | module | owns |
//! |---|---|
//! | [`tail`] | the newest records of a partition, judged, and who they are for |
//! | `dropped` | what of each stream the tail holds no more |
//! | [`entry`] | one record as clients see it, encoded once |
//! | [`stream`] | a session's cursor: sync, live, gap, reset |
//! | [`window`] | what was sent and not confirmed |
//! | [`sends`] | from accepted to acknowledged, in order |
//! | [`marks`] | coalescing delivered and read |
//! | [`lively`] | what a session keeps of typing and presence |
//! | [`present`] | who of a partition came or went |
//! | [`watching`] | whom the sessions of a thread watch |
//! | [`pace`] | how fast a session may send |
//! | [`clocks`] | whether the node's clock is the log's |
//! | [`parting`] | how fast the sessions of a lost partition are told |
//! | [`session`] | all of it together: requests in, effects out |

pub mod clocks;
mod dropped;
pub mod entry;
pub mod lively;
pub mod marks;
pub mod pace;
pub mod parting;
pub mod present;
pub mod sends;
pub mod session;
pub mod stream;
pub mod tail;
pub mod watching;
pub mod window;
