//! A node on the model of the log, with people and a past that are made up; and a device that speaks to
//! its door. Every wait is for a condition.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use volery_door::frame::Kind;
use volery_door::handshake::client::Offer;
use volery_door::listener::connect;
use volery_door::socket::{Gone, Heard, Limits, Socket};
use volery_embedded::bus::LocalBus;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::code::Close;
use volery_kernel::event::{Body, Event, Seen, SendKey};
use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::map::{Member, MemberState, PartitionMap};
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_messaging::core::pace::Rate;
use volery_messaging::{MessagingNode, Options, Parts};
use volery_node::clock::SystemClock;
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_ports::accounts::{Accounts, Claims, TokenError, Unavailable};
use volery_ports::history::{Anchor, ChatsPage, History, HistoryError, MessageView, Page, Stretch};
use volery_ports::log::{AppendError, Appended, Chunk, Extent, Log, NewRecord, ReadError, Reader};
use volery_testkit::log::ModelLog;
use volery_wire::client::{Hello, Request};
use volery_wire::codec::{Encoding, decode_reply, encode_request};
use volery_wire::field::Blob;
use volery_wire::server::Reply;

/// Everybody who is logged in.
pub(crate) const ME: UserId = UserId(Id::MAX);
/// Where the other node is.
pub(crate) const ELSEWHERE: &str = "ws://elsewhere";
const DEVICE: DeviceId = DeviceId(Id::MAX);
/// Less than it takes until a send that is under way is given up: that wakes a session too.
const NEVER: Duration = Duration::from_millis(limits::APPEND_DEADLINE_MS.value - 1_000);
const ENCODING: Encoding = Encoding::MessagePack;
const PARTITIONS: Partitions = match Partitions::new(2) {
    Some(partitions) => partitions,
    None => panic!("two are some"),
};

fn id(number: u64) -> Id {
    Id::new(number).expect("an id")
}

/// A user of that partition.
pub(crate) fn in_partition(partition: Partition) -> UserId {
    let mut users = (1..).map(|number| UserId(id(number)));
    users.find(|user| PARTITIONS.of(Recipient::User(*user)) == partition).expect("numbers do not end")
}

/// The model; appends to one partition may be held up, and all reading.
struct HeldLog {
    model: ModelLog,
    held: Partition,
    open: watch::Sender<bool>,
    readable: watch::Sender<bool>,
}

#[async_trait]
impl Log for HeldLog {
    fn generation(&self) -> u16 {
        self.model.generation()
    }

    fn partitions(&self) -> Partitions {
        self.model.partitions()
    }

    async fn append(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        if partition == self.held {
            self.open.subscribe().wait_for(|open| *open).await.expect("the log outlives its appends");
        }
        self.model.append(partition, batch).await
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        self.model.read(partition, from, max_bytes).await
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        self.readable.subscribe().wait_for(|readable| *readable).await.expect("the log outlives its readers");
        self.model.extent(partition).await
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        self.model.beyond(partition, seen).await
    }

    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        self.model.seek(partition, stamp, below).await
    }

    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError> {
        self.model.commit(reader, partition, offset).await
    }

    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError> {
        self.model.committed(reader, partition).await
    }

    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError> {
        self.model.release(partition, below, older_than).await
    }
}

/// The machine's clock, so many milliseconds off.
#[derive(Default)]
pub(crate) struct Stepped(AtomicI64);

impl Stepped {
    pub(crate) fn step(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for Stepped {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_add_signed(self.0.load(Ordering::Relaxed)))
    }
}

struct Everybody;

#[async_trait]
impl Accounts for Everybody {
    async fn authenticate(&self, _: &str, now: Timestamp) -> Result<Claims, TokenError> {
        Ok(Claims { user: ME, device: DEVICE, expires: now.plus(3_600_000) })
    }

    async fn user_exists(&self, _: UserId) -> Result<bool, Unavailable> {
        Ok(true)
    }
}

