//! The reading side: point reads and bounded scans over the one keyspace.
//!
//! A scan holds a snapshot only while it runs. Rows that lie next to each other in the key order
//! make one message: its variants by source, then its changes.

use fjall::{Guard, Keyspace};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::SendKey;
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Change, ChatRow, Commit, Entry, Message, MessageRow, Sent, Span, Stored};

use super::bounds::Bounds;
use super::layout::Key;
use super::store::Fault;
use super::value::{Corrupt, Reader};
use super::{Aside, layout, registers, value};

fn one<T>(rows: &Keyspace, key: Key, decode: impl Fn(&[u8]) -> Result<T, Corrupt>) -> Result<Option<T>, Fault> {
    match rows.get(key)? {
        Some(bytes) => Ok(Some(decode(&bytes)?)),
        None => Ok(None),
    }
}

fn scan(rows: &Keyspace, from: Key, to: Key) -> impl DoubleEndedIterator<Item = Guard> + use<> {
    rows.range(from.as_slice()..to.as_slice())
}

fn under(rows: &Keyspace, prefix: Key) -> impl DoubleEndedIterator<Item = Guard> + use<> {
    scan(rows, prefix, prefix.after())
}

pub(super) fn commit(rows: &Keyspace, partition: Partition) -> Result<Option<Commit>, Fault> {
    one(rows, layout::commit(partition), value::decode_commit)
}

pub(super) fn bounds(rows: &Keyspace, partition: Partition) -> Result<Option<Bounds>, Fault> {
    one(rows, layout::bounds(partition), value::decode_bounds)
}

pub(super) fn day(rows: &Keyspace, partition: Partition, day: u32) -> Result<Option<Offset>, Fault> {
    one(rows, layout::day(partition, day), value::decode_offset)
}

/// All days of a partition with their first offsets: about as many as the index keeps.
pub(super) fn days(rows: &Keyspace, partition: Partition) -> Result<Vec<(u32, Offset)>, Fault> {
    under(rows, layout::days(partition))
        .map(|row| {
            let (key, first) = row.into_inner()?;
            let mut key = Reader::key(&key);
            let _partition: [u8; 2] = key.array()?;
            Ok((key.short()?, value::decode_offset(&first)?))
        })
        .collect()
}

pub(super) fn chat(rows: &Keyspace, user: UserId, chat: ChatId) -> Result<ChatRow, Fault> {
    Ok(one(rows, layout::chat(user, chat), registers::decode)?.unwrap_or_default())
}

