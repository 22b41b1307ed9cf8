//! What is stored and given out: events on the log, rows of the timeline, positions, cursors, names.

use bytes::Bytes;
use volery_embedded::timeline::rows::{KINDS, Row};
use volery_history::cursor;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Answer, Body, MarkKind, Outcome, Seen};
use volery_kernel::id::{GroupId, Id, UserId};
use volery_kernel::position::{Position, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{NewRecord, StoredRecord};
use volery_ports::timeline::{Change, ChangeKind, ChatRow, Commit, Entry, Message, Span};

use super::samples::{self, chat, id, key, user};
use crate::Verdict;

/// An event is written so that it is read again; whatever the bytes are, a record has an id.
pub(crate) fn event(bytes: &[u8]) -> Verdict {
    let value = Bytes::copy_from_slice(bytes);
    let read = volery_proto::decode(value.clone());
    let record = NewRecord { key: [1; 9], headers: Vec::new(), value };
    let named = volery_reader::id_of(StoredRecord { offset: 0, stamp: Timestamp(0), record });
    let Ok(event) = read else {
        assert_eq!(named, Id::ZERO, "what cannot be read has a name");
        return Verdict::Refused;
    };
    assert_eq!(named, event.id());
    let (stream, written) = volery_proto::encode_record(&event);
    assert_eq!(Recipient::from_key(stream), Some(event.stream()));
    assert_eq!(volery_proto::decode(written), Ok(event));
    Verdict::Taken
}

pub(crate) fn events() -> Vec<Vec<u8>> {
    samples::events().iter().map(|event| volery_proto::encode(event).to_vec()).collect()
}

/// The first byte says of which table.
pub(crate) fn row(bytes: &[u8]) -> Verdict {
    let Some((&kind, value)) = bytes.split_first() else { return Verdict::Refused };
    let Some(row) = Row::decode(kind % KINDS, value) else { return Verdict::Refused };
    assert_eq!(row.kind(), kind % KINDS);
    assert_eq!(Row::decode(row.kind(), &row.encode()).as_ref(), Some(&row));
    Verdict::Taken
}

pub(crate) fn rows() -> Vec<Vec<u8>> {
    let seen = Seen { source: Source(5), id: id(6) };
    let body = || Body::text("hi");
    let (source, actor) = (Source(u64::MAX >> 1), UserId(Id::MAX));
    let message = Message { id: Id::MAX, sender: user(1), key: key(), source, body: body(), reply_to: Some(id(6)) };
    let change = |what| Row::Change(Change { id: id(7), actor, what });
    let outcome = Outcome::Accepted { id: id(6), source: Source(6) };
    let late = vec![seen; 3];
    let all = [
        Row::Message(message),
        change(ChangeKind::Edit(body())),
        change(ChangeKind::Delete),
        change(ChangeKind::React("👍".into())),
        Row::Fingerprint(u64::MAX),
        Row::Entry(Entry::Message { chat: chat(), id: id(9) }),
        Row::Entry(Entry::Change { chat: chat(), target: id(9), change: id(10) }),
        Row::Entry(Entry::Answer(Answer { id: id(8), sender: user(1), key: key(), outcome })),
        Row::Entry(Entry::Mark { reader: user(1), chat: chat(), kind: MarkKind::Delivered, seen }),
        Row::Chat(ChatRow { newest: id(9), read: seen, peer_read: seen, resolved_late: late, ..ChatRow::default() }),
        Row::Commit(Commit { source: Source(1), id: id(2), stamp: Timestamp(3) }),
        Row::Bounds(1, 2),
        Row::Day(3),
        Row::Aside("it cannot be read".into(), Bytes::from_static(b"\xff\0")),
        Row::IndexKey(Partition(3), 4),
    ];
    all.iter().map(|row| [&[row.kind()], &row.encode()[..]].concat()).collect()
}

/// Bytes are a position or they are refused, and no two are the same one.
pub(crate) fn position(bytes: &[u8]) -> Verdict {
    let Ok(position) = Position::from_bytes(bytes) else { return Verdict::Refused };
    assert_eq!(position.to_bytes(), bytes);
    Verdict::Taken
}

pub(crate) fn positions() -> Vec<Vec<u8>> {
    let position = |source, id| Position { partition: Partition(u16::MAX), source, id };
    [Position::default(), position(Source(u64::MAX), Id::MAX), position(Source::new(1, 2), id(3))]
        .map(|position| position.to_bytes().to_vec())
        .into()
}

/// A cursor is of a page of one chat or of the chat list, never of both or of another chat.
pub(crate) fn page_cursor(bytes: &[u8]) -> Verdict {
    let span = cursor::to_span(chat(), bytes).ok();
    let chats = cursor::to_chats(bytes).ok();
    assert!(span.is_none() || chats.is_none(), "of a page and of a list");
    if let Some(span) = span {
        assert_eq!(cursor::of_page(chat(), span), bytes);
        assert!(cursor::to_span(ChatId::Group(GroupId(id(1))), bytes).is_err(), "of two chats");
    }
    if let Some((newest, chat)) = chats {
        assert_eq!(cursor::of_chats(newest, chat), bytes);
    }
    Verdict::of(span.map(drop).or(chats.map(drop)))
}

pub(crate) fn page_cursors() -> Vec<Vec<u8>> {
    let group = ChatId::Group(GroupId(id(8)));
    vec![
        cursor::of_page(chat(), Span::Before(id(9))),
        cursor::of_page(chat(), Span::After(Id::MAX)),
        cursor::of_chats(id(9), chat()),
        cursor::of_chats(Id::ZERO, group),
    ]
}

/// Ids, chats and recipients, as texts and as keys.
pub(crate) fn name(bytes: &[u8]) -> Verdict {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let id = text.parse::<Id>().ok().map(|id| assert_eq!(id.to_string().parse(), Ok(id)));
    let chat = text.parse::<ChatId>().ok().map(|chat| {
        assert_eq!(chat.to_string().parse(), Ok(chat));
        assert_eq!(ChatId::from_key(&chat.to_key()), Ok(chat));
    });
    let key = ChatId::from_key(bytes).ok().map(|chat| {
        assert_eq!(chat.to_key(), bytes);
        assert_eq!(chat.to_string().parse(), Ok(chat));
    });
    let recipient = bytes.try_into().ok().and_then(Recipient::from_key).map(|to| assert_eq!(to.to_key(), bytes));
    Verdict::of(id.or(chat).or(key).or(recipient))
}

pub(crate) fn names() -> Vec<Vec<u8>> {
    let group = GroupId(id(8));
    let texts = [Id::MAX.to_string(), chat().to_string(), ChatId::Group(group).to_string()].map(String::into_bytes);
    let keys = [chat().to_key(), ChatId::Group(group).to_key()].map(|key| key.to_vec());
    let streams = [Recipient::User(user(1)), Recipient::Group(group)].map(|stream| stream.to_key().to_vec());
    texts.into_iter().chain(keys).chain(streams).collect()
}
