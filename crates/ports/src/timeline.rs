//! The stored conversations and the indexes beside them. Archive alone writes; history reads.
//!
//! # Contract
//! - Every write is idempotent and commutes with itself: archives replay, and two may run at once.
//!   Registers keep a maximum or a minimum, or the value of the largest change id, as each
//!   [`Write`] says; nothing is counted up, nothing is taken away.
//! - [`Timeline::apply`] makes its writes readable before it makes the commit readable. An engine may
//!   lose the newest applies in a crash, but never a write of an apply whose commit it still has, nor
//!   of one that was answered before that began: what was taken is replayed from the log.
//! - A read sees every apply that has answered. Reads of one call need not be one snapshot.
//! - A row whose message has not come (only a change of it) is kept and not returned by pages. Read alone it says
//!   its changes: a change may be told before its message is.

use async_trait::async_trait;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Answer, Body, MarkKind, Seen, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;

/// A message as it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the chat.
    pub id: Id,
    /// Who sent it.
    pub sender: UserId,
    /// The name of the send.
    pub key: SendKey,
    /// Where it was accepted, in its recipient's partition.
    pub source: Source,
    /// What it says. Empty once it was deleted.
    pub body: Body,
    /// The message that it answers.
    pub reply_to: Option<Id>,
}

/// A change to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The change's own id: the largest wins, per actor and kind.
    pub id: Id,
    /// Who changed it. Whether they may is decided when the row is read: a forged change changes nothing.
    pub actor: UserId,
    /// What changed.
    pub what: ChangeKind,
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Another body.
    Edit(Body),
    /// Taken away for everyone.
    Delete,
    /// The actor's emoji; empty for none.
    React(String),
}

/// A stored message with all changes that wait beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// The message.
    pub message: Message,
    /// The newest change per actor and kind, in no particular order.
    pub changes: Vec<Change>,
}

/// What is stored under a message's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The message has come.
    Row(MessageRow),
    /// It has not: the changes that wait for it, as in a row. None, if nothing is known of it.
    Bare(Vec<Change>),
}

impl Stored {
    /// The row, if the message has come.
    #[must_use]
    pub fn into_row(self) -> Option<MessageRow> {
        match self {
            Self::Row(row) => Some(row),
            Self::Bare(_) => None,
        }
    }
}

/// What is known of a send key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The id of its first acceptance.
    pub id: Id,
    /// Where that was accepted; `None` while its resolved record has not been read.
    pub source: Option<Source>,
    /// Hash of recipient and content.
    pub fingerprint: u64,
}

/// One row of a recipient's index: what happened at an offset of its stream. By reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A message arrived, or one's own was accepted (an echo).
    Message {
        /// Where.
        chat: ChatId,
        /// Which.
        id: Id,
    },
    /// A message was changed.
    Change {
        /// Where.
        chat: ChatId,
        /// Which message.
        target: Id,
        /// The change.
        change: Id,
    },
    /// A retry was answered.
    Answer(Answer),
    /// A mark of the user's own or of the other side.
    Mark {
        /// Whose mark.
        reader: UserId,
        /// Where.
        chat: ChatId,
        /// Delivered or read.
        kind: MarkKind,
        /// How far.
        seen: Seen,
    },
}

/// A user's view of one chat. All registers keep the maximum (marks: by source position).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatRow {
    /// Newest message.
    pub newest: Id,
    /// Newest source position of an incoming message, in the user's partition.
    pub newest_incoming: Source,
    /// What the user's devices hold.
    pub delivered: Seen,
    /// What the user has read.
    pub read: Seen,
    /// What the other side holds.
    pub peer_delivered: Seen,
    /// What the other side has read.
    pub peer_read: Seen,
    /// Incoming messages resolved more than N after their id: the newest 100 by source.
    pub resolved_late: Vec<Seen>,
}

