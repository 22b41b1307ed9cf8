//! Whom this process asks for the past: the role history in it, or one elsewhere.

use std::sync::Arc;

use volery_history::node::{HistoryNode, Parts};
use volery_node::metrics::Metrics;
use volery_ports::history::History;
use volery_ports::log::Log;
use volery_rpc::HistoryClient;

use crate::Failure;
use crate::common::Common;
use crate::engines::OpenTimeline;
use crate::roles::Role;

/// Whom to ask, and what is here of it.
pub(crate) struct OpenHistory {
    pub(crate) reads: Arc<dyn History>,
    here: Option<(HistoryNode, OpenTimeline)>,
}

impl OpenHistory {
    /// Those of `history.nodes`.
    pub(crate) fn elsewhere(common: &Common<'_>) -> Result<Self, Failure> {
        Ok(Self { reads: Arc::new(HistoryClient::new(common.remote(Role::History)?)), here: None })
    }

    /// In this process.
    pub(crate) async fn start(common: &Common<'_>, log: Arc<dyn Log>) -> Result<Self, Failure> {
        let timeline = OpenTimeline::open(common.config).await?;
        let node = HistoryNode::start(Parts {
            log,
            timeline: Arc::clone(&timeline.timeline),
            clock: Arc::clone(&common.clock),
            metrics: common.metrics.clone(),
            health: common.health.clone(),
        })?;
        Ok(Self { reads: node.reads(), here: Some((node, timeline)) })
    }

    /// Copies what is counted here into the metrics, until it is dropped.
    pub(crate) async fn sample(&self, metrics: &Metrics) {
        match &self.here {
            Some((_, timeline)) => timeline.sample(metrics).await,
            None => std::future::pending().await,
        }
    }

    /// Stops what is here between two steps.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let Some((node, timeline)) = self.here else { return Ok(()) };
        node.stop();
        timeline.close()
    }
}
