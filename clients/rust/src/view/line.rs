//! One message as it is shown, and how versions of it merge.
//!
//! Every part is a register: the text belongs to the largest edit, the deletion absorbs, reactions
//! are last-writer-wins a user. So the order in which events come, and how often, changes nothing.
//! Trap avoided: frames name reactions without the changes that made them. A reaction whose change
//! is known yields only to a larger change, or to a frame of the stream in a later *era* (after a
//! gap or a new connection), because the change that replaced it may have been folded into that frame.

use std::collections::BTreeMap;

use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_wire::server::{Changed, Key, Message};

/// Counts connections and gaps: within one era every change is told by itself.
pub type Era = u32;

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The stream, which is ahead of what is held.
    Stream(Era),
    /// A page, which may be behind it.
    Page,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Reaction {
    emoji: String,
    change: Option<Id>,
    era: Era,
}

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
    reactions: BTreeMap<UserId, Reaction>,
}

impl Line {
    /// A message that was not held before.
    #[must_use]
    pub fn new(message: &Message<'_>, origin: Origin) -> Self {
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
        line.take_reactions(message, origin);
        line
    }

    /// Another frame of the same message.
    pub fn merge(&mut self, message: &Message<'_>, origin: Origin) {
        self.source = self.source.max(message.source);
        self.key = self.key.or(message.key);
        if message.edited > self.edited && self.deleted.is_none() {
            self.text = message.text.clone().into_owned();
        }
        self.edited = self.edited.max(message.edited);
        self.take_deletion(message.deleted);
        self.take_reactions(message, origin);
    }

    /// A change, if its author may make it.
    pub fn change(&mut self, changed: &Changed<'_>, era: Era) {
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
            self.react(changed.by, emoji, changed.change, era);
        }
    }

    /// Who reacted with what, by user.
    pub fn reactions(&self) -> impl Iterator<Item = (UserId, &str)> {
        let shown = self.reactions.iter().filter(|(_, reaction)| !reaction.emoji.is_empty());
        shown.map(|(by, reaction)| (*by, reaction.emoji.as_str()))
    }

    fn react(&mut self, by: UserId, emoji: &str, change: Id, era: Era) {
        let known = self.reactions.get(&by).and_then(|reaction| reaction.change);
        if known.is_none_or(|known| known < change) {
            self.reactions.insert(by, Reaction { emoji: emoji.to_owned(), change: Some(change), era });
        } else if let Some(same) = self.reactions.get_mut(&by).filter(|_| known == Some(change)) {
            same.era = same.era.max(era);
        }
    }

    fn take_deletion(&mut self, deleted: Option<Id>) {
        self.deleted = self.deleted.max(deleted);
        if self.deleted.is_some() {
            self.text.clear();
            self.reactions.clear();
        }
    }

    fn take_reactions(&mut self, message: &Message<'_>, origin: Origin) {
        if self.deleted.is_some() {
            return;
        }
        self.reactions.retain(|_, reaction| match origin {
            Origin::Page => reaction.change.is_some(),
            Origin::Stream(era) => reaction.change.is_some() && reaction.era == era,
        });
        for reaction in &message.reactions {
            let emoji = reaction.emoji.clone();
            self.reactions.entry(reaction.by).or_insert(Reaction { emoji, change: None, era: 0 });
        }
    }
}
