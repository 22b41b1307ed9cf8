//! Cells as typed values, for whoever checks the format from outside: fuzzing does, nothing else.
//!
//! Owns no bytes of its own: `cell` says what they are. Where two cells are read together, a byte before them says how
//! long the first one is.

use bytes::Bytes;
use volery_kernel::chat::ChatId;
use volery_kernel::event::Seen;
use volery_kernel::id::Id;
use volery_ports::timeline::{Change, Commit, Entry, Message, Sent};

use crate::cell;

/// What a row's key says beside a message: it is not in the cell.
const KEYED: Id = Id::MAX;

/// What is read out of cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cells {
    /// A message; its id is the largest, because its row's key has it.
    Message(Message),
    /// A change, of its key and its cell.
    Change(Change),
    /// What is known of a send key, of two cells.
    Sent(Sent),
    /// How far archive has come, of two cells.
    Commit(Commit),
    /// A line of an index.
    Entry(Entry),
    /// A column that holds a chat.
    Chat(ChatId),
    /// A register of a place.
    Seen(Seen),
    /// A register of an id.
    Id(Id),
}

/// Kinds of cells that [`Cells::decode`] knows, counted from 0.
pub const KINDS: u8 = 8;

impl Cells {
    /// The bytes, as the engine stores them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Message(message) => cell::of_message(message),
            Self::Change(change) => join(&cell::of_change_key(change), &cell::of_change(change)),
            Self::Sent(sent) => join(&cell::of_first(*sent), &cell::of_first_source(sent.source)),
            Self::Commit(Commit { source, id, stamp }) => {
                join(&cell::of_seen(Seen { source: *source, id: *id }), &cell::of_number(stamp.0))
            }
            Self::Entry(entry) => cell::of_entry(entry),
            Self::Chat(chat) => chat.to_key().to_vec(),
            Self::Seen(seen) => cell::of_seen(*seen),
            Self::Id(id) => cell::of_number(id.get()),
        }
    }

    /// The kind that [`Cells::decode`] reads them as.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Message(_) => 0,
            Self::Change(_) => 1,
            Self::Sent(_) => 2,
            Self::Commit(_) => 3,
            Self::Entry(_) => 4,
            Self::Chat(_) => 5,
            Self::Seen(_) => 6,
            Self::Id(_) => 7,
        }
    }

    /// What bytes say, read as cells of this kind; `None` if the engine refuses them.
    #[must_use]
    pub fn decode(kind: u8, bytes: &[u8]) -> Option<Self> {
        match kind {
            0 => cell::message(KEYED, Bytes::copy_from_slice(bytes)).ok().map(Self::Message),
            1..=3 => split(bytes).and_then(|(first, second)| Self::decode_two(kind, first, second)),
            4 => cell::entry(bytes).ok().map(Self::Entry),
            5 => cell::chat(bytes).ok().map(Self::Chat),
            6 => cell::seen(bytes).ok().map(Self::Seen),
            7 => cell::id(bytes).ok().map(Self::Id),
            _ => None,
        }
    }

    fn decode_two(kind: u8, first: &[u8], second: &[u8]) -> Option<Self> {
        match kind {
            1 => cell::change(first, second).ok().map(Self::Change),
            2 => cell::sent(first, second).ok().map(Self::Sent),
            _ => cell::commit(first, second).ok().map(Self::Commit),
        }
    }
}

/// The first of two has 16 bytes at most.
fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = u8::try_from(first.len()).unwrap_or(u8::MAX);
    [&[length], first, second].concat()
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, both) = bytes.split_first()?;
    both.split_at_checked(usize::from(length))
}
