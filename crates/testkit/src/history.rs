//! What history answers, a sentence at a time: the same whether the role is called directly or asked
//! on another machine.

#![expect(clippy::panic, reason = "a suite fails by panicking")]

use bytes::Bytes;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Answer, Body, MarkKind, Outcome, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::history::{Anchor, Happened, History, HistoryError, MessageView, Page, Reaction};
use volery_ports::timeline::{Change, ChangeKind, Commit, Entry, Message, Timeline, Unavailable, Write};

use crate::timeline::ModelTimeline;

/// What the timeline under test is divided into.
pub const PARTITIONS: u16 = 16;

/// Messages of the chat between [`ada`] and [`ben`]: ids from 1 on.
const MESSAGES: u64 = 30;
/// People who wrote the longest text to [`busy`] last.
const CHATS: u64 = 100;
/// How far the partitions are archived.
const ARCHIVED: Offset = 200;

/// Runs the whole suite. `history` answers from `timeline`, which is empty.
///
/// # Panics
/// Where an answer is not what it must be.
pub async fn conformance(timeline: &ModelTimeline, history: &dyn History) {
    nothing_is_archived_yet(history).await;
    if let Err(Unavailable(reason)) = fill(timeline).await {
        panic!("the model takes everything: {reason}");
    }
    pages_begin_where_they_are_told(history).await;
    cursors_go_on_where_a_page_ended(history).await;
    a_message_is_whole(history).await;
    nobody_reads_what_is_not_theirs(history).await;
    chat_lists_are_whole(history).await;
    long_chat_lists_fit(history).await;
    a_stream_is_read_by_stretches(history).await;
    a_change_is_told_before_its_message(history).await;
    what_is_undelivered_is_told(history).await;
    an_outage_is_told_in_its_own_words(timeline, history).await;
}

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap_or(Id::MAX)
}

fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

fn ada() -> UserId {
    user(1)
}

fn ben() -> UserId {
    user(2)
}

fn busy() -> UserId {
    user(3)
}

fn chat() -> ChatId {
    ChatId::direct(ada(), ben())
}

fn home() -> Partition {
    partition(ada())
}

fn partition(user: UserId) -> Partition {
    Partitions::new(PARTITIONS).map_or(Partition(0), |partitions| partitions.of(Recipient::User(user)))
}

fn seen(offset: Offset, raw: u64) -> Seen {
    Seen { source: Source::new(1, offset), id: id(raw) }
}

fn key(number: u32) -> SendKey {
    SendKey { device: DeviceId(id(7)), session: SessionNumber(id(70)), number }
}

fn text(raw: u64) -> Body {
    Body::text(format!("message {raw}"))
}

/// From Ben to Ada, each the answer to the one before.
fn message(raw: u64) -> Message {
    Message {
        id: id(raw),
        sender: ben(),
        key: key(1),
        source: Source::new(1, raw),
        body: text(raw),
        reply_to: (raw > 1).then(|| id(raw - 1)),
    }
}

fn answers() -> [Answer; 3] {
    let accepted = Outcome::Accepted { id: id(3), source: Source::new(1, 3) };
    [accepted, Outcome::KeyReused, Outcome::Refused].map(|outcome| Answer {
        id: id(50),
        sender: ada(),
        key: key(9),
        outcome,
    })
}

fn marks() -> [Entry; 2] {
    [MarkKind::Delivered, MarkKind::Read].map(|kind| Entry::Mark {
        reader: ben(),
        chat: chat(),
        kind,
        seen: seen(4, 4),
    })
}

/// Changes of a message that has not come. The first reaction was replaced.
fn early() -> [Change; 3] {
    let reaction = |raw, emoji: &str| Change { id: id(raw), actor: ada(), what: ChangeKind::React(emoji.to_owned()) };
    let edit = Change { id: id(62), actor: ben(), what: ChangeKind::Edit(Body::text("early")) };
    [reaction(61, "👍"), edit, reaction(63, "🎉")]
}

