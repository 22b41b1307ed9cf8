//! What nodes and operators ask of config-node: who is up, who owns what, how everyone is set.
//!
//! # Contract
//! - Several config-nodes answer alike: what one has taken, all others show within a second.
//! - A lease is held for [`LEASE_MS`] from the answer on, and is lost only when a config-node *says* so.
//!   Who cannot reach one carries on: a doubled owner breaks no promise.
//! - Maps and settings have versions that only rise. A watch answers at once if there is a newer one
//!   than its caller has seen, else when there is, at the latest after its patience: so whoever asks again
//!   from the last answer misses nothing.
//! - A setting is taken by compare-and-set. What is refused changes nothing.
//! - Who uses a log asks first whether it is the cluster's, and makes none where it is not. The first log that
//!   is opened is the cluster's from then on.
//!
//! [`LEASE_MS`]: volery_kernel::limits::LEASE_MS

use std::time::Duration;

use async_trait::async_trait;
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::time::Timestamp;

pub use crate::accounts::Unavailable;

/// Why a lease is not held, or a log must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// Nobody could be asked: carry on with what was known.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Another process holds the name.
    #[error("another process is the node {0:?}; every node needs a name of its own")]
    NameTaken(String),
    /// The node serves another number of partitions than its cluster has.
    #[error("the cluster has {cluster} partitions, and this node would serve {node}")]
    Partitions {
        /// Since it was made.
        cluster: u16,
        /// As the node's log has.
        node: u16,
    },
    /// The node finds partitions by another function: what it appends would stand where nobody reads it.
    #[error("the cluster finds partitions by {cluster:?}, and this version by {node:?}")]
    Hash {
        /// Since it was made.
        cluster: String,
        /// As the node's version has it.
        node: String,
    },
    /// The node uses another log: what it appends there would reach nobody.
    #[error(
        "the cluster uses the log {cluster:?}, and this node {node:?}; see docs/operations.md if the log was moved"
    )]
    Log {
        /// Since it was made, or as an operator said.
        cluster: String,
        /// As the node calls it.
        node: String,
    },
    /// The node's version is too old.
    #[error("the cluster is at feature level {cluster}, and this version knows {node}: upgrade this node")]
    Level {
        /// As it is.
        cluster: u16,
        /// As the node knows.
        node: u16,
    },
}

/// What a node that uses the log goes by: the same as its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How many partitions its log has.
    pub partitions: u16,
    /// By which function its version finds a recipient's partition.
    pub hash: String,
    /// Which log that is: two nodes say the same if, and only if, they hear each other.
    pub log: String,
    /// The feature level that its version knows.
    pub level: u16,
}

/// A messaging node that says that it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who.
    pub member: Member,
    /// Unique to the process: tells a node that starts anew from another that took its name.
    pub process: String,
    /// What it goes by.
    pub terms: Terms,
}

/// A dynamic setting, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As configuration keys are named.
    pub name: String,
    /// As it is written in configuration; `None` if nodes go by their own configuration.
    pub value: Option<String>,
    /// Rises with each change of this setting; 0 if it was never set.
    pub version: u64,
    /// Who changed it last; empty if nobody did.
    pub by: String,
    /// When; the epoch if never.
    pub at: Timestamp,
}

/// All settings at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Rises with each change of any of them.
    pub version: u64,
    /// By name; those that were never set, too.
    pub settings: Vec<Setting>,
}

/// A change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub name: String,
    /// `None` returns to the nodes' own configuration.
    pub value: Option<String>,
    /// The version that whoever changes it has seen.
    pub seen: u64,
    /// Who.
    pub by: String,
}

/// Why a setting was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// There is none of this name, or it is not dynamic.
    #[error("there is no dynamic setting {0:?}; `volery admin settings` lists them")]
    Unknown(String),
    /// Its value is not taken.
    #[error("{name}: {reason}")]
    Invalid {
        /// Which.
        name: String,
        /// As configuration says it at the start.
        reason: String,
    },
    /// Somebody else changed it in the meantime.
    #[error("{name} was changed meanwhile: it is at version {version}, and you have seen {seen}")]
    Stale {
        /// Which.
        name: String,
        /// As it is.
        version: u64,
        /// As the caller said.
        seen: u64,
    },
}

/// What operators see and change, and nodes follow. See the module's contract.
#[async_trait]
pub trait Board: Send + Sync + 'static {
    /// The map, once its version is above `seen`, or as it is after `patience`.
    async fn map(&self, seen: u64, patience: Duration) -> Result<PartitionMap, Unavailable>;

    /// The settings, once their version is above `seen`, or as they are after `patience`.
    async fn settings(&self, seen: u64, patience: Duration) -> Result<Settings, Unavailable>;

    /// Changes a setting for every node.
    async fn change(&self, change: Change) -> Result<Setting, ChangeError>;
}

/// What nodes ask besides. See the module's contract.
#[async_trait]
pub trait Cluster: Board {
    /// Whether a node may use the log that it names. Before it has `opened` that nothing is kept; after it, what
    /// nobody has said before holds for the cluster.
    async fn admit(&self, node: &Terms, opened: bool) -> Result<(), HoldError>;

    /// Takes or renews the lease of a messaging node. To be called each second.
    async fn hold(&self, hold: Hold) -> Result<(), HoldError>;

    /// Gives a lease up, so that nobody waits for its end. One that is not held is no error.
    async fn leave(&self, name: &str, process: &str) -> Result<(), Unavailable>;
}
