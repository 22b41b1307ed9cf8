//! [`Cluster`](volery_ports::cluster::Cluster) across machines.
//!
//! `convert` and `maps` read and write what travels, `failure` the refusals. A watch is a call that may last as
//! long as its caller's patience, beyond the usual deadline; of maps that callers have seen, `recent` remembers some.

mod client;
pub(crate) mod convert;
mod door;
mod failure;
pub(crate) mod maps;
mod recent;
#[cfg(test)]
mod tests;

pub use client::ClusterClient;
pub(crate) use door::{NAME, door};
