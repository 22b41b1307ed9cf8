//! Bodies from client to node. Strings are borrowed from the frame where it can be.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;

use crate::field::{self, Blob};
use crate::server::MarkKind;

/// Opens the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// An access token of the device.
    #[serde(borrow)]
    pub token: Cow<'a, str>,
    /// The device that the token was issued to.
    #[serde(with = "field::device")]
    pub device: DeviceId,
    /// The device's previous session number; 0 for its first session.
    #[serde(with = "field::session", default)]
    pub previous_session: SessionNumber,
    /// The largest id that the device has seen; 0 for none.
    #[serde(with = "field::id", default)]
    pub largest_id: Id,
    /// The position that the device has stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Blob>,
}

/// A new access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh<'a> {
    /// An access token of the same device.
    #[serde(borrow)]
    pub token: Cow<'a, str>,
}

/// How far the sending device had shown the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Newest source position shown.
    #[serde(with = "field::source")]
    pub source: Source,
    /// Largest id shown.
    #[serde(with = "field::id")]
    pub id: Id,
}

/// What every send carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendHead {
    /// The user to whom it goes.
    pub to: UserId,
    /// Number of the send.
    pub number: u32,
    /// Milliseconds from `welcome` until the device said it.
    pub since_welcome: u64,
    /// On a retry: the session of the first attempt.
    pub retry_of: Option<SessionNumber>,
    /// How far this device had shown the chat.
    pub shown: Option<Shown>,
}

impl Send<'_> {
    /// The part that all sends share.
    #[must_use]
    pub fn head(&self) -> SendHead {
        let Self { to, number, since_welcome, retry_of, shown, .. } = *self;
        SendHead { to, number, since_welcome, retry_of, shown }
    }
}

impl Change<'_> {
    /// The part that all sends share.
    #[must_use]
    pub fn head(&self) -> SendHead {
        let Self { to, number, since_welcome, retry_of, shown, .. } = *self;
        SendHead { to, number, since_welcome, retry_of, shown }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send<'a> {
    /// The user to whom it goes; oneself for notes.
    #[serde(with = "field::user")]
    pub to: UserId,
    /// Number of the send within the session of its first attempt, from 1, rising.
    pub number: u32,
    /// Milliseconds, by the device's steady clock, from `welcome` on this socket until it said this.
    pub since_welcome: u64,
    /// On a retry: the session of the first attempt.
    #[serde(with = "field::session_or_none", default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<SessionNumber>,
    /// How far this device had shown the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// What it says: 1 to 8,192 bytes of UTF-8.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// The message that it answers.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Id>,
}

/// A change to a message: `edit` needs `text`, `react` needs `emoji`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<'a> {
    /// The user to whom it goes; oneself for notes.
    #[serde(with = "field::user")]
    pub to: UserId,
    /// Number of the send within the session of its first attempt, from 1, rising.
    pub number: u32,
    /// Milliseconds, by the device's steady clock, from `welcome` on this socket until it said this.
    pub since_welcome: u64,
    /// On a retry: the session of the first attempt.
    #[serde(with = "field::session_or_none", default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<SessionNumber>,
    /// How far this device had shown the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// The message.
    #[serde(with = "field::id")]
    pub id: Id,
    /// The new text of an edit.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    /// The emoji of a reaction.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<Cow<'a, str>>,
}

/// The user has read a chat, or (said again by a device that misses its own mark) holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// Read unless said.
    #[serde(default = "read")]
    pub kind: MarkKind,
    /// Everything accepted up to here.
    #[serde(with = "field::source")]
    pub source: Source,
    /// The largest id that this covers.
    #[serde(with = "field::id")]
    pub id: Id,
}

const fn read() -> MarkKind {
    MarkKind::Read
}

/// Which page of a chat; at most one of the anchors, none for the newest messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// Messages before this id.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Id>,
    /// Messages after this id.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Id>,
    /// Messages on both sides of this id.
    #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
    pub around: Option<Id>,
    /// Messages on both sides of this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around_time: Option<u64>,
    /// From a cursor that a page gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Blob>,
    /// At most so many messages; 50 unless said, 100 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which page of the chat list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chats {
    /// From a cursor that a page gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Blob>,
    /// At most so many chats; 50 unless said, 100 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Confirms event frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// All event frames up to this number were stored.
    pub n: u64,
}

/// Pages are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The position that `reset` gave.
    pub position: Blob,
}

/// Its user is writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// The user to whom it will go.
    #[serde(with = "field::user")]
    pub to: UserId,
}

/// Whom a session watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// These and no others; nobody, if there are none.
    #[serde(with = "field::users")]
    pub users: Vec<UserId>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Request<'a> {
    Hello(Hello<'a>),
    Refresh(Refresh<'a>),
    Send(Send<'a>),
    Edit(Change<'a>),
    Delete(Change<'a>),
    React(Change<'a>),
    Unreact(Change<'a>),
    Mark(Mark),
    Typing(Typing),
    Presence(Presence),
    History(History),
    Chats(Chats),
    Received(Received),
    Ping,
    Resume(Resume),
}
