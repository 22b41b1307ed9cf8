//! The timeline's conformance suite against a real Cassandra, started and stopped by `engines/engines`;
//! then what only this engine can meet: racing writers, a schema that others make or made, windows.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod node;

use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use node::Node;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use scylla::client::session::Session;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use volery_cassandra::{Aside, CassandraTimeline, OpenError, Options};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, MarkKind, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{
    Change, ChangeKind, Commit, Entry, Message, Refused, Sent, Span, Timeline, Unavailable, Write,
};
use volery_testkit::timeline::{ModelTimeline, Subject, conformance};

const TABLES: [&str; 8] = ["messages", "windows", "sends", "chats", "inbox", "inbox_days", "commits", "aside"];
const SEEDS: u64 = 3;
const P: Partition = Partition(1);

/// An engine on a keyspace that was emptied: to empty one takes a tenth of making another.
struct Emptied {
    node: Arc<Node>,
    timeline: Arc<CassandraTimeline>,
}

impl Emptied {
    async fn fresh(node: &Arc<Node>, operator: &Session) -> Self {
        let timeline = Arc::new(node.open("suite").await);
        let emptied = TABLES.map(|table| operator.query_unpaged(format!("TRUNCATE suite.{table}"), ()));
        try_join_all(emptied).await.unwrap();
        Self { node: Arc::clone(node), timeline }
    }
}

impl Subject for Emptied {
    fn timeline(&self) -> Arc<dyn Timeline> {
        self.timeline.clone()
    }

