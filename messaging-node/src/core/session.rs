//! A session: requests and news in, effects out. Owns everything that one device's connection
//! needs beside its socket; touches neither socket, log nor store.
//!
//! It is born after `hello` was authenticated and a session number was taken. Effects are carried
//! out in order. Trap avoided: answers of the outside (log, accounts, history) come back as inputs
//! at any later time, also after the session ended; then they change nothing.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::code::{Close, Code};
use volery_kernel::event::{Body, Content, Event, Mark, MarkKind, Seen, SendKey};
use volery_kernel::generator::Generator;
use volery_kernel::id::{Id, UserId};
use volery_kernel::limits;
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::accounts::{Claims, TokenError};
use volery_ports::history::{Anchor, ChatsPage, Happened, HistoryError, Page, Stretch};
use volery_ports::log::{AppendError, Appended};
use volery_wire::client::{self, Request, SendHead};
use volery_wire::codec::Malformed;
use volery_wire::server::{self, Reply};

use super::entry::{self, Entry, blob};
use super::marks::{Marks, Waiting};
use super::pace::{Pace, Rate};
use super::sends::{Asked, Out, Sends};
use super::stream::{self, Follower, Step, Stream};
use super::tail::Tail;
use super::window::Window;

/// Bad requests after which a socket is closed: a client this broken helps nobody.
const ERRORS_MOST: u32 = 100;
/// Pages that one session may wait for at once.
const PAGES_MOST: u32 = 8;

/// What the outside lends a session while it handles one input.
pub struct Context<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// The thread's generator.
    pub ids: &'a mut Generator,
    /// The partition of the session's user.
    pub tail: &'a Tail,
    /// Where everything lies.
    pub partitions: Partitions,
    /// Whether a user exists, if that is known here.
    pub known: &'a dyn Fn(UserId) -> Option<bool>,
}

/// What is to be done, in order.
pub enum Effect {
    /// Answer a request (or tell something, with request 0).
    Reply(u64, Reply<'static>),
    /// Send an event of the tail under this number. With its position if `positioned`.
    Event {
        /// The frame's number.
        n: u64,
        /// The event.
        entry: Rc<Entry>,
        /// Whether its position goes along.
        positioned: bool,
    },
    /// Append a batch of sends; answer with [`Session::appended`].
    Append(Partition, Vec<Event>),
    /// Append marks to the user's own partition; answer with [`Session::marks_failed`] if that fails.
    AppendMarks(Vec<Event>),
    /// Ask accounts; answer with [`Session::checked`].
    CheckUser(UserId),
    /// Check a new token; answer with [`Session::refreshed`].
    Authenticate(u64, String),
    /// Ask the log for the end of the user's partition; answer with [`Session::end_is`].
    AskEnd,
    /// Ask how far archive is; answer with [`Session::archived`].
    AskArchived,
    /// Fetch the stream from this offset: into the tail, or from the index; see [`Session::fetched`].
    /// The position, if there is one, is to be compared with the log's record.
    Fetch(Offset, Option<Position>),
    /// Read a page; answer with [`Session::page`].
    Page(u64, ChatId, Anchor, usize),
    /// Read the chat list; answer with [`Session::chats`].
    Chats(u64, Option<Vec<u8>>, usize),
    /// Ask which chats are undelivered; answer with [`Session::undelivered`].
    AskUndelivered,
    /// Close the socket.
    Close(Close),
}

/// A send that waits until its recipient was looked up.
struct Parked {
    asked: Asked,
    user: UserId,
}

/// See the module.
pub struct Session {
    who: Follower,
    stream: Stream,
    window: Window,
    sends: Sends,
    parked: VecDeque<Parked>,
    marks: Marks,
    pace: Pace,
    token_until: Timestamp,
    errors: u32,
    pages: u32,
    retry_fetch_at: Option<Timestamp>,
    sweep_after_sync: bool,
    closed: bool,
}

/// How a session begins.
pub struct Opening {
    /// Who it is: the token's user and device, and the session number just taken.
    pub who: Follower,
    /// When the token ends.
    pub token_until: Timestamp,
    /// The largest id that the device has seen.
    pub largest_id: Id,
    /// The stored position, if there is one.
    pub resume: Option<Position>,
    /// The request id of `hello`.
    pub request: u64,
    /// How fast it may send.
    pub rate: Rate,
    /// The log generation.
    pub generation: u16,
}

impl Session {
    /// Opens a session and welcomes its device.
    #[must_use]
    pub fn open(opening: Opening, now: Timestamp, effects: &mut Vec<Effect>) -> Self {
        let Opening { who, token_until, largest_id, resume, request, rate, generation } = opening;
        effects.push(Effect::Reply(
            request,
            Reply::Welcome(server::Welcome {
                user: who.user,
                device: who.device,
                session: who.session,
                now: now.0,
                window: limits::WINDOW_BYTES.value as u32,
            }),
        ));
        effects.push(Effect::AskEnd);
        Self {
            who,
            stream: Stream::new(who, resume),
            window: Window::default(),
            sends: Sends::new(who, generation, largest_id.max(who.session.0)),
            parked: VecDeque::new(),
            marks: Marks::default(),
            pace: Pace::new(rate),
            token_until,
            errors: 0,
            pages: 0,
            retry_fetch_at: None,
            sweep_after_sync: false,
            closed: false,
        }
    }

