//! [`StoredBoard`]: the maps and the settings straight from the store, where no config-node has to run. A node
//! that is its cluster's only one follows its settings by it, and operators change them beside it. Orders to nodes are
//! judged as by a config-node: the only node is the last one, too.
//!
//! Trap avoided: two doors to the same settings that judge differently would each undo what the other refuses.
//! A config-node changes settings by [`change`], too.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use volery_kernel::map::{NodeKind, PartitionMap, PerKind};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::cluster::{Board, Change, ChangeError, Drain, Order, OrderError, Setting, Settings, Unavailable};
use volery_ports::cluster_store::{ClusterStore, Set};

use crate::{orders, settings};

/// How often the store is looked at while somebody waits: as soon as config-nodes show what one has taken.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub struct StoredBoard {
    store: Arc<dyn ClusterStore>,
    clock: Arc<dyn Clock>,
    only: PerKind<PartitionMap>,
}

impl StoredBoard {
    /// What stands in the store; `only` are the maps where no config-node ever wrote one.
    #[must_use]
    pub fn new(store: Arc<dyn ClusterStore>, clock: Arc<dyn Clock>, only: PerKind<PartitionMap>) -> Self {
        Self { store, clock, only }
    }

    async fn stored_map(&self, kind: NodeKind) -> Result<PartitionMap, Unavailable> {
        Ok(self.store.map(kind, 0).await?.unwrap_or_else(|| self.only.of(kind).clone()))
    }

    async fn stored_settings(&self) -> Result<Settings, Unavailable> {
        Ok(settings::listed(self.store.settings().await?))
    }
}

#[async_trait]
impl Board for StoredBoard {
    async fn map(&self, kind: NodeKind, seen: u64, patience: Duration) -> Result<PartitionMap, Unavailable> {
        look_for(|map: &PartitionMap| map.version() > seen, patience, || self.stored_map(kind)).await
    }

    async fn settings(&self, seen: u64, patience: Duration) -> Result<Settings, Unavailable> {
        look_for(|settings: &Settings| settings.version > seen, patience, || self.stored_settings()).await
    }

    async fn change(&self, change: Change) -> Result<Setting, ChangeError> {
        self::change(self.store.as_ref(), self.clock.now(), &change).await
    }

    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable> {
        self.store.drains(kind).await
    }

    async fn order(&self, order: Order) -> Result<PartitionMap, OrderError> {
        orders::give(self.store.as_ref(), self.only.of(order.kind), self.clock.now(), &order).await
    }
}

/// Judges a change by what the store holds, and makes it.
pub(crate) async fn change(store: &dyn ClusterStore, now: Timestamp, change: &Change) -> Result<Setting, ChangeError> {
    settings::check(change, &settings::listed(store.settings().await?))?;
    match store.set(change, now).await? {
        Set::Done(setting) => Ok(setting),
        Set::Stale { version } => Err(ChangeError::Stale { name: change.name.clone(), version, seen: change.seen }),
    }
}

/// Looks until it is as wanted, or patience ends.
async fn look_for<T, F: Future<Output = Result<T, Unavailable>>>(
    wanted: impl Fn(&T) -> bool,
    patience: Duration,
    look: impl Fn() -> F,
) -> Result<T, Unavailable> {
    let until = Instant::now() + patience;
    loop {
        let now = look().await?;
        let left = until.saturating_duration_since(Instant::now());
        if wanted(&now) || left.is_zero() {
            return Ok(now);
        }
        sleep(left.min(LOOK_EVERY)).await;
    }
}
