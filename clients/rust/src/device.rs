//! A device with a user in front of it: the connection, the view and the pages that fill it, as one
//! state machine. Inputs and effects are the core's; what is shown is read from [`Device::view`].
//!
//! The view lives in memory: a device that begins anew has no position, is told `reset`, and reads
//! the chat list and the pages that somebody looks at. Pages are read after the reset and so hold
//! everything up to its position: reading the others only when they are opened loses nothing.
//! An app that keeps its view beside its state goes on from both ([`Device::keeping`]); one that is to work
//! offline reads its chats *whole* after a `reset`.

use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::Shown;
use volery_wire::server::{ChatList, Page, Reply};

use crate::core::{Core, Effect, Link, Loss, SocketId, Turn};
use crate::intent::{Act, Draft, Local};
use crate::outbox::Full;
use crate::pages::{Pages, Want};
use crate::state::State;
use crate::view::View;

/// Chats of the list that are read at once after a reset.
const CHATS_MOST: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Device {
    core: Core,
    view: View,
    pages: Pages,
    open: Option<ChatId>,
    resetting: bool,
    whole: bool,
}

impl Device {
    /// A device that goes on from what was stored. Its view is empty, so the stored position is
    /// of no use to it.
    #[must_use]
    pub fn new(user: UserId, device: DeviceId, mut state: State) -> Self {
        state.position = None;
        Self::keeping(device, View::new(user, device), &state, false)
    }

    /// A device that goes on from what was stored and from the view that was kept beside it. With `whole`, chats
    /// are read to their beginning after a `reset`, and nothing of them is let go.
    #[must_use]
    pub fn keeping(device: DeviceId, view: View, state: &State, whole: bool) -> Self {
        let core = Core::new(view.me(), device, state);
        Self { core, view, pages: Pages::default(), open: None, resetting: false, whole }
    }

    /// What is shown.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The connection, for what only it knows: link and outbox.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The chat that somebody looks at.
    #[must_use]
    pub fn opened(&self) -> Option<ChatId> {
        self.open
    }

    /// Whether older messages of the open chat are on their way.
    #[must_use]
    pub fn is_reading(&self, chat: ChatId) -> bool {
        self.pages.is_reading(chat)
    }

    /// Any input of the core that is no frame, no loss and no intent: `start`, `tick`, `token` and the like.
    pub fn input(&mut self, turn: &mut Turn, input: impl FnOnce(&mut Core, &mut Turn)) {
        input(&mut self.core, turn);
        self.after(turn);
    }

    /// A frame, as [`Core::frame`] takes it.
    pub fn frame(&mut self, socket: SocketId, n: u64, bytes: usize, reply: &Reply<'_>, turn: &mut Turn) {
        if self.core.frame(socket, n, bytes, reply, turn) {
            match reply {
                Reply::Page(page) => match self.pages.answered(n) {
                    Some(Want::Newest(_)) => self.page(page, None),
                    Some(Want::Before(_, id)) => self.page(page, Some(id)),
                    Some(Want::Further(_, before, _)) => self.page(page, before),
                    Some(Want::Chats(_)) | None => {}
                },
                Reply::Message(message) => {
                    self.view.event(reply);
                    // It moved to the front of the list while the list was read.
                    if !self.resetting && !self.view.chat_mut(message.chat).is_listed() {
                        self.pages.want(Want::Chats(None));
                    }
                }
                Reply::ChatList(list) => self.list(n, list),
                Reply::Error(error) => self.pages.refused(n, error.retryable, turn.now),
                event => self.view.event(event),
            }
        }
        self.after(turn);
    }

    fn page(&mut self, page: &Page<'_>, before: Option<Id>) {
        self.view.page(page, before);
        let Some(older) = page.older.clone() else { return };
        if page.messages.is_empty() {
            self.pages.want(Want::Further(page.chat, before, older));
        } else if self.resetting && self.whole {
            self.want_older(page.chat);
        }
    }

