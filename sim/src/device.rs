//! A device: the real client core, what its user sees, and its socket. Its disk is in `disk`, what
//! its user does in `user`.

use std::collections::BTreeMap;

use volery_checker::history::What as Step;
use volery_client::core::{Core, Down, Effect, Link, Loss, SocketId, Token, Turn};
use volery_client::outbox::Phase;
use volery_client::state::{Change, State};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::{Mark, Request};
use volery_wire::codec::{Encoding, decode_reply, encode_request};
use volery_wire::field::Blob;
use volery_wire::server::{MarkKind, Reply};

use crate::disk::Backup;
use crate::mutation::Mutation;
use crate::network::{Conn, ConnId};
use crate::paging::Paging;
use crate::record::Labels;
use crate::story::{What, tell};
use crate::view::View;
use crate::world::{START_MS, Task, World, device_of};

const FAR: u64 = 100_000_000_000;

/// See the module.
pub(crate) struct Device {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// None while the app is not running.
    pub(crate) core: Option<Core>,
    /// Counts starts of the app.
    pub(crate) life: u64,
    /// It is lost: it never comes back.
    pub(crate) gone: bool,
    pub(crate) disk: State,
    pub(crate) unsynced: Vec<Change>,
    pub(crate) backup: Option<Backup>,
    pub(crate) view: View,
    pub(crate) conn: Option<(ConnId, SocketId)>,
    pub(crate) stalled_until: u64,
    pub(crate) offline_until: u64,
    pub(crate) off_since: Option<u64>,
    pub(crate) tick_at: Option<u64>,
    pub(crate) paging: Option<Paging>,
    /// The position that the last reset named.
    reset_to: Option<Blob>,
    pub(crate) said: u64,
    pub(crate) labels: Labels,
    /// The newest message that this start of the app has shown in each chat.
    pub(crate) fresh: BTreeMap<ChatId, Id>,
}

impl Device {
    pub(crate) fn new(user: UserId, device: DeviceId) -> Self {
        Self {
            user,
            device,
            core: None,
            life: 0,
            gone: false,
            disk: State::default(),
            unsynced: Vec::new(),
            backup: None,
            view: View::new(user),
            conn: None,
            stalled_until: 0,
            offline_until: 0,
            off_since: None,
            tick_at: None,
            paging: None,
            reset_to: None,
            said: 0,
            labels: Labels::default(),
            fresh: BTreeMap::new(),
        }
    }

    pub(crate) fn link(&self) -> Option<Link> {
        self.core.as_ref().map(Core::link)
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.link() == Some(Link::Synced)
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        let calm = |core: &Core| {
            let idle = core.outbox().items().all(|item| matches!(item.phase, Phase::Failed(_)));
            idle && core.link() == Link::Synced
        };
        self.gone || self.core.as_ref().is_some_and(calm)
    }
}

impl World {
    /// A user gets a device, which is switched on in `ms`.
    pub(crate) fn new_device(&mut self, user: UserId, ms: u64) {
        let n = self.devices.len();
        self.devices.push(Device::new(user, device_of(n)));
        self.record(n, Step::Device { user, device: device_of(n) });
        self.after(ms, Task::Start(n));
        self.after(ms + 4_000, Task::BackUp(n));
    }

    pub(crate) fn start_device(&mut self, n: usize) {
        if self.devices[n].gone || self.now < self.night_until {
            return;
        }
        if let Some(since) = self.devices[n].off_since.take() {
            self.count_absence(self.now - since);
        }
        if self.devices[n].core.is_none() {
            let device = &mut self.devices[n];
            device.life += 1;
            device.core = Some(Core::new(device.user, device.device, &device.disk));
            device.fresh.clear();
            self.record(n, Step::Started);
            tell!(self, [format!("d{n}")], "d{n} starts, with {} intents", self.devices[n].disk.outbox.len());
        }
        self.device(n, |core, turn| core.start(turn));
    }

    /// Gives a device's core an input and carries out what it wants.
    pub(crate) fn device<T>(&mut self, n: usize, input: impl FnOnce(&mut Core, &mut Turn) -> T) -> Option<T> {
        let mut turn = Turn::new(self.device_clock(), self.rng.bits());
        let done = input(self.devices[n].core.as_mut()?, &mut turn);
        self.device_effects(n, turn);
        Some(done)
    }

    fn device_clock(&self) -> Timestamp {
        Timestamp(self.now)
    }

