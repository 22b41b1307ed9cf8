//! From the generated messages to the kernel's events: everything that can be wrong is found here.
//!
//! Three answers, never mixed up: an event; `None` where a newer version has made a choice (of kind,
//! content, outcome) that this one cannot name; an error where a part is missing or out of range.
//! A choice that is absent altogether looks like one that is too new, and is set aside as that.

use bytes::Bytes;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Answer, Body, Content, Event, Mark, MarkKind, Outcome, Seen, Send, SendKey};
use volery_kernel::id::{DeviceId, GroupId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;

use crate::DecodeError;
use crate::generated as wire;
use crate::generated::event::{Kind, Stream};
use crate::generated::send::Content as WireContent;

type Known<T> = Result<Option<T>, DecodeError>;

pub(crate) fn event(from: wire::Event, bytes: Bytes) -> Result<Event, DecodeError> {
    let id = id("id", from.id)?;
    let stream = stream(from.stream)?;
    let known = match from.kind {
        Some(kind) => known(id, stream, kind)?,
        None => None,
    };
    Ok(known.unwrap_or(Event::Unknown { id, stream, bytes }))
}

fn known(id: Id, stream: Recipient, kind: Kind) -> Known<Event> {
    match kind {
        Kind::Send(from) => Ok(sent(id, stream, from)?.map(Event::Send)),
        Kind::Resolved(from) => resolved(id, stream, from),
        Kind::Answer(from) => Ok(answer(id, user_of(stream)?, from)?.map(Event::Answer)),
        Kind::Echo(from) => echo(id, user_of(stream)?, from),
        Kind::Mark(from) => Ok(mark(id, user_of(stream)?, &from)?.map(Event::Mark)),
        Kind::PeerMark(from) => peer_mark(id, user_of(stream)?, from),
        Kind::DeviceRevoked(from) => {
            let device = DeviceId(self::id("device", from.device)?);
            Ok(Some(Event::DeviceRevoked { id, user: user_of(stream)?, device }))
        }
    }
}

fn sent(id: Id, recipient: Recipient, from: wire::Send) -> Known<Send> {
    let sender = UserId(self::id("sender", from.sender)?);
    let key = key(from.key)?;
    let session = SessionNumber(self::id("session", from.session)?);
    let shown = from.shown.map(seen).transpose()?;
    let (flagged, resolve_only) = (from.flagged, from.resolve_only);
    let Some(content) = from.content else { return Ok(None) };
    let content = self::content(content)?;
    Ok(Some(Send { id, sender, recipient, key, session, flagged, resolve_only, shown, content }))
}

fn content(from: WireContent) -> Result<Content, DecodeError> {
    Ok(match from {
        WireContent::Message(from) => Content::Message {
            body: body(from.body_kind, from.body)?,
            reply_to: from.reply_to.map(|raw| id("reply_to", Some(raw))).transpose()?,
        },
        WireContent::Edit(from) => {
            Content::Edit { target: id("target", from.target)?, body: body(from.body_kind, from.body)? }
        }
        WireContent::Delete(from) => Content::Delete { target: id("target", from.target)? },
        WireContent::React(from) => Content::React { target: id("target", from.target)?, emoji: from.emoji },
    })
}

fn body(kind: Option<u32>, bytes: Bytes) -> Result<Body, DecodeError> {
    Ok(Body { kind: there("body kind", kind)?, bytes })
}

fn resolved(id: Id, stream: Recipient, from: wire::Resolved) -> Known<Event> {
    let flagged = source("flagged source", from.flagged_at)?;
    let send = sent(id, stream, there("send", from.send)?)?;
    Ok(send.map(|send| Event::Resolved { send, flagged }))
}

fn echo(id: Id, sender: UserId, from: wire::Echo) -> Known<Event> {
    let origin = source("origin", from.origin)?;
    let recipient = match there("recipient", from.recipient)? {
        wire::echo::Recipient::User(raw) => Recipient::User(UserId(self::id("recipient", Some(raw))?)),
        wire::echo::Recipient::Group(raw) => Recipient::Group(GroupId(self::id("recipient", Some(raw))?)),
    };
    let send = wire::Send { sender: Some(sender.get()), ..there("send", from.send)? };
    Ok(sent(id, recipient, send)?.map(|send| Event::Echo { origin, send }))
}

fn answer(id: Id, sender: UserId, from: wire::Answer) -> Known<Answer> {
    let key = key(from.key)?;
    let outcome = match wire::Outcome::try_from(from.outcome) {
        Ok(wire::Outcome::Unspecified) => return Err(DecodeError::Missing("outcome")),
        Ok(wire::Outcome::Accepted) => Outcome::Accepted {
            id: self::id("accepted id", from.accepted_id)?,
            source: source("accepted source", from.accepted_at)?,
        },
        Ok(wire::Outcome::KeyReused) => Outcome::KeyReused,
        Ok(wire::Outcome::Refused) => Outcome::Refused,
        Err(_) => return Ok(None),
    };
    Ok(Some(Answer { id, sender, key, outcome }))
}

fn mark(id: Id, reader: UserId, from: &wire::Mark) -> Known<Mark> {
    let chat = ChatId::from_key(&from.chat).map_err(|_| DecodeError::NotAChat)?;
    let seen = seen(there("seen", from.seen)?)?;
    let kind = match wire::MarkKind::try_from(from.kind) {
        Ok(wire::MarkKind::Unspecified) => return Err(DecodeError::Missing("mark kind")),
        Ok(wire::MarkKind::Delivered) => MarkKind::Delivered,
        Ok(wire::MarkKind::Read) => MarkKind::Read,
        Err(_) => return Ok(None),
    };
    Ok(Some(Mark { id, reader, chat, kind, seen }))
}

fn peer_mark(id: Id, to: UserId, from: wire::PeerMark) -> Known<Event> {
    let origin = source("origin", from.origin)?;
    let reader = UserId(self::id("reader", from.reader)?);
    let mark = mark(id, reader, &there("mark", from.mark)?)?;
    Ok(mark.map(|mark| Event::PeerMark { origin, to, mark }))
}

fn key(from: Option<wire::SendKey>) -> Result<SendKey, DecodeError> {
    let from = there("key", from)?;
    Ok(SendKey {
        device: DeviceId(id("key's device", from.device)?),
        session: SessionNumber(id("key's session", from.session)?),
        number: there("key's number", from.number)?,
    })
}

fn seen(from: wire::Seen) -> Result<Seen, DecodeError> {
    Ok(Seen { source: source("seen source", from.source)?, id: id("seen id", from.id)? })
}

fn stream(from: Option<Stream>) -> Result<Recipient, DecodeError> {
    Ok(match there("stream", from)? {
        Stream::User(raw) => Recipient::User(UserId(id("stream", Some(raw))?)),
        Stream::Group(raw) => Recipient::Group(GroupId(id("stream", Some(raw))?)),
    })
}

fn user_of(stream: Recipient) -> Result<UserId, DecodeError> {
    match stream {
        Recipient::User(user) => Ok(user),
        Recipient::Group(_) => Err(DecodeError::NotAUser),
    }
}

fn id(what: &'static str, raw: Option<u64>) -> Result<Id, DecodeError> {
    Id::new(there(what, raw)?).map_err(|_| DecodeError::NotAnId(what))
}

fn source(what: &'static str, raw: Option<u64>) -> Result<Source, DecodeError> {
    there(what, raw).map(Source)
}

fn there<T>(what: &'static str, part: Option<T>) -> Result<T, DecodeError> {
    part.ok_or(DecodeError::Missing(what))
}
