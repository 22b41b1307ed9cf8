//! The state of the screen and what keys do to it. It owns the client: keys become calls of it.

mod choosing;

use std::collections::HashMap;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use volery_client::intent::Act;
use volery_client::outbox::{Item, Phase};
use volery_client::shell::{ApiError, Client, Person};
use volery_client::store::StoreError;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};

use crate::editor::Editor;
use crate::finder::Finder;
use crate::scroll::Scroll;
use crate::transcript::{Row, RowKey, Scene, rows};
use crate::unread::{self, Seen};

/// Emoji of the keys 1 to 6.
pub(crate) const QUICK: [&str; 6] = ["👍", "❤️", "😂", "😮", "😢", "🎉"];
/// Older messages are asked for when so few rows are left above.
const AHEAD_ROWS: usize = 30;

/// What keys do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They write.
    Write,
    /// They choose a message and what to do with it.
    Choose(RowKey),
    /// They write a reaction to a message.
    React(Id),
    /// They find somebody to write to.
    Find,
    /// Any of them closes the help.
    Help,
}

/// What the text in the editor will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Say,
    Reply(Id),
    Edit(Id),
}

/// See the module.
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) chat: Option<ChatId>,
    pub(crate) mode: Mode,
    pub(crate) purpose: Purpose,
    pub(crate) editor: Editor,
    pub(crate) finder: Finder,
    pub(crate) note: Option<String>,
    pub(crate) scroll: Scroll,
    pub(crate) quit: bool,
    drafts: HashMap<ChatId, String>,
    divider: Option<Id>,
    /// The chat was opened and its unread messages are not placed yet.
    opening: bool,
    seen: Seen,
    focused: bool,
    /// Rows and height as they were drawn last.
    screen: (Vec<Row>, usize),
    found: mpsc::Sender<(String, Result<Vec<Person>, ApiError>)>,
}

type Done = Result<(), StoreError>;

impl App {
    pub(crate) fn new(client: Client, found: mpsc::Sender<(String, Result<Vec<Person>, ApiError>)>) -> Self {
        Self {
            client,
            chat: None,
            mode: Mode::Write,
            purpose: Purpose::Say,
            editor: Editor::default(),
            finder: Finder::default(),
            note: None,
            scroll: Scroll::End,
            quit: false,
            drafts: HashMap::new(),
            divider: None,
            opening: false,
            seen: Seen::default(),
            focused: true,
            screen: (Vec::new(), 0),
            found,
        }
    }

    /// How somebody is called here.
    pub(crate) fn name(&self, user: UserId) -> String {
        if user == self.client.device().view().me() {
            return "you".to_owned();
        }
        self.client.person(user).map_or_else(|| "…".to_owned(), |person| person.display_name.clone())
    }

    /// How a chat is called here.
    pub(crate) fn title(&self, chat: ChatId) -> String {
        let me = self.client.device().view().me();
        let peer = chat.peer_of(me).unwrap_or(me);
        if peer == me { "Notes to myself".to_owned() } else { self.name(peer) }
    }

    // ----- what is on the screen -----

    /// The rows of the open chat, and which is the first on a screen of this size. Remembers them
    /// for keys, and takes what is on the screen as seen.
    pub(crate) fn lay_out(&mut self, width: usize, height: usize) -> (&[Row], usize) {
        self.screen = (self.rows(width), height);
        self.place_unread();
        let start = self.scroll.start(&self.screen.0, height);
        if self.focused && !self.opening {
            let shown = self.screen.0.iter().skip(start).take(height).filter(|row| row.last);
            self.seen.show(shown.filter_map(|row| match row.key {
                RowKey::Message(id) => Some(id),
                _ => None,
            }));
        }
        (&self.screen.0, start)
    }

