//! Stored values as typed rows, for whoever checks the format from outside: fuzzing does, nothing else.
//!
//! Owns no bytes of its own: `value`, `registers` and `layout` say what they are.

use bytes::Bytes;
use volery_kernel::chat::Recipient;
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Change, ChatRow, Commit, Entry, Message};

use super::bounds::Bounds;
use super::value::{Corrupt, change_cell};
use super::{layout, registers, value};

/// What a key says beside each value here: it is not in the value's bytes.
const KEYED: (Id, Source, UserId) = (Id::MAX, Source(u64::MAX >> 1), UserId(Id::MAX));

/// A value of each table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A message; id and source are the largest, because its key has them.
    Message(Message),
    /// A change; its actor is the largest, because its key has it.
    Change(Change),
    /// What a send said.
    Fingerprint(u64),
    /// A line of an index.
    Entry(Entry),
    /// A user's view of a chat.
    Chat(ChatRow),
    /// How far archive has come.
    Commit(Commit),
    /// First offset and cut of an index.
    Bounds(Offset, Offset),
    /// The first offset of a day.
    Day(Offset),
    /// Reason and bytes of a record that was set aside.
    Aside(String, Bytes),
    /// Partition and offset in the key of an index's line.
    IndexKey(Partition, Offset),
}

/// Kinds of rows that [`Row::decode`] knows, counted from 0.
pub const KINDS: u8 = 12;

impl Row {
    /// The value's bytes, as the engine stores them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Message(message) => value::encode_message(message),
            Self::Change(change) => value::encode_change(change),
            Self::Fingerprint(fingerprint) => value::encode_fingerprint(*fingerprint),
            Self::Entry(entry) => value::encode_entry(entry),
            Self::Chat(row) => registers::encode(row),
            Self::Commit(commit) => value::encode_commit(*commit),
            Self::Bounds(first, cut) => value::encode_bounds(Bounds { first: *first, cut: *cut }),
            Self::Day(offset) => value::encode_offset(*offset),
            Self::Aside(reason, bytes) => value::encode_aside(reason, bytes),
            Self::IndexKey(partition, offset) => {
                layout::index(Recipient::User(KEYED.2), *partition, *offset).as_slice().to_vec()
            }
        }
    }

    /// The kind that [`Row::decode`] reads it as.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Message(_) => 0,
            Self::Change(change) => change_cell(&change.what),
            Self::Fingerprint(_) => 4,
            Self::Entry(_) => 5,
            Self::Chat(_) => 6,
            Self::Commit(_) => 7,
            Self::Bounds(..) => 8,
            Self::Day(_) => 9,
            Self::Aside(..) => 10,
            Self::IndexKey(..) => 11,
        }
    }

    /// The row that bytes say, read as one of this kind; `None` if the engine refuses them.
    #[must_use]
    pub fn decode(kind: u8, bytes: &[u8]) -> Option<Self> {
        match kind {
            11 => layout::index_place(bytes).map(|(partition, offset)| Self::IndexKey(partition, offset)),
            _ => Self::decode_value(kind, bytes).ok(),
        }
    }

    fn decode_value(kind: u8, bytes: &[u8]) -> Result<Self, Corrupt> {
        let (id, source, actor) = KEYED;
        match kind {
            0 => value::decode_message(id, source, bytes).map(Self::Message),
            4 => value::decode_fingerprint(bytes).map(Self::Fingerprint),
            5 => value::decode_entry(bytes).map(Self::Entry),
            6 => registers::decode(bytes).map(Self::Chat),
            7 => value::decode_commit(bytes).map(Self::Commit),
            8 => value::decode_bounds(bytes).map(|Bounds { first, cut }| Self::Bounds(first, cut)),
            9 => value::decode_offset(bytes).map(Self::Day),
            10 => value::decode_aside(bytes).map(|(reason, bytes)| Self::Aside(reason, bytes)),
            cell => value::decode_change(cell, actor, bytes).map(Self::Change),
        }
    }
}
