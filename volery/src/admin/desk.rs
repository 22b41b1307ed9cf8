//! Whom operators ask about maps, nodes and settings: the config-nodes that configuration names, or, where it names
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
use volery_ports::cluster::{Board, Change, ChangeError, Order, OrderError, Setting, Settings, Unavailable};
use volery_rpc::ClusterClient;

use super::nodes::Fleet;
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

    /// The nodes of every kind.
    pub(super) async fn nodes(&self) -> Result<Vec<Fleet>, Failure> {
        let mut all = Vec::new();
        for kind in NodeKind::ALL {
            let map = self.map_after(kind, 0, Duration::ZERO).await?;
            let drains = self.board.drains(kind).await.map_err(|away| self.away(&away))?;
            all.push(Fleet { kind, map, drains });
        }
        Ok(all)
    }

    /// The map, once it is newer than what was seen, or as it is after `patience`.
    pub(super) async fn map_after(
        &self,
        kind: NodeKind,
        seen: u64,
        patience: Duration,
    ) -> Result<PartitionMap, Failure> {
        self.board.map(kind, seen, patience).await.map_err(|away| self.away(&away))
    }

    pub(super) async fn order(&self, order: Order) -> Result<PartitionMap, OrderError> {
        self.board.order(order).await
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

    pub(super) fn away(&self, Unavailable(reason): &Unavailable) -> Failure {
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