/// Fails once, when it is told to, then has every stretch without an event; its pages have almost eight
/// mebibytes.
#[derive(Default)]
pub(crate) struct Past {
    pub(crate) fail: Notify,
    /// Told with each page.
    pub(crate) paged: Notify,
    /// How far archive is; nowhere at first.
    pub(crate) archived: Mutex<Option<Position>>,
    failed: AtomicBool,
    end: Mutex<Offset>,
}

#[async_trait]
impl History for Past {
    async fn page(&self, user: UserId, _: ChatId, _: Anchor, _: usize) -> Result<Page, HistoryError> {
        const MESSAGES: u64 = 60;
        const TEXT: usize = 128 * 1_024;
        let message = |number| MessageView {
            id: id(number),
            sender: user,
            key: SendKey { device: DEVICE, session: SessionNumber(id(1)), number: 1 },
            source: Source::new(1, number),
            body: Body::text("x".repeat(TEXT)),
            reply_to: None,
            edited: None,
            deleted: None,
            reactions: Vec::new(),
        };
        self.paged.notify_one();
        Ok(Page { messages: (1..=MESSAGES).map(message).collect(), older: None, newer: None, covers: Source::ZERO })
    }

    async fn chats(&self, _: UserId, _: Option<Vec<u8>>, _: usize) -> Result<ChatsPage, HistoryError> {
        Ok(ChatsPage { chats: Vec::new(), next: None })
    }

    async fn archived(&self, _: Partition) -> Result<Option<Position>, HistoryError> {
        Ok(*self.archived.lock())
    }

    async fn stretch(&self, _: UserId, _: Partition, _: Offset, _: usize) -> Result<Stretch, HistoryError> {
        if !self.failed.swap(true, Ordering::Relaxed) {
            self.fail.notified().await;
            return Err(HistoryError::Unavailable("told so".to_owned()));
        }
        Ok(Stretch { events: Vec::new(), complete_below: *self.end.lock() })
    }

    async fn undelivered(&self, _: UserId, _: usize) -> Result<Vec<(ChatId, Seen)>, HistoryError> {
        Ok(Vec::new())
    }
}

/// See the module.
pub(crate) struct Node {
    log: Arc<HeldLog>,
    pub(crate) history: Arc<Past>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    /// The node's own: the log's is right.
    pub(crate) clock: Arc<Stepped>,
    map: watch::Sender<Arc<PartitionMap>>,
    pace: watch::Sender<Rate>,
    refused: watch::Sender<bool>,
    address: SocketAddr,
    node: Rc<MessagingNode>,
}

impl Node {
    /// Runs a test beside a node whose log holds three records of somebody else and whose tails hold next to
    /// nothing.
    pub(crate) fn run(test: impl AsyncFnOnce(Self)) {
        Self::run_owned_by(Some(0), test);
    }

    /// The same, with a first map as in [`Node::all_belong_to`].
    pub(crate) fn run_owned_by(owner: Option<u16>, test: impl AsyncFnOnce(Self)) {
        Self::run_with(owner, 1, test);
    }

