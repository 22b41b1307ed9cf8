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
//! - An order of an operator is judged by the newest map and taken together with the one that follows from it, or
//!   refused. What is refused changes nothing. A node that is drained stays so until somebody undrains it, also over
//!   restarts of itself and of config-nodes.
//! - Partitions without a living owner are given away at once. What goes from one living node to another goes a few
//!   at a time, until shares are right.
//! - Who uses a log asks first whether it is the cluster's, and makes none where it is not. The first log that
//!   is opened is the cluster's from then on.
//!
//! [`LEASE_MS`]: volery_kernel::limits::LEASE_MS

use std::time::Duration;

use async_trait::async_trait;
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::slot::Partition;
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
    /// Another node of its kind is reached there: who is sent to one would meet the other.
    #[error("the node {node:?} is at {url:?} already; every node needs an address of its own")]
    AddressTaken {
        /// Whose it is.
        node: String,
        /// The address.
        url: String,
    },
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

/// A node that says that it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Among whom partitions are divided.
    pub kind: NodeKind,
    /// Who. One that drains is about to leave: it hands over what it has.
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

/// A node that an operator drains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Which, of its kind; it may be down.
    pub node: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What an operator wants of the nodes of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This node hands over what it has, and is given nothing.
    Drain(String),
    /// This node is given partitions again.
    Undrain(String),
    /// This partition goes to this node.
    Move(Partition, String),
}

/// An operator's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Of which nodes.
    pub kind: NodeKind,
    /// What.
    pub action: Action,
    /// Refused if the map is at another version by now; `None` goes by whatever it is at.
    pub seen: Option<u64>,
    /// Who.
    pub by: String,
}

/// Why an order was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The map has changed since it was looked at.
    #[error("the map has changed meanwhile: it is at version {version}, and you have seen {seen}")]
    Stale {
        /// As it is.
        version: u64,
        /// As the caller said.
        seen: u64,
    },
    /// There is no such node, or it is down.
    #[error("no node {0:?} is up; `volery admin nodes` lists those that are")]
    NoNode(String),
    /// Nobody else could take what it has.
    #[error("{0:?} is the last node that serves: start or undrain another one first")]
    LastNode(String),
    /// It is given nothing.
    #[error("the node {0:?} drains: undrain it first, or name another one")]
    Draining(String),
    /// It drains because it ends, and not because somebody said so.
    #[error("the node {0:?} is about to end by itself: start it anew")]
    Leaving(String),
    /// There is no such partition.
    #[error("there is no partition {partition}: there are {partitions}, from 0 on")]
    NoPartition {
        /// As the caller said.
        partition: u16,
        /// How many there are.
        partitions: u16,
    },
    /// Where a partition goes could change again at once.
    #[error("{0} partitions are on their way to other nodes: try again when they are there")]
    Busy(u32),
}

/// What operators see and change, and nodes follow. See the module's contract.
#[async_trait]
pub trait Board: Send + Sync + 'static {
    /// The map of a kind, once its version is above `seen`, or as it is after `patience`.
    async fn map(&self, kind: NodeKind, seen: u64, patience: Duration) -> Result<PartitionMap, Unavailable>;

    /// The settings, once their version is above `seen`, or as they are after `patience`.
    async fn settings(&self, seen: u64, patience: Duration) -> Result<Settings, Unavailable>;

    /// Changes a setting for every node.
    async fn change(&self, change: Change) -> Result<Setting, ChangeError>;

    /// The nodes of a kind that operators drain, by name.
    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable>;

    /// Takes an order. Answers with the map that follows from it, or as it is if it says so already.
    async fn order(&self, order: Order) -> Result<PartitionMap, OrderError>;
}

/// What nodes ask besides. See the module's contract.
#[async_trait]
pub trait Cluster: Board {
    /// Whether a node may use the log that it names. Before it has `opened` that nothing is kept; after it, what
    /// nobody has said before holds for the cluster.
    async fn admit(&self, node: &Terms, opened: bool) -> Result<(), HoldError>;

    /// Takes or renews the lease of a node. To be called each second.
    async fn hold(&self, hold: Hold) -> Result<(), HoldError>;

    /// Gives a lease up, so that nobody waits for its end. One that is not held is no error.
    async fn leave(&self, kind: NodeKind, name: &str, process: &str) -> Result<(), Unavailable>;
}
