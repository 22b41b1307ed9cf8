//! Values to write. What may not differ between two writes of the same thing follows from its id,
//! as it does where records are the source.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Body, MarkKind, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::{Offset, Source};
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChangeKind, Commit, Message, Write};

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 86_400_000;

/// Ids of tests count from small numbers.
pub(super) fn id(raw: u64) -> Id {
    Id::new(raw).unwrap_or(Id::MAX)
}

pub(super) fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

pub(super) fn direct(a: u64, b: u64) -> ChatId {
    ChatId::direct(user(a), user(b))
}

pub(super) fn source(offset: Offset) -> Source {
    Source::new(1, offset)
}

pub(super) fn seen(offset: Offset, raw: u64) -> Seen {
    Seen { source: source(offset), id: id(raw) }
}

pub(super) fn key(number: u32) -> SendKey {
    SendKey { device: DeviceId(id(7)), session: SessionNumber(id(70)), number }
}

/// A message whose content follows from its id.
pub(super) fn message(raw: u64, offset: Offset) -> Message {
    Message {
        id: id(raw),
        sender: user(raw % 3),
        key: key(u32::try_from(raw % 1_000).unwrap_or_default()),
        source: source(offset),
        body: Body { kind: u32::from(raw.is_multiple_of(2)), bytes: Bytes::from(vec![b'a'; (raw % 300) as usize]) },
        reply_to: raw.is_multiple_of(4).then(|| id(raw / 2)),
    }
}

/// A change whose content follows from its id.
pub(super) fn change(raw: u64, actor: u64) -> Change {
    let what = match raw % 3 {
        0 => ChangeKind::Edit(Body::text(format!("edit {raw}"))),
        1 => ChangeKind::Delete,
        _ => ChangeKind::React(if raw.is_multiple_of(2) { String::new() } else { format!("{raw}") }),
    };
    Change { id: id(raw), actor: user(actor), what }
}

pub(super) fn kind(raw: u64) -> MarkKind {
    if raw.is_multiple_of(2) { MarkKind::Delivered } else { MarkKind::Read }
}

pub(super) fn stored(chat: ChatId, message: Message) -> Write {
    Write::Message { chat, message, resolved: false }
}

/// The commit of an offset in the first day.
pub(super) fn commit(offset: Offset) -> Commit {
    commit_on(offset, 0)
}

/// The commit of an offset at noon of a day.
pub(super) fn commit_on(offset: Offset, day: u64) -> Commit {
    Commit { source: source(offset), id: id(offset + 1_000), stamp: Timestamp(day * DAY_MS + DAY_MS / 2) }
}
