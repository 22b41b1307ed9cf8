//! A node on the model of the log, with people and a past that are made up; and a device that speaks to
//! its door. Every wait is for a condition.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use volery_door::socket::{Heard, Limits, Socket};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, Event, Seen, SendKey};
use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::limits;
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

/// The model; appends to one partition may be held up.
struct HeldLog {
    model: ModelLog,
    held: Partition,
    open: watch::Sender<bool>,
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
        Ok(None)
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
    address: SocketAddr,
}

impl Node {
    /// Runs a test beside a node whose log holds three records of somebody else and whose tails hold next to
    /// nothing.
    pub(crate) fn run(test: impl AsyncFnOnce(Self)) {
        actix_rt::System::new().block_on(async {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let own = PARTITIONS.of(Recipient::User(ME));
            let held = PARTITIONS.iter().find(|partition| *partition != own).expect("another");
            let model = ModelLog::new(1, PARTITIONS, Arc::clone(&clock));
            let log = Arc::new(HeldLog { model, held, open: watch::Sender::new(true) });
            let history = Arc::new(Past::default());
            fill(&log, own, 3).await;
            *history.end.lock() = 3;
            let now = clock.now();
            let generator = Generator::new(1, now, now.plus(3_600_000));
            let parts = Parts {
                log: log.clone(),
                accounts: Arc::new(Everybody),
                history: history.clone(),
                clock,
                generators: vec![Arc::new(Mutex::new(generator))],
                metrics: Metrics::new().expect("metrics"),
                health: Health::new(),
            };
            let rate = Rate { per_second: 1_000, burst: 1_000 };
            let listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let node = MessagingNode::start(Options { listen, threads: 1, rate, tail_bytes: 1 }, parts);
            let node = node.await.expect("it starts");
            test(Self { log, history, address: node.address() }).await;
            node.stop();
        });
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
        let waited = self.log.beyond(self.partition(), *self.history.end.lock() + records - 1);
        timeout(NEVER, waited).await.expect("appended").expect("a log");
    }

    /// A device that said hello.
    pub(crate) async fn device(&self, resume: Option<Blob>) -> Device {
        let stream = TcpStream::connect(self.address).await.expect("the door is open");
        let limits = Limits { message: 16 << 20, queue: 1 << 20 };
        let offer = Offer::new(ENCODING, [7; 16]);
        let socket = connect(stream, "node", &offer, Box::new(|| [1, 2, 3, 4]), limits, Instant::now() + NEVER);
        let mut device = Device { socket: socket.await.expect("a handshake"), requests: 0 };
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
                _ if found => Poll::Ready(()),
                Poll::Ready(Err(gone)) => panic!("{what}: {gone}"),
                Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
            }
        });
        assert!(timeout(NEVER, heard).await.is_ok(), "{what}: not within {NEVER:?}");
    }
}
