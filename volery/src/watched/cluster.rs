//! A cluster store, its calls timed and counted. That it is away is said by who asks it: config by its part, nodes by
//! their leases.

use std::sync::Arc;

use async_trait::async_trait;
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::time::Timestamp;
use volery_node::metrics::{EngineCall, Metrics};
use volery_ports::cluster::{Change, Drain, Setting};
use volery_ports::cluster_store::{ClusterStore, DrainChange, Facts, Known, Lease, Set, Unavailable};

use crate::calls::timed;

pub(crate) struct TimedCluster {
    store: Arc<dyn ClusterStore>,
    metrics: Metrics,
}

impl TimedCluster {
    pub(crate) fn new(store: Arc<dyn ClusterStore>, metrics: Metrics) -> Self {
        Self { store, metrics }
    }
}

#[async_trait]
impl ClusterStore for TimedCluster {
    async fn known(&self) -> Result<Known, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterKnown, self.store.known()).await
    }

    async fn facts(&self, first: Facts) -> Result<Facts, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterFacts, self.store.facts(first)).await
    }

    async fn log(&self, first: &str) -> Result<String, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterLog, self.store.log(first)).await
    }

    async fn put_log(&self, log: &str) -> Result<(), Unavailable> {
        timed(&self.metrics, EngineCall::ClusterPutLog, self.store.put_log(log)).await
    }

    async fn hold(&self, kind: NodeKind, member: &Member, process: &str, now: Timestamp) -> Result<bool, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterHold, self.store.hold(kind, member, process, now)).await
    }

    async fn leave(&self, kind: NodeKind, name: &str, process: &str) -> Result<(), Unavailable> {
        timed(&self.metrics, EngineCall::ClusterLeave, self.store.leave(kind, name, process)).await
    }

    async fn end(&self, kind: NodeKind, lease: &Lease) -> Result<bool, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterEnd, self.store.end(kind, lease)).await
    }

    async fn leases(&self, kind: NodeKind) -> Result<Vec<Lease>, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterLeases, self.store.leases(kind)).await
    }

    async fn map(&self, kind: NodeKind, seen: u64) -> Result<Option<PartitionMap>, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterMap, self.store.map(kind, seen)).await
    }

    async fn put_map(
        &self,
        kind: NodeKind,
        map: &PartitionMap,
        drain: Option<&DrainChange>,
    ) -> Result<bool, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterPutMap, self.store.put_map(kind, map, drain)).await
    }

    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterDrains, self.store.drains(kind)).await
    }

    async fn settings(&self) -> Result<Vec<Setting>, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterSettings, self.store.settings()).await
    }

    async fn set(&self, change: &Change, now: Timestamp) -> Result<Set, Unavailable> {
        timed(&self.metrics, EngineCall::ClusterSet, self.store.set(change, now)).await
    }
}