    /// Whose session it is.
    #[must_use]
    pub fn who(&self) -> Follower {
        self.who
    }

    /// Whether more of the socket should be read now. False while sends wait for the log or for
    /// their pace: the device's own socket is the queue.
    #[must_use]
    pub fn wants_input(&self, now: Timestamp) -> bool {
        let waiting = self.sends.unacknowledged() + self.parked.len();
        waiting < limits::UNACKNOWLEDGED_SENDS.value && self.pace.wait_until(now).is_none()
    }

    /// When [`Session::tick`] has something to do next.
    #[must_use]
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        let marks = self.marks.due().filter(|_| self.stream.is_synced());
        [marks, self.sends.deadline(), self.pace.wait_until(now), self.retry_fetch_at, Some(self.token_until)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Event bytes sent and not confirmed.
    #[must_use]
    pub fn unconfirmed_bytes(&self) -> usize {
        self.window.bytes()
    }

    // ----- requests -----

    /// A request from the device.
    pub fn request(&mut self, id: u64, request: Request<'_>, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let done = match request {
            Request::Hello(_) => Err((Code::HelloAgain, None)),
            Request::Refresh(refresh) => {
                effects.push(Effect::Authenticate(id, refresh.token.into_owned()));
                Ok(())
            }
            Request::Send(send) => {
                let head = send.head();
                let content = text(&send.text).map(|body| Content::Message { body, reply_to: send.reply_to });
                return self.send(id, head, content, ctx, effects);
            }
            Request::Edit(change) => {
                let content = change.text.as_deref().ok_or((Code::BadRequest, Some("text"))).and_then(text);
                let content = content.map(|body| Content::Edit { target: change.id, body });
                return self.send(id, change.head(), content, ctx, effects);
            }
            Request::Delete(change) => {
                return self.send(id, change.head(), Ok(Content::Delete { target: change.id }), ctx, effects);
            }
            Request::React(change) => {
                let content = emoji(change.emoji.as_deref()).map(|emoji| Content::React { target: change.id, emoji });
                return self.send(id, change.head(), content, ctx, effects);
            }
            Request::Unreact(change) => {
                let content = Content::React { target: change.id, emoji: String::new() };
                return self.send(id, change.head(), Ok(content), ctx, effects);
            }
            Request::Mark(mark) => self.mark(&mark),
            Request::History(history) => self.history(id, history, effects),
            Request::Chats(chats) => self.chat_list(id, chats, effects),
            Request::Received(received) => self.received(received.n, effects),
            Request::Ping => {
                let position = self.stream.position(ctx.tail).map(blob);
                effects.push(Effect::Reply(id, Reply::Pong(server::At { position })));
                Ok(())
            }
            Request::Resume(resume) => self.resume(&resume.position.0, effects),
        };
        if let Err((code, field)) = done {
            self.error(id, code, field, None, effects);
        }
        self.advance(ctx, effects);
    }

