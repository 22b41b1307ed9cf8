//! Bodies from node to client. Built once, encoded once an encoding; the client decodes the same types.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;

use crate::field::{self, Blob};

/// The session is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who the token says you are.
    #[serde(with = "field::user")]
    pub user: UserId,
    /// The device.
    #[serde(with = "field::device")]
    pub device: DeviceId,
    /// This session's number: the next `hello` names it.
    #[serde(with = "field::session")]
    pub session: SessionNumber,
    /// The node's clock in milliseconds since the Unix epoch.
    pub now: u64,
    /// Unconfirmed event bytes after which delivery waits for `received`.
    pub window: u32,
}

/// A send is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The send's number.
    pub number: u32,
    /// Its id: the message's place in the chat.
    #[serde(with = "field::id")]
    pub id: Id,
    /// Where it was accepted.
    #[serde(with = "field::source")]
    pub source: Source,
}

/// A user's newest reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Whose.
    #[serde(with = "field::user")]
    pub by: UserId,
    /// Which; empty once it is taken back.
    pub emoji: String,
    /// The change that made it: of two versions of a message the larger one counts.
    #[serde(with = "field::id")]
    pub change: Id,
}

/// A message, live, from the index or on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message<'a> {
    /// Its chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// Its place in the chat.
    #[serde(with = "field::id")]
    pub id: Id,
    /// Who sent it.
    #[serde(with = "field::user")]
    pub from: UserId,
    /// Where it was accepted, in its recipient's partition: what marks speak of.
    #[serde(with = "field::source")]
    pub source: Source,
    /// What it says.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// The message that it answers.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Id>,
    /// The device that sent it; only in frames to its own user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// How far the sender had shown the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<crate::client::Shown>,
    /// The change that made this text.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Id>,
    /// The change that took it away; its text is empty then.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Id>,
    /// Each user's newest reaction, by user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Store it with the message: everything up to it was sent. Absent where that is not so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Blob>,
}

impl Message<'_> {
    /// The largest id that it shows: its own, or that of a change.
    #[must_use]
    pub fn largest_id(&self) -> Id {
        let changes = self.edited.into_iter().chain(self.deleted);
        changes.chain(self.reactions.iter().map(|reaction| reaction.change)).fold(self.id, Id::max)
    }
}

/// The name of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The device.
    #[serde(with = "field::device")]
    pub device: DeviceId,
    /// The session of its first attempt.
    #[serde(with = "field::session")]
    pub session: SessionNumber,
    /// Its number there.
    pub number: u32,
}

/// A message was changed. Exactly one of `text`, `deleted` and `emoji` is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed<'a> {
    /// Its chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// The message.
    #[serde(with = "field::id")]
    pub id: Id,
    /// The change: the largest wins. Counts only if `by` may change the message.
    #[serde(with = "field::id")]
    pub change: Id,
    /// Who changed it.
    #[serde(with = "field::user")]
    pub by: UserId,
    /// The new text.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    /// It was taken away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The reaction; empty for none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<Cow<'a, str>>,
    /// The name of the send; only in frames to its own user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// As in `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Blob>,
}

/// Delivered or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    /// A device of the reader holds it.
    Delivered,
    /// The reader has seen it; implies delivered.
    Read,
}

/// A mark moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// In which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// Whose mark.
    #[serde(with = "field::user")]
    pub reader: UserId,
    /// Delivered or read.
    pub kind: MarkKind,
    /// All messages to the reader accepted up to here, in the reader's partition.
    #[serde(with = "field::source")]
    pub source: Source,
    /// The largest id among them.
    #[serde(with = "field::id")]
    pub id: Id,
    /// As in `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Blob>,
}

/// Somebody is writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// In which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// Who.
    #[serde(with = "field::user")]
    pub user: UserId,
}

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Who.
    #[serde(with = "field::user")]
    pub user: UserId,
    /// At least one session is open.
    pub online: bool,
    /// Who is not online: when the last session ended, in milliseconds since the Unix epoch, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
}

/// Who of those who are watched is there: all of them as an answer, later those who came or went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// By user.
    pub users: Vec<Present>,
}

/// How a retry ended: `id` and `source`, or `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The session of the first attempt.
    #[serde(with = "field::session")]
    pub session: SessionNumber,
    /// Its number there.
    pub number: u32,
    /// The id of its first acceptance.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Where that was.
    #[serde(with = "field::source_or_none", default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// `key_reused` or `refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// As in `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Blob>,
}

/// A page of a chat, ascending by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<'a> {
    /// Which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// The messages.
    #[serde(borrow)]
    pub messages: Vec<Message<'a>>,
    /// Where the older ones begin; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<Blob>,
    /// Where the newer ones begin; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<Blob>,
    /// Everything of the chat accepted in one's own partition up to here is on pages.
    #[serde(with = "field::source")]
    pub covers: Source,
}

/// One line of the chat list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat<'a> {
    /// Which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// Its newest message.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Message<'a>>,
    /// Unread messages, exact up to 99; 100 means more.
    pub unread: u32,
    /// One's own read mark.
    pub read: crate::client::Shown,
    /// One's own delivered mark, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<crate::client::Shown>,
    /// What the other side holds.
    pub peer_delivered: crate::client::Shown,
    /// What the other side has read.
    pub peer_read: crate::client::Shown,
    /// Newest source position of a message that came in.
    #[serde(with = "field::source")]
    pub newest_incoming: Source,
}

/// A page of the chat list, newest chat first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatList<'a> {
    /// The chats.
    #[serde(borrow)]
    pub chats: Vec<Chat<'a>>,
    /// Where the next page begins; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Blob>,
}

/// `reset` and `pong`: how far the stream is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// Opaque; absent if there is nothing yet, or nothing that may be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Blob>,
}

/// The stream has brought everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Opaque; absent if there is nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Blob>,
    /// Everything to this user whose source is smaller; what pages show from here on is still to come.
    #[serde(with = "field::source")]
    pub below: Source,
}

/// Another node serves this user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Its address.
    pub address: String,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error<'a> {
    /// One of the documented codes.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// One sentence for people.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    /// Whether the same may succeed later.
    pub retryable: bool,
    /// Which field was wrong.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Cow<'a, str>>,
    /// Which send it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

/// Everything that a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reply<'a> {
    Welcome(Welcome),
    Ack(Ack),
    Message(Message<'a>),
    Changed(Changed<'a>),
    Marked(Marked),
    Presence(Presence),
    Typing(Typing),
    Page(Page<'a>),
    Synced(Synced),
    Gap,
    Reset(At),
    Moved(Moved),
    Error(Error<'a>),
    Pong(At),
    Answer(Answer),
    ChatList(ChatList<'a>),
    Done,
}
