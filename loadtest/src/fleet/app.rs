//! An app that keeps all messages on its disk: the client's core, its view, and the pages that fill
//! it, as one state machine. Unlike a chat program it may read its chats *whole* after a `reset`, as
//! one that works offline does: only then can a checker ask it for everything at `synced`.

use volery_client::core::{Core, Effect, Link, Loss, SocketId, Turn};
use volery_client::intent::{Act, Draft};
use volery_client::outbox::Full;
use volery_client::pages::{Pages, Want};
use volery_client::state::State;
use volery_client::view::{Chat, View};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::Shown;
use volery_wire::server::{ChatList, Page, Reply};

/// See the module.
#[derive(Debug)]
pub struct App {
    core: Core,
    view: View,
    pages: Pages,
    resetting: bool,
    whole: bool,
}

impl App {
    /// On a disk that holds nothing. With `whole`, chats are read to their beginning after a `reset`.
    #[must_use]
    pub fn new(user: UserId, device: DeviceId, whole: bool) -> Self {
        let core = Core::new(user, device, &State::default());
        Self { core, view: View::new(user, device), pages: Pages::default(), resetting: false, whole }
    }

    /// The same app, started again with what its disk holds: what was shown is kept there too.
    #[must_use]
    pub(super) fn again(&self, disk: &State) -> Self {
        let core = Core::new(self.core.user(), self.core.device(), disk);
        Self { core, view: self.view.clone(), pages: Pages::default(), resetting: false, whole: self.whole }
    }

    /// What is shown.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The connection: link and outbox.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// When `tick` has something to do next.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let live = matches!(self.core.link(), Link::Syncing | Link::Synced);
        let pages = self.pages.due().filter(|_| live);
        self.core.wake_at().into_iter().chain(pages).min()
    }

    /// Any input of the core that is no frame, no loss and no intent.
    pub(super) fn input(&mut self, turn: &mut Turn, input: impl FnOnce(&mut Core, &mut Turn)) {
        input(&mut self.core, turn);
        self.after(turn);
    }

    /// A socket is gone, as [`Core::lost`] takes it.
    pub(super) fn lost(&mut self, socket: SocketId, loss: Loss, turn: &mut Turn) {
        self.core.lost(socket, loss, turn);
        self.after(turn);
    }

    /// A frame, as [`Core::frame`] takes it.
    pub(super) fn frame(&mut self, socket: SocketId, n: u64, bytes: usize, reply: &Reply<'_>, turn: &mut Turn) {
        if self.core.frame(socket, n, bytes, reply, turn) {
            match reply {
                Reply::Page(page) => match self.pages.answered(n) {
                    Some(Want::Newest(_)) => self.page(page, None),
                    Some(Want::Before(_, id)) => self.page(page, Some(id)),
                    Some(Want::Further(_, before, _)) => self.page(page, before),
                    Some(Want::Chats(_)) | None => {}
                },
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
        if self.pages.answered(request).is_none() {
            return;
        }
        self.view.list(list);
        if let Some(next) = list.next.clone().filter(|_| self.whole) {
            self.pages.want(Want::Chats(Some(next)));
        }
        if self.whole {
            list.chats.iter().for_each(|chat| self.pages.want(Want::Newest(chat.chat)));
        }
    }

    /// The user says something to somebody; `at` by the wall clock.
    ///
    /// # Errors
    /// [`Full`] if too much waits already.
    pub(super) fn say(&mut self, to: UserId, text: String, at: Timestamp, turn: &mut Turn) -> Result<(), Full> {
        let chat = self.view.chat(ChatId::direct(self.view.me(), to));
        let shown = chat.map(Chat::read).filter(|read| read.source.0 > 0);
        let act = Act::Say { text, reply_to: None };
        self.core.intend(Draft { to, act, at, shown }, turn)?;
        self.after(turn);
        Ok(())
    }

    /// Somebody looks at a chat: its newest page is read, if no page of it was.
    pub(super) fn open(&mut self, chat: ChatId, turn: &mut Turn) {
        if self.view.chat(chat).is_none_or(|chat| chat.timeline.complete_from().is_none()) {
            self.pages.want(Want::Newest(chat));
            self.after(turn);
        }
    }

    /// Somebody scrolls up.
    pub(super) fn older(&mut self, chat: ChatId, turn: &mut Turn) {
        self.want_older(chat);
        self.after(turn);
    }

    fn want_older(&mut self, chat: ChatId) {
        let timeline = self.view.chat(chat).map(|chat| &chat.timeline);
        if let Some(from) = timeline.and_then(|held| held.complete_from().filter(|_| !held.has_all())) {
            self.pages.want(Want::Before(chat, from));
        }
    }

    /// The user has seen these messages of a chat.
    pub(super) fn read(&mut self, chat: ChatId, shown: Shown, turn: &mut Turn) {
        if self.view.chat(chat).is_some_and(|held| shown.source > held.read().source) {
            self.view.chat_mut(chat).has_read(shown);
            self.core.read(chat, shown, turn);
            self.after(turn);
        }
    }

    /// Lets go of old lines that pages hold.
    pub(super) fn trim(&mut self) {
        self.view.trim(None);
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
            self.view.reset();
            self.pages.clear();
            self.resetting = true;
            self.pages.want(Want::Chats(None));
        }
        self.pages.ask(turn.now, |message| self.core.ask(message, turn));
        if self.resetting && self.pages.is_idle() {
            self.resetting = false;
            self.core.pages_read(turn);
        }
    }
}