    /// A frame that is no request.
    pub fn malformed(&mut self, malformed: &Malformed, effects: &mut Vec<Effect>) {
        let detail = (malformed.code == Code::BadRequest).then(|| malformed.detail.clone());
        self.errors += 1;
        effects.push(Effect::Reply(malformed.request, Reply::Error(error_body(malformed.code, None, None, detail))));
        self.close_if_hopeless(effects);
    }

    fn error(
        &mut self,
        request: u64,
        code: Code,
        field: Option<&'static str>,
        number: Option<u32>,
        effects: &mut Vec<Effect>,
    ) {
        self.errors += u32::from(!code.retryable());
        effects.push(Effect::Reply(request, Reply::Error(error_body(code, field, number, None))));
        self.close_if_hopeless(effects);
    }

    fn close_if_hopeless(&mut self, effects: &mut Vec<Effect>) {
        if self.errors > ERRORS_MOST {
            self.close(Close::TooManyErrors, effects);
        }
    }

    fn close(&mut self, close: Close, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.closed, true) {
            effects.push(Effect::Close(close));
        }
    }

    // ----- sends -----

    fn send(
        &mut self,
        request: u64,
        head: SendHead,
        content: Result<Content, Bad>,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        self.pace.take(ctx.now);
        let asked = content.and_then(|content| self.asked(request, head, content));
        let checked = asked.and_then(|asked| self.sends.check(&asked).map(|()| asked).map_err(|code| (code, None)));
        match checked {
            Ok(asked) => self.admit(Parked { asked, user: head.to }, ctx, effects),
            Err((code, field)) => self.error(request, code, field, Some(head.number), effects),
        }
        self.advance(ctx, effects);
    }

    fn asked(&self, request: u64, head: SendHead, content: Content) -> Result<Asked, Bad> {
        if head.number == 0 {
            return Err((Code::BadRequest, Some("number")));
        }
        let shown =
            head.shown.filter(|_| self.stream.is_synced()).map(|shown| Seen { source: shown.source, id: shown.id });
        if shown.is_some_and(|seen| self.is_ahead(seen)) {
            return Err((Code::MarkAhead, Some("shown")));
        }
        let session = head.retry_of.unwrap_or(self.who.session);
        let key = SendKey { device: self.who.device, session, number: head.number };
        let recipient = Recipient::User(head.to);
        Ok(Asked { request, recipient, key, flagged: head.retry_of.is_some(), resolve_only: false, shown, content })
    }

    /// Takes a send, or parks it (and all behind it) until its recipient was looked up.
    fn admit(&mut self, parked: Parked, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let user = parked.user;
        self.parked.push_back(parked);
        if self.parked.len() == 1 && self.lookup(user, ctx).is_none() {
            effects.push(Effect::CheckUser(user));
            return;
        }
        self.unpark(ctx, effects);
    }

    fn lookup(&self, user: UserId, ctx: &Context<'_>) -> Option<bool> {
        if user == self.who.user { Some(true) } else { (ctx.known)(user) }
    }

    fn unpark(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        while let Some(front) = self.parked.front() {
            let Some(exists) = self.lookup(front.user, ctx) else {
                return effects.push(Effect::CheckUser(front.user));
            };
            let Some(parked) = self.parked.pop_front() else { return };
            self.take(parked.asked, exists, ctx, effects);
        }
    }

    /// Accounts' answer: `Err` while they cannot be read.
    pub fn checked(
        &mut self,
        user: UserId,
        exists: Result<bool, Code>,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        if self.parked.front().is_none_or(|front| front.user != user) {
            return;
        }
        let Some(parked) = self.parked.pop_front() else { return };
        match exists {
            Ok(exists) => self.take(parked.asked, exists, ctx, effects),
            Err(code) => self.error(parked.asked.request, code, None, Some(parked.asked.key.number), effects),
        }
        self.unpark(ctx, effects);
        self.advance(ctx, effects);
    }

