//! Who owns what, for the roles of this process: told by config, here or elsewhere; or, where the messaging
//! node here has no others beside it, everything by that one.
//!
//! Trap avoided: a node says that it is up only once its door is open: before that it has no address, and
//! whoever was sent there would find nobody.

use std::sync::Arc;

use tokio::sync::watch;
use volery_config::follow::{HeldLease, follow_map, hold_lease};
use volery_config::{ConfigNode, ConfigOptions, ConfigParts};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::Partitions;
use volery_ports::cluster::{Cluster, Hold};
use volery_ports::cluster_store::ClusterStore;
use volery_rpc::ClusterClient;

use crate::Failure;
use crate::common::Common;
use crate::engines::partitions;
use crate::numbers::holder;
use crate::roles::Role;

type Map = watch::Receiver<Arc<PartitionMap>>;

/// Where maps come from.
pub(crate) enum OpenCluster {
    /// From here, once the door of the only node is open.
    OnlyNode { told: watch::Sender<Arc<PartitionMap>>, partitions: Partitions },
    /// From config, here or elsewhere.
    Config { cluster: Arc<dyn Cluster>, map: Option<Map>, lease: Option<HeldLease> },
}

impl OpenCluster {
    /// Waits for the first answer of config, if somebody here asks it.
    pub(crate) async fn open(common: &Common<'_>, store: Option<Arc<dyn ClusterStore>>) -> Result<Self, Failure> {
        let partitions = partitions(common.config)?;
        if common.roles.are_of_the_only_node() {
            let unknown = Member { name: common.node_name(), url: String::new() };
            let told = watch::Sender::new(Arc::new(PartitionMap::whole(unknown, partitions)));
            return Ok(Self::OnlyNode { told, partitions });
        }
        let cluster: Arc<dyn Cluster> = match store.filter(|_| common.roles.has(Role::Config)) {
            Some(store) => Arc::new(start(common, store, partitions).await?),
            None => Arc::new(ClusterClient::new(common.remote(Role::Config)?)),
        };
        let map = if common.roles.ask(Role::Config) { Some(follow_map(Arc::clone(&cluster)).await) } else { None };
        Ok(Self::Config { cluster, map, lease: None })
    }

    /// The newest map, and those that follow.
    pub(crate) fn map(&self) -> Option<Map> {
        match self {
            Self::OnlyNode { told, .. } => Some(told.subscribe()),
            Self::Config { map, .. } => map.clone(),
        }
    }

    /// The messaging node here has opened its door.
    pub(crate) fn join(&mut self, member: Member) -> Result<(), Failure> {
        match self {
            Self::OnlyNode { told, partitions } => {
                told.send_replace(Arc::new(PartitionMap::whole(member, *partitions)));
            }
            Self::Config { cluster, lease, map } => {
                let partitions = map.as_ref().map_or(0, |map| map.borrow().partitions());
                let partitions = u16::try_from(partitions)?;
                let hold = Hold { member, process: holder()?, partitions };
                *lease = Some(hold_lease(Arc::clone(cluster), hold));
            }
        }
        Ok(())
    }

    /// The messaging node here ends: others are given its partitions at once, if config can be asked.
    pub(crate) async fn leave(&mut self) {
        if let Self::Config { lease, .. } = self
            && let Some(lease) = lease.take()
            && let Err(error) = lease.leave().await
        {
            tracing::warn!(%error, "the lease was not given up; it ends by itself");
        }
    }

    /// What other processes may ask of this one.
    pub(crate) fn role(&self) -> Option<Arc<dyn Cluster>> {
        match self {
            Self::OnlyNode { .. } => None,
            Self::Config { cluster, .. } => Some(Arc::clone(cluster)),
        }
    }
}

async fn start(
    common: &Common<'_>,
    store: Arc<dyn ClusterStore>,
    partitions: Partitions,
) -> Result<ConfigNode, Failure> {
    let (clock, shutdown, health) = (Arc::clone(&common.clock), common.shutdown.clone(), common.health.clone());
    Ok(ConfigNode::start(ConfigOptions::new(partitions), ConfigParts { store, clock, shutdown, health }).await?)
}
