//! A session: requests and news in, effects out. Owns everything that one device's connection
//! needs beside its socket; touches neither socket, log nor store.
//!
//! It is born after `hello` was authenticated and a session number was taken. Effects are carried
//! out in order. Trap avoided: answers of the outside (log, accounts, history) come back as inputs
//! at any later time, also after the session ended; then they change nothing.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;

use volery_kernel::chat::ChatId;
use volery_kernel::code::{Close, Code};
use volery_kernel::event::{Content, Event};
use volery_kernel::generator::Generator;
use volery_kernel::id::{Id, UserId};
use volery_kernel::limits;
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::accounts::{Claims, TokenError};
use volery_ports::history::Anchor;
use volery_wire::client::Request;
use volery_wire::codec::Malformed;
use volery_wire::server::{self, Reply};

mod following;
mod living;
mod marking;
mod paging;
mod sending;

pub use following::Fetched;

use super::entry::{Entry, blob};
use super::lively::Lively;
use super::marks::Marks;
use super::pace::{Pace, Rate};
use super::sends::Sends;
use super::stream::{Follower, Stream};
use super::tail::Tail;
use super::window::Window;
use sending::{Parked, emoji, text};

/// Bad requests after which a socket is closed: a client this broken helps nobody.
const ERRORS_MOST: u32 = 100;

/// What the outside lends a session while it handles one input.
pub struct Context<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// The thread's generator.
    pub ids: &'a mut Generator,
    /// Whether the node's clock is the log's: without that nothing is sent.
    pub agrees: bool,
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
    /// Let this user see that the session's is typing; nothing comes of it.
    Typing(UserId),
    /// Watch others than before; answer with [`Session::watches`] when all are known.
    Watch {
        /// The request to answer.
        request: u64,
        /// Watched from now on.
        added: Vec<UserId>,
        /// Watched no more.
        left: Vec<UserId>,
    },
    /// Close the socket.
    Close(Close),
}

/// See the module.
pub struct Session {
    who: Follower,
    generation: u16,
    stream: Stream,
    window: Window,
    sends: Sends,
    parked: VecDeque<Parked>,
    marks: Marks,
    lively: Option<Box<Lively>>,
    pace: Pace,
    welcomed: Timestamp,
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
            generation,
            stream: Stream::new(who, resume),
            window: Window::default(),
            sends: Sends::new(who, generation, largest_id.max(who.session.0)),
            parked: VecDeque::new(),
            marks: Marks::default(),
            lively: None,
            pace: Pace::new(rate),
            welcomed: now,
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

    /// How fast it may send.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.pace.rate()
    }

    /// Goes by another rate from now on.
    pub fn go_by(&mut self, rate: Rate, now: Timestamp) {
        self.pace.change(rate, now);
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

    /// Whether the window is full: nothing of the stream is sent until enough of it is confirmed.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        !self.window.has_room()
    }

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
            Request::Mark(mark) => self.mark(&mark, ctx.now),
            Request::Typing(typing) => self.typing(id, typing.to, ctx, effects),
            Request::Presence(presence) => self.watch(id, presence.users, ctx.now, effects),
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

    /// Does what is due.
    pub fn tick(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        self.calm_down(ctx.now);
        let mut out = Vec::new();
        self.sends.tick(ctx.now, &mut out);
        self.carry_out(out, effects);
        if self.token_until <= ctx.now {
            self.close(Close::InvalidToken, effects);
        }
        if self.retry_fetch_at.is_some_and(|at| at <= ctx.now) {
            self.retry_fetch_at = None;
            self.stream.fetch_again();
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
