//! [`ConfigNode`]: the shell around the decisions, and what others ask of it. One task looks at the store
//! ([`looking`]); everything that it learns is put where those who watch are woken. While the store is away, what
//! was known is answered on.

mod looking;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock;
use volery_node::health::Health;
use volery_node::shutdown::Shutdown;
use volery_ports::cluster::{
    Board, Change, ChangeError, Cluster, Drain, Hold, HoldError, Order, OrderError, Setting, Settings, Terms,
    Unavailable,
};
use volery_ports::cluster_store::{ClusterStore, Facts, Known};

use crate::{admission, orders, stored};
use looking::Looked;
use watches::Watches;

/// The name of the function from recipients to slots, as the cluster's facts have it.
pub const HASH: &str = "xxh3-64 mod 16384";

/// The feature level that this version knows: it rises with each kind of event or row that an older version would pass
/// over.
pub const LEVEL: u16 = 1;

/// How a config-node is set.
#[derive(Clone, Copy, Debug)]
pub struct ConfigOptions {
    /// How many partitions the cluster's log has; what a new cluster is made with.
    pub partitions: Partitions,
    /// The store is looked at this often, and planned moves are paced by it. Well below a second: that is how soon
    /// others show what one has taken.
    pub look_every: Duration,
}

impl ConfigOptions {
    /// As usual, for a cluster of so many partitions.
    #[must_use]
    pub const fn new(partitions: Partitions) -> Self {
        Self { partitions, look_every: Duration::from_millis(250) }
    }
}

/// What a config-node is made of.
pub struct ConfigParts {
    /// What all config-nodes share.
    pub store: Arc<dyn ClusterStore>,
    /// Leases age by it, and changes are dated.
    pub clock: Arc<dyn Clock>,
    /// Once it drains, watches are answered at once, as things are.
    pub shutdown: Shutdown,
    /// Told while the store is away.
    pub health: Health,
}

/// Why a config-node did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The store is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The cluster was made with another number of partitions.
    #[error("the cluster was made with {cluster} partitions, which is fixed, and this config-node is set to {node}")]
    Partitions {
        /// Since it was made.
        cluster: u16,
        /// As configured.
        node: u16,
    },
    /// The cluster was made with another function from recipients to slots.
    #[error("the cluster finds partitions by {0:?}, and this version by {HASH:?}")]
    Hash(String),
    /// The cluster was made by, or raised to, a later version.
    #[error("the cluster is at feature level {0}, and this version knows {LEVEL}: upgrade this node")]
    Level(u16),
}

/// The role. See the module. Stops looking when it is dropped.
pub struct ConfigNode {
    shared: Arc<Shared>,
    looking: JoinHandle<()>,
}

struct Shared {
    store: Arc<dyn ClusterStore>,
    clock: Arc<dyn Clock>,
    /// As the store had it last.
    known: watch::Sender<Known>,
    watches: Watches,
    /// There is something to look at.
    changed: Notify,
}

impl ConfigNode {
    /// Makes the cluster if it is new, looks once, and goes on looking.
    ///
    /// # Errors
    /// [`StartError`]. Nothing was changed then.
    pub async fn start(options: ConfigOptions, parts: ConfigParts) -> Result<Self, StartError> {
        let ConfigParts { store, clock, shutdown, health } = parts;
        let part = health.part("cluster");
        found(store.as_ref(), options.partitions).await?;
        let known = watch::Sender::new(store.known().await?);
        let watches = Watches::new(options.partitions, shutdown.clone());
        let shared = Arc::new(Shared { store, clock, known, watches, changed: Notify::new() });
        let mut looked = Looked::new(options.look_every);
        shared.look(&mut looked).await?;
        part.ready();
        let look = Arc::clone(&shared).look_on(looked, options.look_every, part);
        let looking = tokio::spawn(async move {
            tokio::select! {
                () = look => {}
                () = shutdown.draining() => {}
            }
        });
        Ok(Self { shared, looking })
    }
}

