//! Whether a node may use the log that it names: the cluster's own, with as many partitions, found by the same
//! function, at a feature level that its version knows. Config-nodes judge by this, and so does whoever has the store itself.
//!
//! Trap avoided: what a node says is not the cluster's before the node has opened its log. Brokers that were named
//! by mistake and are refused for their settings would else be the cluster's for good.

use volery_ports::cluster::{HoldError, Terms};
use volery_ports::cluster_store::{ClusterStore, Facts, Known, Unavailable};

use crate::{HASH, LEVEL};

/// What this version goes by, on the log of this name.
#[must_use]
pub fn terms(partitions: u16, log: String) -> Terms {
    Terms { partitions, hash: HASH.to_owned(), log, level: LEVEL }
}

/// Judges a node by what is known of the cluster. Once it has `opened` its log, what nobody has said before holds for
/// the cluster; before that nothing is kept.
///
/// # Errors
/// [`HoldError`]. Nothing was changed then.
pub async fn admit(store: &dyn ClusterStore, node: &Terms, opened: bool) -> Result<(), HoldError> {
    let known = store.known().await?;
    judge(&known, node)?;
    if opened && known.lacks_something() {
        // Somebody else may have been faster.
        judge(&founded(store, node).await?, node)?;
    }
    Ok(())
}

/// Whether a node is of this cluster. One of which nothing is known takes everybody.
pub(crate) fn judge(cluster: &Known, node: &Terms) -> Result<(), HoldError> {
    if let Some(facts) = &cluster.facts {
        if node.partitions != facts.partitions {
            return Err(HoldError::Partitions { cluster: facts.partitions, node: node.partitions });
        }
        if node.hash != facts.hash {
            return Err(HoldError::Hash { cluster: facts.hash.clone(), node: node.hash.clone() });
        }
        if node.level < facts.level {
            return Err(HoldError::Level { cluster: facts.level, node: node.level });
        }
    }
    match &cluster.log {
        Some(log) if *log != node.log => Err(HoldError::Log { cluster: log.clone(), node: node.log.clone() }),
        _ => Ok(()),
    }
}

async fn founded(store: &dyn ClusterStore, node: &Terms) -> Result<Known, Unavailable> {
    let first = Facts { partitions: node.partitions, hash: node.hash.clone(), level: node.level };
    Ok(Known { facts: Some(store.facts(first).await?), log: Some(store.log(&node.log).await?) })
}
