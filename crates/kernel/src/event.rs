//! What stands on the log.
//!
//! A *send* is written by a session into its recipient's stream. Everything else is *derived* from
//! sends by fan-out and archive, or told by the account node. Every event is idempotent: readers
//! may meet any of them twice. The bytes are `proto`'s business.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3Default;

use crate::chat::{ChatId, Recipient};
use crate::id::{DeviceId, Id, SessionNumber, UserId};
use crate::position::{Offset, Source};
use crate::time::Timestamp;

/// The name of a send that its device stored before sending: the same on every retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendKey {
    /// The device that sends.
    pub device: DeviceId,
    /// The session of the first attempt.
    pub session: SessionNumber,
    /// Its number within that session, from 1.
    pub number: u32,
}

/// How far somebody has seen a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// All that was accepted up to here, in the reader's partition.
    pub source: Source,
    /// The largest id among it.
    pub id: Id,
}

/// Opaque content with its type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    /// What the bytes are; [`Body::TEXT`] is UTF-8 text.
    pub kind: u32,
    /// The content.
    pub bytes: Bytes,
}

impl Body {
    /// UTF-8 text.
    pub const TEXT: u32 = 1;

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self { kind: Self::TEXT, bytes: text.into() }
    }
}

/// What a send says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A new message.
    Message {
        /// What it says.
        body: Body,
        /// The message that it answers.
        reply_to: Option<Id>,
    },
    /// Another body for one's own message.
    Edit {
        /// The message.
        target: Id,
        /// Its new body.
        body: Body,
    },
    /// Takes one's own message away for everyone; nothing comes after it.
    Delete {
        /// The message.
        target: Id,
    },
    /// One emoji per user and message; empty takes it back.
    React {
        /// The message.
        target: Id,
        /// The emoji, or nothing.
        emoji: String,
    },
}

impl Content {
    /// The message that a change is about; `None` for a message.
    #[must_use]
    pub fn target(&self) -> Option<Id> {
        match self {
            Self::Message { .. } => None,
            Self::Edit { target, .. } | Self::Delete { target } | Self::React { target, .. } => Some(*target),
        }
    }
}

/// A message or a change to one, as a session accepted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Its place in the chat's order. For a retry that turns out to be new, this is the message's id.
    pub id: Id,
    /// Who sent it.
    pub sender: UserId,
    /// To whom.
    pub recipient: Recipient,
    /// The name that survives retries.
    pub key: SendKey,
    /// The session that appended this record; the fence compares it.
    pub session: SessionNumber,
    /// A retry: shown by nobody until archive has looked its key up.
    pub flagged: bool,
    /// A retry that would be refused today: answered if it was taken before, never shown as new.
    pub resolve_only: bool,
    /// Up to where the sending device had shown the chat: its user's read mark moves there.
    pub shown: Option<Seen>,
    /// What it says.
    pub content: Content,
}

impl Send {
    /// The chat it belongs to.
    #[must_use]
    pub fn chat(&self) -> ChatId {
        self.recipient.chat_with(self.sender)
    }

    /// Hash of recipient and content: a retry with another one is `key_reused`. Persisted.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3Default::new();
        hash.update(&self.recipient.to_key());
        match &self.content {
            Content::Message { body, reply_to } => {
                hash.update(&[1]);
                hash.update(&reply_to.unwrap_or(Id::ZERO).get().to_be_bytes());
                hash.update(&body.kind.to_be_bytes());
                hash.update(&body.bytes);
            }
            Content::Edit { target, body } => {
                hash.update(&[2]);
                hash.update(&target.get().to_be_bytes());
                hash.update(&body.kind.to_be_bytes());
                hash.update(&body.bytes);
            }
            Content::Delete { target } => {
                hash.update(&[3]);
                hash.update(&target.get().to_be_bytes());
            }
            Content::React { target, emoji } => {
                hash.update(&[4]);
                hash.update(&target.get().to_be_bytes());
                hash.update(emoji.as_bytes());
            }
        }
        hash.digest()
    }
}

/// How a retry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the timeline, under the id of its first acceptance.
    Accepted {
        /// That id.
        id: Id,
        /// Where it was accepted, in its recipient's partition.
        source: Source,
    },
    /// The same key was used with another recipient or content.
    KeyReused,
    /// It was never taken and may not be taken today.
    Refused,
}

/// What a retry's device is told, through the sender's own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The id of the flagged record.
    pub id: Id,
    /// Who retried.
    pub sender: UserId,
    /// Which send.
    pub key: SendKey,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// A device of the reader holds it.
    Delivered,
    /// The reader has seen it; implies delivered.
    Read,
}

/// A durable mark in the reader's own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Only to name the record; marks merge by maximum of [`Seen::source`].
    pub id: Id,
    /// Whose mark it is.
    pub reader: UserId,
    /// In which chat.
    pub chat: ChatId,
    /// Delivered or read.
    pub kind: MarkKind,
    /// How far.
    pub seen: Seen,
}

/// Everything that the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// As a session accepted it; in the recipient's stream.
    Send(Send),
    /// A retry that archive found to be new; in the recipient's stream, unflagged.
    Resolved {
        /// The send; its id is the flagged record's.
        send: Send,
        /// Where the flagged record stands: rights are judged there.
        flagged: Source,
    },
    /// How a retry ended; in the sender's stream.
    Answer(Answer),
    /// One's own send, for one's other devices and one's sync; in the sender's stream.
    Echo {
        /// Where it was accepted, in its recipient's partition.
        origin: Source,
        /// The whole send.
        send: Send,
    },
    /// A reader's mark; in the reader's stream.
    Mark(Mark),
    /// The same for the other side of a direct chat; in that side's stream.
    PeerMark {
        /// Where the mark stands, in the reader's partition.
        origin: Source,
        /// Whose stream this is.
        to: UserId,
        /// The mark.
        mark: Mark,
    },
    /// A device's tokens are void from here on; in its user's stream.
    DeviceRevoked {
        /// Names the record.
        id: Id,
        /// Whose device.
        user: UserId,
        /// Which one.
        device: DeviceId,
    },
    /// Of a kind that this version does not know: set aside, applied after the upgrade.
    Unknown {
        /// Names the record.
        id: Id,
        /// Whose stream it stands in.
        stream: Recipient,
        /// The bytes as they were read.
        bytes: Bytes,
    },
}

impl Event {
    /// The id that names the record; positions carry it.
    #[must_use]
    pub fn id(&self) -> Id {
        match self {
            Self::Send(send) | Self::Resolved { send, .. } | Self::Echo { send, .. } => send.id,
            Self::Answer(answer) => answer.id,
            Self::Mark(mark) | Self::PeerMark { mark, .. } => mark.id,
            Self::DeviceRevoked { id, .. } | Self::Unknown { id, .. } => *id,
        }
    }

    /// Whose stream the event stands in, and thereby its partition.
    #[must_use]
    pub fn stream(&self) -> Recipient {
        match self {
            Self::Send(send) | Self::Resolved { send, .. } => send.recipient,
            Self::Echo { send, .. } => Recipient::User(send.sender),
            Self::Answer(answer) => Recipient::User(answer.sender),
            Self::Mark(mark) => Recipient::User(mark.reader),
            Self::PeerMark { to, .. } => Recipient::User(*to),
            Self::DeviceRevoked { user, .. } => Recipient::User(*user),
            Self::Unknown { stream, .. } => *stream,
        }
    }
}

/// An event where the log has put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset in its partition.
    pub offset: Offset,
    /// When the log took it, by the log's clock.
    pub stamp: Timestamp,
    /// What it says.
    pub event: Event,
}
