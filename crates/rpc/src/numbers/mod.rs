//! [`Numbers`](volery_ports::ids::Numbers) across machines.
//!
//! Its refusals, door and client are few enough to stand beside each other; `convert` reads and
//! writes what travels.

mod client;
pub(crate) mod convert;
mod door;
#[cfg(test)]
mod tests;

pub use client::NumbersClient;
pub(crate) use door::{NAME, door};