    fn take(&mut self, mut asked: Asked, exists: bool, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let (request, number) = (asked.request, asked.key.number);
        if !exists && !asked.flagged {
            return self.error(request, Code::UnknownRecipient, Some("to"), Some(number), effects);
        }
        asked.resolve_only = !exists;
        let partition = ctx.partitions.of(asked.recipient);
        let mut out = Vec::new();
        let taken = self.sends.take(asked, partition, ctx.ids, ctx.now, &mut out);
        self.carry_out(out, effects);
        if let Err(code) = taken {
            self.error(request, code, None, Some(number), effects);
        }
    }

    fn carry_out(&mut self, out: Vec<Out>, effects: &mut Vec<Effect>) {
        for out in out {
            match out {
                Out::Append(partition, events) => effects.push(Effect::Append(partition, events)),
                Out::Ack { request, number, id, source } => {
                    effects.push(Effect::Reply(request, Reply::Ack(server::Ack { number, id, source })));
                }
                Out::Failed { request, number, code } => self.error(request, code, None, Some(number), effects),
                Out::CloseToRetry => self.close(Close::Retry, effects),
            }
        }
    }

    /// The log's answer to [`Effect::Append`].
    pub fn appended(
        &mut self,
        partition: Partition,
        result: Result<Vec<Appended>, AppendError>,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        if self.closed {
            return;
        }
        let mut out = Vec::new();
        self.sends.appended(partition, result, &mut out);
        self.carry_out(out, effects);
        self.advance(ctx, effects);
    }

    // ----- marks -----

    fn is_ahead(&self, seen: Seen) -> bool {
        let ahead = |held: Offset| seen.source.offset() >= held;
        seen.source != Source::ZERO && self.stream.held_below().is_none_or(ahead)
    }

    fn mark(&mut self, mark: &client::Mark) -> Result<(), Bad> {
        if mark.chat.peer_of(self.who.user).is_none() {
            return Err((Code::UnknownChat, Some("chat")));
        }
        if !self.stream.is_synced() {
            return Err((Code::NotSynced, None));
        }
        let seen = Seen { source: mark.source, id: mark.id };
        if self.is_ahead(seen) {
            return Err((Code::MarkAhead, Some("source")));
        }
        let kind = match mark.kind {
            server::MarkKind::Delivered => MarkKind::Delivered,
            server::MarkKind::Read => MarkKind::Read,
        };
        self.marks.add(Waiting { chat: mark.chat, kind, seen });
        Ok(())
    }

    fn received(&mut self, n: u64, effects: &mut Vec<Effect>) -> Result<(), Bad> {
        let marks = &mut self.marks;
        let confirmed =
            self.window.confirm(n, |(chat, seen)| marks.add(Waiting { chat, kind: MarkKind::Delivered, seen }));
        confirmed.map_err(|_| (Code::BadRequest, Some("n")))?;
        if self.stream.is_synced() && std::mem::take(&mut self.sweep_after_sync) {
            self.marks.sweep_later();
        }
        if self.stream.is_synced() && self.marks.take_sweep() {
            effects.push(Effect::AskUndelivered);
        }
        Ok(())
    }

    /// The answer to [`Effect::AskUndelivered`].
    pub fn undelivered(&mut self, chats: Vec<(ChatId, Seen)>, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        for (chat, seen) in chats {
            if !self.is_ahead(seen) {
                self.marks.add(Waiting { chat, kind: MarkKind::Delivered, seen });
            }
        }
        self.advance(ctx, effects);
    }

    /// Marks could not be appended: they wait again.
    pub fn marks_failed(&mut self, events: Vec<Event>) {
        for event in events {
            if let Event::Mark(Mark { chat, kind, seen, .. }) = event {
                self.marks.add(Waiting { chat, kind, seen });
            }
        }
    }

    fn flush_marks(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if !self.stream.is_synced() || self.closed {
            return;
        }
        if self.marks.due().is_none_or(|due| due > ctx.now) {
            return;
        }
        // A mark's id only names its record: without one, marks wait.
        let Ok(id) = ctx.ids.take(ctx.now, Id::ZERO) else { return };
        let reader = self.who.user;
        let mark = |Waiting { chat, kind, seen }| Event::Mark(Mark { id, reader, chat, kind, seen });
        let events: Vec<_> = self.marks.take(ctx.now).into_iter().map(mark).collect();
        if !events.is_empty() {
            effects.push(Effect::AppendMarks(events));
        }
    }

