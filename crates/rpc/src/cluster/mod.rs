//! [`Cluster`](volery_ports::cluster::Cluster) across machines.
//!
//! `convert` reads and writes what travels, `failure` the refusals. A watch is a call that may last as
//! long as its caller's patience, beyond the usual deadline.

mod client;
mod convert;
mod door;
mod failure;
#[cfg(test)]
mod tests;

pub use client::ClusterClient;
pub(crate) use door::{NAME, door};
