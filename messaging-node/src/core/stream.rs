//! A session's place in its user's stream: sync, live delivery, `gap`, `reset`.
//!
//! The cursor only moves forward over what was sent or does not concern the user, so everything
//! sent *in order* carries a position that may be stored. *Loose* delivery (after `reset`, or while
//! history cannot be read or is behind) keeps people talking but carries none. `synced` is said when the cursor
//! reaches the log's end as it was given after the `hello`, and everything that was sent loosely. Trap avoided: a
//! cursor below the tail's start is served from the tail only if nothing of the user's was dropped since; else it is
//! fetched from the log or the index first.
//!
//! Another: in a flood the log's end and the tail's start move away faster than archive follows. So what has to be reached
//! stands still: that end, and where loose delivery began. A device that fell behind the tail a second time, slower than its
//! friends, is sent nothing loosely any more as long as what it lacks comes: each time it would have more to reach.

use std::rc::Rc;

use volery_kernel::chat::Recipient;
use volery_kernel::event::{Event, Seen};
use volery_kernel::id::{DeviceId, SessionNumber, UserId};
use volery_kernel::position::{Offset, Position};

use super::entry::Entry;
use super::tail::Tail;
use super::window::{Incoming, Window};

/// Whose stream is followed, and by which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// The session.
    pub session: SessionNumber,
}

/// What the stream wants done.
pub enum Step {
    /// Send this event; with its position if `positioned`.
    Event {
        /// The event.
        entry: Rc<Entry>,
        /// Whether the device may store its position.
        positioned: bool,
    },
    /// Everything below this offset was sent; the position that may be stored with it, if there is one.
    Synced(Option<Position>, Offset),
    /// The window was full and has drained.
    Gap,
    /// Ask the log for its end, and tell [`Stream::end_is`].
    AskEnd,
    /// The cursor lies before the tail: fetch from this offset on, out of the log or the index.
    Fetch(Offset),
    /// The position is of no use: ask how far archive is, and tell the device. Until then it may believe to be synced.
    Reset {
        /// Whether it was told so.
        synced: bool,
    },
    /// The device was logged out.
    Revoked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// Nothing is sent yet: the log's end is awaited.
    Waiting {
        resume: Option<Position>,
    },
    InOrder {
        next: Offset,
    },
    /// From somewhere up to `live` everything was sent. What lies before that is `missing`, or on pages after a reset.
    Loose {
        live: Offset,
        missing: Option<Missing>,
    },
}

/// A hole in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missing {
    next: Offset,
    until: Offset,
}

/// See the module.
pub struct Stream {
    who: Follower,
    cursor: Cursor,
    target: Option<Offset>,
    unverified: Option<Position>,
    fetching: Option<Offset>,
    /// A fetch failed: [`Stream::fetch_again`] says when the next is due.
    failed: bool,
    /// Something came of one since the last that failed.
    got_on: bool,
    /// The tail dropped what was to follow loose delivery, and `synced` was not said since.
    fell_behind: bool,
    full: bool,
    synced: bool,
    repeats_own: bool,
}

impl Stream {
    /// A stream that is told the log's end first; its owner asks for it at once.
    #[must_use]
    pub fn new(who: Follower, resume: Option<Position>) -> Self {
        Self {
            who,
            cursor: Cursor::Waiting { resume },
            target: None,
            unverified: None,
            fetching: None,
            failed: false,
            got_on: false,
            fell_behind: false,
            full: false,
            synced: false,
            repeats_own: false,
        }
    }

    /// Whether `synced` was said and still holds.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The device holds everything below this offset; `None` while delivery is loose.
    #[must_use]
    pub fn held_below(&self) -> Option<Offset> {
        match self.cursor {
            Cursor::InOrder { next } => Some(next),
            Cursor::Waiting { .. } | Cursor::Loose { .. } => None,
        }
    }

    /// The device has read its pages after a `reset`: go on from here.
    pub fn resume(&mut self, position: Position) -> Step {
        self.cursor = Cursor::Waiting { resume: Some(position) };
        (self.synced, self.target, self.fetching, self.failed) = (false, None, None, false);
        (self.got_on, self.fell_behind) = (false, false);
        self.repeats_own = true;
        Step::AskEnd
    }

    /// The log's end, asked for after `hello`, `resume` or a gap.
    pub fn end_is(&mut self, end: Offset, tail: &Tail, steps: &mut Vec<Step>) {
        if let Cursor::Waiting { resume } = self.cursor {
            match resume.filter(|position| self.is_plausible(*position, end, tail)) {
                Some(position) => self.follow(position, tail),
                None => {
                    steps.push(self.reset(tail));
                    return;
                }
            }
        }
        self.target = self.target.max(Some(end));
    }

