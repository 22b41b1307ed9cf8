//! A change without its message, in both directions. It is written as the log writes it.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::event::Body;
use volery_kernel::id::Id;
use volery_ports::timeline::{Change, ChangeKind};

use crate::check::{self, Checked};
use crate::wire::history::v1 as wire;
use crate::wire::history::v1::early_change::Kind;
use crate::wire::log::v1 as log;

pub(super) fn early(chat: ChatId, target: Id, change: Change) -> wire::EarlyChange {
    let (target, chat) = (Some(target.get()), Bytes::copy_from_slice(&chat.to_key()));
    let kind = match change.what {
        ChangeKind::Edit(Body { kind, bytes }) => Kind::Edit(log::Edit { target, body_kind: Some(kind), body: bytes }),
        ChangeKind::Delete => Kind::Delete(log::Delete { target }),
        ChangeKind::React(emoji) => Kind::React(log::React { target, emoji }),
    };
    wire::EarlyChange { chat, id: Some(change.id.get()), actor: Some(change.actor.get()), kind: Some(kind) }
}

pub(super) fn to_early(from: wire::EarlyChange) -> Checked<(ChatId, Id, Change)> {
    let (target, what) = match check::there("early.kind", from.kind)? {
        Kind::Edit(edit) => {
            let kind = check::there("early.edit.body_kind", edit.body_kind)?;
            (edit.target, ChangeKind::Edit(Body { kind, bytes: edit.body }))
        }
        Kind::Delete(delete) => (delete.target, ChangeKind::Delete),
        Kind::React(react) => (react.target, ChangeKind::React(react.emoji)),
    };
    let (id, actor) = (check::id("early.id", from.id)?, check::user("early.actor", from.actor)?);
    let chat = check::chat("early.chat", &from.chat)?;
    Ok((chat, check::id("early.target", target)?, Change { id, actor, what }))
}
