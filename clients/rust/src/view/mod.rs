//! What a user sees: chats, their messages, marks and unread counts, made of the frames of the
//! stream, of pages and of the ends of one's own intents. Held in memory, bounded by what is shown.

mod chat;
mod line;
mod timeline;

use std::borrow::Cow;
use std::collections::HashMap;

use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::position::Source;
use volery_wire::server::{Changed, ChatList, Key, Message, Page, Reply};

use crate::intent::Act;
use crate::outbox::{Ended, Taken};
pub use chat::{Chat, Status};
pub use line::Line;
pub use timeline::Timeline;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    me: UserId,
    device: DeviceId,
    chats: HashMap<ChatId, Chat>,
}

impl View {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(me: UserId, device: DeviceId) -> Self {
        Self { me, device, chats: HashMap::new() }
    }

    /// Whose view it is.
    #[must_use]
    pub fn me(&self) -> UserId {
        self.me
    }

    /// A chat, if anything of it is known.
    #[must_use]
    pub fn chat(&self, id: ChatId) -> Option<&Chat> {
        self.chats.get(&id)
    }

    /// The chats, newest first.
    #[must_use]
    pub fn chats(&self) -> Vec<&Chat> {
        let mut chats: Vec<_> = self.chats.values().collect();
        chats.sort_by_key(|chat| (std::cmp::Reverse(chat.newest()), chat.id()));
        chats
    }

    /// The chat, made if need be: a conversation that begins.
    pub fn chat_mut(&mut self, id: ChatId) -> &mut Chat {
        self.chats.entry(id).or_insert_with(|| Chat::new(id, self.me))
    }

    /// Everything is void.
    pub fn reset(&mut self) {
        self.chats.clear();
    }

    /// An event of the stream; anything else changes nothing.
    pub fn event(&mut self, reply: &Reply<'_>) {
        match reply {
            Reply::Message(message) => self.chat_mut(message.chat).message(message),
            Reply::Changed(changed) => self.changed(own(changed)),
            Reply::Marked(marked) => self.chat_mut(marked.chat).marked(marked),
            _ => {}
        }
    }

    fn changed(&mut self, changed: Changed<'static>) {
        self.chat_mut(changed.chat).timeline.changed(changed);
    }

    /// A page that was asked for before `before`, or the newest one.
    pub fn page(&mut self, page: &Page<'_>, before: Option<Id>) {
        let chat = self.chat_mut(page.chat);
        page.messages.iter().for_each(|message| chat.message(message));
        chat.timeline.paged(page, before);
    }

    /// A page of the chat list.
    pub fn list(&mut self, list: &ChatList<'_>) {
        for chat in &list.chats {
            self.chat_mut(chat.chat).listed(chat);
        }
    }

    /// An intent came to its end: what was wanted is there now.
    pub fn ended(&mut self, ended: &Ended) {
        let Ok(taken) = ended.outcome else { return };
        let chat = ChatId::direct(self.me, ended.intent.to);
        let own = |text: &str| Some(Cow::Owned(text.to_owned()));
        let changed = match &ended.intent.act {
            Act::Say { text, reply_to } => return self.said(chat, text, *reply_to, ended, taken),
            Act::Edit { id, text } => Changed { text: own(text), ..self.change(chat, *id, taken) },
            Act::Delete { id } => Changed { deleted: true, ..self.change(chat, *id, taken) },
            Act::React { id, emoji } => Changed { emoji: own(emoji), ..self.change(chat, *id, taken) },
            Act::Unreact { id } => Changed { emoji: own(""), ..self.change(chat, *id, taken) },
        };
        self.changed(changed);
    }

    fn said(&mut self, chat: ChatId, text: &str, reply_to: Option<Id>, ended: &Ended, taken: Taken) {
        let key = ended.key.map(|(session, number)| Key { device: self.device, session, number });
        let message = Message {
            chat,
            id: taken.id,
            from: self.me,
            source: taken.source.unwrap_or(Source::ZERO),
            text: Cow::Borrowed(text),
            reply_to,
            key,
            shown: None,
            edited: None,
            deleted: None,
            reactions: Vec::new(),
            position: None,
        };
        self.chat_mut(chat).message(&message);
    }

    fn change(&self, chat: ChatId, id: Id, taken: Taken) -> Changed<'static> {
        let (change, by) = (taken.id, self.me);
        Changed { chat, id, change, by, text: None, deleted: false, emoji: None, key: None, position: None }
    }

    /// Lets go of what nobody looks at.
    pub fn trim(&mut self, open: Option<ChatId>) {
        for (id, chat) in &mut self.chats {
            chat.timeline.trim(Some(*id) != open);
        }
    }
}

fn own(changed: &Changed<'_>) -> Changed<'static> {
    let own = |text: &Option<Cow<'_, str>>| text.as_ref().map(|text| Cow::Owned(text.clone().into_owned()));
    Changed { text: own(&changed.text), emoji: own(&changed.emoji), position: None, ..*changed }
}
