//! The timeline on Cassandra or ScyllaDB: [`CassandraTimeline`] keeps the contract of
//! [`volery_ports::timeline`] with prepared statements, quorum reads and quorum writes.
//!
//! | file | owns |
//! |---|---|
//! | `options` | where the cluster is, and what a request may take |
//! | `schema` | what is checked at the start: copies, migrations |
//! | `statement` | the statements, and how rows are asked for |
//! | `cell` | the bytes of cells |
//! | `cells` | the same as typed values, for checks of the format |
//! | `layout` | windows, days, time stamps: which row something belongs to |
//! | `plan` | the writes of an apply as rows, coalesced |
//! | `memory` | what this process knows to be stored already |
//! | `read`, `write` | the reading and the writing side |
//! | `timeline` | the port, put together |
//!
//! # Why replays, races and late writes are harmless
//! Cassandra keeps of a cell the value with the larger time stamp and, where these are equal, the
//! value with the larger bytes. Whatever is written twice is written with a time stamp that follows
//! from *which* cell it is, so the bytes decide: a cell begins, big-endian, with what must be
//! largest (a change's id, a mark's source), or with its complement where the smallest must stay
//! (a message's source, a send's id). Nothing is read before it is written, nothing is deleted, and
//! a statement that is answered too late, or twice, changes nothing. Cells of one row share a time
//! stamp, so all registers of a chat row are one statement. And no time stamp lies in the future,
//! which ScyllaDB refuses.
//!
//! A value that expires is the exception (of two, the later expiry wins, not the larger bytes), so
//! what expires is never a register: it is the same whenever it is written.
//!
//! Quorums are of the whole cluster: an apply that has answered is seen from everywhere.

mod cell;
#[doc(hidden)]
pub mod cells;
mod layout;
mod memory;
mod options;
mod plan;
mod read;
mod schema;
mod statement;
mod timeline;
mod write;

pub use options::Options;
pub use schema::OpenError;
pub use statement::Counts;
pub use timeline::{Aside, CassandraTimeline};
