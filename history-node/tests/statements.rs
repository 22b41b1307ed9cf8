//! What a talk costs, in statements as Cassandra would be sent them: fan-out and archive as they run, over the models,
//! while pairs of people talk from partition to partition, and echoes come to archive with their origins.
//!
//! Trap avoided: writes made by hand show what archive should write. What it does write depends on what the
//! partitions know of each other at that moment.

#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use volery_history::node::{HistoryNode, Parts};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, Content, Event, Mark, MarkKind, Seen, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock as _, Timestamp};
use volery_node::clock::SystemClock;
use volery_node::health::Health;
use volery_node::metrics::{Metrics, Stage};
use volery_ports::log::Log as _;
use volery_ports::timeline::{
    ChatRow, Commit, Entry, MessageRow, Refused, Sent, Span, Stored, Timeline, Unavailable, Write,
};
use volery_testkit::log::ModelLog;
use volery_testkit::timeline::ModelTimeline;

const PAIRS: u64 = 40;
const TURNS: u64 = 3;
/// Archive's time, and that between two messages of a pair.
const EVERY_MS: u64 = 200;
/// A turn of a pair, in halves of that time. Delivered follows within two, read at a look.
const TURN: &[Said] = &{
    use Said::{Delivered, Message, Nothing, Read};
    [Message, Nothing, Message, Delivered, Message, Nothing, Message, Nothing, Delivered, Read, Nothing, Nothing]
};
const STEP_MS: u64 = EVERY_MS / 2;
/// Pairs say something at so many moments of a step.
const PHASES: u64 = 5;
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Message,
    Delivered,
    Read,
    Nothing,
}

/// Counts what is written to the model below it.
#[derive(Default)]
struct Counting {
    model: ModelTimeline,
    counts: Mutex<Counts>,
}

#[derive(Clone, Default)]
struct Counts {
    statements: usize,
    /// How often each row of a message was written.
    messages: BTreeMap<(ChatId, Id), usize>,
    /// Index rows of marks.
    marks: usize,
}

impl Counts {
    /// A row is a statement; what an apply does to one chat row is one.
    fn add(&mut self, writes: &[Write], commit: bool) {
        let mut views = BTreeSet::new();
        for write in writes {
            match write {
                Write::Newest { user, chat, .. }
                | Write::Mark { user, chat, .. }
                | Write::PeerMark { user, chat, .. }
                | Write::ResolvedLate { user, chat, .. } => {
                    views.insert((*user, *chat));
                    continue;
                }
                Write::Message { chat, message, .. } => *self.messages.entry((*chat, message.id)).or_default() += 1,
                Write::Index { entry: Entry::Mark { .. }, .. } => self.marks += 1,
                Write::Index { .. } | Write::Change { .. } | Write::Sent { .. } | Write::SetAside { .. } => {}
            }
            self.statements += 1;
        }
        self.statements += views.len() + usize::from(commit);
    }
}

#[async_trait]
impl Timeline for Counting {
    async fn apply(&self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) -> Result<(), Refused> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).add(&writes, commit.is_some());
        self.model.apply(partition, writes, commit).await
    }

    async fn committed(&self, partition: Partition) -> Result<Option<Commit>, Unavailable> {
        self.model.committed(partition).await
    }

    async fn sent(&self, key: SendKey) -> Result<Option<Sent>, Refused> {
        self.model.sent(key).await
    }

    async fn messages(&self, chat: ChatId, span: Span, limit: usize) -> Result<Vec<MessageRow>, Unavailable> {
        self.model.messages(chat, span, limit).await
    }

    async fn message(&self, chat: ChatId, id: Id) -> Result<Stored, Unavailable> {
        self.model.message(chat, id).await
    }

    async fn chat(&self, user: UserId, chat: ChatId) -> Result<ChatRow, Unavailable> {
        self.model.chat(user, chat).await
    }

    async fn chats(&self, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Unavailable> {
        self.model.chats(user).await
    }

    async fn index(
        &self,
        recipient: Recipient,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Entry)>, Unavailable> {
        self.model.index(recipient, partition, from, to, limit).await
    }

    async fn index_start(&self, partition: Partition) -> Result<Option<Offset>, Unavailable> {
        self.model.index_start(partition).await
    }

    async fn expire_index(&self, partition: Partition, before: Timestamp) -> Result<(), Unavailable> {
        self.model.expire_index(partition, before).await
    }
}

fn user(raw: u64) -> UserId {
    UserId(Id::new(raw).unwrap_or(Id::MAX))
}

