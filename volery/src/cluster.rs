//! Who owns what and how everyone is set, for the roles of this process: told by config, here or elsewhere; or,
//! where the messaging node here has no others beside it, everything by that one, set as the store says.
//!
//! Trap avoided: a node says that it is up only once its door is open: before that it has no address, and
//! whoever was sent there would find nobody.

use std::sync::Arc;

use tokio::sync::watch;
use volery_config::follow::{HeldLease, follow_map, follow_settings, hold_lease};
use volery_config::{ConfigNode, ConfigOptions, ConfigParts, StoredBoard};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::Partitions;
use volery_ports::cluster::{Cluster, Hold, Settings};
use volery_ports::cluster_store::ClusterStore;
use volery_rpc::ClusterClient;

use crate::Failure;
use crate::common::Common;
use crate::engines::partitions;
use crate::numbers::holder;
use crate::roles::Role;

type Map = watch::Receiver<Arc<PartitionMap>>;
type Told = watch::Receiver<Arc<Settings>>;

/// Where maps come from.
pub(crate) enum OpenCluster {
    /// From here, once the door of the only node is open.
    OnlyNode { told: watch::Sender<Arc<PartitionMap>>, partitions: Partitions, settings: Told },
    /// From config, here or elsewhere. Map and settings are there if somebody here goes by them.
    Config { cluster: Arc<dyn Cluster>, map: Option<Map>, settings: Option<Told>, lease: Option<HeldLease> },
}

impl OpenCluster {
    /// Waits for the first answer of config, if somebody here asks it.
    pub(crate) async fn open(common: &Common<'_>, store: Option<Arc<dyn ClusterStore>>) -> Result<Self, Failure> {
        let partitions = partitions(common.config)?;
        if common.roles.are_of_the_only_node() {
            return Ok(Self::only_node(common, store, partitions));
        }
        let cluster: Arc<dyn Cluster> = match store.filter(|_| common.roles.has(Role::Config)) {
            Some(store) => Arc::new(start(common, store, partitions).await?),
            None => Arc::new(ClusterClient::new(common.remote(Role::Config)?)),
        };
        let (mut map, mut settings) = (None, None);
        if common.roles.ask(Role::Config) {
            settings = Some(follow_settings(cluster.clone()));
            map = Some(follow_map(Arc::clone(&cluster)).await);
        }
        Ok(Self::Config { cluster, map, settings, lease: None })
    }

    /// Without a store here, nobody could have set anything: it goes by its own configuration.
    fn only_node(common: &Common<'_>, store: Option<Arc<dyn ClusterStore>>, partitions: Partitions) -> Self {
        let unknown = Member { name: common.node_name(), url: String::new() };
        let map = PartitionMap::whole(unknown, partitions);
        let told = watch::Sender::new(Arc::new(map.clone()));
        let settings = match store {
            Some(store) => follow_settings(Arc::new(StoredBoard::new(store, Arc::clone(&common.clock), map))),
            None => watch::channel(Arc::default()).1,
        };
        Self::OnlyNode { told, partitions, settings }
    }

    /// The newest settings, and those that follow.
    pub(crate) fn settings(&self) -> Option<Told> {
        match self {
            Self::OnlyNode { settings, .. } => Some(settings.clone()),
            Self::Config { settings, .. } => settings.clone(),
        }
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
            Self::OnlyNode { told, partitions, .. } => {
                told.send_replace(Arc::new(PartitionMap::whole(member, *partitions)));
            }
            Self::Config { cluster, lease, map, .. } => {
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
