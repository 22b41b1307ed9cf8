//! A device: the real client core, a disk that may lose what was not synced, and a user who talks
//! and reads.

use std::collections::{BTreeMap, VecDeque};

use volery_client::core::{Core, Down, Effect, Link, Loss, SocketId, Token, Turn};
use volery_client::intent::{Act, Draft};
use volery_client::outbox::Phase;
use volery_client::state::{Change, State};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::{Chats, History, Request, Shown};
use volery_wire::codec::{Encoding, decode_reply, encode_request};
use volery_wire::field::Blob;
use volery_wire::server::{MarkKind, Reply};

use crate::network::{Conn, ConnId};
use crate::story::tell;
use crate::view::View;
use crate::world::{Task, World, user_of};

const FAR: u64 = 10_000_000_000;
/// A device looks for delivered marks that it misses this often.
const NAG_MS: u64 = 4_000;

/// What is asked for after a reset, one after the other.
#[derive(Clone, Debug)]
enum Ask {
    Chats(Option<Blob>),
    Page(ChatId, Option<Blob>),
}

#[derive(Default)]
struct Paging {
    todo: VecDeque<Ask>,
    asked: Option<(u64, Ask)>,
}

/// See the module.
pub(crate) struct Device {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// None while the app is not running.
    pub(crate) core: Option<Core>,
    /// Counts starts of the app.
    life: u64,
    pub(crate) disk: State,
    unsynced: Vec<Change>,
    pub(crate) view: View,
    pub(crate) conn: Option<(ConnId, SocketId)>,
    pub(crate) stalled_until: u64,
    tick_at: Option<u64>,
    paging: Option<Paging>,
    said: u64,
    /// What was confirmed to the device: label of the text → its id.
    pub(crate) confirmed: BTreeMap<String, volery_kernel::id::Id>,
    /// The newest message that this start of the app had shown when a text was wanted, by its word.
    pub(crate) questions: BTreeMap<String, volery_kernel::id::Id>,
}

impl Device {
    pub(crate) fn new(user: UserId, device: DeviceId) -> Self {
        Self {
            user,
            device,
            core: None,
            life: 0,
            disk: State::default(),
            unsynced: Vec::new(),
            view: View::new(user),
            conn: None,
            stalled_until: 0,
            tick_at: None,
            paging: None,
            said: 0,
            confirmed: BTreeMap::new(),
            questions: BTreeMap::new(),
        }
    }

    fn store(&mut self, changes: Vec<Change>) {
        let must = changes.iter().any(|change| change.must_sync() || forgets(change));
        self.unsynced.extend(changes);
        if must {
            self.unsynced.drain(..).for_each(|change| self.disk.apply(change));
        }
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        let calm = |core: &Core| {
            let idle = core.outbox().items().all(|item| matches!(item.phase, Phase::Failed(_)));
            idle && core.link() == Link::Synced
        };
        self.core.as_ref().is_some_and(calm)
    }
}

/// A position that is given up must not come back: the view was emptied with it.
fn forgets(change: &Change) -> bool {
    matches!(change, Change::Progress { position: None, .. })
}

impl World {
    // ----- the app -----

    pub(crate) fn start_device(&mut self, n: usize) {
        if self.devices[n].core.is_none() {
            let device = &mut self.devices[n];
            device.life += 1;
            device.core = Some(Core::new(device.user, device.device, &device.disk));
            tell!(self, [format!("d{n}")], "d{n} starts, with {} intents", self.devices[n].disk.outbox.len());
        }
        self.device(n, |core, turn| core.start(turn));
    }

    /// The app ends; what was not synced may be lost.
    pub(crate) fn restart_device(&mut self, n: usize, ms: u64) {
        if self.devices[n].core.take().is_none() {
            return;
        }
        if let Some((id, _)) = self.devices[n].conn.take() {
            self.cut(id);
        }
        let kept = self.rng.index(self.devices[n].unsynced.len() + 1);
        let device = &mut self.devices[n];
        let changes = std::mem::take(&mut device.unsynced);
        changes.into_iter().take(kept).for_each(|change| device.disk.apply(change));
        (device.tick_at, device.paging) = (None, None);
        self.after(ms, Task::Start(n));
    }