    fn rows(&self, width: usize) -> Vec<Row> {
        let device = self.client.device();
        let Some((id, chat)) = self.chat.and_then(|id| device.view().chat(id).map(|chat| (id, chat))) else {
            return Vec::new();
        };
        let outbox: Vec<&Item> = device.core().outbox().items().filter(|item| item.intent.to == chat.peer()).collect();
        rows(&Scene {
            chat,
            outbox: &outbox,
            name: &|user| self.name(user),
            now: Client::wall(),
            divider: self.divider,
            selected: match self.mode {
                Mode::Choose(key) => Some(key),
                Mode::React(id) => Some(RowKey::Message(id)),
                _ => None,
            },
            reading: device.is_reading(id),
            width,
        })
    }

    /// Once the unread of a chat that was opened are here, the screen begins with them.
    fn place_unread(&mut self) {
        let chat = self.chat.and_then(|id| self.client.device().view().chat(id));
        let Some(chat) = chat.filter(|chat| self.opening && unread::reaches_back(chat)) else { return };
        self.opening = false;
        self.divider = unread::first(chat);
        let width = self.screen.0.first().map_or(80, |row| row.line.width());
        self.screen.0 = self.rows(width);
        if self.divider.is_some() {
            self.scroll = Scroll::Top(RowKey::Unread, 0);
        }
    }

    /// After drawing: marks what was seen, asks for what comes next.
    pub(crate) fn after_drawing(&mut self) -> Done {
        self.watch()?;
        let Some(id) = self.chat else { return Ok(()) };
        let Some(chat) = self.client.device().view().chat(id) else { return Ok(()) };
        let mark = self.seen.mark(chat);
        let start = self.scroll.start(&self.screen.0, self.screen.1);
        let near_top = start < AHEAD_ROWS && !chat.timeline.has_all();
        let older = (near_top || (self.opening && !unread::reaches_back(chat))) && !self.client.device().is_reading(id);
        if let Some(shown) = mark {
            self.client.read(id, shown)?;
        }
        if older {
            self.client.older(id)?;
        }
        Ok(())
    }

    /// Watches those whose chats are listed; the open one goes first, if there are too many.
    fn watch(&mut self) -> Done {
        let (open, view) = (self.chat, self.client.device().view());
        let listed = view.chats().into_iter().map(|chat| chat.id());
        let peers = open.into_iter().chain(listed).filter_map(|chat| chat.peer_of(view.me()));
        let peers: Vec<UserId> = peers.filter(|peer| *peer != view.me()).collect();
        self.client.watch(peers)
    }

    /// Whether the other side of a chat is there.
    pub(crate) fn is_online(&self, chat: ChatId) -> bool {
        let device = self.client.device();
        let peer = chat.peer_of(device.view().me());
        peer.and_then(|peer| device.core().presence(peer)).is_some_and(|present| present.online)
    }

    /// Who types in the open chat, for people.
    pub(crate) fn typing(&self) -> Option<String> {
        let typist = self.client.device().core().typists(self.chat?).next()?;
        Some(format!("{} is typing…", self.name(typist)))
    }

    // ----- chats -----

    pub(crate) fn open(&mut self, chat: ChatId) -> Done {
        if self.chat != Some(chat) {
            let typed = self.editor.take();
            // What was typed before any chat was open is for the first that is.
            let text = match self.chat {
                Some(before) => {
                    self.drafts.insert(before, typed);
                    self.drafts.remove(&chat).unwrap_or_default()
                }
                None => typed,
            };
            self.editor.set(&text);
            (self.purpose, self.scroll, self.divider) = (Purpose::Say, Scroll::End, None);
            (self.opening, self.seen) = (true, Seen::default());
            self.chat = Some(chat);
        }
        self.mode = Mode::Write;
        self.client.open_chat(Some(chat))
    }

    fn step_chat(&mut self, by: isize) -> Done {
        let chats: Vec<ChatId> = self.client.device().view().chats().iter().map(|chat| chat.id()).collect();
        let at = self.chat.and_then(|open| chats.iter().position(|chat| *chat == open));
        let to = at.map_or(0, |at| at.saturating_add_signed(by).min(chats.len().saturating_sub(1)));
        chats.get(to).map_or(Ok(()), |chat| self.open(*chat))
    }

