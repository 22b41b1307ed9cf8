//! Whom operators ask about map and settings: the config-nodes that configuration names, or, where it names
//! none, the store of `volery up`, which may run meanwhile.
//!
//! Trap avoided: a store that is not there is not made. Whoever is in the wrong folder would set something that
//! nobody reads.

use std::sync::Arc;
use std::time::Duration;

use volery_config::StoredBoard;
use volery_kernel::map::{Member, NodeKind, PartitionMap, PerKind};
use volery_node::clock::SystemClock;
use volery_node::config::{Config, Nodes};
use volery_ports::cluster::{Board, Change, ChangeError, Setting, Settings, Unavailable};
use volery_rpc::ClusterClient;

use crate::Failure;
use crate::certificates::between_roles;
use crate::common::{door_of_sessions, node_name, remote};
use crate::engines::{ACCOUNTS, OpenStore, partitions};
use crate::roles::Role;

/// See the module.
pub(super) struct Desk {
    board: Arc<dyn Board>,
    /// Who answers, and what to look at if nobody does.
    whom: String,
}

impl Desk {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        if let Some(Nodes(nodes)) = &config.config_nodes {
            let board = Arc::new(ClusterClient::new(remote(config, between_roles(config)?.as_ref(), Role::Config)?));
            let whom =
                format!("no config-node at {} answers; is one running, and is config.nodes right?", nodes.join(", "));
            return Ok(Self { board, whom });
        }
        let store = store(config).await?.cluster;
        let partitions = partitions(config)?;
        let only = PerKind::from_fn(|kind| PartitionMap::whole(only_node(config, kind), partitions));
        let board = Arc::new(StoredBoard::new(store, Arc::new(SystemClock), only));
        Ok(Self { board, whom: "the store did not answer".to_owned() })
    }

    pub(super) async fn map(&self, kind: NodeKind) -> Result<PartitionMap, Failure> {
        self.board.map(kind, 0, Duration::ZERO).await.map_err(|away| self.away(&away))
    }

    pub(super) async fn settings(&self) -> Result<Settings, Failure> {
        self.board.settings(0, Duration::ZERO).await.map_err(|away| self.away(&away))
    }

    pub(super) async fn change(&self, change: Change) -> Result<Setting, Failure> {
        let name = change.name.clone();
        self.board.change(change).await.map_err(|error| match error {
            ChangeError::Unavailable(away) => {
                let Failure(why) = self.away(&away);
                Failure(format!("{why}\nWhether {name} was changed is not known: look at `volery admin settings`"))
            }
            ChangeError::Stale { version, .. } => {
                Failure(format!("{error}: look at `volery admin settings`, then give --seen {version} or leave it out"))
            }
            ChangeError::Unknown(_) | ChangeError::Invalid { .. } => error.into(),
        })
    }

    fn away(&self, Unavailable(reason): &Unavailable) -> Failure {
        Failure(format!("{} ({reason})", self.whom))
    }
}

/// What SQL keeps, if it is there.
pub(super) async fn store(config: &Config) -> Result<OpenStore, Failure> {
    OpenStore::there(config).await?.ok_or_else(|| {
        let file = config.data_dir.join(ACCOUNTS);
        Failure(format!(
            "there is no {}: name the data folder of `volery up` with --data, or the cluster's configuration with --config",
            file.display()
        ))
    })
}

/// The node of `volery up`, as its configuration has it. Nobody else asks its history: that has no address.
fn only_node(config: &Config, kind: NodeKind) -> Member {
    let url = match kind {
        NodeKind::Messaging => door_of_sessions(config, config.messaging_listen),
        NodeKind::History => String::new(),
    };
    Member::new(node_name(config, kind), url)
}
