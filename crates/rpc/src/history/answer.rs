//! Answers of history-node, in both directions. Bodies are slices of what was received.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Answer, Body, Outcome, Seen};
use volery_kernel::position::{Offset, Position};
use volery_ports::history::{ChatView, ChatsPage, Happened, MessageView, Page, Reaction, Stretch};

use super::early::{early, to_early};
use crate::check::{self, Checked};
use crate::wire::history::v1 as wire;
use crate::wire::history::v1::happened::Kind;
use crate::wire::log::v1 as log;

pub(crate) fn page(from: Page) -> wire::PageAnswer {
    wire::PageAnswer {
        messages: from.messages.into_iter().map(message).collect(),
        older: from.older.map(Bytes::from),
        newer: from.newer.map(Bytes::from),
        covers: Some(from.covers.0),
    }
}

pub(crate) fn to_page(from: wire::PageAnswer) -> Checked<Page> {
    Ok(Page {
        messages: from.messages.into_iter().map(to_message).collect::<Checked<_>>()?,
        older: from.older.map(Vec::from),
        newer: from.newer.map(Vec::from),
        covers: check::source("covers", from.covers)?,
    })
}

fn message(from: MessageView) -> wire::MessageView {
    let Body { kind, bytes } = from.body;
    let reply_to = from.reply_to.map(|id| id.get());
    wire::MessageView {
        id: Some(from.id.get()),
        sender: Some(from.sender.get()),
        key: check::from_key(from.key),
        source: Some(from.source.0),
        content: Some(log::Message { body_kind: Some(kind), body: bytes, reply_to }),
        edited: from.edited.map(|id| id.get()),
        deleted: from.deleted.map(|id| id.get()),
        reactions: from.reactions.into_iter().map(reaction).collect(),
    }
}

fn to_message(from: wire::MessageView) -> Checked<MessageView> {
    let content = check::there("content", from.content)?;
    let kind = check::there("content.body_kind", content.body_kind)?;
    Ok(MessageView {
        id: check::id("id", from.id)?,
        sender: check::user("sender", from.sender)?,
        key: check::key("key", from.key)?,
        source: check::source("source", from.source)?,
        body: Body { kind, bytes: content.body },
        reply_to: check::id_if_any("content.reply_to", content.reply_to)?,
        edited: check::id_if_any("edited", from.edited)?,
        deleted: check::id_if_any("deleted", from.deleted)?,
        reactions: from.reactions.into_iter().map(to_reaction).collect::<Checked<_>>()?,
    })
}

fn reaction(from: Reaction) -> wire::Reaction {
    wire::Reaction { user: Some(from.by.get()), emoji: from.emoji, change: Some(from.change.get()) }
}

fn to_reaction(from: wire::Reaction) -> Checked<Reaction> {
    Ok(Reaction {
        by: check::user("reaction.user", from.user)?,
        emoji: from.emoji,
        change: check::id("reaction.change", from.change)?,
    })
}

pub(crate) fn chats(from: ChatsPage) -> wire::ChatsAnswer {
    wire::ChatsAnswer { chats: from.chats.into_iter().map(chat).collect(), next: from.next.map(Bytes::from) }
}

pub(crate) fn to_chats(from: wire::ChatsAnswer) -> Checked<ChatsPage> {
    let chats = from.chats.into_iter().map(to_chat).collect::<Checked<_>>()?;
    Ok(ChatsPage { chats, next: from.next.map(Vec::from) })
}

fn chat(from: ChatView) -> wire::ChatView {
    wire::ChatView {
        chat: chat_key(from.chat),
        newest: from.newest.map(message),
        unread: u32::try_from(from.unread).unwrap_or(u32::MAX),
        read: check::from_seen(from.read),
        delivered: check::from_seen(from.delivered),
        peer_delivered: check::from_seen(from.peer_delivered),
        peer_read: check::from_seen(from.peer_read),
        newest_incoming: Some(from.newest_incoming.0),
    }
}

fn to_chat(from: wire::ChatView) -> Checked<ChatView> {
    Ok(ChatView {
        chat: check::chat("chat", &from.chat)?,
        newest: from.newest.map(to_message).transpose()?,
        unread: usize::try_from(from.unread).unwrap_or(usize::MAX),
        read: check::seen("read", from.read)?,
        delivered: check::seen("delivered", from.delivered)?,
        peer_delivered: check::seen("peer_delivered", from.peer_delivered)?,
        peer_read: check::seen("peer_read", from.peer_read)?,
        newest_incoming: check::source("newest_incoming", from.newest_incoming)?,
    })
}

pub(crate) fn archived(from: Option<Position>) -> wire::ArchivedAnswer {
    wire::ArchivedAnswer { position: from.map(|position| Bytes::copy_from_slice(&position.to_bytes())) }
}

pub(crate) fn to_archived(from: wire::ArchivedAnswer) -> Checked<Option<Position>> {
    let position = from.position.as_deref().map(Position::from_bytes).transpose();
    position.or_else(|_| check::wrong("position", "is not a position"))
}

