//! The door of a process: the services of its roles on one listener, and the standard health service.
//!
//! It leaves in the two stages of `volery_node::shutdown`: once draining begins, nothing new is taken
//! and calls under way end; once dropping begins, nobody waits for them. Trap avoided: whoever
//! watches the health service would hold its connection for ever, so watches end when draining begins.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use volery_node::shutdown::Shutdown;
use volery_ports::account_service::AccountService;
use volery_ports::cluster::Cluster;
use volery_ports::history::History;
use volery_ports::ids::Numbers;

use crate::limits::{
    CALLER_ALIVE_EVERY, CALLER_ALIVE_WITHIN, CALLS_AT_ONCE, CONNECTION_WINDOW_BYTES, REQUEST_BYTES, STREAM_WINDOW_BYTES,
};
use crate::tls::{self, Tls};
use crate::{accounts, cluster, history, numbers};

/// The name under which the health service speaks of all services together.
const EVERYTHING: &str = "";

/// The door could not be served.
#[derive(Debug, thiserror::Error)]
#[error("the door between nodes: {0}")]
pub struct DoorError(#[from] tonic::transport::Error);

/// What stands behind the door of a process. See the module.
#[derive(Default)]
pub struct Doors {
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    tls: Option<Tls>,
}

impl Doors {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers what sessions and the gateway ask of history-node.
    #[must_use]
    pub fn history(mut self, role: Arc<dyn History>) -> Self {
        self.routes.add_service(history::door(role));
        self.named(history::NAME)
    }

    /// Answers what sessions and the gateway ask of account-node.
    #[must_use]
    pub fn accounts(mut self, role: Arc<dyn AccountService>) -> Self {
        self.routes.add_service(accounts::door(role));
        self.named(accounts::NAME)
    }

    /// Hands out generator numbers.
    #[must_use]
    pub fn numbers(mut self, role: Arc<dyn Numbers>) -> Self {
        self.routes.add_service(numbers::door(role));
        self.named(numbers::NAME)
    }

    /// Answers what nodes and operators ask of config-node.
    #[must_use]
    pub fn cluster(mut self, role: Arc<dyn Cluster>) -> Self {
        self.routes.add_service(cluster::door(role));
        self.named(cluster::NAME)
    }

    /// Takes callers by mutual TLS alone.
    #[must_use]
    pub fn secured(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    fn named(mut self, name: &'static str) -> Self {
        self.names.push(name);
        self
    }

    /// Serves until the shutdown says otherwise, which waits for this as for any guard of its own.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), DoorError> {
        let _guard = shutdown.guard("door between nodes");
        let Self { mut routes, names, tls } = self;
        let health = HealthReporter::new();
        for name in &names {
            health.set_service_status(name, ServingStatus::Serving).await;
        }
        let service = HealthServer::new(HealthService::from_health_reporter(health.clone()));
        routes.add_service(service.max_decoding_message_size(REQUEST_BYTES));
        let draining = async {
            shutdown.draining().await;
            retire(health, &names).await;
        };
        let routes = server().add_routes(routes.routes());
        let serving: BoxFuture<'_, _> = match tls {
            Some(tls) => Box::pin(routes.serve_with_incoming_shutdown(tls::accepted(listener, tls), draining)),
            None => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                Box::pin(routes.serve_with_incoming_shutdown(incoming, draining))
            }
        };
        tokio::select! {
            served = serving => Ok(served?),
            () = shutdown.dropping() => Ok(()),
        }
    }
}

fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(CALLS_AT_ONCE)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(CALLER_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(CALLER_ALIVE_WITHIN))
}

/// Tells those who watch that nothing is served any more, and ends their watches.
async fn retire(mut health: HealthReporter, names: &[&'static str]) {
    for name in names.iter().chain([&EVERYTHING]) {
        health.set_service_status(name, ServingStatus::NotServing).await;
        health.clear_service_status(name).await;
    }
}