    // ----- pages -----

    fn history(&mut self, request: u64, history: client::History, effects: &mut Vec<Effect>) -> Result<(), Bad> {
        let anchor = anchor(&history)?;
        let limit = page_limit(history.limit, limits::PAGE_MOST.value)?;
        self.page_may_start()?;
        effects.push(Effect::Page(request, history.chat, anchor, limit));
        Ok(())
    }

    fn chat_list(&mut self, request: u64, chats: client::Chats, effects: &mut Vec<Effect>) -> Result<(), Bad> {
        let limit = page_limit(chats.limit, limits::CHATS_MOST.value)?;
        self.page_may_start()?;
        effects.push(Effect::Chats(request, chats.cursor.map(|cursor| cursor.0), limit));
        Ok(())
    }

    fn page_may_start(&mut self) -> Result<(), Bad> {
        if self.pages >= PAGES_MOST {
            return Err((Code::Busy, None));
        }
        self.pages += 1;
        Ok(())
    }

    /// The answer to [`Effect::Page`].
    pub fn page(&mut self, request: u64, chat: ChatId, page: Result<Page, HistoryError>, effects: &mut Vec<Effect>) {
        self.pages = self.pages.saturating_sub(1);
        match page {
            Ok(page) => {
                self.saw(page.messages.iter().map(|view| view.id));
                effects.push(Effect::Reply(request, Reply::Page(self.page_body(chat, page))));
            }
            Err(error) => self.error(request, history_code(&error), None, None, effects),
        }
    }

    /// An answer stands after its question: what the device was shown raises the floor of its sends.
    fn saw(&mut self, ids: impl Iterator<Item = Id>) {
        if let Some(newest) = ids.max() {
            self.sends.raise_floor(newest);
        }
    }