pub(crate) fn stretch(from: Stretch) -> wire::StretchAnswer {
    let events = from.events.into_iter().map(happened).collect();
    wire::StretchAnswer { events, complete_below: Some(from.complete_below) }
}

pub(crate) fn to_stretch(from: wire::StretchAnswer) -> Checked<Stretch> {
    Ok(Stretch {
        events: from.events.into_iter().map(to_happened).collect::<Checked<_>>()?,
        complete_below: check::there("complete_below", from.complete_below)?,
    })
}

fn happened((offset, from): (Offset, Happened)) -> wire::Happened {
    let message_in = |chat, view| wire::MessageIn { chat: chat_key(chat), view: Some(message(view)) };
    let kind = match from {
        Happened::Message(chat, view) => Kind::Message(message_in(chat, view)),
        Happened::Changed(chat, view) => Kind::Changed(message_in(chat, view)),
        Happened::Early(chat, target, change) => Kind::Early(early(chat, target, change)),
        Happened::Answer(from) => Kind::Answer(answered(from)),
        Happened::Mark { reader, chat, kind, seen } => {
            let kind = check::from_mark_kind(kind);
            let mark = log::Mark { chat: chat_key(chat), kind, seen: check::from_seen(seen) };
            Kind::Mark(wire::Marked { reader: Some(reader.get()), mark: Some(mark) })
        }
    };
    wire::Happened { offset: Some(offset), kind: Some(kind) }
}

fn to_happened(from: wire::Happened) -> Checked<(Offset, Happened)> {
    let happened = match check::there("kind", from.kind)? {
        Kind::Message(from) => to_message_in(from).map(|(chat, view)| Happened::Message(chat, view))?,
        Kind::Changed(from) => to_message_in(from).map(|(chat, view)| Happened::Changed(chat, view))?,
        Kind::Early(from) => to_early(from).map(|(chat, target, change)| Happened::Early(chat, target, change))?,
        Kind::Answer(from) => Happened::Answer(to_answered(from)?),
        Kind::Mark(from) => {
            let mark = check::there("mark", from.mark)?;
            Happened::Mark {
                reader: check::user("reader", from.reader)?,
                chat: check::chat("mark.chat", &mark.chat)?,
                kind: check::mark_kind("mark.kind", mark.kind)?,
                seen: check::seen("mark.seen", mark.seen)?,
            }
        }
    };
    Ok((check::offset("offset", from.offset)?, happened))
}

fn to_message_in(from: wire::MessageIn) -> Checked<(ChatId, MessageView)> {
    Ok((check::chat("chat", &from.chat)?, to_message(check::there("view", from.view)?)?))
}

fn answered(from: Answer) -> wire::Answered {
    let (outcome, accepted) = match from.outcome {
        Outcome::Accepted { id, source } => (log::Outcome::Accepted, Some((id.get(), source.0))),
        Outcome::KeyReused => (log::Outcome::KeyReused, None),
        Outcome::Refused => (log::Outcome::Refused, None),
    };
    let answer = log::Answer {
        key: check::from_key(from.key),
        outcome: outcome.into(),
        accepted_id: accepted.map(|(id, _)| id),
        accepted_at: accepted.map(|(_, source)| source),
    };
    wire::Answered { id: Some(from.id.get()), sender: Some(from.sender.get()), answer: Some(answer) }
}

fn to_answered(from: wire::Answered) -> Checked<Answer> {
    let answer = check::there("answer", from.answer)?;
    let outcome = match log::Outcome::try_from(answer.outcome) {
        Ok(log::Outcome::Accepted) => Outcome::Accepted {
            id: check::id("answer.accepted_id", answer.accepted_id)?,
            source: check::source("answer.accepted_at", answer.accepted_at)?,
        },
        Ok(log::Outcome::KeyReused) => Outcome::KeyReused,
        Ok(log::Outcome::Refused) => Outcome::Refused,
        Ok(log::Outcome::Unspecified) | Err(_) => return check::wrong("answer.outcome", "is no outcome"),
    };
    Ok(Answer {
        id: check::id("id", from.id)?,
        sender: check::user("sender", from.sender)?,
        key: check::key("answer.key", answer.key)?,
        outcome,
    })
}

pub(crate) fn undelivered(from: Vec<(ChatId, Seen)>) -> wire::UndeliveredAnswer {
    let one = |(chat, seen)| wire::Undelivered { chat: chat_key(chat), seen: check::from_seen(seen) };
    wire::UndeliveredAnswer { chats: from.into_iter().map(one).collect() }
}

pub(crate) fn to_undelivered(from: wire::UndeliveredAnswer) -> Checked<Vec<(ChatId, Seen)>> {
    let one = |from: wire::Undelivered| Ok((check::chat("chat", &from.chat)?, check::seen("seen", from.seen)?));
    from.chats.into_iter().map(one).collect()
}

fn chat_key(chat: ChatId) -> Bytes {
    Bytes::copy_from_slice(&chat.to_key())
}