    fn reopen(&mut self) -> Result<(), Unavailable> {
        self.timeline = Arc::new(block_in_place(|| Handle::current().block_on(self.node.open("suite"))));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let Some(node) = Node::shared("it_keeps_the_contract") else { return };
    let operator = node.operator().await;
    let fresh = || block_in_place(|| Handle::current().block_on(Emptied::fresh(&node, &operator)));
    conformance(fresh, SEEDS).await.unwrap();
}

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

fn source(offset: u64) -> Source {
    Source::new(1, offset)
}

fn key(number: u32) -> SendKey {
    SendKey { device: DeviceId(id(7)), session: SessionNumber(id(70)), number }
}

fn commit(offset: u64) -> Commit {
    Commit { source: source(offset), id: id(offset), stamp: Timestamp(offset * 10_000_000) }
}

fn message(raw: Id, offset: u64) -> Message {
    let body = Body::text(format!("{raw}"));
    Message { id: raw, sender: user(1), key: key(offset as u32), source: source(offset), body, reply_to: None }
}

/// What a record causes, with everything contested: the same ids and chats come again and again.
fn record(rng: &mut StdRng, offset: u64) -> Vec<Write> {
    let (me, chat) = (user(1), ChatId::direct(user(1), user(2)));
    let raw = rng.random_range(1..20u64);
    let seen = Seen { source: source(offset), id: id(raw) };
    let actor = user(rng.random_range(1..3));
    let change = Change { id: id(offset + 100), actor, what: ChangeKind::Edit(Body::text(format!("{offset}"))) };
    let kind = if raw % 2 == 0 { MarkKind::Delivered } else { MarkKind::Read };
    vec![
        Write::Message { chat, message: Message { key: key(9), ..message(id(raw << 50), offset) }, resolved: true },
        Write::Change { chat, target: id(raw << 50), change },
        Write::Sent {
            key: key(3),
            sent: Sent { id: id(raw), source: (raw > 5).then(|| source(offset)), fingerprint: raw },
        },
        Write::Index { recipient: Recipient::User(me), offset, entry: Entry::Message { chat, id: id(raw) } },
        Write::Newest { user: me, chat, id: id(raw), incoming: Some(source(offset)) },
        Write::Mark { user: me, chat, kind, seen },
        Write::PeerMark { user: me, chat, kind, seen },
        Write::ResolvedLate { user: me, chat, seen },
    ]
}

/// All applies, cut anew and in an order of its own: of what changes nothing, order is nothing.
fn replay(records: &[Vec<Write>], seed: u64) -> Vec<(Vec<Write>, Commit)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut applies = Vec::new();
    let mut from = 0;
    while from < records.len() {
        let to = (from + rng.random_range(1..12)).min(records.len());
        let mut writes = records[from..to].concat();
        writes.shuffle(&mut rng);
        applies.push((writes, commit(to as u64 - 1)));
        from = to;
    }
    applies.shuffle(&mut rng);
    applies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_that_race_in_different_orders_end_equal() {
    let name = "engines_that_race_in_different_orders_end_equal";
    let Some(node) = Node::shared(name) else { return };
    let mut rng = StdRng::seed_from_u64(7);
    let records: Vec<_> = (0..150).map(|offset| record(&mut rng, offset)).collect();
    let model = ModelTimeline::default();
    for (writes, commit) in replay(&records, 0) {
        model.apply(P, writes, Some(commit)).await.unwrap();
    }
    let engines = [Arc::new(node.open("race").await), Arc::new(node.open("race").await)];
    let racing = engines.iter().zip(1..).map(|(engine, seed)| {
        let (engine, applies) = (Arc::clone(engine), replay(&records, seed));
        tokio::spawn(async move {
            for (writes, commit) in applies {
                engine.apply(P, writes, Some(commit)).await.unwrap();
            }
        })
    });
    join_all(racing).await.into_iter().for_each(Result::unwrap);

    let (me, chat) = (user(1), ChatId::direct(user(1), user(2)));
    for engine in engines {
        for span in [Span::Before(Id::MAX), Span::After(Id::ZERO), Span::Before(id(9 << 50)), Span::After(id(9 << 50))]
        {
            let (mut ours, mut theirs) =
                (engine.messages(chat, span, 7).await.unwrap(), model.messages(chat, span, 7).await.unwrap());
            ours.iter_mut().chain(&mut theirs).for_each(|row| row.changes.sort_by_key(|change| change.actor));
            assert_eq!(ours, theirs, "{span:?}");
        }
        assert_eq!(engine.sent(key(3)).await, model.sent(key(3)).await);
        assert_eq!(engine.chat(me, chat).await, model.chat(me, chat).await);
        assert_eq!(engine.chats(me).await, model.chats(me).await);
        assert_eq!(engine.committed(P).await, model.committed(P).await);
        assert_eq!(engine.index_start(P).await, Ok(Some(0)));
        for (from, to, limit) in [(0, u64::MAX, 1_000), (37, 99, 1_000), (37, 140, 5), (149, 150, 9)] {
            let recipient = Recipient::User(me);
            let ours = engine.index(recipient, P, from, to, limit).await;
            assert_eq!(ours, model.index(recipient, P, from, to, limit).await, "{from}..{to}, {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_crosses_windows_and_passes_over_empty_ones() {
    let name = "a_page_crosses_windows_and_passes_over_empty_ones";
    let Some(node) = Node::shared(name) else { return };
    let timeline = node.open("windows").await;
    let chat = ChatId::direct(user(1), user(2));
    let ids: Vec<Id> =
        [0, 1, 2, 5, 6, 7, 300].iter().flat_map(|window| [id(window << 53), id((window << 53) + 9)]).collect();
    let writes =
        ids.iter().zip(1..).map(|(id, offset)| Write::Message { chat, message: message(*id, offset), resolved: false });
    timeline.apply(P, writes.collect(), None).await.unwrap();
    // Whoever reads may not have written, and knows of no window.
    let readers = [timeline, node.open("windows").await];
    for (reader, edge) in readers.iter().flat_map(|reader| (0..ids.len()).map(move |edge| (reader, edge))) {
        for limit in [1, 3, 50] {
            let read = async |span| {
                let page = reader.messages(chat, span, limit).await.unwrap();
                page.into_iter().map(|row| row.message.id).collect::<Vec<_>>()
            };
            let older: Vec<_> = ids[..edge].iter().rev().take(limit).copied().collect();
            let newer: Vec<_> = ids[edge + 1..].iter().take(limit).copied().collect();
            assert_eq!(read(Span::Before(ids[edge])).await, older);
            assert_eq!(read(Span::After(ids[edge])).await, newer);
            let newest: Vec<_> = ids.iter().rev().take(limit).copied().collect();
            assert_eq!(read(Span::Before(Id::MAX)).await, newest);
        }
    }
}

/// A direct message from user 2 to user 1, as archive writes it in the partition of each.
fn direct(at: u64) -> [Vec<Write>; 2] {
    let (chat, id) = (ChatId::direct(user(1), user(2)), id(at << 24));
    let entry = Entry::Message { chat, id };
    let index = |raw| Write::Index { recipient: Recipient::User(user(raw)), offset: at, entry: entry.clone() };
    let newest = |raw, incoming| Write::Newest { user: user(raw), chat, id, incoming };
    let sent = Sent { id, source: Some(source(at)), fingerprint: 1 };
    let received = vec![
        Write::Message { chat, message: message(id, at), resolved: false },
        Write::Sent { key: key(at as u32), sent },
        index(1),
        newest(1, Some(source(at))),
    ];
    [received, vec![index(2), newest(2, None)]]
}

/// What follows when user 1 has read it.
fn marks(at: u64) -> [Vec<Write>; 2] {
    let (chat, seen) = (ChatId::direct(user(1), user(2)), Seen { source: source(at), id: id(at << 24) });
    let kinds = [MarkKind::Delivered, MarkKind::Read];
    let entry = |kind| Entry::Mark { reader: user(1), chat, kind, seen };
    let of = |raw, write: &dyn Fn(MarkKind) -> Write| {
        let recipient = Recipient::User(user(raw));
        let both = kinds.iter().zip(1_000_000..).flat_map(|(kind, far)| {
            [write(*kind), Write::Index { recipient, offset: far + 2 * at, entry: entry(*kind) }]
        });
        both.collect()
    };
    let own = of(1, &|kind| Write::Mark { user: user(1), chat, kind, seen });
    [own, of(2, &|kind| Write::PeerMark { user: user(2), chat, kind, seen })]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_costs_few_statements() {
    let Some(node) = Node::shared("a_message_costs_few_statements") else { return };
    let timeline = node.open("costs").await;
    let stamp = |offset| Some(Commit { stamp: Timestamp(0), ..commit(offset) });
    // The first message of all makes a window and a day in each partition known.
    let cost = async |applies: [Vec<Write>; 2], offset| {
        let before = timeline.counts().written;
        for (partition, writes) in (1..).map(Partition).zip(applies) {
            timeline.apply(partition, writes, stamp(offset)).await.unwrap();
        }
        timeline.counts().written - before
    };
    assert_eq!(cost(direct(1), 1).await, 6 + 2 + 3);
    assert_eq!(cost(direct(2), 2).await, 6 + 2, "alone: six rows and two commits");
    assert_eq!(cost(marks(2), 3).await, 6 + 2, "both marks, in both partitions");
    const MANY: u64 = 20;
    let mut all = [Vec::new(), Vec::new()];
    for at in 10..10 + MANY {
        for (all, one) in all.iter_mut().zip(direct(at)) {
            all.extend(one);
        }
    }
    let messages = cost(all, 40).await;
    assert_eq!(messages, 4 * MANY + 2 + 2, "a talk: two chat rows and two commits for all of it");
    assert_eq!(timeline.counts().chat_rows, 4 * 2, "one for each side and apply");
    assert_eq!(timeline.counts().read, 0, "nothing is read before it is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_is_kept_with_reason_and_bytes() {
    let name = "what_was_set_aside_is_kept_with_reason_and_bytes";
    let Some(node) = Node::shared(name) else { return };
    let timeline = node.open("costs").await;
    let aside = |offset| Aside { offset, reason: format!("reason {offset}"), bytes: vec![0xff; 2_000].into() };
    let write = |Aside { offset, reason, bytes }| Write::SetAside { offset, reason, bytes };
    let writes = [9, 4].map(|offset| write(aside(offset)));
    timeline.apply(Partition(9), writes.into(), Some(commit(9))).await.unwrap();
    assert_eq!(timeline.set_aside(Partition(9), 10).await, Ok(vec![aside(4), aside(9)]));
    assert_eq!(timeline.set_aside(Partition(9), 1).await, Ok(vec![aside(4)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_that_cannot_be_read_is_refused_for_good_and_no_other() {
    let name = "a_cell_that_cannot_be_read_is_refused_for_good_and_no_other";
    let Some(node) = Node::shared(name) else { return };
    let timeline = node.open("spoilt").await;
    let sent = |number: u32| Sent { id: id(u64::from(number)), source: Some(source(9)), fingerprint: 7 };
    let writes = [1, 2].map(|number| Write::Sent { key: key(number), sent: sent(number) });
    timeline.apply(P, writes.into(), Some(commit(9))).await.unwrap();
    let SendKey { device, session, .. } = key(1);
    let spoil = format!(
        "UPDATE spoilt.sends USING TIMESTAMP 2 SET first = 0xdead WHERE device = {} AND session = {} AND number = 1",
        device.get(),
        session.get()
    );
    node.operator().await.query_unpaged(spoil, ()).await.unwrap();
    assert!(matches!(timeline.sent(key(1)).await, Err(Refused::Unfit(_))));
    assert_eq!(timeline.sent(key(2)).await, Ok(Some(sent(2))));
    assert_eq!(timeline.committed(P).await, Ok(Some(commit(9))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_that_start_at_once_make_one_schema() {
    let name = "engines_that_start_at_once_make_one_schema";
    let Some(node) = Node::shared(name) else { return };
    let engines = join_all([(); 3].map(|()| node.open("at_once"))).await;
    engines[0].apply(P, Vec::new(), Some(commit(5))).await.unwrap();
    for engine in &engines {
        assert_eq!(engine.committed(P).await, Ok(Some(commit(5))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_lose_something_is_refused() {
    let name = "what_could_lose_something_is_refused";
    let Some(node) = Node::shared(name) else { return };
    let operator = node.operator().await;
    let refused = async |options: Options| CassandraTimeline::open(&options).await.err();
    drop(node.open("refused").await);

    let three = Options { copies: 3, ..node.options("refused") };
    assert_eq!(refused(three).await, Some(OpenError::TooFewNodes { copies: 3, nodes: 1 }));
    let name = "Refused; DROP KEYSPACE refused".to_owned();
    assert_eq!(refused(node.options(&name)).await, Some(OpenError::Name(name)));

    operator.query_unpaged("ALTER KEYSPACE refused WITH durable_writes = false", ()).await.unwrap();
    assert_eq!(refused(node.options("refused")).await, Some(OpenError::NotDurable));
    operator.query_unpaged("ALTER KEYSPACE refused WITH durable_writes = true", ()).await.unwrap();
    drop(node.open("refused").await);

    let later = "INSERT INTO refused.migrations (component, version, name) VALUES ('timeline', 9, 'later')";
    operator.query_unpaged(later, ()).await.unwrap();
    assert_eq!(refused(node.options("refused")).await, Some(OpenError::Future { found: 9, known: 1 }));

    let nowhere = Options { nodes: vec!["127.0.0.1:1".to_owned()], ..node.options("refused") };
    assert!(matches!(refused(nowhere).await, Some(OpenError::Unavailable(_))));
}