async fn fill(timeline: &ModelTimeline) -> Result<(), Unavailable> {
    let messages = (1..=MESSAGES).map(|raw| Write::Message { chat: chat(), message: message(raw), resolved: false });
    let change =
        |raw, actor, what| Write::Change { chat: chat(), target: id(5), change: Change { id: id(raw), actor, what } };
    let changes = [
        change(40, ben(), ChangeKind::Edit(Body::text("edited"))),
        change(41, ada(), ChangeKind::React("👍".to_owned())),
        change(42, ben(), ChangeKind::React("🎉".to_owned())),
        change(44, ben(), ChangeKind::React(String::new())),
        Write::Change {
            chat: chat(),
            target: id(6),
            change: Change { id: id(43), actor: ben(), what: ChangeKind::Delete },
        },
    ];
    let early = early().map(|change| Write::Change { chat: chat(), target: id(60), change });
    let entries =
        [Entry::Message { chat: chat(), id: id(1) }, Entry::Change { chat: chat(), target: id(5), change: id(40) }];
    let told_early = [61, 62].map(|raw| Entry::Change { chat: chat(), target: id(60), change: id(raw) });
    let entries = entries.into_iter().chain(answers().map(Entry::Answer)).chain(marks()).chain(told_early);
    let recipient = Recipient::User(ada());
    let index = (100..).zip(entries).map(|(offset, entry)| Write::Index { recipient, offset, entry });
    let view = [
        Write::Newest { user: ada(), chat: chat(), id: id(MESSAGES), incoming: Some(Source::new(1, MESSAGES)) },
        Write::Mark { user: ada(), chat: chat(), kind: MarkKind::Read, seen: seen(20, 20) },
        Write::PeerMark { user: ada(), chat: chat(), kind: MarkKind::Delivered, seen: seen(9, 9) },
    ];
    let commit = Commit { source: Source::new(1, ARCHIVED), id: id(99), stamp: Timestamp(1) };
    timeline
        .apply(home(), messages.chain(changes).chain(early).chain(index).chain(view).collect(), Some(commit))
        .await?;
    let crowd = (0..CHATS).flat_map(from_the_crowd).collect();
    timeline.apply(partition(busy()), crowd, None).await?;
    Ok(())
}

/// The longest text from one of many.
fn from_the_crowd(number: u64) -> [Write; 2] {
    let (raw, sender) = (1_000 + number, user(10_000 + number));
    let chat = ChatId::direct(busy(), sender);
    let body = Body::text(Bytes::from(vec![b'x'; limits::TEXT_BYTES.value]));
    let message = Message { sender, body, reply_to: None, ..message(raw) };
    let incoming = Some(message.source);
    [Write::Message { chat, message, resolved: false }, Write::Newest { user: busy(), chat, id: id(raw), incoming }]
}

fn ids(page: &Page) -> Vec<u64> {
    page.messages.iter().map(|message| message.id.get()).collect()
}

async fn nothing_is_archived_yet(history: &dyn History) {
    assert_eq!(history.archived(home()).await, Ok(None));
    assert_eq!(history.stretch(ada(), home(), 7, 9).await.map(|stretch| stretch.complete_below), Ok(7));
    assert_eq!(history.page(ada(), chat(), Anchor::Newest, 9).await, Ok(Page::default()));
}

async fn pages_begin_where_they_are_told(history: &dyn History) {
    let at = |anchor, limit| async move { history.page(ada(), chat(), anchor, limit).await.map(|page| ids(&page)) };
    assert_eq!(at(Anchor::Newest, 3).await, Ok(vec![28, 29, 30]));
    assert_eq!(at(Anchor::Before(id(10)), 3).await, Ok(vec![7, 8, 9]));
    assert_eq!(at(Anchor::After(id(10)), 3).await, Ok(vec![11, 12, 13]));
    assert_eq!(at(Anchor::Around(id(10)), 4).await, Ok(vec![8, 9, 10, 11]));
    assert_eq!(at(Anchor::AroundTime(Timestamp(0)), 2).await, Ok(vec![1, 2]), "before everything");
    assert_eq!(at(Anchor::After(id(MESSAGES)), 3).await, Ok(Vec::new()));
}

