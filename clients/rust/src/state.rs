//! What must survive a restart of the client, and the small changes of which it is made.
//!
//! A store keeps either the changes or the state; [`State::apply`] joins the two. Applying a change
//! twice is harmless, so a journal may overlap the snapshot before it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, SessionNumber};
use volery_wire::client::Shown;
use volery_wire::field::{self, Blob};

use crate::intent::{Intent, Local};

/// One step of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A session began.
    Session(#[serde(with = "field::session")] SessionNumber),
    /// The stream moved. A new position may be lost: events come twice then.
    Progress {
        /// The stored position; nothing after a `reset`, until pages are read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<Blob>,
        /// The largest id seen.
        #[serde(with = "field::id")]
        largest_id: Id,
        /// What is held up to the position and was not met as delivered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undelivered: Vec<Held>,
    },
    /// The user wants something.
    Wanted(Intent),
    /// It is about to be sent for the first time, under this key.
    Keyed {
        /// Which intent.
        local: Local,
        /// Session of the first attempt.
        #[serde(with = "field::session")]
        session: SessionNumber,
        /// Number within it.
        number: u32,
    },
    /// It will never be done; kept for the user to see.
    Failed {
        /// Which intent.
        local: Local,
        /// Why.
        code: String,
    },
    /// It is done, or the user gave it up.
    Gone(Local),
}

impl Change {
    /// Whether what follows relies on this change being durable.
    #[must_use]
    pub fn must_sync(&self) -> bool {
        // A position that is given up must not come back.
        !matches!(self, Self::Progress { position: Some(_), .. } | Self::Gone(_))
    }
}

/// How far a chat is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// The newest message that came in.
    pub shown: Shown,
}

/// An intent as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What is wanted.
    pub intent: Intent,
    /// Its send key, once it was about to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeptKey>,
    /// Why it will never be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// A send key without the device, which is the state's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// Session of the first attempt.
    #[serde(with = "field::session")]
    pub session: SessionNumber,
    /// Number within it.
    pub number: u32,
}

/// Everything that survives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The newest session's number.
    #[serde(with = "field::session", default)]
    pub session: SessionNumber,
    /// The largest id seen.
    #[serde(with = "field::id", default)]
    pub largest_id: Id,
    /// Everything up to here is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Blob>,
    /// What is held up to there and was not met as delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undelivered: Vec<Held>,
    /// What is wanted and not done, by number.
    #[serde(default)]
    pub outbox: BTreeMap<Local, Kept>,
}

impl State {
    /// Takes one step.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Session(session) => self.session = self.session.max(session),
            Change::Progress { position, largest_id, undelivered } => {
                (self.position, self.undelivered) = (position, undelivered);
                self.largest_id = self.largest_id.max(largest_id);
            }
            Change::Wanted(intent) => {
                self.outbox.entry(intent.local).or_insert(Kept { intent, key: None, failed: None });
            }
            Change::Keyed { local, session, number } => {
                if let Some(kept) = self.outbox.get_mut(&local) {
                    kept.key = Some(KeptKey { session, number });
                }
            }
            Change::Failed { local, code } => {
                if let Some(kept) = self.outbox.get_mut(&local) {
                    kept.failed = Some(code);
                }
            }
            Change::Gone(local) => {
                self.outbox.remove(&local);
            }
        }
    }
}
