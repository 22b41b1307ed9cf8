//! Valid values of every kind, at the edges of their ranges: what seeds are encoded from.

use std::borrow::Cow;

use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Answer, Body, Content, Event, Mark, MarkKind, Outcome, Seen, Send, SendKey};
use volery_kernel::id::{DeviceId, GroupId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_wire::client::{self, Request, Shown};
use volery_wire::field::Blob;
use volery_wire::server::{self, Reply};

pub(crate) fn id(raw: u64) -> Id {
    Id::new(raw).unwrap_or(Id::MAX)
}

pub(crate) fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

pub(crate) fn chat() -> ChatId {
    ChatId::direct(user(1), user(2))
}

fn blob() -> Option<Blob> {
    Some(Blob(vec![1, 0, 2, 0xff, 0]))
}

fn shown() -> Option<Shown> {
    Some(Shown { source: Source::new(1, 3), id: id(9) })
}

fn change() -> client::Change<'static> {
    let (text, emoji) = (Some("new".into()), Some("👍".into()));
    let (to, number, since_welcome) = (user(2), 7, 0);
    client::Change { to, number, since_welcome, retry_of: None, shown: None, id: Id::MAX, text, emoji }
}

fn history() -> client::History {
    let (before, after, around) = (Some(id(5)), Some(Id::ZERO), Some(Id::MAX));
    let (around_time, cursor, limit) = (Some(u64::MAX), blob(), Some(100));
    client::History { chat: ChatId::Group(GroupId(id(8))), before, after, around, around_time, cursor, limit }
}

/// One of each.
pub(crate) fn requests() -> Vec<Request<'static>> {
    let (retry_of, reply_to) = (Some(SessionNumber(id(4))), Some(id(3)));
    vec![
        Request::Hello(client::Hello {
            token: "token".into(),
            device: DeviceId(id(3)),
            previous_session: SessionNumber(id(4)),
            largest_id: Id::MAX,
            resume: blob(),
        }),
        Request::Refresh(client::Refresh { token: "token".into() }),
        Request::Send(client::Send {
            to: user(2),
            number: u32::MAX,
            since_welcome: u64::MAX,
            retry_of,
            shown: shown(),
            text: "hi\n\"é\"".into(),
            reply_to,
        }),
        Request::Edit(change()),
        Request::Delete(client::Change { text: None, emoji: None, ..change() }),
        Request::React(client::Change { retry_of, shown: shown(), ..change() }),
        Request::Unreact(change()),
        Request::Mark(client::Mark {
            chat: chat(),
            kind: server::MarkKind::Delivered,
            source: Source(u64::MAX),
            id: id(1),
        }),
        Request::Typing(client::Typing { to: user(2) }),
        Request::Presence(client::Presence { users: vec![user(1), user(u64::MAX >> 1)] }),
        Request::History(history()),
        Request::Chats(client::Chats { cursor: blob(), limit: Some(1) }),
        Request::Received(client::Received { n: u64::MAX }),
        Request::Ping,
        Request::Resume(client::Resume { position: Blob(vec![0; 19]) }),
    ]
}

pub(crate) fn message(raw: u64) -> server::Message<'static> {
    let key = server::Key { device: DeviceId(id(3)), session: SessionNumber(id(4)), number: 5 };
    server::Message {
        chat: chat(),
        id: id(raw),
        from: user(2),
        source: Source::new(1, raw),
        text: "hello".into(),
        reply_to: Some(id(1)),
        key: Some(key),
        shown: shown(),
        edited: Some(id(raw + 1)),
        deleted: None,
        reactions: vec![server::Reaction { by: user(1), emoji: "👍".into(), change: id(12) }],
        position: blob(),
    }
}

fn listed() -> server::Chat<'static> {
    let mark = Shown { source: Source(2), id: id(2) };
    let (read, peer_delivered, peer_read) = (mark, mark, mark);
    let (newest, newest_incoming) = (Some(message(20)), Source(9));
    server::Chat {
        chat: chat(),
        newest,
        unread: 100,
        read,
        delivered: Some(read),
        peer_delivered,
        peer_read,
        newest_incoming,
    }
}

