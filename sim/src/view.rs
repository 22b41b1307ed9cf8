//! What one device's user sees: messages by id, changes beside them, marks. Fed by nothing but the
//! frames that the device was sent and by its own sends that were confirmed.

use std::collections::{BTreeMap, BTreeSet};

use volery_client::intent::Act;
use volery_client::outbox::Ended;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Content, Send};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_wire::client::Shown;
use volery_wire::server::{Changed, Chat, MarkKind, Marked, Message};

/// A message as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who sent it.
    pub from: UserId,
    /// What it says by now; empty if it was deleted.
    pub text: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Each user's newest reaction, and the change that made it; empty once it is taken back.
    pub reactions: BTreeMap<UserId, (Id, String)>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    message: Option<(UserId, String)>,
    /// Newest change by actor: whether they may is decided when it is shown.
    edited: BTreeMap<UserId, (Id, String)>,
    deleted: BTreeSet<UserId>,
    reactions: BTreeMap<UserId, (Id, String)>,
}

/// Marks of a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The user's own.
    pub read: Source,
    /// What the other side holds.
    pub peer_delivered: Source,
    /// What the other side has read.
    pub peer_read: Source,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct View {
    user: UserId,
    chats: BTreeMap<ChatId, BTreeMap<Id, Held>>,
    marks: BTreeMap<ChatId, Marks>,
    incoming: BTreeMap<ChatId, (Source, Id)>,
    /// Everything that was ever shown, also before a reset.
    pub shown: BTreeSet<Id>,
}

