//! Roles for tests, and servers that can be killed: each has a runtime of its own, and dies with it as
//! a process would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rand::SeedableRng as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use volery_account::{AccountNode, AccountOptions, AccountParts, EventSink, HashCost, NotAppended};
use volery_config::{ConfigNode, ConfigOptions, ConfigParts};
use volery_history::reads::Reads;
use volery_kernel::event::Event;
use volery_kernel::slot::Partitions;
use volery_node::health::Health;
use volery_node::shutdown::{Shutdown, Stage};
use volery_ports::history::History;
use volery_ports::sql::AccountStore;
use volery_rpc::{CallOptions, Doors, Remote};
use volery_testkit::accounts::Subject;
use volery_testkit::cluster_store::ModelClusterStore;
use volery_testkit::history::PARTITIONS;
use volery_testkit::sql::{CountedIds, ManualClock};
use volery_testkit::timeline::ModelTimeline;

/// A server with its doors open.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    runtime: Option<Runtime>,
}

impl Server {
    /// On any port.
    pub(crate) fn start(doors: Doors) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), doors)
    }

    /// On this one, which may have been another's a moment ago.
    pub(crate) fn start_at(address: SocketAddr, doors: Doors) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let shutdown = Shutdown::new();
        // The standard library sets SO_REUSEADDR: a port can be taken again while old connections linger.
        let listener = std::net::TcpListener::bind(address).expect("bound");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("set");
        let of_server = shutdown.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            doors.serve(listener, of_server).await.expect("served");
        });
        Self { address, shutdown, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All connections break, and nobody listens any more.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let killed = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(10)));
            killed.join().expect("killed");
        }
    }

    /// Begins to leave.
    pub(crate) fn drain(&self) {
        self.shutdown.advance(Stage::Draining);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn remote(urls: &[String]) -> Remote {
    Remote::new(urls, CallOptions::default()).expect("endpoints")
}

/// With little patience.
pub(crate) fn hasty(urls: &[String]) -> Remote {
    let options = CallOptions { deadline: Duration::from_millis(500), ..CallOptions::default() };
    Remote::new(urls, options).expect("endpoints")
}

/// history-node's answers over a timeline.
pub(crate) fn reads(timeline: &Arc<ModelTimeline>) -> Arc<dyn History> {
    Arc::new(Reads::new(timeline.clone(), Partitions::new(PARTITIONS).expect("partitions"), 1))
}

/// A log that takes everything.
struct Sink;

#[async_trait]
impl EventSink for Sink {
    async fn append(&self, _: Event) -> Result<(), NotAppended> {
        Ok(())
    }
}

/// account-node over a store.
pub(crate) async fn account_node(store: Arc<dyn AccountStore>) -> Subject {
    let clock = Arc::new(ManualClock::default());
    let options = AccountOptions {
        hash_cost: HashCost { memory_kib: 8, passes: 1, lanes: 1 },
        relay_every: Duration::from_millis(5),
        ..AccountOptions::default()
    };
    let parts = AccountParts {
        store,
        sink: Arc::new(Sink),
        ids: Arc::new(CountedIds::default()),
        clock: clock.clone(),
        rng: Box::new(rand::rngs::StdRng::seed_from_u64(7)),
    };
    let accounts = AccountNode::start(options, parts).await.expect("starts");
    Subject { tokens: accounts.clone(), accounts, clock }
}

/// config-node over a store, which it looks at every few milliseconds.
pub(crate) async fn config_node(
    store: Arc<ModelClusterStore>,
    clock: Arc<ManualClock>,
    shutdown: Shutdown,
) -> Arc<ConfigNode> {
    let partitions = Partitions::new(volery_testkit::cluster::PARTITIONS).expect("partitions");
    let options = ConfigOptions { look_every: Duration::from_millis(5), ..ConfigOptions::new(partitions) };
    let parts = ConfigParts { store, clock, shutdown, health: Health::new() };
    Arc::new(ConfigNode::start(options, parts).await.expect("starts"))
}
