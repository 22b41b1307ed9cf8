//! Which keys there are. All rows stand in one keyspace, so that one memtable holds whole applies and
//! a flush can never keep a commit without its rows.
//!
//! | table | key after the table byte | value | lives |
//! |---|---|---|---|
//! | [`Table::Message`] | chat 17, inverted id 8, cell 1 (0 = the message, source 8; 1.. = a change's kind, actor 8) | a message or a change | for ever |
//! | [`Table::Sent`] | device 8, session 8, number 4, id 8, source 8 (all ones: not known) | fingerprint | for ever |
//! | [`Table::Index`] | recipient 9, partition 2, offset 8 | an entry | until its day expires |
//! | [`Table::Chat`] | user 8, chat 17 | registers | for ever |
//! | [`Table::Commit`] | partition 2 | the newest commit | for ever |
//! | [`Table::Bounds`] | partition 2 | where the index began, where it was cut | for ever |
//! | [`Table::Day`] | partition 2, day 4 | first offset of the day | until it expires |
//! | [`Table::Aside`] | partition 2, offset 8 | reason and bytes of a record | for ever |
//!
//! Numbers are big-endian. Ids are inverted, so that a page, newest first, is a forward scan.
//!
//! A minimum is kept without reading: what must stay smallest is part of the key (the source of a
//! message, id and source of a send), every variant is a row of its own, and whoever reads takes the
//! first. Variants are as many as there were resolved records of one send: one, rarely two.
//!
//! Persisted: bytes are never renumbered.

use fjall::Slice;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::SendKey;
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Message = 1,
    Sent = 2,
    Index = 3,
    Chat = 4,
    Commit = 5,
    Bounds = 6,
    Day = 7,
    Aside = 8,
}

/// The cell of a message itself; changes follow it, each kind under its own number.
pub(super) const CELL_MESSAGE: u8 = 0;
/// Where a send was accepted is not known yet.
pub(super) const NO_SOURCE: u64 = u64::MAX;

const MOST: usize = 40;

/// A key under construction, on the stack.
#[derive(Clone, Copy)]
pub(super) struct Key {
    bytes: [u8; MOST],
    len: usize,
}

impl Key {
    fn new(table: Table) -> Self {
        let mut bytes = [0; MOST];
        bytes[0] = table as u8;
        Self { bytes, len: 1 }
    }

    fn with<const N: usize>(mut self, part: [u8; N]) -> Self {
        self.bytes[self.len..self.len + N].copy_from_slice(&part);
        self.len += N;
        self
    }

    fn number(self, number: u64) -> Self {
        self.with(number.to_be_bytes())
    }

    /// The first key after every key that begins with this one.
    pub(super) fn after(mut self) -> Self {
        while self.len > 1 && self.bytes[self.len - 1] == u8::MAX {
            self.len -= 1;
        }
        self.bytes[self.len - 1] += 1;
        self
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl From<Key> for Slice {
    fn from(key: Key) -> Self {
        Self::from(key.as_slice())
    }
}

/// Everything of a chat.
pub(super) fn conversation(chat: ChatId) -> Key {
    Key::new(Table::Message).with(chat.to_key())
}

/// Everything of one message: its cell and its changes.
pub(super) fn cells(chat: ChatId, id: Id) -> Key {
    conversation(chat).number(!id.get())
}

pub(super) fn message(chat: ChatId, id: Id, source: Source) -> Key {
    cells(chat, id).with([CELL_MESSAGE]).number(source.0)
}

pub(super) fn change(chat: ChatId, target: Id, kind: u8, actor: UserId) -> Key {
    cells(chat, target).with([kind]).number(actor.get())
}

/// All variants of a send.
pub(super) fn sends(key: SendKey) -> Key {
    Key::new(Table::Sent).number(key.device.get()).number(key.session.get()).with(key.number.to_be_bytes())
}

pub(super) fn sent(key: SendKey, id: Id, source: Option<Source>) -> Key {
    sends(key).number(id.get()).number(source.map_or(NO_SOURCE, |source| source.0))
}

pub(super) fn index(recipient: Recipient, partition: Partition, offset: Offset) -> Key {
    Key::new(Table::Index).with(recipient.to_key()).with(partition.0.to_be_bytes()).number(offset)
}

/// All chats of a user.
pub(super) fn chats(user: UserId) -> Key {
    Key::new(Table::Chat).number(user.get())
}

pub(super) fn chat(user: UserId, chat: ChatId) -> Key {
    chats(user).with(chat.to_key())
}

pub(super) fn commit(partition: Partition) -> Key {
    Key::new(Table::Commit).with(partition.0.to_be_bytes())
}

/// Bounds of all partitions.
pub(super) fn all_bounds() -> Key {
    Key::new(Table::Bounds)
}

pub(super) fn bounds(partition: Partition) -> Key {
    all_bounds().with(partition.0.to_be_bytes())
}

/// All days of a partition.
pub(super) fn days(partition: Partition) -> Key {
    Key::new(Table::Day).with(partition.0.to_be_bytes())
}

pub(super) fn day(partition: Partition, day: u32) -> Key {
    days(partition).with(day.to_be_bytes())
}

/// Everything set aside in a partition.
pub(super) fn asides(partition: Partition) -> Key {
    Key::new(Table::Aside).with(partition.0.to_be_bytes())
}

pub(super) fn aside(partition: Partition, offset: Offset) -> Key {
    asides(partition).number(offset)
}

/// Partition and offset of an index key; `None` for any other key.
pub(super) fn index_place(key: &[u8]) -> Option<(Partition, Offset)> {
    let key: &[u8; 20] = key.try_into().ok()?;
    let [table, _, _, _, _, _, _, _, _, _, p0, p1, offset @ ..] = *key;
    (table == Table::Index as u8).then(|| (Partition(u16::from_be_bytes([p0, p1])), u64::from_be_bytes(offset)))
}