    /// The same, with so many bytes for tails.
    pub(crate) fn run_with(owner: Option<u16>, tail_bytes: usize, test: impl AsyncFnOnce(Self)) {
        actix_rt::System::new().block_on(async {
            let (clock, health) = (Arc::new(Stepped::default()), Health::new());
            let own = PARTITIONS.of(Recipient::User(ME));
            let held = PARTITIONS.iter().find(|partition| *partition != own).expect("another");
            let model = ModelLog::new(1, PARTITIONS, Arc::new(SystemClock));
            let log =
                Arc::new(HeldLog { model, held, open: watch::Sender::new(true), readable: watch::Sender::new(true) });
            let history = Arc::new(Past::default());
            fill(&log, own, 3).await;
            *history.end.lock() = 3;
            let now = clock.now();
            let generator = Generator::new(1, now, now.plus(3_600_000));
            let ((map, told), (refused, told_no)) = (watch::channel(owned_by(1, owner)), watch::channel(false));
            let metrics = Metrics::new().expect("metrics");
            let parts = Parts {
                tls: None,
                log: log.clone(),
                accounts: Arc::new(Everybody),
                history: history.clone(),
                bus: Arc::new(LocalBus::new(clock.clone())),
                clock: clock.clone(),
                generators: vec![Arc::new(Mutex::new(generator))],
                metrics: metrics.clone(),
                health: health.clone(),
                map: told,
                refused: told_no,
            };
            let (pace, rate) = watch::channel(Rate { per_second: 1_000, burst: 1_000 });
            let listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let options = Options { name: "node".to_owned(), listen, threads: 1, rate, tail_bytes };
            let node = MessagingNode::start(options, parts).await.expect("it starts");
            let node = Rc::new(node);
            let address = node.address();
            let here = Rc::clone(&node);
            test(Self { log, history, metrics, health, clock, map, pace, refused, address, node: here }).await;
            Rc::into_inner(node).expect("the test is over").stop();
        });
    }

    /// Tells of a map in which all partitions are this node's (0), [`ELSEWHERE`]'s (1), or nobody's.
    pub(crate) fn all_belong_to(&self, version: u64, owner: Option<u16>) {
        self.map.send_replace(owned_by(version, owner));
    }

    /// From now on every session may send this fast.
    pub(crate) fn all_send_at(&self, per_second: u32, burst: u32) {
        self.pace.send_replace(Rate { per_second, burst });
    }

    /// The cluster refuses this node from now on, or takes it.
    pub(crate) fn is_refused(&self, refused: bool) {
        self.refused.send_replace(refused);
    }

    /// Tells of a map in which this node has everything and drains, beside another that serves or drains as well.
    pub(crate) fn drains_beside(&self, version: u64, other: MemberState) {
        let map = owned_by(version - 1, Some(0)).with_state("node", MemberState::Draining);
        let map = if other == MemberState::Draining { map.with_state("other", other) } else { map };
        self.map.send_replace(Arc::new(map));
    }

    /// Tells of a map without members.
    pub(crate) fn nobody_is_up(&self, version: u64) {
        self.map.send_replace(Arc::new(PartitionMap::new(version, Vec::new(), &[None; 2]).expect("a map")));
    }

    /// Waits until what it had is others' and its sessions have gone there.
    pub(crate) async fn hands_over(&self) {
        timeout(NEVER, self.node.hand_over(2 * NEVER)).await.expect("it does not wait for ever");
    }

    /// From now on nobody learns where the log ends, or everybody.
    pub(crate) fn hold_reads(&self, hold: bool) {
        self.log.readable.send_replace(!hold);
    }

