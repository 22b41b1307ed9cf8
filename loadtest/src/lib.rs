//! Load through the public protocol, and what it costs the server.
//!
//! | module | owns |
//! |---|---|
//! | [`server`] | a server on a folder of its own: users imported, started, watched, restarted, stopped |
//! | [`account`] | log-ins over HTTP, from tens of addresses |
//! | [`process`] | what the kernel says of a process: CPU by thread, memory |
//! | [`link`] | one session by hand: for measurements that do what no good client does |
//! | [`fleet`] | many devices on the client's own state machine, and what their people do |
//! | [`load`] | `flood` and `pairs` |
//! | [`idle`] | sessions that have talked and are silent |
//! | [`tally`] | latencies and counts |
//! | [`report`] | figures: a table and a file |
//!
//! Everything lives on the thread that calls it (a current-thread runtime and a `LocalSet`): the
//! load test shares its machine with the server, and one core is enough for it.

pub mod account;
pub mod cli;
pub mod clock;
pub mod failure;
pub mod fleet;
pub mod idle;
pub mod link;
pub mod load;
pub mod process;
pub mod progress;
mod record;
pub mod report;
pub mod sample;
pub mod scenario;
pub mod server;
pub mod tally;
pub mod target;
pub mod verdict;
