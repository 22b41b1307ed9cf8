//! Who owns what and how everyone is set, for the roles of this process: told by config, here or elsewhere; or,
//! where the nodes here have no others beside them, everything by those, set as the store says.
//!
//! Trap avoided: a node says that it is up only once its door is open: before that it has no address, and
//! whoever was sent there would find nobody.

use std::sync::Arc;

use tokio::sync::watch;
use volery_config::follow::{HeldLease, Standing, follow_map, follow_settings, hold_lease};
use volery_config::{ConfigNode, ConfigOptions, ConfigParts, StoredBoard, admission};
use volery_kernel::map::{Member, NodeKind, PartitionMap, PerKind};
use volery_kernel::slot::Partitions;
use volery_node::health::{Part, State};
use volery_node::metrics::Metrics;
use volery_ports::cluster::{Cluster, Hold, Settings};
use volery_ports::cluster_store::ClusterStore;

use crate::Failure;
use crate::common::Common;
use crate::compose::absent;
use crate::engines::{OpenLog, partitions};
use crate::numbers::holder;
use crate::roles::Role;

type Map = watch::Receiver<Arc<PartitionMap>>;
type Told = watch::Receiver<Arc<Settings>>;

/// Where maps come from.
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub(crate) enum OpenCluster {
    /// From here, once the door of the only node is open.
    OnlyNode { told: PerKind<watch::Sender<Arc<PartitionMap>>>, partitions: Partitions, settings: Told },
    /// From config, here or elsewhere. Maps and settings are there if somebody here goes by them.
    Config {
        cluster: Arc<dyn Cluster>,
        maps: PerKind<Option<Map>>,
        settings: Option<Told>,
        leases: PerKind<Option<HeldLease>>,
        refused: PerKind<watch::Sender<bool>>,
    },
}

impl OpenCluster {
    /// Waits for the first answer of config, if somebody here asks it.
    pub(crate) async fn open(
        common: &Common<'_>,
        store: Option<Arc<dyn ClusterStore>>,
        elsewhere: Option<Arc<dyn Cluster>>,
    ) -> Result<Self, Failure> {
        let partitions = partitions(common.config)?;
        if common.roles.are_of_the_only_node() {
            return Ok(Self::only_node(common, store, partitions));
        }
        let cluster: Arc<dyn Cluster> = match store.filter(|_| common.roles.has(Role::Config)) {
            Some(store) => Arc::new(start(common, store, partitions).await?),
            None => elsewhere.ok_or_else(absent)?,
        };
        let (mut maps, mut settings) = (PerKind::default(), None);
        if common.roles.has_any(&[Role::Messaging, Role::Gateway]) {
            settings = Some(follow_settings(cluster.clone()));
            *maps.of_mut(NodeKind::Messaging) = Some(follow_map(Arc::clone(&cluster), NodeKind::Messaging).await);
        }
        if common.roles.has(Role::History) {
            *maps.of_mut(NodeKind::History) = Some(follow_map(Arc::clone(&cluster), NodeKind::History).await);
        }
        Ok(Self::Config { cluster, maps, settings, leases: PerKind::default(), refused: PerKind::default() })
    }