    fn device_effects(&mut self, n: usize, turn: Turn) {
        for effect in turn.effects {
            self.device_effect(n, effect);
        }
        self.plan_device_tick(n);
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
            Effect::Connect { socket, address } => self.open(n, socket, address.as_deref()),
            Effect::Send { socket, request, message } => self.send_request(n, socket, request, &message),
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
            Effect::Reset => self.begin_paging(n),
            Effect::Link(link) => self.linked(n, link),
        }
    }

    fn begin_paging(&mut self, n: usize) {
        tell!(self, [format!("d{n}")], "d{n} is reset: it reads its pages");
        self.story.count(What::Reset);
        let early = self.mutated(Mutation::ResetStoredEarly);
        let device = &mut self.devices[n];
        if let Some(position) = device.reset_to.take().filter(|_| early) {
            let largest_id = device.disk.largest_id;
            device.disk.apply(Change::Progress { position: Some(position), largest_id, undelivered: Vec::new() });
        }
        device.view.clear();
        device.paging = Some(Paging::begin());
        let life = device.life;
        self.after(0, Task::Paging(n, life));
    }

    fn linked(&mut self, n: usize, link: Link) {
        tell!(self, [format!("d{n}")], "d{n}: {link:?}");
        match link {
            Link::Waiting(_) | Link::Down(_) => {
                self.record(n, Step::Closed);
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

    fn open(&mut self, n: usize, socket: SocketId, address: Option<&str>) {
        let delay = self.rng.delay(40, 300);
        let node = self.node_for(self.devices[n].user, address).filter(|node| self.nodes[*node].process.is_up());
        let Some(node) = node.filter(|_| self.devices[n].offline_until <= self.now) else {
            return self.after(delay, Task::Lost(n, socket, Loss::Broken));
        };
        let id = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(id, Conn::new(n, socket, node, self.nodes[node].process.life));
        self.devices[n].conn = Some((id, socket));
        self.after(delay, Task::Connected(n, socket, id));
    }

    fn send_request(&mut self, n: usize, socket: SocketId, request: u64, message: &Request<'static>) {
        let Some((id, _)) = self.devices[n].conn.filter(|(_, held)| *held == socket) else { return };
        self.record_request(n, message);
        let head = match message {
            Request::Send(send) => Some(send.head()),
            Request::Edit(change) | Request::Delete(change) | Request::React(change) | Request::Unreact(change) => {
                Some(change.head())
            }
            _ => None,
        };
        if let Some(head) = head {
            self.sends += u64::from(head.retry_of.is_none());
            self.story.count(if head.retry_of.is_none() { What::Sent } else { What::Retried });
        }
        if matches!(message, Request::Mark(Mark { kind: MarkKind::Delivered, .. })) {
            self.story.count(What::MarkRepeated);
            if self.mutated(Mutation::MarkNotRepeated) {
                return;
            }
        }
        self.send_up(id, encode_request(Encoding::MessagePack, request, message));
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
        self.record_reply(n, &reply);
        let before = self.devices[n].link();
        if let Reply::Reset(at) = &reply {
            self.devices[n].reset_to.clone_from(&at.position);
        }
        let mut turn = Turn::new(self.device_clock(), self.rng.bits());
        let Some(core) = self.devices[n].core.as_mut() else { return };
        let show = core.frame(socket, number, frame.len(), &reply, &mut turn);
        if show {
            self.show(n, &reply);
        }
        self.device_effects(n, turn);
        match reply {
            Reply::Synced(_) if before == Some(Link::Syncing) => self.check_synced(n, id),
            Reply::Gap => self.story.count(What::Gap),
            _ => {}
        }
        self.paged(n, number, &reply);
    }

    fn show(&mut self, n: usize, reply: &Reply<'_>) {
        self.record_shown(n, reply);
        let view = &mut self.devices[n].view;
        match reply {
            Reply::Message(message) => {
                view.message(message);
                let (from, user) = (message.from, view.user());
                if from != user && self.answers_left > 0 && self.now < START_MS + self.plan.faults_end {
                    self.consider_answer(n, from);
                }
            }
            Reply::Changed(changed) => view.changed(changed),
            Reply::Marked(marked) => view.marked(marked),
            Reply::Page(page) => page.messages.iter().for_each(|message| view.message(message)),
            Reply::ChatList(list) => list.chats.iter().for_each(|chat| view.listed(chat)),
            _ => {}
        }
    }
}
