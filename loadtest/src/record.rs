//! What every device did and saw, for the checker: pushed into memory as it happens, in the event
//! loop itself, and judged after the measured run.

use volery_checker::frames;
use volery_checker::history::{Act, History, Row, What};
use volery_checker::text::{Label, Text};
use volery_client::outbox::Ended;
use volery_client::view::Line;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_wire::client::Request;
use volery_wire::server::{Reaction, Reply};

use crate::clock;

/// See the module.
#[derive(Debug)]
pub(crate) struct Recorder {
    history: History,
    begun: u64,
}

impl Recorder {
    pub(crate) fn new(of: String) -> Self {
        Self { history: History::new(of), begun: clock::nanos() }
    }

    pub(crate) fn into_history(self) -> History {
        self.history
    }

    pub(crate) fn push(&mut self, device: u32, what: What) {
        self.history.push(clock::since(self.begun).as_micros() as u64, device, what);
    }

    /// The user wants a message said.
    pub(crate) fn wanted(&mut self, device: u32, text: &str, chat: ChatId, after: Id) {
        let Ok(text) = Text::of(text) else { return };
        let after = Some(after).filter(|after| *after > Id::ZERO);
        self.push(device, What::Wanted { label: text.label, chat, act: Act::Say(text), after });
    }

    /// A request is handed to the socket.
    pub(crate) fn request(&mut self, device: u32, session: SessionNumber, request: &Request<'_>) {
        let what = match request {
            Request::Send(send) => {
                let Some(label) = label_of(&send.text) else { return };
                let (session, retry) = (send.retry_of.unwrap_or(session), send.retry_of.is_some());
                What::Sent { label, session, number: send.number, retry, shown: send.shown }
            }
            other => {
                let Some(what) = frames::requested(other) else { return };
                what
            }
        };
        self.push(device, what);
    }

    /// A frame came in on the present socket.
    pub(crate) fn reply(&mut self, device: u32, session: SessionNumber, reply: &Reply<'_>) {
        let what = frames::told(session, reply).into_iter().chain(frames::shown(reply));
        what.for_each(|what| self.push(device, what));
    }

    /// The device took no more intents: its user is told so at once.
    pub(crate) fn given_up(&mut self, device: u32, text: &str) {
        if let Some(label) = label_of(text) {
            self.push(device, What::Ended { label, id: None });
        }
    }

    /// An intent came to its end.
    pub(crate) fn ended(&mut self, device: u32, text: &str, ended: &Ended) {
        if let Some(label) = label_of(text) {
            self.push(device, What::Ended { label, id: ended.outcome.as_ref().ok().map(|taken| taken.id) });
        }
    }
}

/// A line of a view.
pub(crate) fn row_of_line(chat: ChatId, line: &Line) -> Row {
    let text = Text::of(&line.text).ok().filter(|_| line.deleted.is_none());
    let reaction = |(by, change, emoji): (UserId, Id, &str)| Reaction { by, emoji: emoji.to_owned(), change };
    let reactions = line.newest_reactions().map(reaction).collect();
    Row { chat, id: line.id, from: line.from, source: line.source, text, reactions }
}

fn label_of(text: &str) -> Option<Label> {
    text.split(' ').next()?.parse().ok()
}
