//! The service over `Cluster`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use volery_kernel::map::MapDelta;
use volery_ports::cluster::Cluster;

use super::recent::{Answer, Recent};
use super::{convert, failure, maps};
use crate::limits::{ANSWER_BYTES, PATIENCE_MOST, REQUEST_BYTES};
use crate::refusal::of_unavailable;
use crate::wire::config::v1 as wire;
use crate::wire::config::v1::cluster_server::{self, ClusterServer};
use crate::wire::config::v1::failure::Kind;

/// The service's name in its contract.
pub(crate) const NAME: &str = <ClusterServer<Door> as NamedService>::NAME;

pub(crate) struct Door {
    cluster: Arc<dyn Cluster>,
    recent: Mutex<Recent>,
}

pub(crate) fn door(cluster: Arc<dyn Cluster>) -> ClusterServer<Door> {
    let door = Door { cluster, recent: Mutex::default() };
    ClusterServer::new(door).max_decoding_message_size(REQUEST_BYTES).max_encoding_message_size(ANSWER_BYTES)
}

fn patience(asked_ms: u64) -> Duration {
    Duration::from_millis(asked_ms).min(PATIENCE_MOST)
}

#[tonic::async_trait]
impl cluster_server::Cluster for Door {
    async fn admit(&self, request: Request<wire::AdmitRequest>) -> Result<Response<wire::AdmitAnswer>, Status> {
        let (terms, opened) = convert::to_admit(request.into_inner())?;
        self.cluster.admit(&terms, opened).await.map_err(failure::of_hold)?;
        Ok(Response::new(wire::AdmitAnswer {}))
    }

    async fn hold(&self, request: Request<wire::HoldRequest>) -> Result<Response<wire::HoldAnswer>, Status> {
        let hold = convert::to_hold(request.into_inner())?;
        self.cluster.hold(hold).await.map_err(failure::of_hold)?;
        Ok(Response::new(wire::HoldAnswer {}))
    }

    async fn leave(&self, request: Request<wire::LeaveRequest>) -> Result<Response<wire::LeaveAnswer>, Status> {
        let wire::LeaveRequest { kind, name, process } = request.into_inner();
        let kind = convert::to_kind(kind)?;
        let (name, process) = (convert::word("name", name)?, convert::word("process", process)?);
        self.cluster.leave(kind, &name, &process).await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(wire::LeaveAnswer {}))
    }

    async fn map(&self, request: Request<wire::MapRequest>) -> Result<Response<wire::MapAnswer>, Status> {
        let wire::MapRequest { kind, seen, patience_ms, whole } = request.into_inner();
        let kind = convert::to_kind(kind)?;
        let map = self.cluster.map(kind, seen, patience(patience_ms)).await.map_err(of_unavailable::<Kind>)?;
        let known = self.recent.lock().seen(kind, seen, &map).filter(|_| !whole);
        let answer = match known {
            Some(known) => Answer::Changes(MapDelta::between(&known, &map)),
            None => Answer::Whole(map),
        };
        Ok(Response::new(maps::answer(answer)))
    }

    async fn settings(&self, request: Request<wire::SettingsRequest>) -> Result<Response<wire::AllSettings>, Status> {
        let wire::SettingsRequest { seen, patience_ms } = request.into_inner();
        let settings = self.cluster.settings(seen, patience(patience_ms)).await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(convert::settings(settings)))
    }

    async fn change(&self, request: Request<wire::ChangeRequest>) -> Result<Response<wire::Setting>, Status> {
        let change = convert::to_change(request.into_inner())?;
        let setting = self.cluster.change(change).await.map_err(failure::of_change)?;
        Ok(Response::new(convert::setting(setting)))
    }

    async fn drains(&self, request: Request<wire::DrainsRequest>) -> Result<Response<wire::DrainsAnswer>, Status> {
        let kind = convert::to_kind(request.into_inner().kind)?;
        let drains = self.cluster.drains(kind).await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(convert::drains(drains)))
    }

    async fn order(&self, request: Request<wire::OrderRequest>) -> Result<Response<wire::PartitionMap>, Status> {
        let order = convert::to_order(request.into_inner())?;
        let map = self.cluster.order(order).await.map_err(failure::of_order)?;
        Ok(Response::new(maps::map(&map)))
    }
}
