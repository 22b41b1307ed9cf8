//! Whether the log that this process is about to use is its cluster's: asked before the log is opened, so that nothing
//! is made where it is not, and once it is open.
//!
//! Config-nodes say it, or the store by which they do, where this process has it anyway; where configuration
//! names no config-node, the store is opened for the question. Trap avoided: were it kept beside the timeline, too,
//! an operator who moves the log would have to say so twice.

use std::sync::Arc;

use volery_config::admission;
use volery_config::follow::admitted;
use volery_node::config::Config;
use volery_ports::cluster::{Cluster, Terms};
use volery_ports::cluster_store::ClusterStore;

use crate::Failure;
use crate::engines::{self, OpenStore, partitions};

/// Who knows which log the cluster uses.
pub(crate) enum Admission {
    /// Config-nodes elsewhere, which are waited for.
    Config(Arc<dyn Cluster>),
    /// The store.
    Store(Arc<dyn ClusterStore>),
    /// A log in the data folder of the only node is nobody else's.
    Nobody,
}

impl Admission {
    /// Of whoever is at hand.
    pub(crate) async fn of(
        config: &Config,
        store: Option<&OpenStore>,
        cluster: Option<&Arc<dyn Cluster>>,
    ) -> Result<Self, Failure> {
        Ok(match (store, cluster) {
            (Some(store), _) => Self::Store(Arc::clone(&store.cluster)),
            (None, Some(cluster)) => Self::Config(Arc::clone(cluster)),
            (None, None) if config.accounts_database.is_some() => Self::Store(OpenStore::open(config).await?.cluster),
            (None, None) => Self::Nobody,
        })
    }

    /// What this process goes by, once it may.
    pub(crate) async fn terms(&self, config: &Config) -> Result<Terms, Failure> {
        let terms = admission::terms(partitions(config)?.count(), engines::log_name(config).await?);
        self.ask(&terms, false).await?;
        Ok(terms)
    }

    /// Whether a process that goes by these may use its log; `opened`: it does.
    pub(crate) async fn ask(&self, terms: &Terms, opened: bool) -> Result<(), Failure> {
        match self {
            Self::Config(cluster) => Ok(admitted(cluster.as_ref(), terms, opened).await?),
            Self::Store(store) => Ok(admission::admit(store.as_ref(), terms, opened).await?),
            Self::Nobody => Ok(()),
        }
    }
}
