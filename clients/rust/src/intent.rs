//! What a user wants done: stored before it is sent, the same on every retry.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::{Change, Request, Send, Shown};
use volery_wire::field;

/// The device's own number of an intent; rising, never sent.
pub type Local = u64;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A message.
    Say {
        /// What it says: 1 to 8,192 bytes.
        text: String,
        /// The message that it answers.
        #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<Id>,
    },
    /// Another text for one's own message.
    Edit {
        /// The message.
        #[serde(with = "field::id")]
        id: Id,
        /// Its new text.
        text: String,
    },
    /// Takes one's own message away.
    Delete {
        /// The message.
        #[serde(with = "field::id")]
        id: Id,
    },
    /// One's reaction.
    React {
        /// The message.
        #[serde(with = "field::id")]
        id: Id,
        /// Which.
        emoji: String,
    },
    /// Takes one's reaction back.
    Unreact {
        /// The message.
        #[serde(with = "field::id")]
        id: Id,
    },
}

impl Act {
    /// Bytes of text in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Say { text, .. } | Self::Edit { text, .. } => text.len(),
            Self::React { emoji, .. } => emoji.len(),
            Self::Delete { .. } | Self::Unreact { .. } => 0,
        }
    }
}

/// Something wanted, not taken into the outbox yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The user to whom it goes; oneself for notes.
    pub to: UserId,
    /// What.
    pub act: Act,
    /// When the user said so, by the device's clock: for display only.
    pub at: Timestamp,
    /// How far this device had shown the chat.
    pub shown: Option<Shown>,
}

/// Something wanted, in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Its number on this device.
    pub local: Local,
    /// The user to whom it goes.
    #[serde(with = "field::user")]
    pub to: UserId,
    /// What.
    pub act: Act,
    /// When the user said so.
    pub at: Timestamp,
    /// How far this device had shown the chat then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

/// The name of a send: the session of its first attempt and its number there.
pub type Key = (SessionNumber, u32);

impl Intent {
    /// As it goes over the wire, so many milliseconds after `welcome`. `retry` flags it with the session
    /// of its first attempt.
    #[must_use]
    pub fn request(
        &self,
        number: u32,
        since_welcome: u64,
        retry: Option<SessionNumber>,
        shown: Option<Shown>,
    ) -> Request<'static> {
        let change = |id, text: Option<&String>, emoji: Option<&String>| Change {
            to: self.to,
            number,
            since_welcome,
            retry_of: retry,
            shown,
            id,
            text: text.map(|text| Cow::Owned(text.clone())),
            emoji: emoji.map(|emoji| Cow::Owned(emoji.clone())),
        };
        match &self.act {
            Act::Say { text, reply_to } => Request::Send(Send {
                to: self.to,
                number,
                since_welcome,
                retry_of: retry,
                shown,
                text: Cow::Owned(text.clone()),
                reply_to: *reply_to,
            }),
            Act::Edit { id, text } => Request::Edit(change(*id, Some(text), None)),
            Act::Delete { id } => Request::Delete(change(*id, None, None)),
            Act::React { id, emoji } => Request::React(change(*id, None, Some(emoji))),
            Act::Unreact { id } => Request::Unreact(change(*id, None, None)),
        }
    }
}
