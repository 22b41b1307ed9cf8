//! What comes from stores and roles on other machines: cells of Cassandra, a map in its row, messages of the contracts.

use volery_cassandra::cells::{self, Cells};
use volery_kernel::event::{Answer, Body, MarkKind, Outcome, Seen};
use volery_kernel::id::{DeviceId, Id};
use volery_kernel::map::{MapDelta, Member, MemberState, NodeKind, PartitionMap, Weight};
use volery_kernel::position::{Position, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::accounts::{Claims, Standing};
use volery_ports::cluster::{Action, Change as NewValue, Drain, Hold, Order, Setting, Settings, Terms};
use volery_ports::history::{Anchor, ChatView, ChatsPage, Happened, MessageView, Page, Reaction, Stretch};
use volery_ports::ids::Held;
use volery_ports::sql::{Device, User};
use volery_ports::timeline::{Change, ChangeKind, Commit, Entry, Message as Stored, Sent};
use volery_rpc::messages::{self as rpc, Message};
use volery_sql::map_row;

use super::samples::{chat, id, key, user};
use crate::Verdict;

/// The first byte says of which kind they are. What is taken was written so, to the byte.
pub(crate) fn cell(bytes: &[u8]) -> Verdict {
    let Some((&kind, value)) = bytes.split_first() else { return Verdict::Refused };
    let Some(read) = Cells::decode(kind % cells::KINDS, value) else { return Verdict::Refused };
    assert_eq!(read.kind(), kind % cells::KINDS);
    assert_eq!(read.encode(), value, "{read:?}");
    Verdict::Taken
}

fn seen() -> Seen {
    Seen { source: Source(5), id: id(6) }
}

fn change(what: ChangeKind) -> Change {
    Change { id: id(7), actor: user(2), what }
}

fn answer(outcome: Outcome) -> Answer {
    Answer { id: id(8), sender: user(1), key: key(), outcome }
}

fn accepted() -> Outcome {
    Outcome::Accepted { id: id(6), source: Source(6) }
}

pub(crate) fn cells() -> Vec<Vec<u8>> {
    let (sender, source, body) = (user(1), Source::new(1, 7), Body::text("hi"));
    let message = |reply_to| Stored { id: Id::MAX, sender, key: key(), source, body: body.clone(), reply_to };
    let all = [
        Cells::Message(message(None)),
        Cells::Message(message(Some(id(6)))),
        Cells::Change(change(ChangeKind::Edit(body.clone()))),
        Cells::Change(change(ChangeKind::Delete)),
        Cells::Change(change(ChangeKind::React("👍".into()))),
        Cells::Sent(Sent { id: id(6), source: None, fingerprint: u64::MAX }),
        Cells::Sent(Sent { id: id(6), source: Some(source), fingerprint: 1 }),
        Cells::Commit(Commit { source, id: id(2), stamp: Timestamp(3) }),
        Cells::Entry(Entry::Message { chat: chat(), id: id(9) }),
        Cells::Entry(Entry::Change { chat: chat(), target: id(9), change: id(10) }),
        Cells::Entry(Entry::Answer(answer(accepted()))),
        Cells::Entry(Entry::Mark { reader: user(1), chat: chat(), kind: MarkKind::Delivered, seen: seen() }),
        Cells::Chat(chat()),
        Cells::Seen(seen()),
        Cells::Id(Id::MAX),
    ];
    all.iter().map(|cells| [&[cells.kind()], &cells.encode()[..]].concat()).collect()
}

pub(crate) const ROW: &[&[u8]] =
    &[b"[[\"a\",\"\"", b",1,\"serving\"]", b",\"draining\"]", b"]\n", b"[]", b"\0\0", b"\0\x01", b"\xff\xff"];
/// Versions have a column of their own.
const VERSION: i64 = 7;

/// A line is the column of members, what follows is that of owners.
pub(crate) fn partition_map(bytes: &[u8]) -> Verdict {
    let mut columns = bytes.splitn(2, |byte| *byte == b'\n');
    let members = std::str::from_utf8(columns.next().unwrap_or_default()).unwrap_or_default();
    let owners = columns.next().unwrap_or_default();
    let Ok(map) = map_row::map(VERSION, members, owners) else { return Verdict::Refused };
    assert_eq!(map_row::owners(&map), owners);
    let written = map_row::members(&map).unwrap_or_default();
    assert_eq!(map_row::map(VERSION, &written, owners).ok(), Some(map));
    Verdict::Taken
}

fn members() -> Vec<Member> {
    let large = Member { weight: Weight::new(100).unwrap_or(Weight::ONE), ..member("a") };
    vec![Member { state: MemberState::Draining, ..large }, member("b\"é\"")]
}

fn member(name: &str) -> Member {
    Member::new(name.into(), "ws://a:8401/v1/ws".into())
}

fn maps() -> Vec<PartitionMap> {
    let two = PartitionMap::new(7, members(), &[Some(1), None, Some(0)]);
    let none = PartitionMap::new(8, Vec::new(), &[None]);
    [two, none].into_iter().flatten().collect()
}

pub(crate) fn partition_maps() -> Vec<Vec<u8>> {
    let row = |map: &PartitionMap| {
        let members = map_row::members(map).unwrap_or_default();
        [members.as_bytes(), b"\n", &map_row::owners(map)[..]].concat()
    };
    maps().iter().map(row).collect()
}

pub(crate) const PROTOBUF: &[&[u8]] =
    &[b"\x08", b"\x09", b"\x0a\0", b"\x11", b"\x12", b"\x18\x01", b"\x1a", b"\x22\x02\x08\x01", b"\x80\x80\x01"];

/// The first byte says which message; what it says is the same when it has travelled once more.
pub(crate) fn message(bytes: &[u8]) -> Verdict {
    let Some((&kind, value)) = bytes.split_first() else { return Verdict::Refused };
    let Some(read) = Message::decode(kind % rpc::KINDS, value) else { return Verdict::Refused };
    assert_eq!(read.kind(), kind % rpc::KINDS);
    assert_eq!(Message::decode(read.kind(), &read.encode()).as_ref(), Some(&read));
    Verdict::Taken
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let all = asked().into_iter().chain(history()).chain(cluster()).chain(people());
    all.map(|message| [&[message.kind()], &message.encode()[..]].concat()).collect()
}

fn asked() -> Vec<Message> {
    let page = |anchor| Message::PageRequest((user(1), chat(), anchor, 50));
    vec![
        page(Anchor::Newest),
        page(Anchor::Before(Id::MAX)),
        page(Anchor::After(id(9))),
        page(Anchor::Around(id(9))),
        page(Anchor::AroundTime(Timestamp(1_800_000_000_000))),
        page(Anchor::Cursor(vec![1, 2, 3])),
        Message::ChatsRequest((user(1), Some(vec![1, 2, 3]), 1_000)),
        Message::ArchivedRequest(Partition(300)),
        Message::StretchRequest((user(1), Partition(300), 7, 5)),
        Message::UndeliveredRequest((user(1), 100)),
    ]
}

fn view() -> MessageView {
    MessageView {
        id: id(20),
        sender: user(1),
        key: key(),
        source: Source::new(1, 7),
        body: Body::text("hi"),
        reply_to: Some(id(6)),
        edited: Some(id(21)),
        deleted: None,
        reactions: vec![Reaction { by: user(2), emoji: "👍".into(), change: id(22) }],
    }
}

fn chats() -> ChatsPage {
    let (read, delivered, peer_delivered, peer_read) = (seen(), seen(), seen(), seen());
    let (newest, newest_incoming) = (Some(view()), Source(9));
    let chat =
        ChatView { chat: chat(), newest, unread: 3, read, delivered, peer_delivered, peer_read, newest_incoming };
    ChatsPage { chats: vec![chat], next: Some(vec![1]) }
}

fn history() -> Vec<Message> {
    let early = |what| Happened::Early(chat(), id(6), change(what));
    let happened = [
        Happened::Message(chat(), view()),
        Happened::Changed(chat(), view()),
        early(ChangeKind::Edit(Body::text("other"))),
        early(ChangeKind::Delete),
        early(ChangeKind::React("👍".into())),
        Happened::Answer(answer(accepted())),
        Happened::Answer(answer(Outcome::Refused)),
        Happened::Mark { reader: user(2), chat: chat(), kind: MarkKind::Read, seen: seen() },
    ];
    let position = Position { partition: Partition(300), source: Source(5), id: id(6) };
    let page = Page { messages: vec![view(), view()], older: Some(vec![1]), newer: None, covers: Source(4) };
    let stretch = |event: &Happened| Stretch { events: vec![(7, event.clone())], complete_below: 9 };
    let all = [
        Message::Page(page),
        Message::Chats(chats()),
        Message::Archived(Some(position)),
        Message::Undelivered(vec![(chat(), seen())]),
    ];
    happened.iter().map(stretch).map(Message::Stretch).chain(all).collect()
}

fn cluster() -> Vec<Message> {
    let (node, by, at) = (|| "b".to_owned(), || "ada".to_owned(), Timestamp(7));
    let terms = || Terms { partitions: 16_384, hash: "xxh3".into(), log: "kafka".into(), level: 3 };
    let (kind, process) = (NodeKind::Messaging, "p1".to_owned());
    let hold = Hold { kind, member: member("a"), process, terms: terms() };
    let (name, value) = (|| "log.filter".to_owned(), Some("info".to_owned()));
    let setting = Setting { name: name(), value: value.clone(), version: 3, by: by(), at };
    let order = |action| Message::Order(Order { kind: NodeKind::History, action, seen: Some(3), by: by() });
    let moved = vec![(Partition(300), Some(1)), (Partition(0), None)];
    let delta = MapDelta { from: 6, version: 7, left: vec![node()], came: members(), moved };
    let all = [
        Message::Admit((terms(), true)),
        Message::Hold(hold),
        Message::Settings(Settings { version: 3, settings: vec![setting] }),
        Message::Change(NewValue { name: name(), value, seen: 2, by: by() }),
        Message::Drains(vec![Drain { node: node(), by: by(), at }]),
        order(Action::Drain(node())),
        order(Action::Undrain(node())),
        order(Action::Move(Partition(300), node())),
        Message::MapChanges(delta),
    ];
    maps().into_iter().map(Message::Map).chain(all).collect()
}

fn people() -> Vec<Message> {
    let (created, last_seen, device) = (Timestamp(7), Timestamp(8), DeviceId(id(3)));
    let (user_name, display_name, name) = ("ada".to_owned(), "Ada é".to_owned(), "phone".to_owned());
    let phone = Device { id: device, user: user(1), name, created, last_seen, revoked: Some(Timestamp(9)) };
    vec![
        Message::Claims(Claims { user: user(1), device, expires: Timestamp(9) }),
        Message::Standing(Some(Standing { user: user(1), revoked: true })),
        Message::Revoked(vec![(1, device), (u64::MAX, device)]),
        Message::UserIds(vec![user(1), user(2)]),
        Message::Users(vec![User { id: user(1), user_name, display_name, created }]),
        Message::Devices(vec![phone]),
        Message::Held(vec![Held { number: 1_023, from: Timestamp(1), until: Timestamp(2) }]),
    ]
}