impl View {
    /// Nothing yet.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        let (chats, marks, incoming) = Default::default();
        Self { user, chats, marks, incoming, shown: BTreeSet::new() }
    }

    /// Whose.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// A reset: everything is read anew.
    pub fn clear(&mut self) {
        (self.chats, self.marks, self.incoming) = Default::default();
    }

    /// A message, live, from the index or a page: whole, with the changes that made it.
    pub fn message(&mut self, message: &Message<'_>) {
        self.shown.insert(message.id);
        let held = self.chats.entry(message.chat).or_default().entry(message.id).or_default();
        match (message.edited, message.deleted) {
            (_, Some(_)) => {
                held.message.get_or_insert((message.from, String::new()));
                held.deleted.insert(message.from);
            }
            (Some(edit), None) => {
                held.message.get_or_insert((message.from, String::new()));
                newer(held.edited.entry(message.from).or_default(), edit, &message.text);
            }
            (None, None) => {
                held.message.get_or_insert((message.from, message.text.to_string()));
            }
        }
        for reaction in &message.reactions {
            newer(held.reactions.entry(reaction.by).or_default(), reaction.change, &reaction.emoji);
        }
        if message.from != self.user {
            let newest = self.incoming.entry(message.chat).or_default();
            *newest = (newest.0.max(message.source), newest.1.max(message.id));
        }
        if let Some(shown) = message.shown {
            let kind = MarkKind::Read;
            self.mark(message.chat, message.from, kind, shown.source);
        }
    }

    /// A change of a message.
    pub fn changed(&mut self, changed: &Changed<'_>) {
        let held = self.chats.entry(changed.chat).or_default().entry(changed.id).or_default();
        if let Some(text) = &changed.text {
            newer(held.edited.entry(changed.by).or_default(), changed.change, text);
        }
        if changed.deleted {
            held.deleted.insert(changed.by);
        }
        if let Some(emoji) = &changed.emoji {
            newer(held.reactions.entry(changed.by).or_default(), changed.change, emoji);
        }
    }

    /// A mark moved.
    pub fn marked(&mut self, marked: &Marked) {
        self.mark(marked.chat, marked.reader, marked.kind, marked.source);
    }

    fn mark(&mut self, chat: ChatId, reader: UserId, kind: MarkKind, source: Source) {
        let marks = self.marks.entry(chat).or_default();
        let raise = |mark: &mut Source| *mark = source.max(*mark);
        match (reader == self.user, kind) {
            (true, MarkKind::Read) => raise(&mut marks.read),
            (true, MarkKind::Delivered) => {}
            (false, MarkKind::Delivered) => raise(&mut marks.peer_delivered),
            (false, MarkKind::Read) => {
                raise(&mut marks.peer_delivered);
                raise(&mut marks.peer_read);
            }
        }
    }

    /// A line of the chat list.
    pub fn listed(&mut self, chat: &Chat<'_>) {
        let peer = chat.chat.peer_of(self.user).filter(|peer| *peer != self.user);
        self.mark(chat.chat, self.user, MarkKind::Read, chat.read.source);
        if let Some(peer) = peer {
            self.mark(chat.chat, peer, MarkKind::Delivered, chat.peer_delivered.source);
            self.mark(chat.chat, peer, MarkKind::Read, chat.peer_read.source);
        }
    }

    /// A send of this device was confirmed.
    pub fn ended(&mut self, ended: &Ended) {
        let Ok(taken) = &ended.outcome else { return };
        let chat = ChatId::direct(self.user, ended.intent.to);
        let target = match &ended.intent.act {
            Act::Say { .. } => taken.id,
            Act::Edit { id, .. } | Act::Delete { id } | Act::React { id, .. } | Act::Unreact { id } => *id,
        };
        let held = self.chats.entry(chat).or_default().entry(target).or_default();
        match &ended.intent.act {
            Act::Say { text, .. } => {
                self.shown.insert(taken.id);
                held.message.get_or_insert((self.user, text.clone()));
            }
            Act::Edit { text, .. } => newer(held.edited.entry(self.user).or_default(), taken.id, text),
            Act::Delete { .. } => {
                held.deleted.insert(self.user);
            }
            Act::React { emoji, .. } => newer(held.reactions.entry(self.user).or_default(), taken.id, emoji),
            Act::Unreact { .. } => newer(held.reactions.entry(self.user).or_default(), taken.id, ""),
        }
    }

    /// How far a chat was shown: what a read mark says now.
    #[must_use]
    pub fn shown_of(&self, chat: ChatId) -> Option<Shown> {
        self.incoming.get(&chat).map(|&(source, id)| Shown { source, id })
    }

    /// The marks of a chat.
    #[must_use]
    pub fn marks_of(&self, chat: ChatId) -> Marks {
        self.marks.get(&chat).copied().unwrap_or_default()
    }

    /// Whether a message is held now.
    #[must_use]
    pub fn holds(&self, chat: ChatId, id: Id) -> bool {
        self.chats.get(&chat).and_then(|chat| chat.get(&id)).is_some_and(|held| held.message.is_some())
    }

    /// Whether a change is worked in, or a later one of its kind. An edit or a deletion is asked for only where the
    /// message is held and its actor's: a row from the index does not show a forged one.
    #[must_use]
    pub fn holds_change(&self, send: &Send) -> bool {
        let held = send.content.target().and_then(|target| self.chats.get(&send.chat())?.get(&target));
        let from = held.and_then(|held| held.message.as_ref()).map(|(from, _)| *from);
        let is_gone = held.zip(from).is_some_and(|(held, from)| held.deleted.contains(&from));
        let newest = |of: fn(&Held) -> &BTreeMap<UserId, (Id, String)>| {
            held.and_then(|held| of(held).get(&send.sender)).is_some_and(|(id, _)| *id >= send.id)
        };
        let counts = from == Some(send.sender);
        is_gone
            || match send.content {
                Content::Message { .. } => false,
                Content::Edit { .. } => !counts || newest(|held| &held.edited),
                Content::Delete { .. } => !counts,
                Content::React { .. } => newest(|held| &held.reactions),
            }
    }

    /// Everything as it is shown, by id.
    #[must_use]
    pub fn all(&self) -> BTreeMap<(ChatId, Id), Seen> {
        let held = self.chats.iter().flat_map(|(chat, held)| held.iter().map(move |(id, held)| ((*chat, *id), held)));
        held.filter_map(|(at, held)| Some((at, seen(held)?))).collect()
    }

    /// Chats with something in them.
    pub fn chats(&self) -> impl Iterator<Item = ChatId> {
        self.chats.keys().copied()
    }

    /// Ids of one's own messages in a chat.
    #[must_use]
    pub fn own(&self, chat: ChatId) -> Vec<Id> {
        self.from(chat, |from| from == self.user)
    }

    /// Ids of the other side's messages in a chat.
    #[must_use]
    pub fn others(&self, chat: ChatId) -> Vec<Id> {
        self.from(chat, |from| from != self.user)
    }

    fn from(&self, chat: ChatId, by: impl Fn(UserId) -> bool) -> Vec<Id> {
        let held = self.chats.get(&chat).into_iter().flatten();
        held.filter(|(_, held)| held.message.as_ref().is_some_and(|(from, _)| by(*from))).map(|(id, _)| *id).collect()
    }
}

fn newer(cell: &mut (Id, String), change: Id, to: &str) {
    if cell.0 < change {
        *cell = (change, to.to_owned());
    }
}

fn seen(held: &Held) -> Option<Seen> {
    let (from, text) = held.message.clone()?;
    if held.deleted.contains(&from) {
        return Some(Seen { from, text: String::new(), deleted: true, reactions: BTreeMap::new() });
    }
    let text = held.edited.get(&from).map_or(text, |(_, text)| text.clone());
    Some(Seen { from, text, deleted: false, reactions: held.reactions.clone() })
}
