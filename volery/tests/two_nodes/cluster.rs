//! Some messaging nodes in this process on one log and one history, behind one gateway; whoever starts them says
//! who owns what. Measurements use it too.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use idgen::{ClockedIds, Office, Reserved};
use loadtest::server::{Person, Server};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use volery_account::{AccountNode, AccountOptions, AccountParts, EventSink, HashCost, NotAppended};
use volery_embedded::bus::LocalBus;
use volery_embedded::log::{EmbeddedLog, Options as LogOptions};
use volery_embedded::timeline::{EmbeddedTimeline, Options as TimelineOptions};
use volery_gateway::{Gateway, GatewayOptions, GatewayParts, Rates};
use volery_history::node::{ARCHIVE_OFTEN_MS, HistoryNode, Parts as HistoryParts};
use volery_kernel::event::Event;
use volery_kernel::generator::Generator;
use volery_kernel::limits;
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock;
use volery_messaging::core::pace::Rate;
use volery_messaging::{MessagingNode, Options, Parts};
use volery_node::clock::SystemClock;
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_node::shutdown::{Shutdown, Stage};
use volery_ports::account_service::{AccountService as _, Registration};
use volery_ports::bus::Bus;
use volery_ports::log::Log;
use volery_redis::{Options as RedisOptions, RedisBus};
use volery_sql::SqliteStore;

/// How many there are.
pub(crate) const PARTITIONS: u16 = 16;
const STARTED_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

type SharedGenerator = Arc<parking_lot::Mutex<Generator>>;

/// Appends what accounts say.
struct Sink(Arc<EmbeddedLog>);

#[async_trait]
impl EventSink for Sink {
    async fn append(&self, event: Event) -> Result<(), NotAppended> {
        let partition = self.0.partitions().of(event.stream());
        let appended = self.0.append(partition, volery_reader::to_batch(&[event])).await;
        appended.map(|_| ()).map_err(|error| NotAppended(error.to_string()))
    }
}

/// What a test needs of a running cluster.
struct Up {
    gateway: String,
    members: Vec<Member>,
    nodes: Vec<Metrics>,
}

/// See the module. Dropping it stops it in order.
pub(crate) struct Cluster {
    up: Up,
    map: watch::Sender<Arc<PartitionMap>>,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// So many nodes, with so many of the load test's people. Nobody owns anything yet.
    pub(crate) fn start(folder: &Path, nodes: usize, people: usize) -> Self {
        Self::start_on(folder, nodes, people, None)
    }

    /// The same; with a Redis, each node has a bus of its own on it.
    pub(crate) fn start_on(folder: &Path, nodes: usize, people: usize, redis: Option<String>) -> Self {
        let (map, told) = watch::channel(owned_by(1, &[], &[None; PARTITIONS as usize]));
        let (shutdown, (ready, up), folder) = (Shutdown::new(), mpsc::channel(), folder.to_owned());
        let stop = shutdown.clone();
        let ready = move |up| ready.send(up).expect("somebody waits");
        let run = async move { run(&folder, nodes, people, redis, told, stop, ready).await };
        let thread = std::thread::spawn(move || actix_rt::System::new().block_on(run));
        let up = up.recv_timeout(STARTED_WITHIN).expect("it is up");
        Self { up, map, shutdown, thread: Some(thread) }
    }

    pub(crate) fn gateway(&self) -> &str {
        &self.up.gateway
    }

    /// Where clients of each node connect.
    pub(crate) fn addresses(&self) -> Vec<&str> {
        self.up.members.iter().map(|member| member.url.as_str()).collect()
    }

    /// What a node counts.
    pub(crate) fn node(&self, node: usize) -> &Metrics {
        &self.up.nodes[node]
    }

    /// Tells everybody of the next map: by partition, the node that owns it.
    pub(crate) fn give(&self, owner: impl Fn(u16) -> Option<u16>) {
        let owners: Vec<_> = (0..PARTITIONS).map(owner).collect();
        self.map.send_modify(|map| *map = owned_by(map.version() + 1, &self.up.members, &owners));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shutdown.advance(Stage::Draining);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "it stops in order");
    }
}

fn owned_by(version: u64, members: &[Member], owners: &[Option<u16>]) -> Arc<PartitionMap> {
    Arc::new(PartitionMap::new(version, members.to_vec(), owners).expect("a map"))
}