/// One idempotent write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The row of a message. Written again it changes nothing, but the smallest source stays.
    Message {
        /// Where.
        chat: ChatId,
        /// The message.
        message: Message,
        /// It came from a resolved record, of which there may be two: look for a smaller source.
        resolved: bool,
    },
    /// A change beside its message; the largest change id wins per (target, actor, kind).
    Change {
        /// Where.
        chat: ChatId,
        /// The message.
        target: Id,
        /// The change.
        change: Change,
    },
    /// A send key; the smallest id and the smallest source stay.
    Sent {
        /// The key.
        key: SendKey,
        /// What is known.
        sent: Sent,
    },
    /// A row of an index; written again it is the same.
    Index {
        /// Whose.
        recipient: Recipient,
        /// Where in the stream: [`Source::place`]; the partition is the apply's.
        offset: Offset,
        /// What.
        entry: Entry,
    },
    /// A chat's newest message, and, if it came in, its source position in the user's partition.
    Newest {
        /// Whose view.
        user: UserId,
        /// Which chat.
        chat: ChatId,
        /// Maximum.
        id: Id,
        /// Maximum.
        incoming: Option<Source>,
    },
    /// The user's own mark: maximum by source. A read mark moves the delivered one as well.
    Mark {
        /// Whose view.
        user: UserId,
        /// Which chat.
        chat: ChatId,
        /// Delivered or read.
        kind: MarkKind,
        /// How far.
        seen: Seen,
    },
    /// The other side's mark: maximum by source. A read mark moves the delivered one as well.
    PeerMark {
        /// Whose view.
        user: UserId,
        /// Which chat.
        chat: ChatId,
        /// Delivered or read.
        kind: MarkKind,
        /// How far.
        seen: Seen,
    },
    /// An incoming message that was resolved more than N after its id; the newest 100 by source stay.
    ResolvedLate {
        /// Whose view.
        user: UserId,
        /// Which chat.
        chat: ChatId,
        /// Its source and id.
        seen: Seen,
    },
    /// A record that could not be applied, kept with its bytes for a later version or a person.
    SetAside {
        /// Where it stands: [`Source::place`]; the partition is the apply's.
        offset: Offset,
        /// Why.
        reason: String,
        /// As it was read.
        bytes: bytes::Bytes,
    },
}

/// How far archive has come in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The last record that was applied; keeps the maximum.
    pub source: Source,
    /// Its id: if the log disagrees, it is another log.
    pub id: Id,
    /// Largest stamp so far: dates the index.
    pub stamp: Timestamp,
}

/// Which messages of a chat, always returned in the order asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Ids below this one, newest first.
    Before(Id),
    /// Ids above this one, oldest first.
    After(Id),
}

/// Why the store did not answer. Always worth another try later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the timeline store cannot be used: {0}")]
pub struct Unavailable(pub String);

/// Why the store did not do what archive asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Worth another try later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// What is stored there is damaged or of a later version, or what was to be written can be stored nowhere. No
    /// patience heals it; a person may, or a later version.
    #[error("the timeline store refuses it for good: {0}")]
    Unfit(String),
}

/// For those who do not go on without it, both are the same.
impl From<Refused> for Unavailable {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unavailable(unavailable) => unavailable,
            Refused::Unfit(reason) => Self(reason),
        }
    }
}

/// See the module's contract.
#[async_trait]
pub trait Timeline: Send + Sync + 'static {
    /// Applies what one partition's records caused, then stores how far that was. Of what is refused, any part may be
    /// there, but not the commit.
    async fn apply(&self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) -> Result<(), Refused>;

    /// The newest commit of a partition.
    async fn committed(&self, partition: Partition) -> Result<Option<Commit>, Unavailable>;

    /// What is known of a send key.
    async fn sent(&self, key: SendKey) -> Result<Option<Sent>, Refused>;

    /// At most `limit` messages of a chat.
    async fn messages(&self, chat: ChatId, span: Span, limit: usize) -> Result<Vec<MessageRow>, Unavailable>;

    /// One message, or what waits for it.
    async fn message(&self, chat: ChatId, id: Id) -> Result<Stored, Unavailable>;

    /// A user's view of a chat; default values if there is none.
    async fn chat(&self, user: UserId, chat: ChatId) -> Result<ChatRow, Unavailable>;

    /// All chats of a user, in no particular order.
    async fn chats(&self, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Unavailable>;

    /// Index rows of `recipient` in `partition` with `from <= offset < to`, by offset, at most `limit`. Offsets
    /// of an index are places: [`Source::place`].
    async fn index(
        &self,
        recipient: Recipient,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Entry)>, Unavailable>;

    /// First offset of the partition from which its index is complete; `None` if it never was begun.
    async fn index_start(&self, partition: Partition) -> Result<Option<Offset>, Unavailable>;

    /// Allows the index to forget rows of days (UTC, by the commits' stamps) wholly before `before`. Everything that was
    /// applied in the partition before this call is durable once it has answered: what it came from may go.
    async fn expire_index(&self, partition: Partition, before: Timestamp) -> Result<(), Unavailable>;
}