    fn is_plausible(&self, position: Position, end: Offset, tail: &Tail) -> bool {
        let begins = position == tail.beginning();
        let in_log = position.source.generation() == tail.generation() && position.source.offset() < end;
        position.partition == tail.partition() && (begins || in_log)
    }

    fn follow(&mut self, position: Position, tail: &Tail) {
        let begins = position == tail.beginning();
        self.unverified = (!begins).then_some(position);
        let next = if begins { 0 } else { position.source.offset() + 1 };
        // Pages lack a change whose message is not archived yet: after a reset what the tail holds is sent again.
        let next = if self.repeats_own { next.min(tail.start()) } else { next };
        self.cursor = Cursor::InOrder { next };
    }

    fn reset(&mut self, tail: &Tail) -> Step {
        self.cursor = Cursor::Loose { live: tail.head(), missing: None };
        (self.unverified, self.target) = (None, None);
        Step::Reset { synced: std::mem::take(&mut self.synced) }
    }

    /// Whether the answer to this [`Step::Fetch`] is still awaited; from then on it is not. One that was asked for before the stream began
    /// anew says how far *that* place was served, and would pass over what lies between.
    pub fn awaits_fetch(&mut self, from: Offset) -> bool {
        self.fetching.take_if(|awaited| *awaited == from).is_some()
    }

    /// What was fetched lies now in the tail, or was sent up to `next` from the index. The fetch has
    /// compared the position with the log.
    pub fn fetched(&mut self, next: Offset) {
        self.fetching = None;
        self.unverified = None;
        self.got_on = true;
        if let Cursor::InOrder { next: held } | Cursor::Loose { missing: Some(Missing { next: held, .. }), .. } =
            &mut self.cursor
        {
            *held = (*held).max(next);
        }
    }

    /// History cannot be read now, or archive is not there yet: deliver what is live, loosely, until
    /// [`Stream::fetch_again`] and then beside what is fetched. A device that was told `synced` is told that it holds
    /// no more: else it would mark over what it lacks.
    #[must_use]
    pub fn fetch_failed(&mut self, tail: &Tail) -> Option<Step> {
        (self.fetching, self.failed) = (None, true);
        let waits = std::mem::take(&mut self.got_on) && self.fell_behind;
        let Cursor::InOrder { next } = self.cursor else { return None };
        if waits || self.taken_up(next, tail) >= tail.start() {
            return None;
        }
        let live = tail.head();
        self.cursor = Cursor::Loose { live, missing: Some(Missing { next, until: live }) };
        std::mem::take(&mut self.synced).then_some(Step::Gap)
    }

    /// What failed may be tried again.
    pub fn fetch_again(&mut self) {
        self.failed = false;
    }

    /// The position cannot be served: neither log nor index reach back that far, or its id is another. Nothing, if nothing
    /// is missing any more.
    pub fn fetch_refused(&mut self, tail: &Tail) -> Option<Step> {
        self.fetching = None;
        let held = matches!(self.cursor, Cursor::InOrder { next } if self.taken_up(next, tail) >= tail.start());
        (!held || self.unverified.is_some()).then(|| self.reset(tail))
    }

    /// The position from which a fetch goes on, if its id was not compared with the log's yet.
    #[must_use]
    pub fn unverified(&self) -> Option<Position> {
        self.unverified
    }

    /// Sends what there is, as far as the window has room.
    pub fn pump(&mut self, tail: &Tail, window: &mut Window, mut send: impl FnMut(&mut Window, Step)) {
        if self.full {
            if !window.has_drained() {
                return;
            }
            self.full = false;
            // Who was not told `synced` goes on to the end that it was promised: one that moves with each
            // full window might never be reached by a device that is slower than its friends.
            if std::mem::take(&mut self.synced) {
                self.target = None;
                send(window, Step::Gap);
                send(window, Step::AskEnd);
            }
        }
        if !self.verify(tail) {
            self.fetching = None;
            let step = self.reset(tail);
            return send(window, step);
        }
        match self.cursor {
            Cursor::Waiting { .. } => {}
            Cursor::InOrder { next } => self.pump_in_order(next, tail, window, &mut send),
            Cursor::Loose { live, missing: None } => self.pump_loose(live, None, tail, window, &mut send),
            Cursor::Loose { live, missing: Some(missing) } => {
                let second = tail.missed(self.recipient(), live);
                self.fell_behind |= second;
                match self.joined(missing, live, second, tail) {
                    Some(next) => {
                        self.target = self.target.max(Some(live));
                        self.pump_in_order(next, tail, window, &mut send);
                    }
                    None => {
                        self.fetch(missing.next, window, &mut send);
                        self.pump_loose(live, Some(missing), tail, window, &mut send);
                    }
                }
            }
        }
    }

    fn recipient(&self) -> Recipient {
        Recipient::User(self.who.user)
    }

