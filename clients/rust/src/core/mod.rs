//! The connection of one device, as a state machine: inputs and the time in, effects out.
//!
//! It says `hello`, retries what is unconfirmed, sends what is wanted, confirms what came, follows
//! the stream's position and comes back after every loss. It touches no socket, file, clock or
//! source of randomness, and holds no message: what is *shown* is the view's.
//!
//! Traps avoided: a frame from a socket that was left changes nothing; a send leaves only after its
//! key is stored; after a refusal that may pass, the session takes no more sends, so that order holds.

mod after;
mod backoff;
mod due;
mod frames;
mod lively;
mod marks;
mod received;
mod turn;

use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_wire::client::{self, Request, Shown};
use volery_wire::field::Blob;
use volery_wire::server::MarkKind;

use crate::intent::{Draft, Local};
use crate::outbox::{Full, Item, Outbox};
use crate::state::{Change, Held, State};
use after::After;
use backoff::Backoff;
use lively::Lively;
use marks::Marks;
use received::Received;
pub use turn::{Down, Effect, Link, Loss, SocketId, Turn};

/// A socket that is not open, or a `hello` that is not answered, is given up after this long.
const OPEN_WITHIN_MS: u64 = 30_000;
/// While a send is unacknowledged and nothing at all is heard for this long, a ping asks whether
/// anybody is there. As long as the node itself waits for the log.
const PROBE_AFTER_MS: u64 = limits::APPEND_DEADLINE_MS.value;
/// Nothing was heard in spite of that: the socket is dead.
const DEAD_AFTER_MS: u64 = 4 * PROBE_AFTER_MS;
/// A ping that is not answered within this: the socket is dead.
const PONG_WITHIN_MS: u64 = 20_000;
/// A token is renewed this long before it ends.
const TOKEN_AHEAD_MS: u64 = 120_000;

/// An access token and when it ends, by the clock of [`Turn::now`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As `hello` carries it.
    pub text: String,
    /// First moment at which it is void.
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down(Down),
    Waiting { until: Timestamp },
    Authorizing,
    Connecting { since: Timestamp },
    Greeting { since: Timestamp, request: u64 },
    Open { session: SessionNumber, stage: Stage },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Syncing,
    Resetting,
    Synced,
}

/// See the module.
#[derive(Debug)]
pub struct Core {
    user: UserId,
    device: DeviceId,
    previous_session: SessionNumber,
    largest_id: Id,
    position: Option<Blob>,
    /// The stream has brought everything to this user below this source, once it is synced. Pages may run ahead of it.
    brought_below: Source,
    reset_to: Option<Blob>,
    outbox: Outbox,
    marks: Marks,
    delivered: Marks,
    lively: Lively,
    phase: Phase,
    socket: SocketId,
    moved: Option<String>,
    backoff: Backoff,
    token: Option<Token>,
    token_asked: bool,
    next_request: u64,
    received: Received,
    welcomed: Timestamp,
    heard: Timestamp,
    ping_at: Timestamp,
    /// When the oldest unacknowledged send left.
    waiting_since: Option<Timestamp>,
    /// Since when a ping waits for anything to be heard.
    pinged: Option<Timestamp>,
    /// After a reset: what the pages brought is confirmed with the next `synced`.
    pages_unconfirmed: bool,
}

impl Core {
    /// A device that goes on from what was stored. It does nothing before [`Core::start`].
    #[must_use]
    pub fn new(user: UserId, device: DeviceId, state: &State) -> Self {
        Self {
            user,
            device,
            previous_session: state.session,
            largest_id: state.largest_id,
            position: state.position.clone(),
            brought_below: Source::ZERO,
            reset_to: None,
            outbox: Outbox::restore(state),
            marks: Marks::default(),
            delivered: Marks::of(state.undelivered.iter().map(|held| (held.chat, held.shown))),
            lively: Lively::default(),
            phase: Phase::Down(Down::Stopped),
            socket: 0,
            moved: None,
            backoff: Backoff::default(),
            token: None,
            token_asked: false,
            next_request: 1,
            received: Received::default(),
            welcomed: Timestamp(0),
            heard: Timestamp(0),
            ping_at: Timestamp(0),
            waiting_since: None,
            pinged: None,
            pages_unconfirmed: false,
        }
    }

