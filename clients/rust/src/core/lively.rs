//! Who types and who is there, as far as this device was told; whom it watches; when it said last that its own
//! user types. Nothing of it is stored, and all of it but whom to watch ends with the session.

use std::collections::HashMap;

use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_wire::client::{self, Request};
use volery_wire::server::{Present, Reply};

use super::{Core, Phase, Stage, Turn};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lively {
    watched: Vec<UserId>,
    present: HashMap<UserId, Present>,
    /// Who types where, and until when that is shown.
    typing: Vec<(ChatId, UserId, Timestamp)>,
    said: Option<(UserId, Timestamp)>,
}

impl Lively {
    pub(super) fn forget(&mut self) {
        self.present.clear();
        self.typing.clear();
        self.said = None;
    }

    /// A message came in, or another device sent it: who wrote it does not type any more.
    pub(super) fn wrote(&mut self, chat: ChatId, user: UserId) {
        self.typing.retain(|(typing_in, who, _)| (*typing_in, *who) != (chat, user));
    }

    /// The user sent something: what is typed next is news.
    pub(super) fn sent(&mut self) {
        self.said = None;
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.typing.retain(|(_, _, until)| *until > now);
    }

    /// When somebody is not shown as typing any more.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.typing.iter().map(|(_, _, until)| *until).min()
    }

    /// What a frame says of it; the others say nothing.
    pub(super) fn told(&mut self, reply: &Reply<'_>, now: Timestamp) {
        match reply {
            Reply::Typing(typing) => {
                self.wrote(typing.chat, typing.user);
                self.typing.push((typing.chat, typing.user, now.plus(limits::TYPING_SHOWN_MS.value)));
            }
            Reply::Presence(presence) => {
                let watched = presence.users.iter().filter(|present| self.watched.contains(&present.user));
                self.present.extend(watched.map(|present| (present.user, *present)));
            }
            _ => {}
        }
    }

    fn may_say(&mut self, to: UserId, now: Timestamp) -> bool {
        let again = |(user, at): (UserId, Timestamp)| user != to || now.since(at) >= limits::TYPING_SAID_EVERY_MS.value;
        let may = self.said.is_none_or(again);
        if may {
            self.said = Some((to, now));
        }
        may
    }

    /// Whether that is another list than before.
    fn watch(&mut self, mut users: Vec<UserId>) -> bool {
        users.truncate(limits::WATCHED_MOST.value);
        users.sort_unstable();
        users.dedup();
        let is_new = users != self.watched;
        if is_new {
            self.present.retain(|user, _| users.binary_search(user).is_ok());
            self.watched = users;
        }
        is_new
    }
}

impl Core {
    /// The user is writing to somebody: said now and then, while everything is here. Call it with each key.
    pub fn typing(&mut self, to: UserId, turn: &mut Turn) {
        let live = matches!(self.phase, Phase::Open { stage: Stage::Synced, .. });
        if live && to != self.user && self.lively.may_say(to, turn.now) {
            self.send(Request::Typing(client::Typing { to }), turn);
        }
    }

    /// These are on the screen: whether they are there is told from now on, and of nobody else. More than
    /// [`limits::WATCHED_MOST`] are not watched.
    pub fn watch(&mut self, users: Vec<UserId>, turn: &mut Turn) {
        if self.lively.watch(users) {
            self.say_watched(turn);
        }
    }

    pub(super) fn say_watched(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Open { .. }) {
            let users = self.lively.watched.clone();
            self.send(Request::Presence(client::Presence { users }), turn);
        }
    }

    /// A session is open: nobody is watched by it yet.
    pub(super) fn watch_again(&mut self, turn: &mut Turn) {
        if !self.lively.watched.is_empty() {
            self.say_watched(turn);
        }
    }

    /// Whether somebody who is watched is there; `None` while that is not known.
    #[must_use]
    pub fn presence(&self, user: UserId) -> Option<Present> {
        self.lively.present.get(&user).copied()
    }

    /// Who types in a chat.
    pub fn typists(&self, chat: ChatId) -> impl Iterator<Item = UserId> {
        self.lively.typing.iter().filter(move |(typing_in, ..)| *typing_in == chat).map(|(_, user, _)| *user)
    }
}
