//! The listener: what it is given, how it starts, how it ends.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, PathConfig, PayloadConfig};
use actix_web::{App, HttpServer};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::SwaggerUi;
use volery_kernel::map::PartitionMap;
use volery_kernel::time::{Clock, Timestamp};
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_ports::account_service::AccountService;
use volery_ports::accounts::Accounts;
use volery_ports::history::History;

use crate::document::{self, OPENAPI_PATH, Table};
use crate::edge::edge;
use crate::input::BODY_BYTES;
use crate::limit::{Limits, Rates};
use crate::nodes::Nodes;
use crate::problem::Problem;
use crate::routes;
use crate::routes::health::Probed;

/// A request's head must be there within this time, or the connection is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A connection without requests is kept this long: a little more than common proxies keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a graceful stop waits for requests that are under way, in seconds.
const DRAIN_SECONDS: u64 = 5;

/// What may differ between gateways, and between tests.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads that serve; at least 1.
    pub workers: usize,
    /// Connections at once and thread; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a request's body may take to arrive.
    pub body_within: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How often somebody may try to log in, register or refresh.
    pub rates: Rates,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8400)),
            workers: 2,
            connections: 10_000,
            body_within: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
            rates: Rates::default(),
        }
    }
}

/// What the gateway works with.
pub struct GatewayParts {
    /// Whom to ask about tokens.
    pub tokens: Arc<dyn Accounts>,
    /// Whom to ask about accounts.
    pub accounts: Arc<dyn AccountService>,
    /// Whom to ask about chats.
    pub history: Arc<dyn History>,
    /// Where clients connect. Once the sender is dropped, the last one stays.
    pub map: watch::Receiver<Arc<PartitionMap>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// What `/healthz` and the probes answer.
    pub health: Health,
    /// What `/metrics` answers, and where requests are counted.
    pub metrics: Metrics,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) tokens: Arc<dyn Accounts>,
    pub(crate) accounts: Arc<dyn AccountService>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) nodes: Nodes,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    pub(crate) body_within: Duration,
    pub(crate) table: Table,
    begun: Timestamp,
    requests: AtomicU64,
}

impl Shared {
    fn new(options: &GatewayOptions, parts: GatewayParts, table: Table) -> Self {
        let GatewayParts { tokens, accounts, history, map, clock, metrics, .. } = parts;
        Self {
            begun: clock.now(),
            requests: AtomicU64::new(0),
            limits: Limits::new(options.rates),
            trusted_proxies: options.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            body_within: options.body_within,
            table,
            tokens,
            accounts,
            history,
            nodes: Nodes::new(map),
            clock,
            metrics,
        }
    }

    /// Names a request in answers and logs: when the gateway began, and a count.
    pub(crate) fn request_id(&self) -> String {
        format!("{:x}-{:x}", self.begun.0, self.requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// A gateway that serves. Dropped without [`Gateway::stop`], it goes on until its runtime ends.
pub struct Gateway {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Gateway {
    /// Binds and serves. Wants a tokio runtime; serves on threads of its own. Installs no signal handlers.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(options: &GatewayOptions, parts: GatewayParts) -> io::Result<Self> {
        let api = document::description();
        let probed = Data::new(Probed { health: parts.health.clone(), metrics: parts.metrics.clone() });
        let shared = Data::new(Shared::new(options, parts, Table::new(&api)));
        let server = HttpServer::new(move || {
            let (app, _) = App::new()
                .app_data(shared.clone())
                .app_data(probed.clone())
                .app_data(PayloadConfig::new(BODY_BYTES))
                .app_data(
                    PathConfig::default().error_handler(|error, _| Problem::bad("path", error.to_string()).into()),
                )
                .into_utoipa_app()
                .configure(|config: &mut ServiceConfig| routes::all(config))
                .split_for_parts();
            app.service(SwaggerUi::new("/docs/{_:.*}").url(OPENAPI_PATH, api.clone()))
                .route("/docs", web::get().to(document::to_the_docs))
                .default_service(web::to(document::nothing_here))
                .wrap(from_fn(edge))
        });
        let server = server
            .workers(options.workers.max(1))
            .max_connections(options.connections)
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_WITHIN)
            .shutdown_timeout(DRAIN_SECONDS)
            .disable_signals()
            .bind(options.listen)?;
        let address = server.addrs().first().copied().unwrap_or(options.listen);
        let server = server.run();
        Ok(Self { address, handle: server.handle(), task: tokio::spawn(server) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting; gives requests that are under way a few seconds if `graceful`; returns when it is done.
    ///
    /// # Errors
    /// If the listener had failed.
    pub async fn stop(self, graceful: bool) -> io::Result<()> {
        self.handle.stop(graceful).await;
        self.task.await.map_err(io::Error::other)?
    }
}