    fn list(&mut self, request: u64, list: &ChatList<'_>) {
        if self.pages.answered(request).is_some() {
            self.view.list(list);
            let more = self.resetting && (self.whole || self.view.chats().len() < CHATS_MOST);
            if let Some(next) = list.next.clone().filter(|_| more) {
                self.pages.want(Want::Chats(Some(next)));
            }
            if self.resetting && self.whole {
                list.chats.iter().for_each(|chat| self.pages.want(Want::Newest(chat.chat)));
            }
        }
    }

    /// A socket is gone, as [`Core::lost`] takes it.
    pub fn lost(&mut self, socket: SocketId, loss: Loss, turn: &mut Turn) {
        self.core.lost(socket, loss, turn);
        self.after(turn);
    }

    /// The user wants something in the direct chat with `to`; `at` by the wall clock.
    ///
    /// # Errors
    /// [`Full`] if too much waits already.
    pub fn intend(&mut self, to: UserId, act: Act, at: Timestamp, turn: &mut Turn) -> Result<Local, Full> {
        let chat = self.view.chat(ChatId::direct(self.view.me(), to));
        let shown = chat.map(crate::view::Chat::read).filter(|read| read.source.0 > 0);
        let local = self.core.intend(Draft { to, act, at, shown }, turn)?;
        self.after(turn);
        Ok(local)
    }

    /// Somebody looks at a chat from now on, or at none.
    pub fn open(&mut self, chat: Option<ChatId>, turn: &mut Turn) {
        self.open = chat;
        if !self.whole {
            self.view.trim(chat);
        }
        if let Some(chat) = chat {
            self.want_newest(chat);
        }
        self.after(turn);
    }

    fn want_newest(&mut self, chat: ChatId) {
        if self.view.chat_mut(chat).timeline.complete_from().is_none() {
            self.pages.want(Want::Newest(chat));
        }
    }

    /// Somebody has come to the oldest message that is held. False if there is nothing older.
    pub fn older(&mut self, chat: ChatId, turn: &mut Turn) -> bool {
        let wanted = self.want_older(chat);
        self.after(turn);
        wanted
    }

    fn want_older(&mut self, chat: ChatId) -> bool {
        let timeline = &self.view.chat_mut(chat).timeline;
        match timeline.complete_from() {
            Some(_) if timeline.has_all() => return false,
            Some(from) => self.pages.want(Want::Before(chat, from)),
            None => self.pages.want(Want::Newest(chat)),
        }
        true
    }

    /// The user has seen these messages of a chat: `shown` as [`crate::view::Chat::shown`] gives it.
    pub fn read(&mut self, chat: ChatId, shown: Shown, turn: &mut Turn) {
        if self.view.chat(chat).is_some_and(|held| shown.source > held.read().source) {
            self.view.chat_mut(chat).has_read(shown);
            self.core.read(chat, shown, turn);
            self.after(turn);
        }
    }

    /// When `tick` has something to do next.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let live = matches!(self.core.link(), Link::Syncing | Link::Synced);
        let pages = self.pages.due().filter(|_| live);
        self.core.wake_at().into_iter().chain(pages).min()
    }

    /// What follows from what the core has just decided.
    fn after(&mut self, turn: &mut Turn) {
        let mut was_reset = false;
        for effect in &turn.effects {
            match effect {
                Effect::Ended(ended) => self.view.ended(ended),
                Effect::Reset => was_reset = true,
                Effect::Link(Link::Waiting(_) | Link::Down(_)) => {
                    self.pages.lost();
                    self.resetting = false;
                }
                _ => {}
            }
        }
        if was_reset {
            self.reset();
        }
        self.pages.ask(turn.now, |message| self.core.ask(message, turn));
        if self.resetting && self.pages.is_idle() {
            self.resetting = false;
            self.core.pages_read(turn);
        }
    }

    fn reset(&mut self) {
        self.view.reset();
        self.pages.clear();
        self.resetting = true;
        self.pages.want(Want::Chats(None));
        if let Some(chat) = self.open {
            self.want_newest(chat);
        }
    }
}
