//! [`ConfigNode`]: the shell around the decisions. One task looks at the store, a few times a second and at
//! once after changes of its own; everything that it learns is put where those who watch are woken.
//!
//! Who is up are those whose lease stands in the store: an end is decided by one config-node and written
//! there, so that two of them never write maps against each other. While the store is away, what was
//! known is answered on.
//!
//! Trap avoided: a map that was made from leases older than the map it follows could undo a newer one. The
//! map is read before the leases, and written only if nobody else wrote one since.

mod watches;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use volery_kernel::map::{Member, NodeKind, PartitionMap, PerKind};
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock;
use volery_node::health::{Health, Part};
use volery_node::shutdown::Shutdown;
use volery_ports::cluster::{
    Board, Change, ChangeError, Cluster, Hold, HoldError, Setting, Settings, Terms, Unavailable,
};
use volery_ports::cluster_store::{ClusterStore, Facts, Known};

use crate::leases::Watched;
use crate::{admission, assign, settings, stored};
use watches::Watches;

/// The name of the function from recipients to slots, as the cluster's facts have it.
pub const HASH: &str = "xxh3-64 mod 16384";

/// The feature level that this version knows: it rises with each kind of event or row that an older version would pass
/// over.
pub const LEVEL: u16 = 1;

/// As many config-nodes as are likely to write at once.
const LOOKS_AT_ONCE: usize = 8;

/// How a config-node is set.
#[derive(Clone, Copy, Debug)]
pub struct ConfigOptions {
    /// How many partitions the cluster's log has; what a new cluster is made with.
    pub partitions: Partitions,
    /// The store is looked at this often. Well below a second: that is how soon others show what one has taken.
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
        let shared = Shared { store, clock, known, watches, changed: Notify::new() };
        let (shared, mut watched) = (Arc::new(shared), PerKind::default());
        shared.look(&mut watched).await?;
        part.ready();
        let look = Arc::clone(&shared).look_on(watched, options.look_every, part);
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
    async fn look_on(self: Arc<Self>, mut watched: PerKind<Watched>, every: Duration, part: Part) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = self.changed.notified() => {}
            }
            match self.look(&mut watched).await {
                Ok(()) => part.ready(),
                // The engine has told the log.
                Err(Unavailable(reason)) => {
                    NodeKind::ALL.into_iter().for_each(|kind| watched.of_mut(kind).start_anew());
                    part.degraded(format!("no leases, no changes: {reason}"));
                }
            }
        }
    }

    async fn look(&self, watched: &mut PerKind<Watched>) -> Result<(), Unavailable> {
        self.watches.show_settings(settings::listed(self.store.settings().await?));
        self.known.send_replace(self.store.known().await?);
        for kind in NodeKind::ALL {
            self.settle(kind, watched.of_mut(kind)).await?;
        }
        Ok(())
    }

    /// Looks until there is nothing to write, or it was written. Whoever is overtaken by another
    /// config-node looks again, a few times at once and then when it is time.
    async fn settle(&self, kind: NodeKind, watched: &mut Watched) -> Result<(), Unavailable> {
        for _ in 0..LOOKS_AT_ONCE {
            if self.look_at(kind, watched).await? {
                return Ok(());
            }
        }
        tracing::warn!("a map could not be written: another version than the last one is in the store");
        Ok(())
    }

    /// Whether it is settled: false if somebody else wrote a map meanwhile.
    async fn look_at(&self, kind: NodeKind, watched: &mut Watched) -> Result<bool, Unavailable> {
        if let Some(map) = self.store.map(kind, self.watches.map(kind).version()).await? {
            self.watches.show_map(kind, map);
        }
        let up = self.up(kind, watched).await?;
        match assign::next(&self.watches.map(kind), up) {
            Ok(Some(map)) => self.write(kind, map).await,
            Ok(None) => Ok(true),
            Err(error) => {
                tracing::error!(%error, "no map can be made; the last one stays");
                Ok(true)
            }
        }
    }

    /// Those whose lease stands, after those that have ended were removed.
    async fn up(&self, kind: NodeKind, watched: &mut Watched) -> Result<Vec<Member>, Unavailable> {
        let asked = self.clock.now();
        let mut held = self.store.leases(kind).await?;
        for lease in watched.look(held.clone(), asked, self.clock.now()) {
            if self.store.end(kind, &lease).await? {
                tracing::warn!(kind = kind.name(), node = lease.member.name, "was not heard of: its lease has ended");
                held.retain(|other| *other != lease);
            }
        }
        Ok(held.into_iter().map(|lease| lease.member).collect())
    }

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

    async fn write(&self, kind: NodeKind, map: PartitionMap) -> Result<bool, Unavailable> {
        let written = self.store.put_map(kind, &map).await?;
        if written {
            let (version, members) = (map.version(), map.members().len());
            tracing::info!(kind = kind.name(), version, members, "a new map");
            self.watches.show_map(kind, map);
        }
        Ok(written)
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
        if !store.hold(hold.kind, &hold.member, &hold.process, clock.now()).await? {
            return Err(HoldError::NameTaken(hold.member.name));
        }
        if !watches.map(hold.kind).members().contains(&hold.member) {
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
}