async fn cursors_go_on_where_a_page_ended(history: &dyn History) {
    let mut all = Vec::new();
    let mut anchor = Anchor::Newest;
    loop {
        let page = match history.page(ada(), chat(), anchor, 7).await {
            Ok(page) => page,
            Err(error) => panic!("a page behind a cursor: {error}"),
        };
        all.splice(0..0, ids(&page));
        let Some(older) = page.older else { break };
        anchor = Anchor::Cursor(older);
    }
    assert_eq!(all, (1..=MESSAGES).collect::<Vec<_>>());
}

fn reaction(by: UserId, emoji: &str, change: u64) -> Reaction {
    Reaction { by, emoji: emoji.to_owned(), change: id(change) }
}

async fn a_message_is_whole(history: &dyn History) {
    let page = history.page(ada(), chat(), Anchor::Around(id(5)), 2).await;
    let plain = MessageView {
        id: id(4),
        sender: ben(),
        key: key(1),
        source: Source::new(1, 4),
        body: text(4),
        reply_to: Some(id(3)),
        edited: None,
        deleted: None,
        reactions: Vec::new(),
    };
    let changed = MessageView {
        id: id(5),
        source: Source::new(1, 5),
        body: Body::text("edited"),
        reply_to: Some(id(4)),
        edited: Some(id(40)),
        reactions: vec![reaction(ada(), "👍", 41), reaction(ben(), "", 44)],
        ..plain.clone()
    };
    assert_eq!(page.as_ref().map(|page| page.messages.clone()), Ok(vec![plain, changed]));
    assert_eq!(page.map(|page| page.covers), Ok(Source::new(1, ARCHIVED)));
    let deleted = history.page(ada(), chat(), Anchor::After(id(5)), 1).await.map(|page| page.messages);
    let deleted = deleted.map(|messages| messages.into_iter().map(|m| (m.deleted, m.body.bytes)).collect());
    assert_eq!(deleted, Ok(vec![(Some(id(43)), Bytes::new())]));
}

async fn nobody_reads_what_is_not_theirs(history: &dyn History) {
    let foreign = history.page(busy(), chat(), Anchor::Newest, 9).await;
    assert_eq!(foreign, Err(HistoryError::UnknownChat));
    let made_up = history.page(ada(), chat(), Anchor::Cursor(b"made up".to_vec()), 9).await;
    assert_eq!(made_up, Err(HistoryError::InvalidCursor));
    assert_eq!(history.chats(ada(), Some(Vec::new()), 9).await, Err(HistoryError::InvalidCursor));
}

async fn chat_lists_are_whole(history: &dyn History) {
    let page = history.chats(ada(), None, 9).await;
    let Ok([line]) = page.as_ref().map(|page| page.chats.as_slice()) else { panic!("one chat, not {page:?}") };
    assert_eq!((line.chat, line.newest.as_ref().map(|newest| newest.id)), (chat(), Some(id(MESSAGES))));
    assert_eq!(line.unread, 10);
    assert_eq!((line.read, line.delivered), (seen(20, 20), seen(20, 20)));
    assert_eq!((line.peer_read, line.peer_delivered), (Seen::default(), seen(9, 9)));
    assert_eq!(line.newest_incoming, Source::new(1, MESSAGES));
    assert_eq!(page.map(|page| page.next), Ok(None));
}