    /// The stored position becomes one of another log; it is noticed at the next `hello`.
    pub(crate) fn garble(&mut self, n: usize) {
        self.restart_device(n, 100);
        if let Some(blob) = &mut self.devices[n].disk.position
            && let Some(last) = blob.0.last_mut()
        {
            *last ^= 0x55;
            self.story.count("position of another log");
        }
    }

    /// Gives a device's core an input and carries out what it wants.
    pub(crate) fn device<T>(&mut self, n: usize, input: impl FnOnce(&mut Core, &mut Turn) -> T) -> Option<T> {
        let mut turn = Turn::new(Timestamp(self.now), self.rng.bits());
        let done = input(self.devices[n].core.as_mut()?, &mut turn);
        for effect in turn.effects {
            self.device_effect(n, effect);
        }
        self.plan_device_tick(n);
        Some(done)
    }

    fn plan_device_tick(&mut self, n: usize) {
        let now = self.now;
        let device = &mut self.devices[n];
        let Some(wake) = device.core.as_ref().and_then(Core::wake_at) else { return };
        let at = wake.0.max(now + 1);
        if device.tick_at.is_none_or(|planned| planned > at || planned <= now) && at < now + FAR / 2 {
            device.tick_at = Some(at);
            let life = device.life;
            self.at(at, Task::DeviceTick(n, life));
        }
    }

    pub(crate) fn device_tick(&mut self, n: usize, life: u64) {
        let device = &mut self.devices[n];
        if device.life != life || device.tick_at.is_some_and(|planned| planned > self.now) {
            return;
        }
        device.tick_at = None;
        self.device(n, |core, turn| core.tick(turn));
    }

    fn device_effect(&mut self, n: usize, effect: Effect) {
        match effect {
            Effect::Store(changes) => self.devices[n].store(changes),
            Effect::Connect { socket, .. } => self.open(n, socket),
            Effect::Send { socket, request, message } => {
                if let Some((id, _)) = self.devices[n].conn.filter(|(_, held)| *held == socket) {
                    self.send_up(id, encode_request(Encoding::MessagePack, request, &message));
                }
            }
            Effect::Close(socket) => {
                if let Some((id, held)) = self.devices[n].conn
                    && held == socket
                {
                    self.devices[n].conn = None;
                    self.cut(id);
                }
            }
            Effect::Token => {
                let token = Token { text: "token".to_owned(), until: Timestamp(self.now + FAR) };
                self.device(n, |core, turn| core.token(token, turn));
            }
            Effect::Ended(ended) => self.ended(n, &ended),
            Effect::Reset => {
                tell!(self, [format!("d{n}")], "d{n} is reset: it reads its pages");
                self.story.count("reset");
                let device = &mut self.devices[n];
                device.view.clear();
                device.paging = Some(Paging { todo: VecDeque::from([Ask::Chats(None)]), asked: None });
                let life = device.life;
                self.after(0, Task::Paging(n, life));
            }
            Effect::Link(link) => self.linked(n, link),
        }
    }

    fn linked(&mut self, n: usize, link: Link) {
        tell!(self, [format!("d{n}")], "d{n}: {link:?}");
        match link {
            Link::Waiting(_) | Link::Down(_) => {
                self.devices[n].conn = None;
                self.devices[n].paging = None;
            }
            _ => {}
        }
        if matches!(link, Link::Down(Down::Replaced)) {
            self.after(1_000, Task::Start(n));
        }
    }

    // ----- the socket -----

    fn open(&mut self, n: usize, socket: SocketId) {
        let node = self.rng.index(self.nodes.len());
        let delay = self.rng.delay(40, 300);
        let id = self.next_conn;
        self.next_conn += 1;
        if !self.nodes[node].is_up() {
            return self.after(delay, Task::Lost(n, socket, Loss::Broken));
        }
        self.conns.insert(id, Conn::new(n, socket, node, self.nodes[node].life));
        self.devices[n].conn = Some((id, socket));
        self.after(delay, Task::Connected(n, socket, id));
    }