async fn run(
    folder: &Path,
    nodes: usize,
    people: usize,
    redis: Option<String>,
    map: watch::Receiver<Arc<PartitionMap>>,
    shutdown: Shutdown,
    ready: impl FnOnce(Up),
) {
    let below = Below::open(folder, redis);
    let (accounts, generators) = below.accounts(folder, nodes, people).await;
    let (mut nodes, mut members, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for (number, generator) in generators.into_iter().enumerate() {
        let (name, metrics) = (format!("node-{number}"), metrics());
        let node = below.node(&name, &accounts, generator, &metrics, &map).await;
        members.push(Member { name, url: format!("ws://{}/v1/ws", node.address()) });
        nodes.push(node);
        counted.push(metrics);
    }
    let gateway = below.gateway(accounts, map);
    ready(Up { gateway: format!("http://{}", gateway.address()), members, nodes: counted });
    shutdown.draining().await;
    for mut node in nodes {
        node.drain(STOPPED_WITHIN).await;
        node.stop();
    }
    gateway.stop(true).await.expect("it stops");
    below.close();
}

/// What all nodes stand on.
struct Below {
    clock: Arc<dyn Clock>,
    log: Arc<EmbeddedLog>,
    timeline: EmbeddedTimeline,
    history: HistoryNode,
    bus: LocalBus,
    redis: Option<String>,
}

impl Below {
    fn open(folder: &Path, redis: Option<String>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let partitions = Partitions::new(PARTITIONS).expect("some");
        let log = EmbeddedLog::open(&LogOptions::new(folder.join("log"), partitions), Arc::clone(&clock));
        let timeline = EmbeddedTimeline::open(&folder.join("timeline"), TimelineOptions::default());
        let (log, timeline) = (Arc::new(log.expect("a log")), timeline.expect("a timeline"));
        let history = HistoryNode::start(HistoryParts {
            log: log.clone(),
            timeline: Arc::new(timeline.clone()),
            archive_every_ms: ARCHIVE_OFTEN_MS,
            clock: Arc::clone(&clock),
            metrics: metrics(),
            health: Health::new(),
        });
        let bus = LocalBus::new(Arc::clone(&clock));
        Self { clock, log, timeline, history: history.expect("history"), bus, redis }
    }

    /// Who people are, and a generator for each node.
    async fn accounts(&self, folder: &Path, nodes: usize, people: usize) -> (Arc<AccountNode>, Vec<SharedGenerator>) {
        let store = Arc::new(SqliteStore::open(&folder.join("accounts.db")).await.expect("a store"));
        let office = Arc::new(Office::new(store.clone(), Arc::clone(&self.clock)));
        let ids = Reserved::take(office, "some nodes".to_owned(), nodes + 1).await.expect("numbers");
        let mut generators = ids.generators().to_vec();
        let own = generators.pop().expect("one more than nodes");
        let hash_cost = HashCost { memory_kib: 8, passes: 1, lanes: 1 };
        let parts = AccountParts {
            store,
            sink: Arc::new(Sink(self.log.clone())),
            ids: Arc::new(ClockedIds::new(own, Arc::clone(&self.clock))),
            clock: Arc::clone(&self.clock),
            rng: Box::new(StdRng::seed_from_u64(1)),
        };
        let accounts = AccountNode::start(AccountOptions { hash_cost, ..AccountOptions::default() }, parts);
        let accounts = accounts.await.expect("accounts");
        for Person { user_name, password } in Server::people(0..people) {
            let registration = Registration { user_name, display_name: String::new(), password };
            accounts.register(registration).await.expect("a person");
        }
        (accounts, generators)
    }

    async fn node(
        &self,
        name: &str,
        accounts: &Arc<AccountNode>,
        generator: SharedGenerator,
        metrics: &Metrics,
        map: &watch::Receiver<Arc<PartitionMap>>,
    ) -> MessagingNode {
        let options = Options {
            name: name.to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            threads: 1,
            rate: watch::channel(Rate { per_second: 1_000_000, burst: 1_000_000 }).1,
            tail_bytes: limits::TAIL_BYTES.value,
        };
        let parts = Parts {
            tls: None,
            log: self.log.clone(),
            accounts: accounts.clone(),
            history: self.history.reads(),
            bus: self.bus().await,
            clock: Arc::clone(&self.clock),
            generators: vec![generator],
            metrics: metrics.clone(),
            health: Health::new(),
            map: map.clone(),
        };
        MessagingNode::start(options, parts).await.expect("a node")
    }

    /// A node's.
    async fn bus(&self) -> Arc<dyn Bus> {
        match self.redis.clone() {
            Some(url) => Arc::new(RedisBus::open(&RedisOptions { url, password: None }).await.expect("a bus")),
            None => Arc::new(self.bus.clone()),
        }
    }

    fn gateway(&self, accounts: Arc<AccountNode>, map: watch::Receiver<Arc<PartitionMap>>) -> Gateway {
        let parts = GatewayParts {
            tls: None,
            tokens: accounts.clone(),
            accounts,
            history: self.history.reads(),
            map,
            clock: Arc::clone(&self.clock),
            health: Health::new(),
            metrics: metrics(),
        };
        Gateway::start(&gateway_options(), parts).expect("a gateway")
    }

    fn close(self) {
        self.history.stop();
        self.timeline.close().expect("it closes");
        self.log.close();
    }
}

fn metrics() -> Metrics {
    Metrics::new().expect("metrics")
}

fn gateway_options() -> GatewayOptions {
    let many = NonZeroU32::MAX;
    let rates = Rates {
        logins_per_minute: many,
        logins_per_minute_address: many,
        registrations_per_hour_address: many,
        refreshes_per_minute_address: many,
    };
    let rates = watch::channel(rates).1;
    GatewayOptions { listen: ([127, 0, 0, 1], 0).into(), workers: 1, rates, ..GatewayOptions::default() }
}
