//! Requests to history-node, in both directions.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::history::Anchor;

use crate::check::{self, Checked};
use crate::wire::history::v1::page_request::Anchor as WireAnchor;
use crate::wire::history::v1::{
    ArchivedRequest, ChatsRequest, Newest, PageRequest, StretchRequest, UndeliveredRequest,
};

pub(crate) fn page(user: UserId, chat: ChatId, anchor: Anchor, limit: usize) -> PageRequest {
    PageRequest {
        user: Some(user.get()),
        chat: Bytes::copy_from_slice(&chat.to_key()),
        limit: check::limited(limit),
        anchor: Some(match anchor {
            Anchor::Newest => WireAnchor::Newest(Newest {}),
            Anchor::Before(id) => WireAnchor::Before(id.get()),
            Anchor::After(id) => WireAnchor::After(id.get()),
            Anchor::Around(id) => WireAnchor::Around(id.get()),
            Anchor::AroundTime(time) => WireAnchor::AroundTime(time.0),
            Anchor::Cursor(cursor) => WireAnchor::Cursor(cursor.into()),
        }),
    }
}

pub(crate) fn to_page(from: PageRequest) -> Checked<(UserId, ChatId, Anchor, usize)> {
    let user = check::user("user", from.user)?;
    let chat = check::chat("chat", &from.chat)?;
    let anchor = match check::there("anchor", from.anchor)? {
        WireAnchor::Newest(Newest {}) => Anchor::Newest,
        WireAnchor::Before(raw) => Anchor::Before(check::id("before", Some(raw))?),
        WireAnchor::After(raw) => Anchor::After(check::id("after", Some(raw))?),
        WireAnchor::Around(raw) => Anchor::Around(check::id("around", Some(raw))?),
        WireAnchor::AroundTime(millis) => Anchor::AroundTime(Timestamp(millis)),
        WireAnchor::Cursor(cursor) => Anchor::Cursor(cursor.into()),
    };
    Ok((user, chat, anchor, check::limit("limit", from.limit)?))
}

pub(crate) fn chats(user: UserId, cursor: Option<Vec<u8>>, limit: usize) -> ChatsRequest {
    ChatsRequest { user: Some(user.get()), cursor: cursor.map(Bytes::from), limit: check::limited(limit) }
}

pub(crate) fn to_chats(from: ChatsRequest) -> Checked<(UserId, Option<Vec<u8>>, usize)> {
    let user = check::user("user", from.user)?;
    Ok((user, from.cursor.map(Vec::from), check::limit("limit", from.limit)?))
}

pub(crate) fn archived(partition: Partition) -> ArchivedRequest {
    ArchivedRequest { partition: Some(partition.0.into()) }
}

pub(crate) fn to_archived(from: ArchivedRequest) -> Checked<Partition> {
    check::partition("partition", from.partition)
}

pub(crate) fn stretch(user: UserId, partition: Partition, from: Offset, limit: usize) -> StretchRequest {
    StretchRequest {
        user: Some(user.get()),
        partition: Some(partition.0.into()),
        from: Some(from),
        limit: check::limited(limit),
    }
}

pub(crate) fn to_stretch(from: StretchRequest) -> Checked<(UserId, Partition, Offset, usize)> {
    Ok((
        check::user("user", from.user)?,
        check::partition("partition", from.partition)?,
        check::offset("from", from.from)?,
        check::limit("limit", from.limit)?,
    ))
}

pub(crate) fn undelivered(user: UserId, limit: usize) -> UndeliveredRequest {
    UndeliveredRequest { user: Some(user.get()), limit: check::limited(limit) }
}

pub(crate) fn to_undelivered(from: UndeliveredRequest) -> Checked<(UserId, usize)> {
    Ok((check::user("user", from.user)?, check::limit("limit", from.limit)?))
}
