//! Some messaging nodes and two history nodes in this process on one log and one timeline, behind one gateway; whoever
//! starts them says who owns what. Measurements use it too.

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
/// Of history nodes.
const NAMES: [&str; 2] = ["one", "two"];
const STARTED_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

type Told = watch::Receiver<Arc<PartitionMap>>;
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
    histories: [Metrics; 2],
}

/// See the module. Dropping it stops it in order.
pub(crate) struct Cluster {
    up: Up,
    map: watch::Sender<Arc<PartitionMap>>,
    /// Each history node's: they need not believe the same.
    history_maps: [watch::Sender<Arc<PartitionMap>>; 2],
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// So many messaging nodes, with so many of the load test's people. None of them owns anything yet, and the first
    /// history node all.
    pub(crate) fn start(folder: &Path, nodes: usize, people: usize) -> Self {
        Self::start_on(folder, nodes, people, None)
    }

    /// The same; with a Redis, each node has a bus of its own on it.
    pub(crate) fn start_on(folder: &Path, nodes: usize, people: usize, redis: Option<String>) -> Self {
        let (map, told) = watch::channel(owned_by(1, &[], &[None; PARTITIONS as usize]));
        let history_maps = [0, 1].map(|node| watch::Sender::new(history_map(node, 1, |_| node == 0)));
        let history_told = history_maps.each_ref().map(watch::Sender::subscribe);
        let (shutdown, (ready, up), folder) = (Shutdown::new(), mpsc::channel(), folder.to_owned());
        let stop = shutdown.clone();
        let ready = move |up| ready.send(up).expect("somebody waits");
        let run = async move { run(&folder, (nodes, people), redis, (told, history_told), stop, ready).await };
        let thread = std::thread::spawn(move || actix_rt::System::new().block_on(run));
        let up = up.recv_timeout(STARTED_WITHIN).expect("it is up");
        Self { up, map, history_maps, shutdown, thread: Some(thread) }
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

    /// What a history node counts.
    pub(crate) fn history(&self, node: usize) -> &Metrics {
        &self.up.histories[node]
    }

    /// Tells each history node of its next map: by node and partition, whether it is that node's.
    pub(crate) fn give_history(&self, owns: impl Fn(u16, u16) -> bool) {
        for (node, map) in (0..).zip(&self.history_maps) {
            map.send_modify(|map| *map = history_map(node, map.version() + 1, |partition| owns(node, partition)));
        }
    }

    /// Tells everybody of the next map: by partition, the messaging node that owns it.
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

/// What is not this history node's is the other one's.
fn history_map(node: u16, version: u64, owns: impl Fn(u16) -> bool) -> Arc<PartitionMap> {
    let members = NAMES.map(|name| Member::new(name.to_owned(), String::new()));
    let owners: Vec<_> = (0..PARTITIONS).map(|partition| Some(if owns(partition) { node } else { 1 - node })).collect();
    owned_by(version, &members, &owners)
}

async fn run(
    folder: &Path,
    (nodes, people): (usize, usize),
    redis: Option<String>,
    (map, history_maps): (Told, [Told; 2]),
    shutdown: Shutdown,
    ready: impl FnOnce(Up),
) {
    let histories = [metrics(), metrics()];
    let below = Below::open(folder, redis, history_maps, &histories);
    let (accounts, generators) = below.accounts(folder, nodes, people).await;
    let (mut nodes, mut members, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for (number, generator) in generators.into_iter().enumerate() {
        let metrics = metrics();
        let node = below.node(number, &accounts, generator, &metrics, &map).await;
        members.push(Member::new(messaging_name(number), format!("ws://{}/v1/ws", node.address())));
        nodes.push(node);
        counted.push(metrics);
    }
    let gateway = below.gateway(accounts, map);
    ready(Up { gateway: format!("http://{}", gateway.address()), members, nodes: counted, histories });
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
    histories: Vec<HistoryNode>,
    bus: LocalBus,
    redis: Option<String>,
}

impl Below {
    fn open(folder: &Path, redis: Option<String>, maps: [Told; 2], counted: &[Metrics; 2]) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let partitions = Partitions::new(PARTITIONS).expect("some");
        let log = EmbeddedLog::open(&LogOptions::new(folder.join("log"), partitions), Arc::clone(&clock));
        let timeline = EmbeddedTimeline::open(&folder.join("timeline"), TimelineOptions::default());
        let (log, timeline) = (Arc::new(log.expect("a log")), timeline.expect("a timeline"));
        let history = |((name, map), metrics): ((&str, Told), &Metrics)| {
            let parts = HistoryParts {
                name: name.to_owned(),
                map,
                refused: watch::channel(false).1,
                log: log.clone(),
                timeline: Arc::new(timeline.clone()),
                archive_every_ms: ARCHIVE_OFTEN_MS,
                clock: Arc::clone(&clock),
                metrics: metrics.clone(),
                health: Health::new(),
            };
            HistoryNode::start(parts).expect("history")
        };
        let histories = NAMES.into_iter().zip(maps).zip(counted).map(history).collect();
        let bus = LocalBus::new(Arc::clone(&clock));
        Self { clock, log, timeline, histories, bus, redis }
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

    /// They ask the history nodes in turn, whichever partitions those work on.
    async fn node(
        &self,
        node: usize,
        accounts: &Arc<AccountNode>,
        generator: SharedGenerator,
        metrics: &Metrics,
        map: &Told,
    ) -> MessagingNode {
        let options = Options {
            name: messaging_name(node),
            listen: ([127, 0, 0, 1], 0).into(),
            threads: 1,
            rate: watch::channel(Rate { per_second: 1_000_000, burst: 1_000_000 }).1,
            tail_bytes: limits::TAIL_BYTES.value,
        };
        let parts = Parts {
            tls: None,
            log: self.log.clone(),
            accounts: accounts.clone(),
            history: self.histories[node % self.histories.len()].reads(),
            bus: self.bus().await,
            clock: Arc::clone(&self.clock),
            generators: vec![generator],
            metrics: metrics.clone(),
            health: Health::new(),
            map: map.clone(),
            refused: watch::channel(false).1,
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

    fn gateway(&self, accounts: Arc<AccountNode>, map: Told) -> Gateway {
        let parts = GatewayParts {
            tls: None,
            tokens: accounts.clone(),
            accounts,
            history: self.histories[0].reads(),
            map,
            clock: Arc::clone(&self.clock),
            health: Health::new(),
            metrics: metrics(),
        };
        Gateway::start(&gateway_options(), parts).expect("a gateway")
    }

    fn close(self) {
        self.histories.into_iter().for_each(HistoryNode::stop);
        self.timeline.close().expect("it closes");
        self.log.close();
    }
}

/// Names of a map are in order: the tenth comes after the second.
fn messaging_name(number: usize) -> String {
    format!("node-{number:03}")
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
