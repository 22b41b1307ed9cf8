//! One device: the client's pure state machine, its socket, and the person in front of it. Everything
//! that it does happens in one poll: read, decide, act, write in one system call, say when to be woken.
//! Where it is connected is [`super::place`]'s, what its person wishes [`super::wishes`]'s, what follows from a decision
//! [`super::effects`]'s.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::future::LocalBoxFuture;
use rand::Rng as _;
use rand::rngs::StdRng;
use volery_checker::history::What;
use volery_client::core::{Core, Link, Loss, SocketId, Turn};
use volery_client::device::Device;
use volery_client::shell::ApiError;
use volery_client::state::State;
use volery_client::view::View;
use volery_door::frame::Kind;
use volery_door::outbound::Written;
use volery_door::socket::{Gone, Heard, Socket};
use volery_kernel::chat::ChatId;
use volery_kernel::id::SessionNumber;
use volery_wire::codec::{Encoding, decode_reply};
use volery_wire::server::{Message, Reply};

use super::World;
use super::habit::{Habit, Quiet, Wish};
use super::place::{Opening, Place};
use super::rest::Rest;
use crate::account::Account;
use crate::clock;
use crate::gateways::source_of;
use crate::moves::Why;
use crate::tally;

/// A view is trimmed after so many messages.
const TRIM_EVERY: u32 = 1_000;
/// In ns.
const MILLI: u64 = 1_000_000;

/// See the module.
pub(super) struct Unit {
    pub(super) number: usize,
    pub(super) source: IpAddr,
    pub(super) account: Account,
    pub(super) device: Device,
    /// What its disk holds.
    pub(super) disk: State,
    pub(super) socket: Option<(SocketId, Socket)>,
    pub(super) opening: Option<(SocketId, Opening)>,
    pub(super) place: Place,
    pub(super) refreshing: Option<LocalBoxFuture<'static, Result<Account, ApiError>>>,
    /// To be written at the end of the poll.
    pub(super) out: Vec<Vec<u8>>,
    pub(super) session: SessionNumber,
    /// Sockets up to this one are of the past.
    pub(super) left: SocketId,
    /// Since when it has wanted to be synced, if it is not.
    pub(super) behind_since: Option<u64>,
    pub(super) greeted: bool,
    pub(super) rest: Rest,
    /// Nobody cuts it or those to whom it writes: what others suffer is seen by it.
    pub(super) stands_by: bool,
    pub(super) world: Rc<World>,
    pub(super) asked_pages: Vec<(u64, u64)>,
    pub(super) heard_at: u64,
    /// When the app was started last.
    started: u64,
    habit: Box<dyn Habit>,
    wishes: Vec<Wish>,
    /// Messages since the view was trimmed.
    shown: u32,
    /// Names given to what its person wanted.
    pub(super) labels: u32,
    random: StdRng,
    armed: u64,
}

impl Unit {
    pub(super) fn new(number: usize, account: Account, world: Rc<World>) -> Self {
        Self {
            number,
            source: source_of(number),
            device: Device::keeping(
                account.device,
                View::new(account.user, account.device),
                &State::default(),
                world.is_checked(),
            ),
            place: Place::new(account.node.clone()),
            account,
            disk: State::default(),
            socket: None,
            opening: None,
            refreshing: None,
            out: Vec::new(),
            session: SessionNumber::default(),
            left: 0,
            behind_since: None,
            greeted: false,
            rest: Rest::default(),
            stands_by: false,
            world,
            asked_pages: Vec::new(),
            heard_at: 0,
            started: 0,
            habit: Box::new(Quiet),
            wishes: Vec::new(),
            shown: 0,
            labels: 0,
            random: rand::make_rng(),
            armed: u64::MAX,
        }
    }

    /// From now on the person does this.
    pub(super) fn take_up(&mut self, habit: Box<dyn Habit>) {
        self.habit = habit;
        self.world.clockwork.wake(self.number);
    }

    /// Any input of the device; carries out what it decides.
    pub(super) fn step<T>(&mut self, input: impl FnOnce(&mut Device, &mut Turn) -> T) -> T {
        let now = clock::nanos();
        let mut turn = Turn::new(clock::stamp(now), self.random.next_u64());
        let answer = input(&mut self.device, &mut turn);
        self.carry_out(turn.effects, now);
        answer
    }

