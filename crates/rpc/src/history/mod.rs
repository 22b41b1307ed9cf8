//! [`History`](volery_ports::history::History) across machines.
//!
//! | file | owns |
//! |---|---|
//! | `ask` | requests: what travels to history-node |
//! | `answer`, `early` | answers: what travels back |
//! | `failure` | refusals as statuses |
//! | `door` | the service over a `History` |
//! | `client` | a `History` over the service |

pub(crate) mod answer;
pub(crate) mod ask;
mod client;
mod door;
mod early;
mod failure;
#[cfg(test)]
mod tests;

pub use client::HistoryClient;
pub(crate) use door::{NAME, door};
