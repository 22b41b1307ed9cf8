//! `Cluster` from config-nodes elsewhere.
//!
//! Trap avoided: a watch that is made again after its connection broke has less patience left than it
//! began with; asked with all of it, it would end without an answer.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Status};
use volery_kernel::map::{NodeKind, PartitionMap};
use volery_ports::cluster::{
    Board, Change, ChangeError, Cluster, Hold, HoldError, Setting, Settings, Terms, Unavailable,
};

use super::{convert, failure};
use crate::calls::{Call, Remote};
use crate::check::Checked;
use crate::limits::{ANSWER_BYTES, PATIENCE_MOST, REQUEST_BYTES};
use crate::refusal::to_unavailable;
use crate::wire::config::v1 as wire;
use crate::wire::config::v1::cluster_client::ClusterClient as Stub;
use crate::wire::config::v1::failure::Kind;

/// Config-nodes on other machines. Patience beyond 30 s is cut to that.
pub struct ClusterClient {
    remote: Remote,
}

impl ClusterClient {
    /// Asks the config-nodes behind `remote`.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }
}

fn stub(channel: Channel) -> Stub<Channel> {
    Stub::new(channel).max_decoding_message_size(ANSWER_BYTES).max_encoding_message_size(REQUEST_BYTES)
}

fn looked<W, A>(answer: Result<W, Status>, read: impl Fn(W) -> Checked<A>) -> Result<A, Unavailable> {
    read(answer.map_err(|status| to_unavailable::<Kind>(&status))?).map_err(failure::nonsense)
}

/// What is left of a question's patience.
fn left_ms(until: Instant) -> u64 {
    let left = until.saturating_duration_since(Instant::now());
    u64::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

#[async_trait]
impl Cluster for ClusterClient {
    async fn admit(&self, node: &Terms, opened: bool) -> Result<(), HoldError> {
        let send = |channel, request| async move { stub(channel).admit(request).await };
        let admitted = self.remote.call(Call::READ, convert::admit(node.clone(), opened), send).await;
        admitted.map(drop).map_err(|status| failure::to_hold(&status))
    }

    async fn hold(&self, hold: Hold) -> Result<(), HoldError> {
        let send = |channel, request| async move { stub(channel).hold(request).await };
        let held = self.remote.call(Call::READ, convert::hold(hold), send).await;
        held.map(drop).map_err(|status| failure::to_hold(&status))
    }

    async fn leave(&self, kind: NodeKind, name: &str, process: &str) -> Result<(), Unavailable> {
        let (kind, name, process) = (convert::kind(kind), name.into(), process.into());
        let request = wire::LeaveRequest { kind, name, process };
        let send = |channel, request| async move { stub(channel).leave(request).await };
        looked(self.remote.call(Call::READ, request, send).await, |wire::LeaveAnswer {}| Ok(()))
    }
}

#[async_trait]
impl Board for ClusterClient {
    async fn map(&self, kind: NodeKind, seen: u64, patience: Duration) -> Result<PartitionMap, Unavailable> {
        let patience = patience.min(PATIENCE_MOST);
        let until = Instant::now() + patience;
        let send = |channel, mut request: Request<wire::MapRequest>| async move {
            request.get_mut().patience_ms = left_ms(until);
            stub(channel).map(request).await
        };
        let request = wire::MapRequest { kind: convert::kind(kind), seen, patience_ms: 0 };
        looked(self.remote.call(Call::watch(patience), request, send).await, convert::to_map)
    }

    async fn settings(&self, seen: u64, patience: Duration) -> Result<Settings, Unavailable> {
        let patience = patience.min(PATIENCE_MOST);
        let until = Instant::now() + patience;
        let send = |channel, mut request: Request<wire::SettingsRequest>| async move {
            request.get_mut().patience_ms = left_ms(until);
            stub(channel).settings(request).await
        };
        let request = wire::SettingsRequest { seen, patience_ms: 0 };
        looked(self.remote.call(Call::watch(patience), request, send).await, |all| Ok(convert::to_settings(all)))
    }

    async fn change(&self, change: Change) -> Result<Setting, ChangeError> {
        let send = |channel, request| async move { stub(channel).change(request).await };
        let changed = self.remote.call(Call::CHANGE, convert::change(change), send).await;
        changed.map(convert::to_setting).map_err(|status| failure::to_change(&status))
    }
}