    /// Any input of the device's core.
    pub(super) fn core(&mut self, input: impl FnOnce(&mut Core, &mut Turn)) {
        self.step(|device, turn| device.input(turn, input));
    }

    /// Connects, and stays connected.
    pub(super) fn start(&mut self) {
        self.started = clock::nanos();
        self.behind_since = Some(self.started);
        let token = self.account.token();
        self.world.recorded(|recorder| recorder.push(self.number as u32, What::Started));
        self.core(|core, turn| {
            core.token(token, turn);
            core.start(turn);
        });
        self.world.clockwork.wake(self.number);
    }

    /// The app is closed: its socket in order, its disk and what it showed stay.
    pub(super) fn stop(&mut self) {
        self.core(Core::stop);
        let _ = self.write();
        self.behind_since = None;
        self.place.left();
        self.world.recorded(|recorder| recorder.push(self.number as u32, What::Stopped));
        self.device =
            Device::keeping(self.account.device, self.device.view().clone(), &self.disk, self.world.is_checked());
        // A core that begins anew names its sockets from 1 again.
        (self.left, self.opening) = (0, None);
        self.world.clockwork.wake(self.number);
    }

    /// The connection breaks without a word.
    pub(super) fn cut(&mut self) {
        if let Some((id, socket)) = self.socket.take() {
            drop(socket);
            self.lost(id, Loss::Broken, Why::Cut);
            self.world.clockwork.wake(self.number);
        }
    }

    pub(super) fn lost(&mut self, socket: SocketId, loss: Loss, why: Why) {
        self.place.lost(why, clock::nanos());
        self.left = self.left.max(socket);
        self.out.clear();
        self.step(|device, turn| device.lost(socket, loss, turn));
    }

    /// The end of a checked run begins: what is shown is recorded, and these chats are read whole.
    pub(super) fn record_view(&mut self, chats: Vec<ChatId>) {
        let what = self.rest.begin(&self.device, chats);
        self.world.recorded(|recorder| recorder.push(self.number as u32, what));
    }

    pub(super) fn is_synced(&self) -> bool {
        self.device.core().link() == Link::Synced
    }

    fn has_left(&self, socket: SocketId) -> bool {
        socket <= self.left
    }

