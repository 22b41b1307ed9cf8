//! What sessions and the gateway ask of history-node. In one process it is called directly; across
//! processes the same trait is a gRPC client.

use async_trait::async_trait;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Answer, Body, MarkKind, Seen, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;

use crate::timeline::Change;

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The newest messages.
    Newest,
    /// Messages before this id, newest first kept.
    Before(Id),
    /// Messages after this id.
    After(Id),
    /// This id in the middle.
    Around(Id),
    /// This time in the middle.
    AroundTime(Timestamp),
    /// From a cursor that an earlier page gave.
    Cursor(Vec<u8>),
}

/// A message as one user may see it, changes applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Its place.
    pub id: Id,
    /// Who sent it.
    pub sender: UserId,
    /// The name of the send; clients find their own unconfirmed sends by it.
    pub key: SendKey,
    /// Where it was accepted.
    pub source: Source,
    /// What it says; empty if it was deleted.
    pub body: Body,
    /// The message that it answers.
    pub reply_to: Option<Id>,
    /// The change that made this body.
    pub edited: Option<Id>,
    /// The change that took it away.
    pub deleted: Option<Id>,
    /// Each user's newest reaction, by user.
    pub reactions: Vec<Reaction>,
}

impl MessageView {
    /// The largest id that it shows: its own, or that of a change.
    #[must_use]
    pub fn largest_id(&self) -> Id {
        let changes = self.edited.into_iter().chain(self.deleted);
        changes.chain(self.reactions.iter().map(|reaction| reaction.change)).fold(self.id, Id::max)
    }
}

/// A user's newest reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Whose.
    pub by: UserId,
    /// With what; empty once it is taken back.
    pub emoji: String,
    /// The change that made it: of two versions of a message the larger one counts.
    pub change: Id,
}

/// A page of history: ascending by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// Where the older ones begin; `None` if there are none.
    pub older: Option<Vec<u8>>,
    /// Where the newer ones begin; `None` if there are none.
    pub newer: Option<Vec<u8>>,
    /// Everything of this chat accepted in the reader's partition up to here is on pages.
    pub covers: Source,
}

/// One line of the chat list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatView {
    /// Which chat.
    pub chat: ChatId,
    /// Its newest message that may be shown.
    pub newest: Option<MessageView>,
    /// Unread messages, exact below 100; 100 means "99+".
    pub unread: usize,
    /// What the user has read.
    pub read: Seen,
    /// What the user's devices hold.
    pub delivered: Seen,
    /// What the other side holds.
    pub peer_delivered: Seen,
    /// What the other side has read.
    pub peer_read: Seen,
    /// Newest source position of an incoming message.
    pub newest_incoming: Source,
}

/// A page of the chat list, newest chat first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatsPage {
    /// The chats.
    pub chats: Vec<ChatView>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Vec<u8>>,
}

/// Something that happened in a user's stream, read from the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A message, with the changes that it has by now.
    Message(ChatId, MessageView),
    /// A message changed: as it is by now.
    Changed(ChatId, MessageView),
    /// A message changed that is not stored yet: the change alone, to wait beside it. Whether its actor may is
    /// decided by whoever holds the message.
    Early(ChatId, Id, Change),
    /// A retry was answered.
    Answer(Answer),
    /// A mark.
    Mark {
        /// Whose.
        reader: UserId,
        /// Where.
        chat: ChatId,
        /// Delivered or read.
        kind: MarkKind,
        /// How far.
        seen: Seen,
    },
}

/// A stretch of a user's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// By offset. An offset may have several, or none.
    pub events: Vec<(Offset, Happened)>,
    /// Everything of the user's stream below this offset, from the one asked for, is in `events`.
    pub complete_below: Offset,
}

/// Why history did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The store is away: try later.
    #[error("history cannot be read: {0}")]
    Unavailable(String),
    /// The chat is not this user's, or does not exist.
    #[error("no such chat")]
    UnknownChat,
    /// The cursor was made up, or belongs to another chat.
    #[error("no such cursor")]
    InvalidCursor,
    /// The index does not reach back that far: the device must start anew.
    #[error("the index begins after the position")]
    TooOld,
}

/// See the module.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// A page of a chat as `user` sees it; at most `limit` messages.
    async fn page(&self, user: UserId, chat: ChatId, anchor: Anchor, limit: usize) -> Result<Page, HistoryError>;

    /// A page of the user's chat list; at most `limit` chats.
    async fn chats(&self, user: UserId, cursor: Option<Vec<u8>>, limit: usize) -> Result<ChatsPage, HistoryError>;

    /// How far the partition is archived: everything up to it is on pages. `None` before its first record.
    async fn archived(&self, partition: Partition) -> Result<Option<Position>, HistoryError>;

    /// A stretch of the user's stream from offset `from`, not beyond what is archived; at most `limit` events.
    async fn stretch(
        &self,
        user: UserId,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Result<Stretch, HistoryError>;

    /// Chats in which something came in that no device has confirmed, with how far it goes; at most `limit`.
    async fn undelivered(&self, user: UserId, limit: usize) -> Result<Vec<(ChatId, Seen)>, HistoryError>;
}