    fn page_body(&self, chat: ChatId, page: Page) -> server::Page<'static> {
        let messages = page.messages.iter().map(|view| own(entry::of_view(self.who.user, chat, view, None))).collect();
        let cursor = |cursor: Option<Vec<u8>>| cursor.map(volery_wire::field::Blob);
        server::Page { chat, messages, older: cursor(page.older), newer: cursor(page.newer), covers: page.covers }
    }

    /// The answer to [`Effect::Chats`].
    pub fn chats(&mut self, request: u64, page: Result<ChatsPage, HistoryError>, effects: &mut Vec<Effect>) {
        self.pages = self.pages.saturating_sub(1);
        match page {
            Ok(page) => {
                self.saw(page.chats.iter().filter_map(|chat| chat.newest.as_ref()).map(|view| view.id));
                effects.push(Effect::Reply(request, Reply::ChatList(self.chats_body(page))));
            }
            Err(error) => self.error(request, history_code(&error), None, None, effects),
        }
    }

    fn chats_body(&self, page: ChatsPage) -> server::ChatList<'static> {
        let seen = |seen: Seen| client::Shown { source: seen.source, id: seen.id };
        let chats = page.chats.into_iter().map(|view| server::Chat {
            chat: view.chat,
            newest: view.newest.as_ref().map(|newest| own(entry::of_view(self.who.user, view.chat, newest, None))),
            unread: view.unread as u32,
            read: seen(view.read),
            peer_delivered: seen(view.peer_delivered),
            peer_read: seen(view.peer_read),
            newest_incoming: view.newest_incoming,
        });
        server::ChatList { chats: chats.collect(), next: page.next.map(volery_wire::field::Blob) }
    }

    // ----- stream -----

    fn resume(&mut self, position: &[u8], effects: &mut Vec<Effect>) -> Result<(), Bad> {
        let position = Position::from_bytes(position).map_err(|_| (Code::InvalidPosition, Some("position")))?;
        self.sweep_after_sync = true;
        self.retry_fetch_at = None;
        let step = self.stream.resume(position);
        self.step(step, effects);
        Ok(())
    }

    /// The log's end, asked for by [`Effect::AskEnd`].
    pub fn end_is(&mut self, end: Offset, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let mut steps = Vec::new();
        self.stream.end_is(end, ctx.tail, &mut steps);
        for step in steps {
            self.step(step, effects);
        }
        self.advance(ctx, effects);
    }

    /// The stream was fetched into the tail.
    pub fn fetched(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        self.stream.fetched(0);
        self.advance(ctx, effects);
    }

    /// A stretch of the stream out of the index.
    pub fn stretch(&mut self, stretch: Stretch, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if self.stream.held_below().is_none() {
            return;
        }
        for (_, happened) in stretch.events {
            self.happened(&happened, effects);
        }
        self.stream.fetched(stretch.complete_below);
        self.advance(ctx, effects);
    }

    fn happened(&mut self, happened: &Happened, effects: &mut Vec<Effect>) {
        let (reply, incoming, bytes) = match happened {
            Happened::Message(chat, view) | Happened::Changed(chat, view) => {
                let incoming =
                    (view.sender != self.who.user).then_some((*chat, Seen { source: view.source, id: view.id }));
                let own_now = view.key.session == self.who.session;
                if own_now {
                    return;
                }
                self.sends.raise_floor(view.id);
                (Reply::Message(own(entry::of_view(self.who.user, *chat, view, None))), incoming, view.body.bytes.len())
            }
            Happened::Answer(answer) if answer.key.device == self.who.device => {
                self.sends.answered(answer.key);
                (Reply::Answer(entry::of_answer(answer, None)), None, 0)
            }
            Happened::Answer(_) => return,
            Happened::Mark { reader, chat, kind, seen } => {
                let (source, id) = (seen.source, seen.id);
                let kind = entry::mark_kind(*kind);
                (
                    Reply::Marked(server::Marked { chat: *chat, reader: *reader, kind, source, id, position: None }),
                    None,
                    0,
                )
            }
        };
        let n = self.window.send(entry::AROUND_FRAME + bytes, incoming);
        effects.push(Effect::Reply(n, reply));
    }

    /// History or log cannot be read: live delivery goes on, the fetch is tried again.
    pub fn fetch_failed(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        const AGAIN_AFTER_MS: u64 = 1_000;
        self.stream.fetch_failed(ctx.tail);
        self.retry_fetch_at = Some(ctx.now.plus(AGAIN_AFTER_MS));
        self.advance(ctx, effects);
    }

    /// Neither log nor index reach back that far, or the position is of another log.
    pub fn fetch_refused(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let step = self.stream.fetch_refused(ctx.tail);
        self.step(step, effects);
        self.advance(ctx, effects);
    }

    /// How far archive is: told to the device with `reset`.
    pub fn archived(&mut self, position: Position, effects: &mut Vec<Effect>) {
        effects.push(Effect::Reply(0, Reply::Reset(server::At { position: Some(blob(position)) })));
    }

    fn step(&mut self, step: Step, effects: &mut Vec<Effect>) {
        match step {
            Step::AskEnd => effects.push(Effect::AskEnd),
            Step::Reset => {
                self.sweep_after_sync = true;
                effects.push(Effect::AskArchived);
            }
            Step::Fetch(from) => effects.push(Effect::Fetch(from, self.stream.unverified())),
            Step::Gap => effects.push(Effect::Reply(0, Reply::Gap)),
            Step::Synced(position) => {
                effects.push(Effect::Reply(0, Reply::Synced(server::At { position: position.map(blob) })))
            }
            Step::Revoked => self.close(Close::Revoked, effects),
            Step::Event { .. } => {}
        }
    }

    /// The tail has news, or the window has room again.
    pub fn advance(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if self.closed {
            return;
        }
        let mut steps = Vec::new();
        let who = self.who;
        let (sends, generation) = (&mut self.sends, ctx.tail.generation());
        self.stream.pump(ctx.tail, &mut self.window, |window, step| match step {
            Step::Event { entry, positioned } => {
                if let Event::Answer(answer) = entry.event() {
                    sends.answered(answer.key);
                }
                sends.raise_floor(entry.event().id());
                let n = window.send(entry.frame_bytes(), stream::incoming(who, &entry, generation));
                steps.push(Err(Effect::Event { n, entry, positioned }));
            }
            other => steps.push(Ok(other)),
        });
        for step in steps {
            match step {
                Ok(step) => self.step(step, effects),
                Err(event) => effects.push(event),
            }
        }
        self.flush_marks(ctx, effects);
    }

    // ----- time and token -----

    /// Does what is due.
    pub fn tick(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let mut out = Vec::new();
        self.sends.tick(ctx.now, &mut out);
        self.carry_out(out, effects);
        if self.token_until <= ctx.now {
            self.close(Close::InvalidToken, effects);
        }
        if self.retry_fetch_at.is_some_and(|at| at <= ctx.now) {
            self.retry_fetch_at = None;
            if let Some(step) = self.stream.fetch_again() {
                self.step(step, effects);
            }
        }
        self.advance(ctx, effects);
    }

    /// The answer to [`Effect::Authenticate`].
    pub fn refreshed(&mut self, request: u64, claims: Result<Claims, TokenError>, effects: &mut Vec<Effect>) {
        match claims {
            Ok(claims) if claims.user == self.who.user && claims.device == self.who.device => {
                self.token_until = self.token_until.max(claims.expires);
                effects.push(Effect::Reply(request, Reply::Done));
            }
            Ok(_) | Err(TokenError::Invalid) => self.error(request, Code::InvalidToken, Some("token"), None, effects),
            Err(TokenError::Revoked) => {
                self.error(request, Code::Revoked, Some("token"), None, effects);
                self.close(Close::Revoked, effects);
            }
            Err(TokenError::Unavailable(_)) => self.error(request, Code::AccountsUnavailable, None, None, effects),
        }
    }
}