pub(super) fn chats(rows: &Keyspace, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Fault> {
    under(rows, layout::chats(user))
        .map(|row| {
            let (key, value) = row.into_inner()?;
            let mut key = Reader::key(&key);
            let _user = key.id()?;
            Ok((key.chat()?, registers::decode(&value)?))
        })
        .collect()
}

/// Variants stand by id, then by source: the first has the smallest id and its fingerprint.
pub(super) fn sent(rows: &Keyspace, key: SendKey) -> Result<Option<Sent>, Fault> {
    let skip = layout::sends(key).as_slice().len();
    let mut found: Option<Sent> = None;
    for row in under(rows, layout::sends(key)) {
        let (key, fingerprint) = row.into_inner()?;
        let mut tail = Reader::key(key.get(skip - 1..).unwrap_or_default());
        let (id, source) = (tail.id()?, tail.long()?);
        let source = (source != layout::NO_SOURCE).then_some(Source(source));
        let held = match found {
            Some(held) => held,
            None => Sent { id, source, fingerprint: value::decode_fingerprint(&fingerprint)? },
        };
        let source = held.source.into_iter().chain(source).min();
        found = Some(Sent { source, ..held });
    }
    Ok(found)
}

pub(super) fn index(
    rows: &Keyspace,
    recipient: Recipient,
    partition: Partition,
    (from, to): (Offset, Offset),
    limit: usize,
) -> Result<Vec<(Offset, Entry)>, Fault> {
    let from = bounds(rows, partition)?.map_or(from, |bounds| from.max(bounds.cut));
    if from >= to {
        return Ok(Vec::new());
    }
    scan(rows, layout::index(recipient, partition, from), layout::index(recipient, partition, to))
        .take(limit)
        .map(|row| {
            let (key, entry) = row.into_inner()?;
            let (_, offset) = layout::index_place(&key).ok_or(Corrupt("no index key"))?;
            Ok((offset, value::decode_entry(&entry)?))
        })
        .collect()
}

pub(super) fn asides(rows: &Keyspace, partition: Partition, limit: usize) -> Result<Vec<Aside>, Fault> {
    under(rows, layout::asides(partition))
        .take(limit)
        .map(|row| {
            let (key, value) = row.into_inner()?;
            let mut key = Reader::key(&key);
            let _partition: [u8; 2] = key.array()?;
            let (reason, bytes) = value::decode_aside(&value)?;
            Ok(Aside { offset: key.long()?, reason, bytes })
        })
        .collect()
}

pub(super) fn message(rows: &Keyspace, chat: ChatId, id: Id) -> Result<Stored, Fault> {
    let mut gathering = Gathering::new(id);
    for cell in under(rows, layout::cells(chat, id)) {
        let (key, value) = cell.into_inner()?;
        gathering.add(of_message(&key)?.1, &value)?;
    }
    Ok(gathering.stored())
}

pub(super) fn messages(rows: &Keyspace, chat: ChatId, span: Span, limit: usize) -> Result<Vec<MessageRow>, Fault> {
    let all = layout::conversation(chat);
    match span {
        Span::Before(id) => gather(scan(rows, layout::cells(chat, id).after(), all.after()), limit),
        Span::After(id) => gather(scan(rows, all, layout::cells(chat, id)).rev(), limit),
    }
}

/// Cells of one message while they pass by.
struct Gathering {
    id: Id,
    message: Option<Message>,
    changes: Vec<Change>,
}

impl Gathering {
    fn new(id: Id) -> Self {
        Self { id, message: None, changes: Vec::new() }
    }

    /// `cell` is what the key says after the id.
    fn add(&mut self, mut cell: Reader<'_>, value: &[u8]) -> Result<(), Corrupt> {
        match cell.byte()? {
            layout::CELL_MESSAGE => {
                let source = cell.source()?;
                if self.message.as_ref().is_none_or(|held| source < held.source) {
                    self.message = Some(value::decode_message(self.id, source, value)?);
                }
            }
            kind => self.changes.push(value::decode_change(kind, UserId(cell.id()?), value)?),
        }
        Ok(())
    }

    fn stored(self) -> Stored {
        match self.message {
            Some(message) => Stored::Row(MessageRow { message, changes: self.changes }),
            None => Stored::Bare(self.changes),
        }
    }

    fn row(self) -> Option<MessageRow> {
        self.stored().into_row()
    }
}

/// Which message a cell is of, and what its key says after the id.
fn of_message(key: &[u8]) -> Result<(Id, Reader<'_>), Corrupt> {
    let mut key = Reader::key(key);
    key.chat()?;
    Ok((key.inverted_id()?, key))
}

/// Puts adjacent cells together until there are `limit` messages; changes without a message are passed over.
fn gather(cells: impl Iterator<Item = Guard>, limit: usize) -> Result<Vec<MessageRow>, Fault> {
    let mut found = Vec::new();
    let mut current: Option<Gathering> = None;
    if limit == 0 {
        return Ok(found);
    }
    for cell in cells {
        let (key, value) = cell.into_inner()?;
        let (id, cell) = of_message(&key)?;
        if let Some(complete) = current.take_if(|current| current.id != id) {
            found.extend(complete.row());
            if found.len() == limit {
                return Ok(found);
            }
        }
        current.get_or_insert_with(|| Gathering::new(id)).add(cell, &value)?;
    }
    found.extend(current.and_then(Gathering::row));
    Ok(found)
}