fn changed() -> server::Changed<'static> {
    let (text, emoji): (Option<Cow<'_, str>>, _) = (Some("new".into()), Some("".into()));
    let (chat, id, change, by) = (chat(), id(20), id(21), user(2));
    server::Changed { chat, id, change, by, text, deleted: true, emoji, key: message(1).key, position: blob() }
}

/// One of each.
pub(crate) fn replies() -> Vec<Reply<'static>> {
    let at = || server::At { position: blob() };
    let (session, device) = (SessionNumber(id(50)), DeviceId(id(3)));
    let error = server::Error {
        code: "too_large".into(),
        message: "It is too large.".into(),
        retryable: false,
        field: Some("text".into()),
        number: Some(1),
    };
    let marked = server::Marked {
        chat: chat(),
        reader: user(2),
        kind: server::MarkKind::Read,
        source: Source(3),
        id: id(3),
        position: blob(),
    };
    let answer = server::Answer {
        session,
        number: 1,
        id: Some(id(6)),
        source: Some(Source(6)),
        error: Some("refused".into()),
        position: None,
    };
    vec![
        Reply::Welcome(server::Welcome { user: user(1), device, session, now: 1_800_000_000_000, window: 65_536 }),
        Reply::Ack(server::Ack { number: 1, id: id(60), source: Source(7) }),
        Reply::Message(message(20)),
        Reply::Changed(changed()),
        Reply::Marked(marked),
        Reply::Presence(server::Presence {
            users: vec![
                server::Present { user: user(1), online: true, last_seen: None },
                server::Present { user: user(2), online: false, last_seen: Some(1_800_000_000_000) },
            ],
        }),
        Reply::Typing(server::Typing { chat: chat(), user: user(2) }),
        Reply::Page(server::Page {
            chat: chat(),
            messages: vec![message(10), message(12)],
            older: blob(),
            newer: None,
            covers: Source(4),
        }),
        Reply::Synced(server::Synced { position: blob(), below: Source(7) }),
        Reply::Gap,
        Reply::Reset(at()),
        Reply::Moved(server::Moved { address: "ws://b:1/v1/ws".into() }),
        Reply::Error(error),
        Reply::Pong(server::At::default()),
        Reply::Answer(answer),
        Reply::ChatList(server::ChatList { chats: vec![listed()], next: blob() }),
        Reply::Done,
    ]
}

pub(crate) fn key() -> SendKey {
    SendKey { device: DeviceId(id(3)), session: SessionNumber(id(4)), number: 5 }
}

fn send(content: Content) -> Send {
    Send {
        id: id(1 << 40),
        sender: user(1),
        recipient: Recipient::User(user(2)),
        key: key(),
        session: SessionNumber(id(4)),
        flagged: true,
        resolve_only: true,
        shown: Some(Seen { source: Source::new(1, 3), id: id(9) }),
        content,
    }
}

/// One of each, and one of every content.
pub(crate) fn events() -> Vec<Event> {
    let hi = || Content::Message { body: Body::text("hi"), reply_to: Some(id(6)) };
    let target = id(77);
    let mark = Mark {
        id: id(5),
        reader: user(2),
        chat: chat(),
        kind: MarkKind::Read,
        seen: Seen { source: Source(4), id: id(4) },
    };
    let accepted = Outcome::Accepted { id: id(6), source: Source(6) };
    let answer = |outcome| Event::Answer(Answer { id: id(8), sender: user(1), key: key(), outcome });
    vec![
        Event::Send(send(hi())),
        Event::Send(send(Content::Edit { target, body: Body::text("other") })),
        Event::Send(send(Content::Delete { target })),
        Event::Send(Send {
            recipient: Recipient::Group(GroupId(id(8))),
            ..send(Content::React { target, emoji: "👍".into() })
        }),
        Event::Resolved { send: send(hi()), flagged: Source(6) },
        answer(accepted),
        answer(Outcome::KeyReused),
        answer(Outcome::Refused),
        Event::Echo { origin: Source(7), send: send(hi()) },
        Event::Mark(mark),
        Event::PeerMark { origin: Source(7), to: user(1), mark },
        Event::DeviceRevoked { id: id(9), user: user(1), device: DeviceId(id(3)) },
    ]
}