type Bad = (Code, Option<&'static str>);

fn text(text: &str) -> Result<Body, Bad> {
    if text.is_empty() {
        return Err((Code::EmptyText, Some("text")));
    }
    if text.len() > limits::TEXT_BYTES.value {
        return Err((Code::TooLarge, Some("text")));
    }
    Ok(Body::text(Bytes::copy_from_slice(text.as_bytes())))
}

fn emoji(emoji: Option<&str>) -> Result<String, Bad> {
    match emoji {
        Some(emoji) if !emoji.is_empty() && emoji.len() <= limits::EMOJI_BYTES.value => Ok(emoji.to_owned()),
        _ => Err((Code::BadRequest, Some("emoji"))),
    }
}

fn page_limit(limit: Option<u32>, most: usize) -> Result<usize, Bad> {
    let limit = limit.map_or(limits::PAGE_DEFAULT.value, |limit| limit as usize);
    if (1..=most).contains(&limit) { Ok(limit) } else { Err((Code::BadRequest, Some("limit"))) }
}

fn anchor(history: &client::History) -> Result<Anchor, Bad> {
    let anchors = [
        history.before.map(Anchor::Before),
        history.after.map(Anchor::After),
        history.around.map(Anchor::Around),
        history.around_time.map(|at| Anchor::AroundTime(Timestamp(at))),
        history.cursor.clone().map(|cursor| Anchor::Cursor(cursor.0)),
    ];
    let mut given = anchors.into_iter().flatten();
    let first = given.next().unwrap_or(Anchor::Newest);
    if given.next().is_some() { Err((Code::BadRequest, Some("cursor"))) } else { Ok(first) }
}

fn history_code(error: &HistoryError) -> Code {
    match error {
        HistoryError::Unavailable(_) => Code::HistoryUnavailable,
        HistoryError::UnknownChat => Code::UnknownChat,
        HistoryError::InvalidCursor => Code::InvalidCursor,
        HistoryError::TooOld => Code::InvalidPosition,
    }
}

/// The body of an error; `detail` replaces the code's own sentence.
#[must_use]
pub fn error_body(
    code: Code,
    field: Option<&'static str>,
    number: Option<u32>,
    detail: Option<String>,
) -> server::Error<'static> {
    let message = detail.map_or(Cow::Borrowed(code.meaning()), Cow::Owned);
    let (code_text, retryable) = (Cow::Borrowed(code.text()), code.retryable());
    server::Error { code: code_text, message, retryable, field: field.map(Cow::Borrowed), number }
}

fn own(message: server::Message<'_>) -> server::Message<'static> {
    server::Message { text: Cow::Owned(message.text.into_owned()), ..message }
}
