//! The cluster store's model, conformance suite and random comparison.
//!
//! [`conformance`] states the contract of [`volery_ports::cluster_store`] case by case; [`compare`] runs
//! random operations on an engine and on [`ModelClusterStore`] and wants the same answers. An engine
//! passes both. The model can be switched off, for tests of what happens while SQL is away.

mod conformance;
mod model;
mod random;

pub use conformance::conformance;
pub use model::ModelClusterStore;
pub use random::{Op, compare, ops};

use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::time::Timestamp;
use volery_ports::cluster::{Change, Drain};
use volery_ports::cluster_store::DrainChange;

/// A member of this name.
#[must_use]
pub fn member(name: &str) -> Member {
    Member::new(name.to_owned(), format!("ws://{name}/v1/ws"))
}

/// A map with these owners, each an index of `names`.
///
/// # Panics
/// If it contradicts itself.
#[must_use]
#[expect(clippy::panic, reason = "a test that makes no map has failed")]
pub fn map(version: u64, names: &[&str], owners: &[Option<u16>]) -> PartitionMap {
    let members = names.iter().copied().map(member).collect();
    PartitionMap::new(version, members, owners).unwrap_or_else(|error| panic!("no map: {error}"))
}

/// A node is drained by somebody at this time, or is no more.
#[must_use]
pub fn drained(node: &str, at: u64, begins: bool) -> DrainChange {
    let node = node.to_owned();
    if begins {
        DrainChange::Begins(Drain { by: format!("who drains {node}"), node, at: Timestamp(at) })
    } else {
        DrainChange::Ends(node)
    }
}

/// A change by somebody.
#[must_use]
pub fn change(name: &str, value: Option<&str>, seen: u64) -> Change {
    Change { name: name.to_owned(), value: value.map(str::to_owned), seen, by: format!("who has seen {seen}") }
}