    /// Whose device it is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Which device it is.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// What is wanted and not done, in order.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Whether everything that is held is marked as delivered, and what the user has read as read, as the
    /// stream shows.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.marks.is_empty() && self.delivered.is_empty()
    }

    /// The stored position, for tests and measurements.
    #[must_use]
    pub fn position(&self) -> Option<&Blob> {
        self.position.as_ref()
    }

    /// Whether its position was of no use and it reads its pages; its link is syncing as long as that.
    #[must_use]
    pub fn starts_anew(&self) -> bool {
        self.reset_to.is_some()
    }

    /// The link as a user is told of it.
    #[must_use]
    pub fn link(&self) -> Link {
        match self.phase {
            Phase::Down(down) => Link::Down(down),
            Phase::Waiting { until } => Link::Waiting(until),
            Phase::Authorizing => Link::Authorizing,
            Phase::Connecting { .. } => Link::Connecting,
            Phase::Greeting { .. } => Link::Greeting,
            Phase::Open { stage: Stage::Synced, .. } => Link::Synced,
            Phase::Open { .. } => Link::Syncing,
        }
    }

    // ----- the user -----

    /// Connects now, whatever was waited for.
    pub fn start(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Down(_) | Phase::Waiting { .. }) {
            self.backoff.reset();
            self.connect(turn);
        }
    }

    /// Leaves, and does not come back before [`Core::start`].
    pub fn stop(&mut self, turn: &mut Turn) {
        self.leave(After::Never(Down::Stopped), turn);
    }

    /// The user wants something: it is stored, and goes as soon as it may.
    ///
    /// # Errors
    /// [`Full`] if too much waits already; nothing was taken.
    pub fn intend(&mut self, draft: Draft, turn: &mut Turn) -> Result<Local, Full> {
        let intent = self.outbox.push(draft)?;
        let local = intent.local;
        turn.store(Change::Wanted(intent.clone()));
        self.lively.sent();
        self.pump(turn);
        Ok(local)
    }

    /// The user gives up what was never sent, or puts away what failed. False if it is neither.
    pub fn dismiss(&mut self, local: Local, turn: &mut Turn) -> bool {
        let gone = self.outbox.dismiss(local).is_some();
        if gone {
            turn.store(Change::Gone(local));
        }
        gone
    }

    /// The user has read a chat: `shown` covers messages that came in, never one's own.
    pub fn read(&mut self, chat: ChatId, shown: Shown, turn: &mut Turn) {
        self.marks.want(chat, shown, turn.now);
        self.say_marks(turn);
    }

    /// Asks for a page or the chat list; `None` while there is no session. The answer carries the
    /// id that is given here; it never comes if the socket is lost before.
    pub fn ask(&mut self, message: Request<'static>, turn: &mut Turn) -> Option<u64> {
        matches!(self.phase, Phase::Open { .. }).then(|| self.send(message, turn))
    }

    /// After [`Effect::Reset`]: pages are read (or will be read before anything is shown).
    pub fn pages_read(&mut self, turn: &mut Turn) {
        let Phase::Open { session, stage: Stage::Resetting } = self.phase else { return };
        let Some(position) = self.reset_to.take() else { return };
        self.position = Some(position.clone());
        self.pages_unconfirmed = true;
        self.store_progress(turn);
        self.phase = Phase::Open { session, stage: Stage::Syncing };
        self.send(Request::Resume(client::Resume { position }), turn);
    }

    // ----- tokens -----

    /// The answer to [`Effect::Token`], or a token that was there already.
    pub fn token(&mut self, token: Token, turn: &mut Turn) {
        self.token_asked = false;
        if token.until <= turn.now {
            return self.token_failed(false, turn);
        }
        let text = token.text.clone();
        self.token = Some(token);
        match self.phase {
            Phase::Authorizing => self.connect(turn),
            Phase::Open { .. } => {
                self.send(Request::Refresh(client::Refresh { token: text.into() }), turn);
            }
            Phase::Down(_) | Phase::Waiting { .. } | Phase::Connecting { .. } | Phase::Greeting { .. } => {}
        }
    }

    /// No token is to be had: at the moment, or (`forever`) before somebody logs in anew.
    pub fn token_failed(&mut self, forever: bool, turn: &mut Turn) {
        self.token_asked = false;
        let after = if forever { After::Never(Down::LoggedOut) } else { After::Later };
        if forever || matches!(self.phase, Phase::Authorizing) {
            self.leave(after, turn);
        }
    }

    fn ask_token(&mut self, turn: &mut Turn) {
        if !std::mem::replace(&mut self.token_asked, true) {
            turn.push(Effect::Token);
        }
    }

    // ----- the socket -----

    /// The socket of [`Effect::Connect`] is open.
    pub fn connected(&mut self, socket: SocketId, turn: &mut Turn) {
        let Phase::Connecting { .. } = self.phase else { return };
        let Some(token) = self.token.as_ref().filter(|_| socket == self.socket) else { return };
        let hello = client::Hello {
            token: token.text.clone().into(),
            device: self.device,
            previous_session: self.previous_session,
            largest_id: self.largest_id,
            resume: self.position.clone(),
        };
        let request = self.send(Request::Hello(hello), turn);
        self.go(Phase::Greeting { since: turn.now, request }, turn);
    }

    /// The socket could not be opened, broke, or was closed.
    pub fn lost(&mut self, socket: SocketId, loss: Loss, turn: &mut Turn) {
        let has_socket = !matches!(self.phase, Phase::Down(_) | Phase::Waiting { .. } | Phase::Authorizing);
        if socket != self.socket || !has_socket {
            return;
        }
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.moved = None;
        }
        self.leave_quietly(After::loss(loss), turn);
    }

    /// Opens a socket, or asks for the token that this needs.
    fn connect(&mut self, turn: &mut Turn) {
        let good = self.token.as_ref().is_some_and(|token| token.until > turn.now);
        if !good {
            self.go(Phase::Authorizing, turn);
            return self.ask_token(turn);
        }
        self.socket += 1;
        turn.push(Effect::Connect { socket: self.socket, address: self.moved.clone() });
        self.go(Phase::Connecting { since: turn.now }, turn);
    }

    /// Closes the socket, if there is one, and decides what comes next.
    fn leave(&mut self, after: After, turn: &mut Turn) {
        if !matches!(self.phase, Phase::Down(_) | Phase::Waiting { .. } | Phase::Authorizing) {
            turn.push(Effect::Close(self.socket));
        }
        self.leave_quietly(after, turn);
    }

    fn leave_quietly(&mut self, after: After, turn: &mut Turn) {
        for ended in self.outbox.close() {
            turn.store(Change::Gone(ended.intent.local));
            turn.push(Effect::Ended(ended));
        }
        self.marks.close();
        self.delivered.close();
        self.lively.forget();
        self.received = Received::default();
        (self.reset_to, self.waiting_since) = (None, None);
        (self.pinged, self.pages_unconfirmed) = (None, false);
        match after {
            After::Never(down) => return self.go(Phase::Down(down), turn),
            After::NewToken => self.token = None,
            After::Later => self.backoff.later(),
            After::Again | After::Told(_) => {}
        }
        let wait = match after {
            After::Told(ms) => Backoff::told(ms, turn.random),
            _ => self.backoff.next(turn.random),
        };
        let until = turn.now.plus(wait);
        self.go(Phase::Waiting { until }, turn);
    }

    fn go(&mut self, phase: Phase, turn: &mut Turn) {
        let before = self.link();
        self.phase = phase;
        if self.link() != before {
            turn.push(Effect::Link(self.link()));
        }
    }

    fn send(&mut self, message: Request<'static>, turn: &mut Turn) -> u64 {
        let request = self.next_request;
        self.next_request += 1;
        turn.push(Effect::Send { socket: self.socket, request, message });
        request
    }

    // ----- what goes out by itself -----

    /// Sends what may go: retries first, then what is new.
    fn pump(&mut self, turn: &mut Turn) {
        let Phase::Open { session, stage } = self.phase else { return };
        while let Some((local, key, shown)) =
            self.outbox.next().map(|item| (item.intent.local, item.key, item.intent.shown))
        {
            let shown =
                shown.filter(|shown| key.is_none() && stage == Stage::Synced && shown.source < self.brought_below);
            let request = self.next_request;
            let fresh = self.outbox.sent(local, session, request);
            if let Some((session, number)) = fresh {
                turn.store(Change::Keyed { local, session, number });
                self.waiting_since.get_or_insert(turn.now);
            }
            let since_welcome = turn.now.since(self.welcomed);
            let retry = key.map(|(session, _)| session);
            let Some(message) = self.request_of(local, since_welcome, retry, shown) else { return };
            self.send(message, turn);
        }
    }

    fn request_of(
        &self,
        local: Local,
        since_welcome: u64,
        retry: Option<SessionNumber>,
        shown: Option<Shown>,
    ) -> Option<Request<'static>> {
        let item: &Item = self.outbox.items().find(|item| item.intent.local == local)?;
        let (_, number) = item.key?;
        Some(item.intent.request(number, since_welcome, retry, shown))
    }

    fn say_marks(&mut self, turn: &mut Turn) {
        if !matches!(self.phase, Phase::Open { stage: Stage::Synced, .. }) {
            return;
        }
        while let Some((chat, Shown { source, id })) = self.marks.say(turn.now, self.brought_below, self.next_request) {
            self.send(Request::Mark(client::Mark { chat, kind: MarkKind::Read, source, id }), turn);
        }
        while let Some((chat, Shown { source, id })) =
            self.delivered.say(turn.now, self.brought_below, self.next_request)
        {
            self.send(Request::Mark(client::Mark { chat, kind: MarkKind::Delivered, source, id }), turn);
        }
    }

    /// Confirms what came, after the position that goes with it is stored.
    fn confirm(&mut self, turn: &mut Turn) {
        if self.received.due().is_some_and(|due| due <= turn.now) {
            self.confirm_now(turn);
        }
    }

    fn confirm_now(&mut self, turn: &mut Turn) {
        self.store_progress(turn);
        let n = self.received.confirm();
        self.send(Request::Received(client::Received { n }), turn);
    }

    fn store_progress(&mut self, turn: &mut Turn) {
        let undelivered = self.delivered.pending().map(|(chat, shown)| Held { chat, shown }).collect();
        let (position, largest_id) = (self.position.clone(), self.largest_id);
        turn.store(Change::Progress { position, largest_id, undelivered });
    }
}
