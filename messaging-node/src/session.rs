//! The actor that owns a socket: a thin shell around [`crate::core::session::Session`].
//!
//! Everything happens in one poll: calls from the thread, what the socket brings, what is due, what
//! can be written. Effects of one poll leave in one syscall. Nothing is kept while idle; buffers belong
//! to the thread, the timer exists only while something is due soon. Trap avoided: answers of the outside
//! come after that poll's turn; what they leave to be done must not wait for the device's next word.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context};
use tokio::time::Sleep;
use volery_door::outbound::Written;
use volery_door::socket::{Gone, Heard, Socket};
use volery_kernel::code::{Close, Code};
use volery_kernel::event::{Answer, Event, Outcome};
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::position::Offset;
use volery_kernel::time::Timestamp;
use volery_node::metrics::{Leg, Queue, Stage, SyncBy};
use volery_wire::codec::{Encoding, Envelope, decode_request, encode_reply};
use volery_wire::server::{Moved, Reply};

use crate::core::entry::Entry;
use crate::core::session::{Context as Lent, Effect, Session};
use crate::errand;
use crate::greeter::{LINGER, kind_of};
use crate::partition::{Owned, Signal};
use crate::worker::Thread;

/// What waits for a slow peer before no more requests are read from it.
const ANSWERS_WAITING_MOST: usize = 64 * 1024;
/// Ticks further away than this are left to the thread's housekeeping.
const SOON_MS: u64 = 10_000;

/// See the module.
pub(crate) struct SessionActor {
    socket: Option<Socket>,
    encoding: Encoding,
    core: Session,
    pub(crate) signal: Rc<Signal>,
    pub(crate) owned: Rc<Owned>,
    pub(crate) thread: Rc<Thread>,
    waiting: Vec<Effect>,
    timer: Option<(Timestamp, Pin<Box<Sleep>>)>,
    unfinished: Option<(u32, Timestamp)>,
    /// What the sync under way is fed from, and when it began.
    pub(crate) synced_by: SyncBy,
    syncing_since: Timestamp,
    /// Bytes of window and socket queue, and whether the window is full, as they stand in the metrics.
    counted: [i64; 3],
}

impl SessionActor {
    pub(crate) fn new(
        socket: Socket,
        encoding: Encoding,
        core: Session,
        signal: Rc<Signal>,
        owned: Rc<Owned>,
        thread: Rc<Thread>,
        opening: Vec<Effect>,
    ) -> Self {
        let syncing_since = signal.heard.get();
        Self {
            socket: Some(socket),
            encoding,
            core,
            signal,
            owned,
            thread,
            waiting: opening,
            timer: None,
            unfinished: None,
            synced_by: SyncBy::Tail,
            syncing_since,
            counted: [0; 3],
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let metrics = &self.thread.shared.metrics;
        metrics.sessions.inc();
        metrics.sockets.inc();
        ctx.spawn(Pump);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let metrics = &self.thread.shared.metrics;
        metrics.sessions.dec();
        metrics.sockets.dec();
        self.count([0; 3]);
        self.thread.watch(&self.signal, &[], &self.core.watched());
        self.owned.detach(&self.signal, self.now());
        if let Some(socket) = self.socket.take() {
            actix_rt::spawn(socket.finish(LINGER));
        }
    }
}

/// No more requests are read until the peer has taken what it asked for.
fn is_backed_up(socket: &Socket) -> bool {
    socket.queued() > ANSWERS_WAITING_MOST
}

struct Pump;

impl ActorFuture<SessionActor> for Pump {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        act: &mut SessionActor,
        ctx: &mut Context<SessionActor>,
        task: &mut Task<'_>,
    ) -> Poll<()> {
        act.signal.listen(task.waker());
        act.keep_pace();
        act.hear_calls(ctx);
        match act.exchange(ctx, task) {
            Some(gone) => act.end(gone, ctx),
            None => {
                act.arm(task);
                let queued = act.socket.as_ref().map_or(0, Socket::queued);
                let (unconfirmed, stalled) = (act.core.unconfirmed_bytes(), act.core.is_stalled());
                act.count([unconfirmed as i64, queued as i64, i64::from(stalled)]);
            }
        }
        Poll::Pending
    }
}

