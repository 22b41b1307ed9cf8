//! Load through the public protocol, and what it costs the server.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | what one types |
//! | [`scenario`] | a run from log-in to rest: `flood`, `pairs`, `day`, `storm` |
//! | [`fleet`] | many devices on the client's own state machine, and what their people do |
//! | [`target`] | a server of the run's own, or a cluster that runs already |
//! | [`server`] | a server on a folder of its own: users imported, started, watched, restarted, stopped |
//! | [`gateways`] | whom to ask over HTTP, from tens of addresses, and whom else |
//! | [`account`] | registrations and log-ins |
//! | [`process`], [`meter`] | what the kernel says of a process, and a node of itself |
//! | [`tally`], [`sample`] | what clients count, as a whole and from moment to moment |
//! | [`latency`], [`moves`] | how long something took; sessions that were lost, until their devices are caught up |
//! | [`verdict`] | the history of a run before the checker |
//! | [`report`] | a table, a JSON file, a page with plots |
//! | [`link`] | one session by hand: for measurements that do what no good client does |
//! | [`load`], [`idle`] | flood, pairs, talks and idle sessions as functions, for other measurements |
//!
//! Everything lives on the thread that calls it (a current-thread runtime and a `LocalSet`): the
//! load test shares its machine with the server, and one core is enough for it.

pub mod account;
pub mod cli;
pub mod clock;
pub mod failure;
pub mod fleet;
pub mod gateways;
pub mod idle;
pub mod latency;
pub mod link;
pub mod load;
pub mod meter;
pub mod moves;
pub mod process;
pub mod progress;
mod record;
pub mod report;
mod run;
pub mod sample;
pub mod scenario;
pub mod server;
pub mod tally;
pub mod target;
pub mod verdict;
