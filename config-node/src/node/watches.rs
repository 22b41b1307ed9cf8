//! The newest maps and settings that this config-node knows, and those who wait for newer ones. What is
//! shown never gets older.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use volery_kernel::map::{NodeKind, PartitionMap, PerKind};
use volery_kernel::slot::Partitions;
use volery_node::shutdown::Shutdown;
use volery_ports::cluster::Settings;

use crate::settings;

pub(super) struct Watches {
    maps: PerKind<watch::Sender<Arc<PartitionMap>>>,
    settings: watch::Sender<Arc<Settings>>,
    shutdown: Shutdown,
}

impl Watches {
    /// Maps of version 0, and nothing set.
    pub(super) fn new(partitions: Partitions, shutdown: Shutdown) -> Self {
        let maps = PerKind::from_fn(|_| watch::Sender::new(Arc::new(PartitionMap::unowned(partitions))));
        let settings = watch::Sender::new(Arc::new(settings::listed(Vec::new())));
        Self { maps, settings, shutdown }
    }

    pub(super) fn map(&self, kind: NodeKind) -> Arc<PartitionMap> {
        Arc::clone(&self.maps.of(kind).borrow())
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    pub(super) fn show_map(&self, kind: NodeKind, map: PartitionMap) {
        show(self.maps.of(kind), map, PartitionMap::version);
    }

    pub(super) fn show_settings(&self, settings: Settings) {
        show(&self.settings, settings, |settings| settings.version);
    }

    pub(super) async fn map_after(&self, kind: NodeKind, seen: u64, patience: Duration) -> PartitionMap {
        self.wait(self.maps.of(kind), patience, |map| map.version() > seen).await;
        self.map(kind).as_ref().clone()
    }

    pub(super) async fn settings_after(&self, seen: u64, patience: Duration) -> Settings {
        self.wait(&self.settings, patience, |settings| settings.version > seen).await;
        self.settings().as_ref().clone()
    }

    /// Until it is as wanted, patience ends, or the node leaves.
    async fn wait<T>(&self, of: &watch::Sender<Arc<T>>, patience: Duration, wanted: impl Fn(&T) -> bool) {
        let mut news = of.subscribe();
        let newer = async { drop(news.wait_for(|now| wanted(now)).await) };
        tokio::select! {
            biased;
            () = newer => {}
            () = self.shutdown.draining() => {}
            () = tokio::time::sleep(patience) => {}
        }
    }
}

fn show<T>(on: &watch::Sender<Arc<T>>, new: T, version: impl Fn(&T) -> u64) {
    on.send_if_modified(|now| {
        let newer = version(&new) > version(now);
        if newer {
            *now = Arc::new(new);
        }
        newer
    });
}
