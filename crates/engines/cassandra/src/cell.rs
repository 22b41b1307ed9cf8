//! The bytes of cells. Persisted: never renumbered.
//!
//! Where two writes may meet in a cell it begins with what decides between them, big-endian, or with
//! its complement where the smallest must stay: Cassandra keeps the larger bytes. A version follows,
//! then fixed fields big-endian, then at most one field of variable length to the end.
//!
//! Reading refuses what it does not know: a cell that was damaged or written by a later version is an
//! error, never a panic and never a guess.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Answer, Body, MarkKind, Outcome, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChangeKind, Commit, Entry, Message, Sent};

const VERSION: u8 = 1;

/// A cell that this version cannot have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored cell is damaged or of a later version: {0}")]
pub(crate) struct Corrupt(&'static str);

struct Writer(Vec<u8>);

impl Writer {
    fn new(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    fn byte(self, byte: u8) -> Self {
        self.raw(&[byte])
    }

    fn short(self, number: u32) -> Self {
        self.raw(&number.to_be_bytes())
    }

    fn long(self, number: u64) -> Self {
        self.raw(&number.to_be_bytes())
    }

    fn id(self, id: Id) -> Self {
        self.long(id.get())
    }

    fn seen(self, seen: Seen) -> Self {
        self.long(seen.source.0).id(seen.id)
    }

    fn key(self, key: SendKey) -> Self {
        self.id(key.device.0).id(key.session.0).short(key.number)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (part, rest) = self.0.split_first_chunk::<N>().ok_or(Corrupt("cut short"))?;
        self.0 = rest;
        Ok(*part)
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        self.array().map(|[byte]| byte)
    }

    fn version(&mut self) -> Result<(), Corrupt> {
        if self.byte()? == VERSION { Ok(()) } else { Err(Corrupt("unknown version")) }
    }

    fn short(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_be_bytes)
    }

    fn long(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_be_bytes)
    }

    fn id(&mut self) -> Result<Id, Corrupt> {
        Id::new(self.long()?).map_err(|_| Corrupt("no id"))
    }

    fn seen(&mut self) -> Result<Seen, Corrupt> {
        Ok(Seen { source: Source(self.long()?), id: self.id()? })
    }

    fn chat(&mut self) -> Result<ChatId, Corrupt> {
        chat(&self.array::<17>()?)
    }

    fn key(&mut self) -> Result<SendKey, Corrupt> {
        let (device, session) = (DeviceId(self.id()?), SessionNumber(self.id()?));
        Ok(SendKey { device, session, number: self.short()? })
    }

    fn body(self, kind: u32) -> Body {
        Body { kind, bytes: Bytes::copy_from_slice(self.0) }
    }

    fn end<T>(self, value: T) -> Result<T, Corrupt> {
        if self.0.is_empty() { Ok(value) } else { Err(Corrupt("too long")) }
    }
}

/// Of a column that holds a chat.
pub(crate) fn chat(column: &[u8]) -> Result<ChatId, Corrupt> {
    ChatId::from_key(column).map_err(|_| Corrupt("no chat"))
}

/// Begins with the complement of its source: the smallest stays.
pub(crate) fn of_message(message: &Message) -> Vec<u8> {
    let cell = Writer::new(56 + message.body.bytes.len()).long(!message.source.0).byte(VERSION);
    let cell = cell.id(message.sender.0).key(message.key).short(message.body.kind);
    let cell = match message.reply_to {
        Some(id) => cell.byte(1).id(id),
        None => cell.byte(0),
    };
    cell.raw(&message.body.bytes).0
}

/// Its text is a part of the cell.
pub(crate) fn message(id: Id, whole: Bytes) -> Result<Message, Corrupt> {
    let mut cell = Reader(&whole);
    let source = Source(!cell.long()?);
    cell.version()?;
    let (sender, key, kind) = (UserId(cell.id()?), cell.key()?, cell.short()?);
    let reply_to = match cell.byte()? {
        0 => None,
        1 => Some(cell.id()?),
        _ => return Err(Corrupt("no reply flag")),
    };
    let body = Body { kind, bytes: whole.slice_ref(cell.0) };
    Ok(Message { id, sender, key, source, body, reply_to })
}

/// Where a change stands beside its message: kind and actor.
pub(crate) fn of_change_key(change: &Change) -> Vec<u8> {
    let kind = match change.what {
        ChangeKind::Edit(_) => 1,
        ChangeKind::Delete => 2,
        ChangeKind::React(_) => 3,
    };
    Writer::new(9).byte(kind).id(change.actor.0).0
}

/// Begins with the change's id: the largest stays.
pub(crate) fn of_change(change: &Change) -> Vec<u8> {
    let cell = Writer::new(64).id(change.id).byte(VERSION);
    match &change.what {
        ChangeKind::Edit(body) => cell.short(body.kind).raw(&body.bytes),
        ChangeKind::Delete => cell,
        ChangeKind::React(emoji) => cell.raw(emoji.as_bytes()),
    }
    .0
}