/// Everybody who talks, and the log that they talk through.
struct Talk {
    log: ModelLog,
    partitions: Partitions,
    records: u64,
    messages: u64,
    /// What came last to each pair's listener.
    newest: BTreeMap<u64, Seen>,
}

impl Talk {
    async fn append(&mut self, to: UserId, event: Event) -> Source {
        let target = self.partitions.of(Recipient::User(to));
        let appended = self.log.append(target, volery_reader::to_batch(&[event])).await.expect("the model takes it");
        // Fan-out derives one from each.
        self.records += 2;
        Source::new(1, appended.first().expect("one").offset)
    }

    async fn say(&mut self, pair: u64, said: Said, swapped: bool) {
        let (one, other) = (user(1 + 2 * pair), user(2 + 2 * pair));
        let (from, to) = if swapped { (other, one) } else { (one, other) };
        let id = Id::new(Id::first_at(SystemClock.now()).get() + pair).unwrap_or(Id::MAX);
        match said {
            Said::Nothing => {}
            Said::Message => {
                self.messages += 1;
                let source = self.append(to, Event::Send(send(id, from, to, self.messages as u32))).await;
                self.newest.insert(pair, Seen { source, id });
            }
            Said::Delivered | Said::Read => {
                let kind = if said == Said::Read { MarkKind::Read } else { MarkKind::Delivered };
                let (chat, seen) = (ChatId::direct(one, other), self.newest[&pair]);
                self.append(to, Event::Mark(Mark { id, reader: to, chat, kind, seen })).await;
            }
        }
    }

    /// All pairs, each in its own time.
    async fn run(&mut self) {
        let mut clock = tokio::time::interval(Duration::from_millis(STEP_MS / PHASES));
        for turn in 0..TURNS {
            for said in TURN {
                for phase in 0..PHASES {
                    clock.tick().await;
                    for pair in (0..PAIRS).filter(|pair| pair % PHASES == phase) {
                        self.say(pair, *said, turn % 2 == 1).await;
                    }
                }
            }
        }
    }

    /// Waits until all that was said, and what follows from it, is archived.
    async fn archived(&self, timeline: &Counting) {
        let done = async || {
            let mut done = 0;
            for partition in self.partitions.iter() {
                let commit = timeline.committed(partition).await.expect("the model answers");
                done += commit.map_or(0, |commit| commit.source.offset() + 1);
            }
            done
        };
        while done().await < self.records {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn send(id: Id, sender: UserId, recipient: UserId, number: u32) -> Send {
    let session = SessionNumber(user(1_000).0);
    Send {
        id,
        sender,
        recipient: Recipient::User(recipient),
        key: SendKey { device: DeviceId(sender.0), session, number },
        session,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text("hello".to_owned()), reply_to: None },
    }
}

#[tokio::test]
async fn a_talk_is_written_once() {
    let partitions = Partitions::new(4).expect("four partitions");
    let log = ModelLog::new(1, partitions, Arc::new(SystemClock));
    let (timeline, metrics) = (Arc::new(Counting::default()), Metrics::new().expect("metrics"));
    let whole = PartitionMap::whole(Member::new("all".to_owned(), String::new()), partitions);
    let parts = Parts {
        name: "all".to_owned(),
        map: watch::channel(Arc::new(whole)).1,
        refused: watch::channel(false).1,
        log: Arc::new(log.clone()),
        timeline: Arc::<Counting>::clone(&timeline),
        archive_every_ms: EVERY_MS,
        clock: Arc::new(SystemClock),
        metrics: metrics.clone(),
        health: Health::new(),
    };
    let node = HistoryNode::start(parts).expect("it starts");
    let mut talk = Talk { log, partitions, records: 0, messages: 0, newest: BTreeMap::new() };
    talk.run().await;
    tokio::time::timeout(LONG, talk.archived(&timeline)).await.expect("all of it is archived");
    node.stop();

    let counts = timeline.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let messages = usize::try_from(talk.messages).expect("few");
    assert_eq!(counts.messages.len(), messages);
    assert_eq!(metrics.messages.of(Stage::Archived).get(), talk.messages, "each counts once");
    let again = counts.messages.values().sum::<usize>() - messages;
    assert!(again <= messages / 20, "{again} rows of {messages} messages were written again from echoes");
    let each = counts.statements as f64 / messages as f64;
    assert!(each <= 9.0, "{each:.2} statements a message; {} index rows of marks", counts.marks);
}
