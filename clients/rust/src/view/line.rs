//! One message as it is shown, and how versions of it merge.
//!
//! Every part is a register: the text belongs to the largest edit, a user's reaction to the largest
//! change of theirs, the deletion absorbs. So the order in which events come, and how often, changes nothing.
//! Trap avoided: a reaction that was taken back stays as an empty one, or an older page would bring it back.

use std::collections::BTreeMap;

use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_wire::server::{Changed, Key, Message};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its place in the chat.
    pub id: Id,
    /// Who sent it.
    pub from: UserId,
    /// Where it was accepted: what marks are compared with.
    pub source: Source,
    /// What it says; empty if it was deleted.
    pub text: String,
    /// The message that it answers.
    pub reply_to: Option<Id>,
    /// The edit that made this text.
    pub edited: Option<Id>,
    /// The change that took it away.
    pub deleted: Option<Id>,
    /// The name of the send, if it is one's own and was told.
    pub key: Option<Key>,
    /// By user: the change that made it, and what with.
    reactions: BTreeMap<UserId, (Id, String)>,
}

impl Line {
    /// A message that was not held before.
    #[must_use]
    pub fn new(message: &Message<'_>) -> Self {
        let mut line = Self {
            id: message.id,
            from: message.from,
            source: message.source,
            text: message.text.clone().into_owned(),
            reply_to: message.reply_to,
            edited: message.edited,
            deleted: None,
            key: message.key,
            reactions: BTreeMap::new(),
        };
        line.take_deletion(message.deleted);
        line.take_reactions(message);
        line
    }

    /// Another frame of the same message.
    pub fn merge(&mut self, message: &Message<'_>) {
        self.source = self.source.max(message.source);
        self.key = self.key.or(message.key);
        if message.edited > self.edited && self.deleted.is_none() {
            self.text = message.text.clone().into_owned();
        }
        self.edited = self.edited.max(message.edited);
        self.take_deletion(message.deleted);
        self.take_reactions(message);
    }

    /// A change, if its author may make it.
    pub fn change(&mut self, changed: &Changed<'_>) {
        let own = changed.by == self.from;
        if changed.deleted && own {
            self.take_deletion(Some(changed.change));
        }
        if self.deleted.is_some() {
            if changed.text.is_some() && own {
                self.edited = self.edited.max(Some(changed.change));
            }
            return;
        }
        if let Some(text) = changed.text.as_deref().filter(|_| own && Some(changed.change) > self.edited) {
            self.text = text.to_owned();
            self.edited = Some(changed.change);
        }
        if let Some(emoji) = changed.emoji.as_deref() {
            self.react(changed.by, emoji, changed.change);
        }
    }

    /// Who reacted with what, by user.
    pub fn reactions(&self) -> impl Iterator<Item = (UserId, &str)> {
        self.newest_reactions().map(|(by, _, emoji)| (by, emoji)).filter(|(_, emoji)| !emoji.is_empty())
    }

    /// Each user's newest reaction with the change that made it, by user; empty once it is taken back.
    pub fn newest_reactions(&self) -> impl Iterator<Item = (UserId, Id, &str)> {
        self.reactions.iter().map(|(by, (change, emoji))| (*by, *change, emoji.as_str()))
    }

    fn react(&mut self, by: UserId, emoji: &str, change: Id) {
        let known = self.reactions.entry(by).or_default();
        if known.0 < change {
            *known = (change, emoji.to_owned());
        }
    }

    fn take_deletion(&mut self, deleted: Option<Id>) {
        self.deleted = self.deleted.max(deleted);
        if self.deleted.is_some() {
            self.text.clear();
            self.reactions.clear();
        }
    }

    fn take_reactions(&mut self, message: &Message<'_>) {
        if self.deleted.is_none() {
            message.reactions.iter().for_each(|reaction| self.react(reaction.by, &reaction.emoji, reaction.change));
        }
    }
}