    /// Waits until the node reads so many partitions.
    pub(crate) async fn reads_partitions(&self, partitions: i64) {
        let read = async {
            while self.metrics.partitions.get() != partitions {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(NEVER, read).await.unwrap_or_else(|_| panic!("{partitions} partitions: not within {NEVER:?}"));
    }

    /// Waits until the node's only thread has answered somebody else: it has done what it had to do before.
    pub(crate) async fn goes_on(&self) {
        let mut other = self.connect().await;
        other.ask(&[Request::Ping]);
        other.until("hello first", |reply| matches!(reply, Reply::Error(_))).await;
    }

    /// The partition of [`ME`].
    pub(crate) fn partition(&self) -> Partition {
        PARTITIONS.of(Recipient::User(ME))
    }

    /// The partition whose appends can be held up.
    pub(crate) fn held(&self) -> Partition {
        self.log.held
    }

    /// From now on appends to [`Node::held`] wait, or no longer.
    pub(crate) fn hold_appends(&self, hold: bool) {
        self.log.open.send_replace(!hold);
    }

    /// Waits until so many records were appended to the partition of [`ME`] since the start.
    pub(crate) async fn has_appended(&self, records: u64) {
        let (partition, wanted) = (self.partition(), *self.history.end.lock() + records);
        let waited = async {
            let mut end = self.log.extent(partition).await.expect("a log").end;
            while end < wanted {
                end = self.log.beyond(partition, end).await.expect("a log");
            }
        };
        timeout(NEVER, waited).await.expect("appended");
    }

    /// How many records were appended to the partition of [`ME`] since the start.
    pub(crate) async fn appended(&self) -> u64 {
        let extent = self.log.extent(self.partition()).await.expect("a log");
        extent.end - *self.history.end.lock()
    }

    async fn connect(&self) -> Device {
        let stream = TcpStream::connect(self.address).await.expect("the door is open");
        let limits = Limits { message: 16 << 20, queue: 1 << 20 };
        let offer = Offer::new(ENCODING, [7; 16]);
        let socket = connect(stream, "node", &offer, Box::new(|| [1, 2, 3, 4]), limits, Instant::now() + NEVER);
        Device { socket: socket.await.expect("a handshake"), requests: 0 }
    }

    /// A device that said hello.
    pub(crate) async fn device(&self, resume: Option<Blob>) -> Device {
        let mut device = self.connect().await;
        device.ask(&[Request::Hello(Hello {
            token: "token".into(),
            device: DEVICE,
            previous_session: SessionNumber(Id::ZERO),
            largest_id: Id::ZERO,
            resume,
        })]);
        device
    }
}

fn owned_by(version: u64, owner: Option<u16>) -> Arc<PartitionMap> {
    let member = |name: &str, url: &str| Member::new(name.to_owned(), url.to_owned());
    let members = vec![member("node", "ws://here"), member("other", ELSEWHERE)];
    Arc::new(PartitionMap::new(version, members, &[owner; 2]).expect("a map"))
}

async fn fill(log: &HeldLog, partition: Partition, records: u64) {
    let event = |number| Event::DeviceRevoked { id: id(number), user: in_partition(partition), device: DEVICE };
    let events: Vec<_> = (1..=records).map(event).collect();
    log.append(partition, volery_reader::to_batch(&events)).await.expect("appended");
}

/// A device that says what it is told to, and nothing else.
pub(crate) struct Device {
    socket: Socket,
    requests: u64,
}

impl Device {
    /// Says these in one write.
    pub(crate) fn ask(&mut self, requests: &[Request<'_>]) {
        self.socket.cork();
        for request in requests {
            self.requests += 1;
            let frame = encode_request(ENCODING, self.requests, request);
            self.socket.write(Kind::Binary, &[&frame]).expect("connected");
        }
        self.socket.uncork().expect("connected");
    }

    /// Waits for a frame.
    pub(crate) async fn until(&mut self, what: &str, is: impl Fn(&Reply<'_>) -> bool) {
        let ended = self.hear(what, is).await;
        assert!(ended.is_none(), "{what}: {ended:?}");
    }

    /// The close, which must come before any other frame.
    pub(crate) async fn closed(&mut self) -> Close {
        match self.hear("a close", |_| true).await {
            Some(Gone::ByPeer(Some(number))) => Close::from_number(number).expect("a close of ours"),
            other => panic!("not closed: {other:?}"),
        }
    }

    /// Hears until a frame is right (`None`), or there are no more.
    async fn hear(&mut self, what: &str, mut is: impl FnMut(&Reply<'_>) -> bool) -> Option<Gone> {
        let heard = poll_fn(|cx| {
            let mut found = false;
            let polled = self.socket.poll_read(cx, &mut |heard, _| {
                if let Heard::Message(message) = heard {
                    let decoded = decode_reply(ENCODING, &message.data).expect("a frame");
                    found |= decoded.is_some_and(|(_, reply)| is(&reply));
                }
                if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match polled {
                _ if found => Poll::Ready(None),
                Poll::Ready(Err(gone)) => Poll::Ready(Some(gone)),
                Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
            }
        });
        timeout(NEVER, heard).await.unwrap_or_else(|_| panic!("{what}: not within {NEVER:?}"))
    }
}
