//! Two history nodes on one log, while partitions go from one to the other and back, are both's, and are nobody's:
//! every message is there once, with its echo, its marks and the answer to its retry. What a node said of a partition
//! does not outlive it there, and a node that the cluster refuses works on nothing.

#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use volery_history::node::{ARCHIVE_OFTEN_MS, HistoryNode, Parts};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, Content, Event, Mark, MarkKind, Seen, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::position::Source;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock as _;
use volery_node::clock::SystemClock;
use volery_node::health::{Health, State};
use volery_node::metrics::{HistoryReader, Metrics};
use volery_ports::history::{Anchor, History as _};
use volery_ports::log::Log as _;
use volery_ports::timeline::{Commit, Span, Timeline as _};
use volery_testkit::log::ModelLog;
use volery_testkit::timeline::ModelTimeline;

const PARTITIONS: u16 = 8;
const USERS: u64 = 12;
/// Messages under each map before the next comes.
const TALK: u64 = 24;
/// One message of so many is a retry whose first attempt was lost.
const RETRY_EVERY: u64 = 7;
const MAPS: u16 = 16;
const NEVER: Duration = Duration::from_secs(60);
const READERS: [HistoryReader; 2] = [HistoryReader::Fanout, HistoryReader::Archive];

fn user(raw: u64) -> UserId {
    UserId(Id::new(raw).unwrap_or(Id::MAX))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(NEVER, wait).await.expect(what);
}

/// What both nodes stand on.
#[derive(Clone)]
struct Below {
    log: ModelLog,
    timeline: Arc<ModelTimeline>,
}

impl Below {
    fn new() -> Self {
        let partitions = Partitions::new(PARTITIONS).expect("some");
        Self { log: ModelLog::new(1, partitions, Arc::new(SystemClock)), timeline: Arc::default() }
    }

    fn of(&self, user: UserId) -> Partition {
        self.log.partitions().of(Recipient::User(user))
    }

    async fn append(&self, to: UserId, event: Event) -> Source {
        let appended = self.log.append(self.of(to), volery_reader::to_batch(&[event])).await.expect("it is taken");
        Source::new(1, appended.first().expect("one").offset)
    }

    async fn records(&self, partition: Partition) -> Vec<Event> {
        let end = self.log.extent(partition).await.expect("the model answers").end;
        let records = volery_reader::between(&self.log, partition, 0, end).await.expect("the model answers");
        records.into_iter().map(|record| record.event).collect()
    }

    async fn is_archived(&self) -> bool {
        for partition in self.log.partitions().iter() {
            let commit = self.timeline.committed(partition).await.expect("the model answers");
            let end = self.log.extent(partition).await.expect("the model answers").end;
            if commit.map_or(0, |commit| commit.source.offset() + 1) < end {
                return false;
            }
        }
        true
    }
}

/// A node, and the maps that it sees: others may see others.
struct Node {
    map: watch::Sender<Arc<PartitionMap>>,
    refused: watch::Sender<bool>,
    metrics: Metrics,
    health: Health,
    running: HistoryNode,
}

impl Node {
    /// Nobody owns anything yet.
    fn start(below: &Below) -> Self {
        let unowned = PartitionMap::unowned(below.log.partitions());
        let (map, refused) = (watch::Sender::new(Arc::new(unowned)), watch::Sender::new(false));
        let (metrics, health) = (Metrics::new().expect("metrics"), Health::new());
        let parts = Parts {
            name: "here".to_owned(),
            map: map.subscribe(),
            refused: refused.subscribe(),
            log: Arc::new(below.log.clone()),
            timeline: Arc::<ModelTimeline>::clone(&below.timeline),
            archive_every_ms: ARCHIVE_OFTEN_MS,
            clock: Arc::new(SystemClock),
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let running = HistoryNode::start(parts).expect("it starts");
        Self { map, refused, metrics, health, running }
    }

    /// By partition: this node's, another's or nobody's.
    fn give(&self, owner: impl Fn(u16) -> Option<bool>) {
        let members = ["here", "there"].map(|name| Member::new(name.to_owned(), String::new()));
        let owners: Vec<_> = (0..PARTITIONS).map(|at| owner(at).map(|own| u16::from(!own))).collect();
        self.map.send_modify(|map| {
            let next = PartitionMap::new(map.version() + 1, members.to_vec(), &owners);
            *map = Arc::new(next.expect("a map"));
        });
    }

    async fn reads(&self, partitions: u16) {
        let count = |reader| self.metrics.reader_partitions.of(reader).get();
        until("it reads so many", async || READERS.iter().all(|reader| count(*reader) == i64::from(partitions))).await;
    }

    fn part(&self, name: &str) -> State {
        self.health.report().parts[name].clone()
    }

    fn is_well(&self) -> bool {
        let waits = |reader| self.metrics.reader_waits_seconds.of(reader).get() > 0.0;
        let stopped = |reader| self.metrics.readers_stopped.of(reader).get() > 0;
        let well = ["fanout", "archive"].iter().all(|part| self.part(part) == State::Ready);
        well && self.health.report().ready && !READERS.iter().any(|reader| waits(*reader) || stopped(*reader))
    }
}

/// What was said so far.
#[derive(Default)]
struct Said {
    count: u64,
    chats: BTreeMap<ChatId, BTreeSet<Id>>,
    retries: BTreeSet<SendKey>,
    marks: BTreeMap<(UserId, ChatId), Source>,
}

impl Said {
    /// Somebody writes to somebody, who has it then.
    async fn one(&mut self, below: &Below) {
        self.count += 1;
        let (sender, reader) = (user(1 + self.count % USERS), user(1 + (self.count * 5 + 1) % USERS));
        let id = Id::new(Id::first_at(SystemClock.now()).get() + self.count).unwrap_or(Id::MAX);
        let send = send(id, sender, reader, self.count);
        let chat = send.chat();
        self.chats.entry(chat).or_default().insert(id);
        if send.flagged {
            self.retries.insert(send.key);
            below.append(reader, Event::Send(send)).await;
            return;
        }
        let source = below.append(reader, Event::Send(send)).await;
        let seen = Seen { source, id };
        self.marks.insert((sender, chat), source);
        let mark = Mark { id, reader, chat, kind: MarkKind::Delivered, seen };
        below.append(reader, Event::Mark(mark)).await;
    }