    /// Never ready: a device lives as long as its task.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        self.world.clockwork.register(self.number, cx.waker());
        self.poll_opening(cx);
        self.poll_refreshing(cx);
        self.read(cx);
        let now = clock::nanos();
        if self.device.wake_at().is_some_and(|at| at <= clock::stamp(now)) {
            self.core(Core::tick);
        }
        self.act(now);
        self.rest_on();
        self.trim();
        if let Err(gone) = self.write().and_then(|()| self.flush(cx)) {
            self.gone(gone);
        }
        self.arm(now);
    }

    fn poll_refreshing(&mut self, cx: &mut Context<'_>) {
        let Some(refreshing) = self.refreshing.as_mut() else { return };
        let Poll::Ready(refreshed) = refreshing.as_mut().poll(cx) else { return };
        self.refreshing = None;
        match refreshed {
            Ok(account) => {
                self.account = account;
                let token = self.account.token();
                self.core(|core, turn| core.token(token, turn));
            }
            Err(_) => {
                self.world.tally.borrow_mut().error("no_token");
                self.core(|core, turn| core.token_failed(false, turn));
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        let Some((id, mut socket)) = self.socket.take() else { return };
        let read = socket.poll_read(cx, &mut |heard, _| {
            if let Heard::Message(message) = heard {
                self.heard(id, &message.data);
            }
            ControlFlow::Continue(())
        });
        // What was heard may have ended it: the core closes a socket by forgetting its name.
        if !self.has_left(id) {
            self.socket = Some((id, socket));
        } else {
            self.finish(socket);
        }
        if let Poll::Ready(Err(gone)) = read {
            self.gone(gone);
        }
    }

    fn heard(&mut self, socket: SocketId, frame: &[u8]) {
        if self.has_left(socket) {
            return;
        }
        match decode_reply(Encoding::MessagePack, frame) {
            Ok(Some((n, reply))) => {
                self.heard_at = clock::nanos();
                self.see(n, &reply);
                self.step(|device, turn| device.frame(socket, n, frame.len(), &reply, turn));
            }
            Ok(None) => {}
            Err(malformed) => {
                self.world.tally.borrow_mut().error(&format!("malformed: {malformed}"));
                self.lost(socket, Loss::Broken, Why::Broken);
            }
        }
    }

    /// Counts and records a frame, before it has its consequences.
    fn see(&mut self, n: u64, reply: &Reply<'_>) {
        let world = Rc::clone(&self.world);
        let number = self.number as u32;
        if self.rest.is_own(n, reply) {
            if let Some(what) = self.rest.hear(reply) {
                world.recorded(|recorder| recorder.push(number, what));
            }
        } else {
            world.recorded(|recorder| recorder.reply(number, self.session, reply));
        }
        let mut tally = world.tally.borrow_mut();
        match reply {
            Reply::Welcome(welcome) => {
                self.session = welcome.session;
                self.place.welcomed();
            }
            Reply::Moved(_) => self.place.told(),
            Reply::Message(message) if message.from != self.account.user && !is_changed(message) => {
                self.shown += 1;
                // What was written while nobody was there is not late.
                let meant = tally::meant(&message.text).filter(|meant| *meant >= self.started);
                tally.took_delivery(self.place.session(), meant, self.heard_at, self.stands_by);
            }
            Reply::Page(_) => {
                tally.pages += 1;
                if let Some(at) = self.asked_pages.iter().position(|(asked, _)| *asked == n) {
                    tally.page.took(self.asked_pages.swap_remove(at).1, self.heard_at);
                }
            }
            Reply::Error(error) => tally.error(&error.code),
            _ => {}
        }
    }

    /// Nobody looks at what is shown in a run that is not checked.
    fn trim(&mut self) {
        if self.shown >= TRIM_EVERY && !self.world.is_checked() {
            self.step(|device, turn| device.open(None, turn));
            self.shown = 0;
        }
    }

    fn act(&mut self, now: u64) {
        let mut wishes = std::mem::take(&mut self.wishes);
        self.habit.act(now, &self.device, &mut wishes);
        for wish in wishes.drain(..) {
            self.fulfil(wish);
        }
        self.wishes = wishes;
    }

    pub(super) fn write(&mut self) -> Result<(), Gone> {
        let Some((_, socket)) = self.socket.as_mut().filter(|_| !self.out.is_empty()) else { return Ok(()) };
        socket.cork();
        for frame in self.out.drain(..) {
            if socket.write(Kind::Binary, &[&frame])? == Written::Full {
                return Err(Gone::Ended);
            }
        }
        socket.uncork().map(drop)
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        match self.socket.as_mut().map(|(_, socket)| socket.poll_flush(cx)) {
            Some(Poll::Ready(Err(gone))) => Err(gone),
            _ => Ok(()),
        }
    }

    fn gone(&mut self, gone: Gone) {
        let Some((id, socket)) = self.socket.take() else { return };
        let number = match gone {
            Gone::ByPeer(number) => number,
            Gone::ByUs(close) => Some(close.number()),
            Gone::Ended | Gone::Io(_) => None,
        };
        let (loss, why) = match number {
            Some(number) => (Loss::Closed(number), Why::of_close(number)),
            None => (Loss::Broken, Why::Broken),
        };
        let name = number.map_or("connection_broken".to_owned(), |number| format!("closed_{number}"));
        self.world.tally.borrow_mut().error(&name);
        self.finish(socket);
        self.lost(id, loss, why);
    }

    /// Asks to be woken when something is due: no later, and seldom for nothing.
    fn arm(&mut self, now: u64) {
        let tick = self.device.wake_at().map(|at| at.0.saturating_sub(1) * MILLI);
        let due = [tick, self.habit.due()].into_iter().flatten().min();
        let Some(due) = due else { return };
        if due < self.armed || self.armed <= now {
            self.armed = due.max(now);
            self.world.clockwork.wake_at(self.armed, self.number);
        }
    }
}

/// Out of the index a message comes whole with its changes, perhaps for the second time: that tells nothing of how
/// long messages take.
fn is_changed(message: &Message<'_>) -> bool {
    message.edited.is_some() || message.deleted.is_some() || !message.reactions.is_empty()
}