    /// Somebody was found.
    pub(crate) fn found(&mut self, part: &str, found: Result<Vec<Person>, ApiError>) {
        self.finder.found(part, found);
    }

    fn search(&mut self) {
        if let Some(part) = self.finder.asks() {
            let ((api, token), found) = (self.client.api(), self.found.clone());
            tokio::spawn(async move {
                let people = api.find(&part, &token).await;
                // A screen that is gone does not want to know.
                let _ = found.send((part, people)).await;
            });
        }
    }

    // ----- events -----

    pub(crate) fn event(&mut self, event: &Event) -> Done {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key),
            Event::Paste(text) => {
                self.paste(text);
                Ok(())
            }
            Event::FocusGained => {
                self.focused = true;
                Ok(())
            }
            Event::FocusLost => {
                self.focused = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn paste(&mut self, text: &str) {
        match self.mode {
            Mode::Find => {
                self.finder.editor.insert(text.lines().next().unwrap_or_default());
                self.search();
            }
            Mode::Write if !self.editor.insert(text) => {
                self.note = Some("too long: a message has at most 8 KiB".to_owned());
            }
            _ => {}
        }
    }

    fn key(&mut self, key: KeyEvent) -> Done {
        self.note = None;
        let (control, alt) = (key.modifiers.contains(KeyModifiers::CONTROL), key.modifiers.contains(KeyModifiers::ALT));
        match (key.code, control) {
            (KeyCode::Char('c' | 'q'), true) => {
                self.quit = true;
                return Ok(());
            }
            (KeyCode::Char('f' | 'k'), true) => {
                (self.mode, self.finder) = (Mode::Find, Finder::default());
                return Ok(());
            }
            (KeyCode::Char('r'), true) => return self.client.reconnect().map(|_| ()),
            (KeyCode::Char('n'), true) => return self.step_chat(1),
            (KeyCode::Char('p'), true) => return self.step_chat(-1),
            (KeyCode::Tab, _) => return self.step_chat(1),
            (KeyCode::BackTab, _) => return self.step_chat(-1),
            (KeyCode::Down, _) if alt => return self.step_chat(1),
            (KeyCode::Up, _) if alt => return self.step_chat(-1),
            (KeyCode::F(1), _) => {
                self.mode = Mode::Help;
                return Ok(());
            }
            (KeyCode::PageUp, _) => return self.scroll(-self.page()),
            (KeyCode::PageDown, _) => return self.scroll(self.page()),
            _ => {}
        }
        match self.mode {
            Mode::Write => {
                let before = self.editor.text().len();
                self.write(key, control, alt)?;
                self.say_typing(before)
            }
            Mode::Choose(at) => self.choose(key, at),
            Mode::React(id) => self.react(key, id),
            Mode::Find => self.find(key),
            Mode::Help => {
                self.mode = Mode::Write;
                Ok(())
            }
        }
    }

    /// Others see that a message becomes longer; what it will be is nobody's business.
    fn say_typing(&mut self, before: usize) -> Done {
        let me = self.client.device().view().me();
        let peer = self.chat.filter(|_| self.editor.text().len() > before).and_then(|chat| chat.peer_of(me));
        peer.map_or(Ok(()), |peer| self.client.typing(peer))
    }

    fn page(&self) -> isize {
        isize::try_from(self.screen.1.saturating_sub(2)).unwrap_or(1)
    }

    fn scroll(&mut self, by: isize) -> Done {
        self.opening = false;
        self.scroll = self.scroll.moved(&self.screen.0, self.screen.1, by);
        Ok(())
    }

    fn write(&mut self, key: KeyEvent, control: bool, alt: bool) -> Done {
        match (key.code, control) {
            (KeyCode::Enter, _) if alt || key.modifiers.contains(KeyModifiers::SHIFT) => self.paste("\n"),
            (KeyCode::Char('j'), true) => self.paste("\n"),
            (KeyCode::Enter, _) => return self.submit(),
            (KeyCode::Char('w'), true) => self.editor.delete_word(),
            (KeyCode::Char('a'), true) | (KeyCode::Home, _) => self.editor.home(),
            (KeyCode::Char('e'), true) => self.editor.end(),
            (KeyCode::End, _) if self.editor.is_empty() => self.go_to_end(),
            (KeyCode::End, _) => self.editor.end(),
            (KeyCode::Char('?'), false) if self.editor.is_empty() => self.mode = Mode::Help,
            (KeyCode::Char(c), false) => self.paste(c.encode_utf8(&mut [0; 4])),
            (KeyCode::Backspace, _) if alt => self.editor.delete_word(),
            (KeyCode::Backspace, _) => self.editor.backspace(),
            (KeyCode::Delete, _) => self.editor.delete(),
            (KeyCode::Left, _) => self.editor.left(),
            (KeyCode::Right, _) => self.editor.right(),
            (KeyCode::Down, _) => drop(self.editor.down()),
            (KeyCode::Up, _) if !self.editor.up() && self.editor.is_empty() => self.begin_choosing(),
            (KeyCode::Esc, _) if self.purpose != Purpose::Say => {
                self.purpose = Purpose::Say;
                self.editor.take();
            }
            (KeyCode::Esc, _) => self.begin_choosing(),
            _ => {}
        }
        Ok(())
    }

    /// To the newest message; what was passed over counts as read.
    fn go_to_end(&mut self) {
        (self.scroll, self.opening) = (Scroll::End, false);
        if let Some(chat) = self.chat.and_then(|id| self.client.device().view().chat(id)) {
            self.seen.show(chat.timeline.lines().map(|line| line.id));
        }
    }

    fn submit(&mut self) -> Done {
        let Some(chat) = self.chat else {
            self.note = Some("Tab opens the newest chat, Ctrl-F finds somebody to write to".to_owned());
            return Ok(());
        };
        if self.editor.text().trim().is_empty() {
            return Ok(());
        }
        let text = self.editor.text().to_owned();
        let act = match self.purpose {
            Purpose::Say => Act::Say { text, reply_to: None },
            Purpose::Reply(id) => Act::Say { text, reply_to: Some(id) },
            Purpose::Edit(id) => Act::Edit { id, text },
        };
        if self.intend(chat, act)? {
            self.editor.take();
            if !matches!(self.purpose, Purpose::Edit(_)) {
                (self.scroll, self.divider) = (Scroll::End, None);
            }
            self.purpose = Purpose::Say;
        }
        Ok(())
    }

    fn intend(&mut self, chat: ChatId, act: Act) -> Result<bool, StoreError> {
        let me = self.client.device().view().me();
        let taken = self.client.intend(chat.peer_of(me).unwrap_or(me), act)?;
        if let Err(full) = &taken {
            self.note = Some(full.to_string());
        }
        Ok(taken.is_ok())
    }

    // ----- finding people -----

    fn find(&mut self, key: KeyEvent) -> Done {
        match key.code {
            KeyCode::Esc => self.mode = Mode::Write,
            KeyCode::Up => self.finder.step(-1),
            KeyCode::Down => self.finder.step(1),
            KeyCode::Enter => {
                if let Some(person) = self.finder.chosen().cloned() {
                    let chat = ChatId::direct(self.client.device().view().me(), person.id);
                    self.client.know(person);
                    return self.open(chat);
                }
            }
            KeyCode::Backspace => {
                self.finder.editor.backspace();
                self.search();
            }
            KeyCode::Char(c) => {
                self.finder.editor.insert(c.encode_utf8(&mut [0; 4]));
                self.search();
            }
            _ => {}
        }
        Ok(())
    }
}