    /// Without a store here, nobody could have set anything: it goes by its own configuration.
    fn only_node(common: &Common<'_>, store: Option<Arc<dyn ClusterStore>>, partitions: Partitions) -> Self {
        let unknown = |kind| Member::new(common.node_name(kind), String::new());
        let maps = PerKind::from_fn(|kind| PartitionMap::whole(unknown(kind), partitions));
        let told = PerKind::from_fn(|kind| watch::Sender::new(Arc::new(maps.of(kind).clone())));
        let settings = match store {
            Some(store) => follow_settings(Arc::new(StoredBoard::new(store, Arc::clone(&common.clock), maps))),
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

    /// The newest map of a kind, and those that follow.
    pub(crate) fn map(&self, kind: NodeKind) -> Option<Map> {
        match self {
            Self::OnlyNode { told, .. } => Some(told.of(kind).subscribe()),
            Self::Config { maps, .. } => maps.of(kind).clone(),
        }
    }

    /// Whether the node of this kind here is refused, once it has joined.
    pub(crate) fn refused(&self, kind: NodeKind) -> watch::Receiver<bool> {
        match self {
            Self::OnlyNode { .. } => watch::channel(false).1,
            Self::Config { refused, .. } => refused.of(kind).subscribe(),
        }
    }

    /// The node of this kind here is up, and its door is open if it has one.
    pub(crate) fn join(
        &mut self,
        common: &Common<'_>,
        kind: NodeKind,
        member: Member,
        log: &OpenLog,
    ) -> Result<(), Failure> {
        match self {
            Self::OnlyNode { told, partitions, .. } => {
                told.of(kind).send_replace(Arc::new(PartitionMap::whole(member, *partitions)));
            }
            Self::Config { cluster, leases, refused, .. } => {
                let terms = admission::terms(log.log.partitions().count(), log.name.clone());
                let hold = Hold { kind, member, process: holder()?, terms };
                let held = hold_lease(Arc::clone(cluster), hold);
                let (part, metrics) = (common.health.part(part_of(kind)), common.metrics.clone());
                let saying = Saying { kind, part, metrics, refused: refused.of(kind).clone() };
                tokio::spawn(saying.of(held.standing()));
                *leases.of_mut(kind) = Some(held);
            }
        }
        Ok(())
    }

    /// The node of this kind here is about to end, and is drained. Whether others were told.
    pub(crate) async fn drain(&mut self, kind: NodeKind) -> bool {
        let Self::Config { leases, .. } = self else { return false };
        let Some(lease) = leases.of_mut(kind) else { return false };
        let told = lease.drain().await;
        if let Err(error) = &told {
            tracing::warn!(%error, "nobody was told that this node is about to end");
        }
        told.is_ok()
    }

    /// The node of this kind here ends: others are given its partitions at once, if config can be asked. Whether
    /// they are.
    pub(crate) async fn leave(&mut self, kind: NodeKind) -> bool {
        let Self::Config { leases, .. } = self else { return false };
        let Some(lease) = leases.of_mut(kind).take() else { return false };
        let left = lease.leave().await;
        if let Err(error) = &left {
            tracing::warn!(%error, "the lease was not given up; it ends by itself");
        }
        left.is_ok()
    }

    /// What other processes may ask of this one.
    pub(crate) fn role(&self) -> Option<Arc<dyn Cluster>> {
        match self {
            Self::OnlyNode { .. } => None,
            Self::Config { cluster, .. } => Some(Arc::clone(cluster)),
        }
    }
}

/// The part of health that says whether the node of this kind is part of the cluster.
fn part_of(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Messaging => "lease",
        NodeKind::History => "history_lease",
    }
}

/// Who is told how it stands with a lease.
struct Saying {
    kind: NodeKind,
    part: Part,
    metrics: Metrics,
    refused: watch::Sender<bool>,
}

impl Saying {
    /// Says it for as long as the lease is renewed.
    async fn of(self, mut standing: watch::Receiver<Standing>) {
        let held = self.metrics.lease_held.of(self.kind);
        loop {
            let now = standing.borrow_and_update().clone();
            held.set(i64::from(now == Standing::Held));
            self.refused.send_replace(matches!(now, Standing::Refused(_)));
            self.part.set(state(self.kind, now));
            if standing.changed().await.is_err() {
                return held.set(0);
            }
        }
    }
}

/// Who is told no asks again each second, and may be told yes: nothing that a restart helps against. History answers
/// everybody all the same. Who is told nothing carries on.
fn state(kind: NodeKind, standing: Standing) -> State {
    match (standing, kind) {
        (Standing::Unknown, _) => State::Starting,
        (Standing::Held, _) => State::Ready,
        (Standing::Unanswered(reason), _) => State::Degraded(format!("the lease is not renewed: {reason}")),
        (Standing::Refused(error), NodeKind::Messaging) => {
            State::Down(format!("this node is not part of the cluster: {error}"))
        }
        (Standing::Refused(error), NodeKind::History) => {
            State::Degraded(format!("no partition is worked on here, the cluster refuses this node: {error}"))
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

#[cfg(test)]
mod tests {
    use volery_node::health::Health;
    use volery_ports::cluster::HoldError;

    use super::*;

    fn saying(kind: NodeKind, health: &Health, metrics: &Metrics) -> Saying {
        let (part, metrics) = (health.part(part_of(kind)), metrics.clone());
        Saying { kind, part, metrics, refused: watch::Sender::new(false) }
    }

    #[tokio::test]
    async fn a_history_node_that_is_refused_works_on_nothing_and_answers() {
        let (health, metrics) = (Health::new(), Metrics::new().unwrap());
        let saying = saying(NodeKind::History, &health, &metrics);
        let (refused, (standing, told)) = (saying.refused.subscribe(), watch::channel(Standing::Held));
        tokio::spawn(saying.of(told));
        let (taken, away) = (HoldError::NameTaken("one".to_owned()), "nobody answers".to_owned());
        let mut now = Vec::new();
        for next in [Standing::Refused(taken), Standing::Held, Standing::Unanswered(away)] {
            standing.send_replace(next);
            // Told, and back to waiting.
            tokio::task::yield_now().await;
            now.push((health.report().ready, *refused.borrow()));
        }
        assert_eq!(now, [(true, true), (true, false), (true, false)]);
    }

    #[tokio::test]
    async fn a_node_that_is_not_part_of_the_cluster_says_so() {
        let (health, metrics) = (Health::new(), Metrics::new().unwrap());
        let held = metrics.lease_held.of(NodeKind::Messaging).clone();
        let (standing, told) = watch::channel(Standing::Unknown);
        let saying = tokio::spawn(saying(NodeKind::Messaging, &health, &metrics).of(told));
        let mut now = Vec::new();
        let (taken, away) = (HoldError::NameTaken("one".to_owned()), "nobody answers".to_owned());
        for next in
            [Standing::Held, Standing::Refused(taken), Standing::Held, Standing::Unanswered(away), Standing::Held]
        {
            standing.send_replace(next);
            // Told, and back to waiting.
            tokio::task::yield_now().await;
            now.push((health.report().ready, held.get()));
        }
        assert_eq!(now, [(true, 1), (false, 0), (true, 1), (true, 0), (true, 1)]);
        standing.send_replace(Standing::Refused(HoldError::Partitions { cluster: 8, node: 16 }));
        tokio::task::yield_now().await;
        let report = health.report();
        assert!(report.live && report.started, "a restart would not help");
        assert!(matches!(&report.parts["lease"], State::Down(why) if why.contains("8 partitions")), "{report:?}");
        drop(standing);
        saying.await.unwrap();
        assert_eq!(held.get(), 0);
    }
}