    fn ids(&self) -> BTreeSet<Id> {
        self.chats.values().flatten().copied().collect()
    }

    /// Echoes are where they belong, and retries are answered.
    async fn is_echoed(&self, below: &Below) -> bool {
        let (mut echoes, mut answers) = (BTreeSet::new(), BTreeSet::new());
        for partition in below.log.partitions().iter() {
            for event in below.records(partition).await {
                match event {
                    Event::Echo { send, .. } => echoes.extend([send.id]),
                    Event::Answer(answer) => answers.extend([answer.key]),
                    _ => {}
                }
            }
        }
        echoes == self.ids() && answers == self.retries
    }

    /// All senders are told how far what they wrote was delivered.
    async fn is_marked(&self, below: &Below) -> bool {
        for ((sender, chat), source) in &self.marks {
            let row = below.timeline.chat(*sender, *chat).await.expect("the model answers");
            if row.peer_delivered.source < *source {
                return false;
            }
        }
        true
    }

    async fn is_there_once(&self, below: &Below) {
        for (chat, ids) in &self.chats {
            let rows = below.timeline.messages(*chat, Span::After(Id::ZERO), 10_000).await.expect("the model answers");
            let shown: Vec<_> = rows.into_iter().map(|row| row.message.id).collect();
            assert_eq!(shown, ids.iter().copied().collect::<Vec<_>>(), "each message once");
        }
    }
}

fn send(id: Id, sender: UserId, recipient: UserId, number: u64) -> Send {
    let session = SessionNumber(user(70).0);
    Send {
        id,
        sender,
        recipient: Recipient::User(recipient),
        key: SendKey { device: DeviceId(sender.0), session, number: u32::try_from(number).unwrap_or(u32::MAX) },
        session,
        flagged: number.is_multiple_of(RETRY_EVERY),
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text(number.to_string()), reply_to: None },
    }
}

#[tokio::test]
async fn everything_is_there_once_however_partitions_move() {
    let below = Below::new();
    let nodes = [Node::start(&below), Node::start(&below)];
    let mut said = Said::default();
    for map in 0..MAPS {
        for (node, at) in nodes.iter().zip(0..) {
            node.give(|partition| match map % 4 {
                // What each has is the other's with the next map.
                0 | 1 => Some((partition + map + at) % 2 == 0),
                // Both have everything.
                2 => Some(true),
                // Nobody is said to have anything: they keep what they have.
                _ => None,
            });
        }
        for _ in 0..TALK {
            said.one(&below).await;
            tokio::task::yield_now().await;
        }
        until("what is said is echoed under this map", async || said.is_echoed(&below).await).await;
        for node in &nodes {
            node.reads(if map % 4 < 2 { PARTITIONS / 2 } else { PARTITIONS }).await;
        }
    }
    until("all is archived", async || said.is_marked(&below).await && below.is_archived().await).await;
    said.is_there_once(&below).await;
    assert!(nodes.iter().all(Node::is_well));
    nodes.into_iter().for_each(|node| node.running.stop());
}

#[tokio::test]
async fn what_was_said_of_a_partition_does_not_outlive_it() {
    let below = Below::new();
    let (one, other) = (Node::start(&below), Node::start(&below));
    let near = user(1);
    let far = (2..).map(user).find(|far| below.of(*far) != below.of(near)).expect("users without end");
    below.log.stick(below.of(far), true);
    let elsewhere = Commit { source: Source::new(1, 500), id: user(9).0, stamp: SystemClock.now() };
    below.timeline.apply(below.of(far), Vec::new(), Some(elsewhere)).await.expect("the model takes it");
    let id = Id::first_at(SystemClock.now());
    below.append(near, Event::Send(send(id, far, near, 1))).await;

    let complains = |node: &Node| {
        let degraded = |part| matches!(node.part(part), State::Degraded(_));
        degraded("fanout") && degraded("archive")
    };
    for (has, had) in [(&one, &other), (&other, &one), (&one, &other)] {
        has.give(|_| Some(true));
        had.give(|_| Some(false));
        until("who has it complains", async || complains(has)).await;
        until("who had it does not", async || had.is_well()).await;
        had.reads(0).await;
    }
    let page = other.running.reads().page(near, ChatId::direct(near, far), Anchor::Newest, 10).await;
    assert_eq!(page.expect("whoever has it, anybody reads it").messages.len(), 1);
    below.log.stick(below.of(far), false);
    until("fan-out goes on", async || one.part("fanout") == State::Ready).await;
    [one, other].into_iter().for_each(|node| node.running.stop());
}

#[tokio::test]
async fn a_node_that_the_cluster_refuses_works_on_nothing() {
    let below = Below::new();
    let node = Node::start(&below);
    until("who has nothing is well", async || node.is_well()).await;
    node.refused.send_replace(true);
    node.give(|_| Some(true));
    let mut said = Said::default();
    said.one(&below).await;
    node.reads(0).await;
    assert!(!said.is_echoed(&below).await);
    node.refused.send_replace(false);
    node.reads(PARTITIONS).await;
    until("it works", async || said.is_echoed(&below).await && below.is_archived().await).await;
    node.refused.send_replace(true);
    node.reads(0).await;
    node.running.stop();
}