    pub(crate) fn connected(&mut self, n: usize, socket: SocketId, id: ConnId) {
        if self.devices[n].conn == Some((id, socket)) {
            self.device(n, |core, turn| core.connected(socket, turn));
        }
    }

    pub(crate) fn lost(&mut self, n: usize, socket: SocketId, loss: Loss) {
        self.device(n, |core, turn| core.lost(socket, loss, turn));
    }

    /// A frame has come.
    pub(crate) fn hear(&mut self, n: usize, socket: SocketId, id: ConnId, frame: &[u8]) {
        let Ok(Some((number, reply))) = decode_reply(Encoding::MessagePack, frame) else {
            return self.violate("a node's frame cannot be read", vec![format!("d{n}")]);
        };
        if self.devices[n].core.is_none() || self.devices[n].conn != Some((id, socket)) {
            return;
        }
        self.tell_reply(n, &reply);
        let before = self.devices[n].core.as_ref().map(Core::link);
        let mut turn = Turn::new(Timestamp(self.now), self.rng.bits());
        let Some(core) = self.devices[n].core.as_mut() else { return };
        let show = core.frame(socket, number, frame.len(), &reply, &mut turn);
        if show {
            self.show(n, &reply);
        }
        for effect in turn.effects {
            self.device_effect(n, effect);
        }
        self.plan_device_tick(n);
        match reply {
            Reply::Synced(_) if before == Some(Link::Syncing) => self.check_synced(n, id),
            Reply::Gap => self.story.count("gap"),
            _ => {}
        }
        self.paged(n, number, &reply);
    }

    fn show(&mut self, n: usize, reply: &Reply<'_>) {
        let view = &mut self.devices[n].view;
        match reply {
            Reply::Message(message) => view.message(message),
            Reply::Changed(changed) => view.changed(changed),
            Reply::Marked(marked) => view.marked(marked),
            Reply::Page(page) => page.messages.iter().for_each(|message| view.message(message)),
            Reply::ChatList(list) => list.chats.iter().for_each(|chat| view.listed(chat)),
            _ => {}
        }
    }

    // ----- pages after a reset -----

    pub(crate) fn paging(&mut self, n: usize, life: u64) {
        let device = &mut self.devices[n];
        if device.life != life {
            return;
        }
        let Some(paging) = device.paging.as_mut().filter(|paging| paging.asked.is_none()) else { return };
        let Some(ask) = paging.todo.pop_front() else {
            device.paging = None;
            self.device(n, |core, turn| core.pages_read(turn));
            return;
        };
        let request = match &ask {
            Ask::Chats(cursor) => Request::Chats(Chats { cursor: cursor.clone(), limit: Some(100) }),
            Ask::Page(chat, cursor) => Request::History(History {
                chat: *chat,
                before: None,
                after: None,
                around: None,
                around_time: None,
                cursor: cursor.clone(),
                limit: Some(7),
            }),
        };
        let asked = self.device(n, |core, turn| core.ask(request, turn)).flatten();
        if let Some(paging) = &mut self.devices[n].paging {
            paging.asked = asked.map(|asked| (asked, ask));
        }
    }

    fn paged(&mut self, n: usize, request: u64, reply: &Reply<'_>) {
        let device = &mut self.devices[n];
        let Some(paging) = &mut device.paging else { return };
        let Some((_, ask)) = paging.asked.take_if(|(asked, _)| *asked == request) else { return };
        let mut wait = 0;
        match reply {
            Reply::ChatList(list) => {
                paging.todo.extend(list.chats.iter().map(|chat| Ask::Page(chat.chat, None)));
                paging.todo.extend(list.next.clone().map(|next| Ask::Chats(Some(next))));
            }
            Reply::Page(page) => {
                paging.todo.extend(page.older.clone().map(|older| Ask::Page(page.chat, Some(older))));
            }
            _ => {
                paging.todo.push_front(ask);
                wait = 500;
            }
        }
        let life = device.life;
        self.after(wait, Task::Paging(n, life));
    }

