//! The cluster store: what config-nodes keep in common. Leases and the map of each kind of node, dynamic
//! settings, and the facts with which the cluster was made.
//!
//! # Contract
//! - A call is one transaction: all of it is there when it answers `Ok`, and survives a crash. After
//!   [`Unavailable`] it is all there or not at all.
//! - Reads see every call that has answered, whoever made it.
//! - The store judges nothing and reads no clock. Whether a lease has ended, what a map should say and
//!   which values a setting takes is decided above; what must not be overwritten unseen is written by
//!   compare-and-set.
//! - Kinds of nodes have nothing in common: neither names nor versions of maps.
//! - There is at most one lease a name and kind. It stays until somebody removes it, however old it is: so the
//!   leases that are there are those that are held, and everybody sees the same ones.
//! - Texts hold no NUL. Times and versions are below 2^63.

use async_trait::async_trait;
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::time::Timestamp;

pub use crate::accounts::Unavailable;
use crate::cluster::{Change, Drain, Setting};

/// What is fixed when a cluster is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How many partitions the log has.
    pub partitions: u16,
    /// The name of the function from recipients to slots.
    pub hash: String,
    /// The feature level: kinds of events and rows that every node must know. A node that knows less would pass
    /// over what others write.
    pub level: u16,
}

/// What is known of a cluster. Nothing, if it is new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What it was made with.
    pub facts: Option<Facts>,
    /// Which log it uses, as its nodes call it.
    pub log: Option<String>,
}

impl Known {
    /// Whether nobody has said some of it yet.
    #[must_use]
    pub const fn lacks_something(&self) -> bool {
        self.facts.is_none() || self.log.is_none()
    }
}

/// A lease as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub member: Member,
    /// The holder's process.
    pub process: String,
    /// When it was renewed last, by the clock of whoever took the call. It rises with each renewal, even
    /// if that clock does not: two readings that differ tell that it was renewed between them.
    pub renewed: Timestamp,
}

/// How a change of a setting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// The setting, as it is now.
    Done(Setting),
    /// It is at another version than was seen. Nothing was written.
    Stale {
        /// As it is; 0 if it was never set.
        version: u64,
    },
}

/// What changes together with a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainChange {
    /// A node is drained from now on. If it was already, who said so first stays.
    Begins(Drain),
    /// The node of this name is not drained any more.
    Ends(String),
}

/// See the module's contract.
#[async_trait]
pub trait ClusterStore: Send + Sync + 'static {
    /// What is known of the cluster. Makes none.
    async fn known(&self) -> Result<Known, Unavailable>;

    /// What the cluster was made with. A new one is made with `first`.
    async fn facts(&self, first: Facts) -> Result<Facts, Unavailable>;

    /// Which log the cluster uses, as its nodes call it. The first that anybody says stays.
    async fn log(&self, first: &str) -> Result<String, Unavailable>;

    /// The cluster uses this log from now on: whoever operates it says so.
    async fn put_log(&self, log: &str) -> Result<(), Unavailable>;

    /// Takes the lease of a name, or renews it if this process holds it; all else of it becomes as the member
    /// says. False: another process holds the name, and nothing was written.
    async fn hold(&self, kind: NodeKind, member: &Member, process: &str, now: Timestamp) -> Result<bool, Unavailable>;

    /// Removes the lease of a name if this process holds it.
    async fn leave(&self, kind: NodeKind, name: &str, process: &str) -> Result<(), Unavailable>;

    /// Removes a lease if it was not renewed since it was read as this. Whether it did.
    async fn end(&self, kind: NodeKind, lease: &Lease) -> Result<bool, Unavailable>;

    /// All leases of a kind, by name.
    async fn leases(&self, kind: NodeKind) -> Result<Vec<Lease>, Unavailable>;

    /// The map of a kind, if there is one with a version above `seen`.
    async fn map(&self, kind: NodeKind, seen: u64) -> Result<Option<PartitionMap>, Unavailable>;

    /// Writes a map, and what changes with it, if the map comes right after the one that is there; version 1 is the
    /// first. Whether it did.
    async fn put_map(
        &self,
        kind: NodeKind,
        map: &PartitionMap,
        drain: Option<&DrainChange>,
    ) -> Result<bool, Unavailable>;

    /// The nodes of a kind that are drained, by name.
    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable>;

    /// All settings that were ever set, by name.
    async fn settings(&self) -> Result<Vec<Setting>, Unavailable>;

    /// Sets a setting if it is at the version that was seen, which is 0 if it was never set. Its version
    /// rises by one.
    async fn set(&self, change: &Change, now: Timestamp) -> Result<Set, Unavailable>;
}