pub(crate) fn change(key: &[u8], cell: &[u8]) -> Result<Change, Corrupt> {
    let (mut key, mut cell) = (Reader(key), Reader(cell));
    let (kind, actor) = (key.byte()?, UserId(key.id()?));
    let id = cell.id()?;
    cell.version()?;
    let what = match kind {
        1 => {
            let kind = cell.short()?;
            ChangeKind::Edit(cell.body(kind))
        }
        2 => cell.end(ChangeKind::Delete)?,
        3 => ChangeKind::React(std::str::from_utf8(cell.0).map_err(|_| Corrupt("no emoji"))?.to_owned()),
        _ => return Err(Corrupt("unknown change")),
    };
    key.end(Change { id, actor, what })
}

/// Begins with the complement of the id: the smallest stays, with its fingerprint.
pub(crate) fn of_first(sent: Sent) -> Vec<u8> {
    Writer::new(16).long(!sent.id.get()).long(sent.fingerprint).0
}

/// The complement of the source; empty, smaller than all, while there is none.
pub(crate) fn of_first_source(source: Option<Source>) -> Vec<u8> {
    source.map_or_else(Vec::new, |source| of_number(!source.0))
}

pub(crate) fn sent(first: &[u8], source: &[u8]) -> Result<Sent, Corrupt> {
    let mut first = Reader(first);
    let id = Id::new(!first.long()?).map_err(|_| Corrupt("no id"))?;
    let fingerprint = first.long()?;
    let source = if source.is_empty() { None } else { Some(Source(!number(source)?)) };
    first.end(Sent { id, source, fingerprint })
}

/// A register of one number: the largest stays.
pub(crate) fn of_number(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

pub(crate) fn number(cell: &[u8]) -> Result<u64, Corrupt> {
    let mut cell = Reader(cell);
    let number = cell.long()?;
    cell.end(number)
}

/// A register of a place: source, then id; the largest source stays.
pub(crate) fn of_seen(seen: Seen) -> Vec<u8> {
    Writer::new(16).seen(seen).0
}

pub(crate) fn seen(cell: &[u8]) -> Result<Seen, Corrupt> {
    let mut cell = Reader(cell);
    let seen = cell.seen()?;
    cell.end(seen)
}

/// Of a register of one id.
pub(crate) fn id(cell: &[u8]) -> Result<Id, Corrupt> {
    Id::new(number(cell)?).map_err(|_| Corrupt("no id"))
}

pub(crate) fn commit(place: &[u8], stamp: &[u8]) -> Result<Commit, Corrupt> {
    let Seen { source, id } = seen(place)?;
    Ok(Commit { source, id, stamp: Timestamp(number(stamp)?) })
}

/// No register: a row of an index is always the same.
pub(crate) fn of_entry(entry: &Entry) -> Vec<u8> {
    let cell = Writer::new(56).byte(VERSION);
    match entry {
        Entry::Message { chat, id } => cell.byte(1).raw(&chat.to_key()).id(*id),
        Entry::Change { chat, target, change } => cell.byte(2).raw(&chat.to_key()).id(*target).id(*change),
        Entry::Answer(Answer { id, sender, key, outcome }) => {
            let cell = cell.byte(3).id(*id).id(sender.0).key(*key);
            match outcome {
                Outcome::Accepted { id, source } => cell.byte(1).id(*id).long(source.0),
                Outcome::KeyReused => cell.byte(2),
                Outcome::Refused => cell.byte(3),
            }
        }
        Entry::Mark { reader, chat, kind, seen } => {
            let kind = match kind {
                MarkKind::Delivered => 1,
                MarkKind::Read => 2,
            };
            cell.byte(4).id(reader.0).raw(&chat.to_key()).byte(kind).seen(*seen)
        }
    }
    .0
}

pub(crate) fn entry(cell: &[u8]) -> Result<Entry, Corrupt> {
    let mut cell = Reader(cell);
    cell.version()?;
    let entry = match cell.byte()? {
        1 => Entry::Message { chat: cell.chat()?, id: cell.id()? },
        2 => Entry::Change { chat: cell.chat()?, target: cell.id()?, change: cell.id()? },
        3 => {
            let (id, sender, key) = (cell.id()?, UserId(cell.id()?), cell.key()?);
            Entry::Answer(Answer { id, sender, key, outcome: outcome(&mut cell)? })
        }
        4 => {
            let (reader, chat) = (UserId(cell.id()?), cell.chat()?);
            let kind = match cell.byte()? {
                1 => MarkKind::Delivered,
                2 => MarkKind::Read,
                _ => return Err(Corrupt("unknown mark")),
            };
            Entry::Mark { reader, chat, kind, seen: cell.seen()? }
        }
        _ => return Err(Corrupt("unknown entry")),
    };
    cell.end(entry)
}

fn outcome(cell: &mut Reader<'_>) -> Result<Outcome, Corrupt> {
    match cell.byte()? {
        1 => Ok(Outcome::Accepted { id: cell.id()?, source: Source(cell.long()?) }),
        2 => Ok(Outcome::KeyReused),
        3 => Ok(Outcome::Refused),
        _ => Err(Corrupt("unknown outcome")),
    }
}

#[cfg(test)]
mod tests;