impl SessionActor {
    pub(crate) fn user(&self) -> UserId {
        self.core.who().user
    }

    fn count(&mut self, now: [i64; 3]) {
        let metrics = &self.thread.shared.metrics;
        let bytes = |queue| metrics.queue_bytes.of(queue);
        let gauges = [bytes(Queue::Window), bytes(Queue::SocketOut), &metrics.stalled_sessions];
        for ((gauge, now), before) in gauges.into_iter().zip(now).zip(self.counted) {
            if now != before {
                gauge.add(now - before);
            }
        }
        self.counted = now;
    }

    /// By the thread's rate, which may be another one since the last turn.
    fn keep_pace(&mut self) {
        let rate = self.thread.rate.get();
        if self.core.rate() != rate {
            self.core.go_by(rate, self.now());
        }
    }

    fn now(&self) -> Timestamp {
        self.thread.shared.clock.now()
    }

    /// Lends the core what it needs for one input and carries out what follows.
    pub(crate) fn feed(
        &mut self,
        ctx: &mut Context<Self>,
        input: impl FnOnce(&mut Session, &mut Lent<'_>, &mut Vec<Effect>),
    ) {
        let mut effects = std::mem::take(&mut self.waiting);
        self.lend(|core, lent| input(core, lent, &mut effects));
        self.carry_out(effects, ctx);
    }

    fn lend<R>(&mut self, input: impl FnOnce(&mut Session, &mut Lent<'_>) -> R) -> R {
        let shared = &self.thread.shared;
        let mut ids = self.thread.generator.lock();
        let known = |user| self.thread.known.borrow().contains(&user).then_some(true);
        let tail = self.owned.tail.borrow();
        let (now, agrees, partitions) = (shared.clock.now(), shared.timing.agrees(), shared.partitions);
        let mut lent = Lent { now, ids: &mut ids, agrees, tail: &tail, partitions, known: &known };
        input(&mut self.core, &mut lent)
    }

    /// Calls from the partition, a successor, the housekeeping.
    fn hear_calls(&mut self, ctx: &mut Context<Self>) {
        let silent = self.now().since(self.signal.heard.get()) > limits::SILENCE_MS.value;
        let slow = self.unfinished.is_some_and(|(_, since)| self.now().since(since) > limits::FRAME_WITHIN_MS.value);
        let moved = self.signal.moved_to();
        let close = [
            (slow, Close::SlowFrame),
            (self.signal.is_replaced(), Close::Replaced),
            (moved.is_some(), Close::Moved),
            (self.signal.is_stopping(), Close::GoingAway),
            (silent, Close::Silent),
        ];
        if let Some((_, close)) = close.into_iter().find(|(said, _)| *said) {
            let address = moved.filter(|_| close == Close::Moved).map(|address| address.as_ref().to_owned());
            let named = address.map(|address| Effect::Reply(0, Reply::Moved(Moved { address })));
            return self.carry_out(named.into_iter().chain([Effect::Close(close)]).collect(), ctx);
        }
        if self.signal.take_check() || self.timer_fired() {
            self.feed(ctx, |core, lent, effects| core.tick(lent, effects));
        }
        if self.signal.take_news() || !self.waiting.is_empty() {
            self.feed(ctx, |core, lent, effects| core.advance(lent, effects));
        }
    }

    /// Who types, who came or went. Told to those alone who keep up: typing is over soon, and presence waits
    /// until they do.
    fn hear_of_others(&mut self, ctx: &mut Context<Self>) {
        let typists = self.signal.take_typists();
        if !self.core.is_live() || self.socket.as_ref().is_none_or(is_backed_up) {
            return;
        }
        if let Some(typists) = typists {
            self.feed(ctx, |core, _, effects| core.typed_to(&typists, effects));
        }
        if self.signal.take_presence() {
            let thread = Rc::clone(&self.thread);
            self.feed(ctx, |core, _, effects| core.presence_changed(&|user| thread.presence(user), effects));
        }
    }

    fn timer_fired(&mut self) -> bool {
        let now = self.now();
        self.timer.take_if(|(at, _)| *at <= now).is_some()
    }

    /// Reads and writes in turn. What a full queue kept from being read is read once the kernel has taken the
    /// queue: nothing else would wake the session for it.
    fn exchange(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) -> Option<Gone> {
        loop {
            let gone = self.read(ctx, task);
            self.hear_of_others(ctx);
            let held_back = self.socket.as_ref().is_some_and(is_backed_up);
            let gone = gone.or_else(|| self.flush(task));
            if gone.is_some() || !held_back || self.socket.as_ref().is_none_or(is_backed_up) {
                return gone;
            }
        }
    }

    /// Requests, as long as the session wants them. `Some` when the socket has ended.
    fn read(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) -> Option<Gone> {
        loop {
            let now = self.now();
            let mut socket = self.socket.take()?;
            if !self.core.wants_input(now) || is_backed_up(&socket) {
                self.socket = Some(socket);
                return None;
            }
            let mut effects = Vec::new();
            let signal = Rc::clone(&self.signal);
            let polled = socket.poll_read(task, &mut |heard, _| {
                signal.heard.set(now);
                if let Heard::Message(message) = heard {
                    self.request(message.kind == kind_of(self.encoding), &message.data, &mut effects);
                }
                if self.core.wants_input(now) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            self.note_unfinished(&socket, now);
            self.socket = Some(socket);
            self.carry_out(effects, ctx);
            match polled {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(gone)) => return Some(gone),
                Poll::Pending => return None,
            }
        }
    }

    fn request(&mut self, right_kind: bool, frame: &[u8], effects: &mut Vec<Effect>) {
        if !right_kind {
            return effects.push(Effect::Close(Close::BadData));
        }
        match decode_request(self.encoding, frame) {
            Ok((id, request)) => self.lend(|core, lent| core.request(id, request, lent, effects)),
            Err(malformed) => self.core.malformed(&malformed, effects),
        }
    }

    /// A frame that was begun must end in time.
    fn note_unfinished(&mut self, socket: &Socket, now: Timestamp) {
        self.unfinished = match (socket.unfinished(), self.unfinished) {
            (Some(frame), Some((same, since))) if frame == same => Some((same, since)),
            (Some(frame), _) => Some((frame, now)),
            (None, _) => None,
        };
    }

    /// An answer of the outside. Actix polls it after [`Pump`], which comes once more if the answer left
    /// something for it: bytes that the kernel did not take, requests that may be read again, an earlier tick.
    pub(crate) fn take_answer(&mut self, answer: impl FnOnce(&mut Self)) {
        let paused = !self.core.wants_input(self.now());
        answer(self);
        let now = self.now();
        let resumes = paused && self.core.wants_input(now);
        let sooner = self.core.wake_at(now).is_some_and(|due| due < self.signal.due.get());
        if resumes
            || sooner
            || self.signal.has_presence()
            || self.socket.as_ref().is_some_and(|socket| socket.queued() > 0)
        {
            self.signal.poll_again();
        }
    }

    fn flush(&mut self, task: &mut Task<'_>) -> Option<Gone> {
        match self.socket.as_mut()?.poll_flush(task) {
            Poll::Ready(Err(gone)) => Some(gone),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// Sees to it that the next tick comes: by a timer if it is soon, else by the housekeeping.
    fn arm(&mut self, task: &mut Task<'_>) {
        let now = self.now();
        let slow = self.unfinished.map(|(_, since)| since.plus(limits::FRAME_WITHIN_MS.value));
        let Some(due) = [self.core.wake_at(now), slow].into_iter().flatten().min() else { return };
        self.signal.due.set(due);
        if self.timer.as_ref().is_some_and(|(at, _)| *at <= due) || due.since(now) > SOON_MS {
            return;
        }
        // A millisecond more, so that what is due at its millisecond is due when the timer fires.
        let mut sleep = Box::pin(tokio::time::sleep(Duration::from_millis(due.since(now) + 1)));
        if sleep.as_mut().poll(task).is_pending() {
            self.timer = Some((due, sleep));
        }
    }

    fn end(&mut self, gone: Gone, ctx: &mut Context<Self>) {
        if let Gone::ByUs(close) = gone {
            self.thread.shared.metrics.closes.of(close).inc();
        }
        ctx.stop();
    }

    // ----- effects -----

    fn carry_out(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let Some(mut socket) = self.socket.take() else { return };
        socket.cork();
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Reply(number, reply) => self.reply(&mut socket, number, &reply),
                Effect::Event { n, entry, positioned } => self.event(&mut socket, n, &entry, positioned),
                Effect::Close(close) => socket.close(close),
                Effect::AskEnd => match errand::end_at_once(self) {
                    Some(end) => effects.extend(self.end_is(end)),
                    None => errand::run(Effect::AskEnd, self, ctx),
                },
                errand => errand::run(errand, self, ctx),
            }
        }
        // A broken connection is noticed by the next read.
        let _ = socket.uncork();
        self.socket = Some(socket);
    }

    /// A log that answers at once lets `welcome` and what was missed leave together.
    fn end_is(&mut self, end: Offset) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.lend(|core, lent| core.end_is(end, lent, &mut effects));
        self.owned.tell_at(end, &self.signal);
        effects
    }

    fn reply(&mut self, socket: &mut Socket, number: u64, reply: &Reply<'_>) {
        let metrics = &self.thread.shared.metrics;
        match reply {
            Reply::Error(error) => {
                if let Some(code) = Code::ALL.iter().find(|code| code.text() == error.code) {
                    metrics.errors.of(*code).inc();
                }
            }
            Reply::Gap => {
                metrics.gaps.inc();
                self.syncing_since = self.now();
            }
            Reply::Synced(_) => {
                metrics.syncs.of(std::mem::replace(&mut self.synced_by, SyncBy::Tail)).inc();
                metrics.sync_seconds.observe(self.now().since(self.syncing_since) as f64 / 1_000.0);
            }
            _ => {}
        }
        let (op, body) = encode_reply(self.encoding, reply);
        self.write(socket, Envelope::of_reply(self.encoding, op, number), &body);
    }

    fn event(&self, socket: &mut Socket, n: u64, entry: &Entry, positioned: bool) {
        let metrics = &self.thread.shared.metrics;
        metrics.messages.of(Stage::Delivered).inc();
        metrics.stage_seconds.of(Leg::Delivered).observe(self.now().since(entry.event().id().time()) as f64 / 1_000.0);
        if let Event::Answer(Answer { outcome: Outcome::KeyReused, .. }) = entry.event() {
            metrics.errors.of(Code::KeyReused).inc();
        }
        if positioned {
            if let Some((op, body)) = entry.encoded(self.encoding) {
                self.write(socket, Envelope::of_reply(self.encoding, *op, n), body);
            }
        } else if let Some((op, body)) = entry.encoded_loose(self.encoding) {
            self.write(socket, Envelope::of_reply(self.encoding, op, n), &body);
        }
    }

    /// A peer for which even this is too much has not read its answers for a mebibyte: it is cut off.
    fn write(&self, socket: &mut Socket, envelope: Envelope, body: &[u8]) {
        let parts = [envelope.head(), body, envelope.tail()];
        if socket.write(kind_of(self.encoding), &parts) == Ok(Written::Full) {
            socket.close(Close::Silent);
        }
    }
}