async fn long_chat_lists_fit(history: &dyn History) {
    let most = limits::CHATS_MOST.value;
    let page = match history.chats(busy(), None, most).await {
        Ok(page) => page,
        Err(error) => panic!("{most} chats whose newest message is as long as may be: {error}"),
    };
    assert_eq!((page.chats.len() as u64, page.next), (CHATS, None));
    let texts = page.chats.iter().filter_map(|line| line.newest.as_ref()).map(|newest| newest.body.bytes.len());
    assert_eq!(texts.sum::<usize>(), most * limits::TEXT_BYTES.value);
    let half = history.chats(busy(), None, most / 2).await;
    let Ok(Some(next)) = half.map(|page| page.next) else { panic!("there are more") };
    assert_eq!(history.chats(busy(), Some(next), most).await.map(|page| page.chats.len()), Ok(most / 2));
}

async fn a_stream_is_read_by_stretches(history: &dyn History) {
    let position = Position { partition: home(), source: Source::new(1, ARCHIVED), id: id(99) };
    assert_eq!(history.archived(home()).await, Ok(Some(position)));
    let stretch = history.stretch(ada(), home(), 100, 99).await;
    let events = match &stretch {
        Ok(stretch) => stretch.events.clone(),
        Err(error) => panic!("a stretch of what is archived: {error}"),
    };
    assert_eq!(stretch.map(|stretch| stretch.complete_below), Ok(ARCHIVED + 1));
    let offsets: Vec<_> = events.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets[..7], [100, 101, 102, 103, 104, 105, 106]);
    assert!(matches!(&events[0].1, Happened::Message(at, view) if *at == chat() && view.id == id(1)));
    assert!(matches!(&events[1].1, Happened::Changed(at, view) if *at == chat() && view.body == Body::text("edited")));
    let told: Vec<_> = events[2..5].iter().map(|(_, happened)| happened.clone()).collect();
    assert_eq!(told, answers().map(Happened::Answer));
    let kinds = [MarkKind::Delivered, MarkKind::Read];
    let marked = kinds.map(|kind| Happened::Mark { reader: ben(), chat: chat(), kind, seen: seen(4, 4) });
    assert_eq!(events[5..7].iter().map(|(_, happened)| happened.clone()).collect::<Vec<_>>(), marked);
    let cut = history.stretch(ada(), home(), 100, 2).await;
    assert_eq!(cut.map(|cut| (cut.events.len(), cut.complete_below)), Ok((2, 102)));
    assert_eq!(history.stretch(ada(), home(), 0, 9).await, Err(HistoryError::TooOld));
}

/// Who made the replaced one is not in the index, so all that are later come with it.
async fn a_change_is_told_before_its_message(history: &dyn History) {
    let stretch = history.stretch(ada(), home(), 107, 99).await;
    let mut events = stretch.map(|stretch| stretch.events).unwrap_or_default();
    events.sort_by_key(|(offset, happened)| match happened {
        Happened::Early(_, _, change) => (*offset, change.id),
        _ => (*offset, Id::ZERO),
    });
    let [_, edit, reaction] = early();
    let expected = [(107, &edit), (107, &reaction), (108, &edit), (108, &reaction)];
    let expected = expected.map(|(offset, change)| (offset, Happened::Early(chat(), id(60), change.clone())));
    assert_eq!(events, expected, "the change, or what took its place");
}

async fn what_is_undelivered_is_told(history: &dyn History) {
    let undelivered = history.undelivered(ada(), 9).await;
    assert_eq!(undelivered, Ok(vec![(chat(), seen(MESSAGES, MESSAGES))]));
    assert_eq!(history.undelivered(ben(), 9).await, Ok(Vec::new()));
    assert_eq!(history.undelivered(busy(), 9).await.map(|chats| chats.len()), Ok(9));
}

async fn an_outage_is_told_in_its_own_words(timeline: &ModelTimeline, history: &dyn History) {
    timeline.set_down(true);
    let Err(Unavailable(reason)) = timeline.committed(home()).await else { panic!("it is down") };
    assert_eq!(history.archived(home()).await, Err(HistoryError::Unavailable(reason.clone())));
    assert_eq!(history.page(ada(), chat(), Anchor::Newest, 9).await, Err(HistoryError::Unavailable(reason)));
    timeline.set_down(false);
    assert!(history.archived(home()).await.is_ok());
}