    /// Where the tail goes on for who holds everything below `next`; `next` itself if something between was missed, or its
    /// position was not compared yet.
    fn taken_up(&self, next: Offset, tail: &Tail) -> Offset {
        let nothing_missed = self.unverified.is_none() && !tail.missed(self.recipient(), next);
        if nothing_missed { next.max(tail.start()) } else { next }
    }

    /// Where a stream with a hole goes on in order: behind all that was sent, once the hole is filled; else at the hole,
    /// if the tail takes it up, or there is a `second` one, of what the tail has dropped behind `live`.
    fn joined(&self, missing: Missing, live: Offset, second: bool, tail: &Tail) -> Option<Offset> {
        if missing.next >= missing.until {
            return Some(live);
        }
        (second || self.taken_up(missing.next, tail) >= tail.start()).then_some(missing.next)
    }

    fn pump_loose(
        &mut self,
        live: Offset,
        missing: Option<Missing>,
        tail: &Tail,
        window: &mut Window,
        send: &mut impl FnMut(&mut Window, Step),
    ) {
        let live = self.deliver(live.max(tail.start()), false, tail, window, send);
        self.cursor = Cursor::Loose { live, missing };
    }

    fn pump_in_order(
        &mut self,
        next: Offset,
        tail: &Tail,
        window: &mut Window,
        send: &mut impl FnMut(&mut Window, Step),
    ) {
        let next = self.taken_up(next, tail);
        let held = (tail.start()..tail.head()).contains(&next);
        let next = if held { self.deliver(next, true, tail, window, send) } else { next };
        self.cursor = Cursor::InOrder { next };
        // Below the tail nothing was compared with the log before the first answer.
        let compared = next >= tail.start() || self.unverified.is_none();
        if compared && next <= tail.head() && self.target.take_if(|end| next >= *end).is_some() {
            (self.synced, self.fell_behind) = (true, false);
            send(window, Step::Synced(tail.position_before(next), next));
        }
        if next < tail.start() {
            self.fetch(next, window, send);
        }
    }

    /// What was fetched fills a window as well.
    fn fetch(&mut self, from: Offset, window: &mut Window, send: &mut impl FnMut(&mut Window, Step)) {
        self.full = !window.has_room();
        if self.fetching.is_none() && !self.failed && !self.full {
            self.fetching = Some(from);
            send(window, Step::Fetch(from));
        }
    }

    /// Sends the user's events from `next` on; answers where it stopped.
    fn deliver(
        &mut self,
        mut next: Offset,
        positioned: bool,
        tail: &Tail,
        window: &mut Window,
        send: &mut impl FnMut(&mut Window, Step),
    ) -> Offset {
        for entry in tail.entries_of(self.recipient(), next) {
            if self.concerns(entry.event()) {
                if !window.has_room() {
                    self.full = true;
                    return next;
                }
                send(window, Step::Event { entry: Rc::clone(entry), positioned });
            } else if self.revokes(entry.event()) {
                send(window, Step::Revoked);
            }
            next = entry.offset() + 1;
        }
        tail.head().max(next)
    }

    /// Whether the session's own sends are sent like all others: the device may have dropped, at the
    /// reset, what it was told by `ack` or `answer` before.
    #[must_use]
    pub fn repeats_own(&self) -> bool {
        self.repeats_own
    }

    /// One's own sends are not repeated to the session that was told of them by `ack` or `answer`.
    fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::Send(send) | Event::Resolved { send, .. } | Event::Echo { send, .. } => {
                self.repeats_own || send.session != self.who.session
            }
            Event::Answer(answer) => answer.key.device == self.who.device,
            Event::Mark(_) | Event::PeerMark { .. } => true,
            Event::DeviceRevoked { .. } | Event::Unknown { .. } => false,
        }
    }

    fn revokes(&self, event: &Event) -> bool {
        matches!(event, Event::DeviceRevoked { device, .. } if *device == self.who.device)
    }

    /// Compares the device's position with the log once the tail knows that record; false if they differ.
    fn verify(&mut self, tail: &Tail) -> bool {
        let Some(position) = self.unverified else { return true };
        let Some(id) = tail.id_at(position.source.offset()) else { return true };
        self.unverified = None;
        id == position.id
    }

    /// How far the stream is, where a device may store it.
    #[must_use]
    pub fn position(&self, tail: &Tail) -> Option<Position> {
        self.held_below().filter(|_| self.unverified.is_none()).and_then(|next| tail.position_before(next))
    }
}

/// What *delivered* will follow from, if `who` holds this event.
#[must_use]
pub fn incoming(who: Follower, entry: &Entry, generation: u16) -> Option<Incoming> {
    let (Event::Send(send) | Event::Resolved { send, .. }) = entry.event() else { return None };
    let counts = send.sender != who.user && send.content.target().is_none();
    let source = volery_kernel::position::Source::new(generation, entry.offset());
    counts.then(|| (send.chat(), Seen { source, id: send.id }))
}
