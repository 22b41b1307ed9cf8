//! Whom this process asks for the past: the role history in it, or one elsewhere.

use std::sync::Arc;

use volery_history::node::{HistoryNode, Parts};
use volery_history::reads::Reads;
use volery_kernel::map::NodeKind;
use volery_ports::history::History;
use volery_rpc::HistoryClient;

use crate::Failure;
use crate::cluster::OpenCluster;
use crate::common::Common;
use crate::compose::absent;
use crate::engines::{OpenLog, OpenTimeline};
use crate::roles::Role;

/// Whom to ask, and what is here of it.
pub(crate) struct OpenHistory {
    pub(crate) reads: Arc<dyn History>,
    here: Option<(HistoryNode, OpenTimeline)>,
}

impl OpenHistory {
    /// Those of `history.nodes`. A log that is used here is compared with what they stored of it.
    pub(crate) async fn elsewhere(common: &Common<'_>, log: Option<&OpenLog>) -> Result<Self, Failure> {
        let reads: Arc<dyn History> = Arc::new(HistoryClient::new(common.remote(Role::History)?));
        if let Some(log) = log {
            log.trusted.agree(&reads).await;
        }
        Ok(Self { reads, here: None })
    }

    /// In this process. Nobody reads the log before it was compared with what is stored of it.
    pub(crate) async fn start(common: &Common<'_>, log: &OpenLog, cluster: &OpenCluster) -> Result<Self, Failure> {
        let timeline = OpenTimeline::open(common.config, &common.health, &common.metrics).await?;
        let OpenLog { log, trusted, .. } = log;
        let reads = Reads::new(Arc::clone(&timeline.timeline), log.partitions(), log.generation());
        trusted.agree(&(Arc::new(reads) as Arc<dyn History>)).await;
        let node = HistoryNode::start(Parts {
            name: common.node_name(NodeKind::History),
            map: cluster.map(NodeKind::History).ok_or_else(absent)?,
            refused: cluster.refused(NodeKind::History),
            log: Arc::clone(log),
            timeline: Arc::clone(&timeline.timeline),
            archive_every_ms: timeline.archive_every_ms,
            clock: Arc::clone(&common.clock),
            metrics: common.metrics.clone(),
            health: common.health.clone(),
        })?;
        Ok(Self { reads: node.reads(), here: Some((node, timeline)) })
    }

    /// Stops what is here between two steps.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let Some((node, timeline)) = self.here else { return Ok(()) };
        node.stop();
        timeline.close()
    }
}
