//! `Cluster` from config-nodes elsewhere.
//!
//! Trap avoided: a watch that is made again after its connection broke has less patience left than it
//! began with; asked with all of it, it would end without an answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Status};
use volery_kernel::map::{NodeKind, PartitionMap, PerKind};
use volery_ports::cluster::{
    Board, Change, ChangeError, Cluster, Drain, Hold, HoldError, Order, OrderError, Setting, Settings, Terms,
    Unavailable,
};

use super::recent::Answer;
use super::{convert, failure, maps};
use crate::calls::{Call, Remote};
use crate::check::{self, Checked};
use crate::limits::{ANSWER_BYTES, PATIENCE_MOST, REQUEST_BYTES};
use crate::refusal::to_unavailable;
use crate::wire::config::v1 as wire;
use crate::wire::config::v1::cluster_client::ClusterClient as Stub;
use crate::wire::config::v1::failure::Kind;

/// Config-nodes on other machines. Patience beyond 30 s is cut to that.
pub struct ClusterClient {
    remote: Remote,
    /// The newest maps that were answered: what changes is told by them.
    held: Mutex<PerKind<Option<Arc<PartitionMap>>>>,
}

impl ClusterClient {
    /// Asks the config-nodes behind `remote`.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self { remote, held: Mutex::default() }
    }

    async fn ask(&self, request: wire::MapRequest, patience: Duration) -> Result<Answer, Unavailable> {
        let until = Instant::now() + patience;
        let send = |channel, mut request: Request<wire::MapRequest>| async move {
            request.get_mut().patience_ms = left_ms(until);
            stub(channel).map(request).await
        };
        looked(self.remote.call(Call::watch(patience), request, send).await, maps::to_answer)
    }

    /// The last answer, if it is what the caller has seen.
    fn held(&self, kind: NodeKind, seen: u64) -> Option<Arc<PartitionMap>> {
        self.held.lock().of(kind).clone().filter(|map| map.version() == seen)
    }

    fn remember(&self, kind: NodeKind, map: &PartitionMap) {
        let mut held = self.held.lock();
        let held = held.of_mut(kind);
        if held.as_ref().is_none_or(|held| held.version() < map.version()) {
            *held = Some(Arc::new(map.clone()));
        }
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
        let held = self.held(kind, seen);
        let request = wire::MapRequest { kind: convert::kind(kind), seen, patience_ms: 0, whole: held.is_none() };
        let answer = self.ask(request, patience.min(PATIENCE_MOST)).await?;
        let map = match answer.into_map(held.as_deref()) {
            Some(map) => map,
            None => {
                let answer = self.ask(wire::MapRequest { whole: true, ..request }, Duration::ZERO).await?;
                let unasked = check::Nonsense { field: "changes", what: "were not asked for" };
                answer.into_map(None).ok_or(unasked).map_err(failure::nonsense)?
            }
        };
        self.remember(kind, &map);
        Ok(map)
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

    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable> {
        let send = |channel, request| async move { stub(channel).drains(request).await };
        let request = wire::DrainsRequest { kind: convert::kind(kind) };
        looked(self.remote.call(Call::READ, request, send).await, |answer| Ok(convert::to_drains(answer)))
    }

    async fn order(&self, order: Order) -> Result<PartitionMap, OrderError> {
        let send = |channel, request| async move { stub(channel).order(request).await };
        let taken = self.remote.call(Call::CHANGE, convert::order(order), send).await;
        let map = taken.map_err(|status| failure::to_order(&status))?;
        maps::to_map(map).map_err(|nonsense| failure::nonsense(nonsense).into())
    }
}