impl Drop for ConfigNode {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// What was fixed when the cluster was made must be what this node goes by.
async fn found(store: &dyn ClusterStore, partitions: Partitions) -> Result<(), StartError> {
    let own = Facts { partitions: partitions.count(), hash: HASH.to_owned(), level: LEVEL };
    let cluster = store.facts(own.clone()).await?;
    if cluster.partitions != own.partitions {
        return Err(StartError::Partitions { cluster: cluster.partitions, node: own.partitions });
    }
    if cluster.hash != own.hash {
        return Err(StartError::Hash(cluster.hash));
    }
    if cluster.level > own.level {
        return Err(StartError::Level(cluster.level));
    }
    Ok(())
}

impl Shared {
    /// While the store is away, by what it held last: a node that starts anew then is not kept from it.
    async fn admit(&self, node: &Terms, opened: bool) -> Result<(), HoldError> {
        match admission::admit(self.store.as_ref(), node, opened).await {
            Err(HoldError::Unavailable(away)) => {
                let known = self.known.borrow();
                if known.lacks_something() { Err(away.into()) } else { admission::judge(&known, node) }
            }
            judged => judged,
        }
    }
}

#[async_trait]
impl Cluster for ConfigNode {
    async fn admit(&self, node: &Terms, opened: bool) -> Result<(), HoldError> {
        self.shared.admit(node, opened).await
    }

    async fn hold(&self, hold: Hold) -> Result<(), HoldError> {
        let Shared { store, clock, watches, changed, .. } = self.shared.as_ref();
        self.shared.admit(&hold.terms, true).await?;
        let map = watches.map(hold.kind);
        admission::reached(&map, &hold.member)?;
        if !store.hold(hold.kind, &hold.member, &hold.process, clock.now()).await? {
            return Err(HoldError::NameTaken(hold.member.name));
        }
        if !map.member(&hold.member.name).is_some_and(|shown| says_so(shown, &hold.member)) {
            changed.notify_one();
        }
        Ok(())
    }

    async fn leave(&self, kind: NodeKind, name: &str, process: &str) -> Result<(), Unavailable> {
        self.shared.store.leave(kind, name, process).await?;
        self.shared.changed.notify_one();
        Ok(())
    }
}

#[async_trait]
impl Board for ConfigNode {
    async fn map(&self, kind: NodeKind, seen: u64, patience: Duration) -> Result<PartitionMap, Unavailable> {
        Ok(self.shared.watches.map_after(kind, seen, patience).await)
    }

    async fn settings(&self, seen: u64, patience: Duration) -> Result<Settings, Unavailable> {
        Ok(self.shared.watches.settings_after(seen, patience).await)
    }

    async fn change(&self, change: Change) -> Result<Setting, ChangeError> {
        let setting = stored::change(self.shared.store.as_ref(), self.shared.clock.now(), &change).await?;
        let Setting { name, version, by, .. } = &setting;
        tracing::info!(name, value = setting.value, version, by, "a setting was changed");
        self.shared.changed.notify_one();
        Ok(setting)
    }

    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable> {
        self.shared.store.drains(kind).await
    }

    async fn order(&self, order: Order) -> Result<PartitionMap, OrderError> {
        let Shared { store, clock, watches, changed, .. } = self.shared.as_ref();
        let map = orders::give(store.as_ref(), &watches.map(order.kind), clock.now(), &order).await?;
        let Order { kind, action, by, .. } = order;
        tracing::info!(kind = kind.name(), ?action, by, version = map.version(), "an order was taken");
        watches.show_map(kind, map.clone());
        changed.notify_one();
        Ok(map)
    }
}

/// Whether a map shows a node as it says that it is; operators may have it drained besides.
fn says_so(shown: &Member, node: &Member) -> bool {
    let state = if node.serves() { shown.state } else { node.state };
    *shown == Member { state, ..node.clone() }
}
