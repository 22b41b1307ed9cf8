//! Whether a node may use the log that it names: the cluster's own, with as many partitions, found by the same
//! function, at a feature level that its version knows. Config-nodes judge by this, and so does whoever has the store itself.
//!
//! Trap avoided: what a node says is not the cluster's before the node has opened its log. Brokers that were named
//! by mistake and are refused for their settings would else be the cluster's for good.

use volery_kernel::map::{Member, PartitionMap};
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

/// Whether a node may be reached where it says, beside those that are up. Of two that came at the same moment the
/// first by name may. One that nobody asks is nowhere.
pub(crate) fn reached(map: &PartitionMap, node: &Member) -> Result<(), HoldError> {
    let is_there_too = |other: &&Member| !node.url.is_empty() && other.url == node.url && other.name != node.name;
    let others = map.members().iter().filter(is_there_too);
    let is_there = map.member(&node.name).is_some_and(|member| member.url == node.url);
    match others.min() {
        Some(other) if !is_there || other.name < node.name => {
            Err(HoldError::AddressTaken { node: other.name.clone(), url: node.url.clone() })
        }
        _ => Ok(()),
    }
}

async fn founded(store: &dyn ClusterStore, node: &Terms) -> Result<Known, Unavailable> {
    let first = Facts { partitions: node.partitions, hash: node.hash.clone(), level: node.level };
    Ok(Known { facts: Some(store.facts(first).await?), log: Some(store.log(&node.log).await?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, url: &str) -> Member {
        Member::new(name.to_owned(), url.to_owned())
    }

    #[test]
    fn an_address_is_one_node_s() {
        let up = vec![at("b", "one"), at("c", "two"), at("d", "two"), at("x", ""), at("y", "")];
        let map = PartitionMap::new(1, up, &[None]).expect("a map");
        let of = |name: &str, url: &str| match reached(&map, &at(name, url)) {
            Err(HoldError::AddressTaken { node, .. }) => node,
            other => format!("{other:?}"),
        };
        assert_eq!([of("b", "one"), of("e", "three"), of("y", "")], ["Ok(())"; 3].map(str::to_owned));
        assert_eq!([of("a", "one"), of("c", "one")], ["b", "b"], "it is taken, whoever comes");
        assert_eq!([of("c", "two"), of("d", "two")], ["Ok(())", "c"], "both are there: one stays");
    }
}
