//! How values are written: a version byte, then fixed fields big-endian, then at most one field of
//! variable length to the end.
//!
//! Reading is bounded by the value itself and refuses what it does not know: a row that was damaged
//! or written by a later version is an error with a name, never a panic and never a guess.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Answer, Body, MarkKind, Outcome, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChangeKind, Commit, Entry, Message};

use super::bounds::Bounds;

const VERSION: u8 = 1;

/// A value (or a key) that this version cannot have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored row is damaged or of a later version: {0}")]
pub(super) struct Corrupt(pub(super) &'static str);

/// Builds a value.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity + 1);
        bytes.push(VERSION);
        Self(bytes)
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(super) fn short(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn seen(self, seen: Seen) -> Self {
        self.long(seen.source.0).long(seen.id.get())
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn key(self, key: SendKey) -> Self {
        self.long(key.device.get()).long(key.session.get()).short(key.number)
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a value apart.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Of a value: checks the version.
    pub(super) fn value(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(Self(rest)),
            Some(_) => Err(Corrupt("unknown version")),
            None => Err(Corrupt("no version")),
        }
    }

    /// Of a key, whose table byte is skipped.
    pub(super) fn key(bytes: &'a [u8]) -> Self {
        Self(bytes.get(1..).unwrap_or_default())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (part, rest) = self.0.split_first_chunk::<N>().ok_or(Corrupt("cut short"))?;
        self.0 = rest;
        Ok(*part)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Corrupt> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn short(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn id(&mut self) -> Result<Id, Corrupt> {
        Id::new(self.long()?).map_err(|_| Corrupt("no id"))
    }

    /// An id that a key holds inverted.
    pub(super) fn inverted_id(&mut self) -> Result<Id, Corrupt> {
        Id::new(!self.long()?).map_err(|_| Corrupt("no id"))
    }

    pub(super) fn source(&mut self) -> Result<Source, Corrupt> {
        self.long().map(Source)
    }

    pub(super) fn seen(&mut self) -> Result<Seen, Corrupt> {
        Ok(Seen { source: self.source()?, id: self.id()? })
    }

    pub(super) fn chat(&mut self) -> Result<ChatId, Corrupt> {
        ChatId::from_key(&self.array::<17>()?).map_err(|_| Corrupt("no chat"))
    }

    fn send_key(&mut self) -> Result<SendKey, Corrupt> {
        let (device, session) = (DeviceId(self.id()?), SessionNumber(self.id()?));
        Ok(SendKey { device, session, number: self.short()? })
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Corrupt> {
        if self.0.is_empty() { Ok(value) } else { Err(Corrupt("too long")) }
    }
}

/// A message without what its key says (id and source).
pub(super) fn encode_message(message: &Message) -> Vec<u8> {
    let value = Writer::new(48 + message.body.bytes.len())
        .long(message.sender.get())
        .key(message.key)
        .short(message.body.kind)
        .byte(u8::from(message.reply_to.is_some()));
    let value = match message.reply_to {
        Some(id) => value.long(id.get()),
        None => value,
    };
    value.raw(&message.body.bytes).done()
}

pub(super) fn decode_message(id: Id, source: Source, value: &[u8]) -> Result<Message, Corrupt> {
    let mut value = Reader::value(value)?;
    let (sender, key, kind) = (UserId(value.id()?), value.send_key()?, value.short()?);
    let reply_to = match value.byte()? {
        0 => None,
        1 => Some(value.id()?),
        _ => return Err(Corrupt("no reply flag")),
    };
    let body = Body { kind, bytes: Bytes::copy_from_slice(value.rest()) };
    Ok(Message { id, sender, key, source, body, reply_to })
}

/// The cell of a kind of change, beside its message. Persisted.
pub(super) fn change_cell(what: &ChangeKind) -> u8 {
    match what {
        ChangeKind::Edit(_) => 1,
        ChangeKind::Delete => 2,
        ChangeKind::React(_) => 3,
    }
}

/// A change without what its key says (kind and actor). It begins with the change's id.
pub(super) fn encode_change(change: &Change) -> Vec<u8> {
    let value = Writer::new(64).long(change.id.get());
    match &change.what {
        ChangeKind::Edit(body) => value.short(body.kind).raw(&body.bytes).done(),
        ChangeKind::Delete => value.done(),
        ChangeKind::React(emoji) => value.raw(emoji.as_bytes()).done(),
    }
}

pub(super) fn decode_change(cell: u8, actor: UserId, value: &[u8]) -> Result<Change, Corrupt> {
    let mut value = Reader::value(value)?;
    let id = value.id()?;
    let what = match cell {
        1 => {
            let kind = value.short()?;
            ChangeKind::Edit(Body { kind, bytes: Bytes::copy_from_slice(value.rest()) })
        }
        2 => value.finish(ChangeKind::Delete)?,
        3 => {
            let emoji = std::str::from_utf8(value.rest()).map_err(|_| Corrupt("no emoji"))?;
            ChangeKind::React(emoji.to_owned())
        }
        _ => return Err(Corrupt("unknown change")),
    };
    Ok(Change { id, actor, what })
}

pub(super) fn encode_fingerprint(fingerprint: u64) -> Vec<u8> {
    Writer::new(8).long(fingerprint).done()
}

pub(super) fn decode_fingerprint(value: &[u8]) -> Result<u64, Corrupt> {
    let mut value = Reader::value(value)?;
    let fingerprint = value.long()?;
    value.finish(fingerprint)
}

pub(super) fn encode_entry(entry: &Entry) -> Vec<u8> {
    match entry {
        Entry::Message { chat, id } => Writer::new(26).byte(1).raw(&chat.to_key()).long(id.get()),
        Entry::Change { chat, target, change } => {
            Writer::new(34).byte(2).raw(&chat.to_key()).long(target.get()).long(change.get())
        }
        Entry::Answer(answer) => {
            let value = Writer::new(54).byte(3).long(answer.id.get()).long(answer.sender.get()).key(answer.key);
            match answer.outcome {
                Outcome::Accepted { id, source } => value.byte(1).long(id.get()).long(source.0),
                Outcome::KeyReused => value.byte(2),
                Outcome::Refused => value.byte(3),
            }
        }
        Entry::Mark { reader, chat, kind, seen } => {
            Writer::new(43).byte(4).long(reader.get()).raw(&chat.to_key()).byte(mark_byte(*kind)).seen(*seen)
        }
    }
    .done()
}

pub(super) fn decode_entry(value: &[u8]) -> Result<Entry, Corrupt> {
    let mut value = Reader::value(value)?;
    let entry = match value.byte()? {
        1 => Entry::Message { chat: value.chat()?, id: value.id()? },
        2 => Entry::Change { chat: value.chat()?, target: value.id()?, change: value.id()? },
        3 => {
            let (id, sender, key) = (value.id()?, UserId(value.id()?), value.send_key()?);
            Entry::Answer(Answer { id, sender, key, outcome: decode_outcome(&mut value)? })
        }
        4 => {
            let (reader, chat) = (UserId(value.id()?), value.chat()?);
            let kind = decode_mark(value.byte()?)?;
            Entry::Mark { reader, chat, kind, seen: value.seen()? }
        }
        _ => return Err(Corrupt("unknown entry")),
    };
    value.finish(entry)
}

fn decode_outcome(value: &mut Reader<'_>) -> Result<Outcome, Corrupt> {
    match value.byte()? {
        1 => Ok(Outcome::Accepted { id: value.id()?, source: value.source()? }),
        2 => Ok(Outcome::KeyReused),
        3 => Ok(Outcome::Refused),
        _ => Err(Corrupt("unknown outcome")),
    }
}

fn mark_byte(kind: MarkKind) -> u8 {
    match kind {
        MarkKind::Delivered => 1,
        MarkKind::Read => 2,
    }
}

fn decode_mark(byte: u8) -> Result<MarkKind, Corrupt> {
    match byte {
        1 => Ok(MarkKind::Delivered),
        2 => Ok(MarkKind::Read),
        _ => Err(Corrupt("unknown mark")),
    }
}

pub(super) fn encode_commit(commit: Commit) -> Vec<u8> {
    Writer::new(24).long(commit.source.0).long(commit.id.get()).long(commit.stamp.0).done()
}

pub(super) fn decode_commit(value: &[u8]) -> Result<Commit, Corrupt> {
    let mut value = Reader::value(value)?;
    let commit = Commit { source: value.source()?, id: value.id()?, stamp: Timestamp(value.long()?) };
    value.finish(commit)
}

pub(super) fn encode_bounds(bounds: Bounds) -> Vec<u8> {
    Writer::new(16).long(bounds.first).long(bounds.cut).done()
}

pub(super) fn decode_bounds(value: &[u8]) -> Result<Bounds, Corrupt> {
    let mut value = Reader::value(value)?;
    let bounds = Bounds { first: value.long()?, cut: value.long()? };
    value.finish(bounds)
}

pub(super) fn encode_offset(offset: u64) -> Vec<u8> {
    Writer::new(8).long(offset).done()
}

pub(super) fn decode_offset(value: &[u8]) -> Result<u64, Corrupt> {
    let mut value = Reader::value(value)?;
    let offset = value.long()?;
    value.finish(offset)
}

/// A record that was set aside: length of the reason, reason, bytes.
pub(super) fn encode_aside(reason: &str, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(reason.len()).unwrap_or(u32::MAX);
    Writer::new(4 + reason.len() + bytes.len()).short(length).raw(reason.as_bytes()).raw(bytes).done()
}

pub(super) fn decode_aside(value: &[u8]) -> Result<(String, Bytes), Corrupt> {
    let mut value = Reader::value(value)?;
    let length = value.short()? as usize;
    let (reason, bytes) = value.rest().split_at_checked(length).ok_or(Corrupt("cut short"))?;
    let reason = std::str::from_utf8(reason).map_err(|_| Corrupt("no text"))?;
    Ok((reason.to_owned(), Bytes::copy_from_slice(bytes)))
}
