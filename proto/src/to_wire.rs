//! From the kernel's events to the generated messages: total, and without a copy of any body.
//!
//! What the envelope says (id, stream) is left out below it; `from_wire` puts it back.

use bytes::Bytes;
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Answer, Body, Content, Event, Mark, MarkKind, Outcome, Seen, Send, SendKey};

use crate::generated as wire;
use crate::generated::event::{Kind, Stream};
use crate::generated::send::Content as WireContent;

/// The event is written as it was read.
pub(crate) struct AsRead(pub(crate) Bytes);

pub(crate) fn envelope(event: &Event, kind: Kind) -> wire::Event {
    let stream = match event.stream() {
        Recipient::User(user) => Stream::User(user.get()),
        Recipient::Group(group) => Stream::Group(group.get()),
    };
    wire::Event { id: Some(event.id().get()), stream: Some(stream), kind: Some(kind) }
}

pub(crate) fn kind(event: &Event) -> Result<Kind, AsRead> {
    Ok(match event {
        Event::Send(from) => Kind::Send(sent(from)),
        Event::Resolved { send, flagged } => {
            Kind::Resolved(wire::Resolved { send: Some(sent(send)), flagged_at: Some(flagged.0) })
        }
        Event::Answer(from) => Kind::Answer(answer(from)),
        Event::Echo { origin, send } => Kind::Echo(wire::Echo {
            origin: Some(origin.0),
            recipient: Some(echoed_to(send.recipient)),
            send: Some(wire::Send { sender: None, ..sent(send) }),
        }),
        Event::Mark(from) => Kind::Mark(mark(from)),
        Event::PeerMark { origin, to: _, mark: from } => Kind::PeerMark(wire::PeerMark {
            origin: Some(origin.0),
            reader: Some(from.reader.get()),
            mark: Some(mark(from)),
        }),
        Event::DeviceRevoked { device, .. } => Kind::DeviceRevoked(wire::DeviceRevoked { device: Some(device.get()) }),
        Event::Unknown { bytes, .. } => return Err(AsRead(bytes.clone())),
    })
}

fn sent(from: &Send) -> wire::Send {
    wire::Send {
        sender: Some(from.sender.get()),
        key: Some(key(from.key)),
        session: Some(from.session.get()),
        flagged: from.flagged,
        resolve_only: from.resolve_only,
        shown: from.shown.map(seen),
        content: Some(content(&from.content)),
    }
}

fn content(from: &Content) -> WireContent {
    match from {
        Content::Message { body: Body { kind, bytes }, reply_to } => WireContent::Message(wire::Message {
            body_kind: Some(*kind),
            body: bytes.clone(),
            reply_to: reply_to.map(|id| id.get()),
        }),
        Content::Edit { target, body: Body { kind, bytes } } => {
            WireContent::Edit(wire::Edit { target: Some(target.get()), body_kind: Some(*kind), body: bytes.clone() })
        }
        Content::Delete { target } => WireContent::Delete(wire::Delete { target: Some(target.get()) }),
        Content::React { target, emoji } => {
            WireContent::React(wire::React { target: Some(target.get()), emoji: emoji.clone() })
        }
    }
}

fn answer(from: &Answer) -> wire::Answer {
    let (outcome, accepted) = match from.outcome {
        Outcome::Accepted { id, source } => (wire::Outcome::Accepted, Some((id, source))),
        Outcome::KeyReused => (wire::Outcome::KeyReused, None),
        Outcome::Refused => (wire::Outcome::Refused, None),
    };
    wire::Answer {
        key: Some(key(from.key)),
        outcome: outcome.into(),
        accepted_id: accepted.map(|(id, _)| id.get()),
        accepted_at: accepted.map(|(_, source)| source.0),
    }
}

fn mark(from: &Mark) -> wire::Mark {
    let kind = match from.kind {
        MarkKind::Delivered => wire::MarkKind::Delivered,
        MarkKind::Read => wire::MarkKind::Read,
    };
    wire::Mark { chat: Bytes::copy_from_slice(&from.chat.to_key()), kind: kind.into(), seen: Some(seen(from.seen)) }
}

fn echoed_to(recipient: Recipient) -> wire::echo::Recipient {
    match recipient {
        Recipient::User(user) => wire::echo::Recipient::User(user.get()),
        Recipient::Group(group) => wire::echo::Recipient::Group(group.get()),
    }
}

fn key(from: SendKey) -> wire::SendKey {
    wire::SendKey { device: Some(from.device.get()), session: Some(from.session.get()), number: Some(from.number) }
}

fn seen(from: Seen) -> wire::Seen {
    wire::Seen { source: Some(from.source.0), id: Some(from.id.get()) }
}