    // ----- the user -----

    /// A device that misses its own delivered mark says it again.
    pub(crate) fn nag(&mut self, n: usize) {
        self.after(NAG_MS, Task::Nag(n));
        let device = &self.devices[n];
        if device.core.as_ref().is_none_or(|core| core.link() != Link::Synced) {
            return;
        }
        for (chat, Shown { source, id }) in device.view.undelivered() {
            self.story.count("delivered mark said again");
            let mark = Request::Mark(volery_wire::client::Mark { chat, kind: MarkKind::Delivered, source, id });
            self.device(n, |core, turn| core.ask(mark, turn));
        }
    }

    /// The user says something, or reads.
    pub(crate) fn act(&mut self, n: usize) {
        if self.devices[n].core.is_none() || self.healed {
            return;
        }
        if self.rng.chance(250) {
            return self.read(n);
        }
        let to = user_of(self.rng.index(self.plan.users));
        let act = self.draw_act(n, to);
        let device = &self.devices[n];
        let chat = ChatId::direct(device.user, to);
        let synced = device.core.as_ref().is_some_and(|core| core.link() == Link::Synced);
        let shown = device.view.shown_of(chat).filter(|_| synced);
        let shown = if self.plan.sends_mark && self.rng.chance(500) { shown } else { None };
        if let (Act::Say { text, .. }, Some(newest)) = (&act, self.devices[n].view.newest_of(chat)) {
            self.devices[n].questions.insert(word(text), newest);
        }
        tell!(self, [format!("d{n}"), label(&act)], "d{n} wants {} to u{to}", label(&act));
        let draft = Draft { to, act, at: Timestamp(self.now), shown };
        let _ = self.device(n, |core, turn| core.intend(draft, turn));
    }

    fn draw_act(&mut self, n: usize, to: UserId) -> Act {
        let chat = ChatId::direct(self.devices[n].user, to);
        let own = self.devices[n].view.own(chat);
        let kind = self.rng.index(20);
        if let Some(&id) = own.get(self.rng.index(own.len().max(1))) {
            self.devices[n].said += 1;
            let text = format!("d{n}.{} (new)", self.devices[n].said);
            match kind {
                0 | 1 => return Act::Edit { id, text },
                2 => return Act::Delete { id },
                3 => return Act::React { id, emoji: "🐦".to_owned() },
                4 => return Act::Unreact { id },
                _ => {}
            }
        }
        self.devices[n].said += 1;
        let mut text = format!("d{n}.{}", self.devices[n].said);
        if self.plan.long_texts && self.rng.chance(700) {
            text.push_str(&" long".repeat(1_500));
        }
        Act::Say { text, reply_to: None }
    }

    fn read(&mut self, n: usize) {
        let device = &self.devices[n];
        if device.core.as_ref().is_none_or(|core| core.link() != Link::Synced) {
            return;
        }
        let chats: Vec<ChatId> = device.view.chats().collect();
        if chats.is_empty() {
            return;
        }
        let chat = chats[self.rng.index(chats.len())];
        if let Some(shown) = self.devices[n].view.shown_of(chat) {
            tell!(self, [format!("d{n}")], "the user of d{n} reads {chat} up to {}", shown.source.offset());
            self.device(n, |core, turn| core.read(chat, shown, turn));
        }
    }
}

/// The word by which a text is known in stories and checks.
pub(crate) fn word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn label(act: &Act) -> String {
    match act {
        Act::Say { text, .. } => word(text),
        Act::Edit { id, text } => format!("edit of {id} to {}", word(text)),
        Act::Delete { id } => format!("deletion of {id}"),
        Act::React { id, .. } => format!("reaction to {id}"),
        Act::Unreact { id } => format!("no reaction to {id}"),
    }
}
