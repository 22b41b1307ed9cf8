//! What devices do and see, written down for the checker, which judges from nothing else.
//!
//! Steps are pushed where they happen: a frame counts as sent when it is handed to the socket, and as
//! seen when the client has worked it in. Times are microseconds of virtual time.

use std::collections::BTreeMap;

use volery_checker::frames;
use volery_checker::history::{Act as Wish, Line, Marks, Row, WORLD, What};
use volery_checker::text::{Label, Text};
use volery_client::intent::{Act, Local};
use volery_client::outbox::Ended;
use volery_client::state::Change;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_ports::history::ChatView;
use volery_wire::client::{Request, SendHead};
use volery_wire::server::{Reaction, Reply};

use crate::view::{self, View};
use crate::world::{START_MS, World};

/// The names of what a device wanted, by its own numbers and by send key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    /// What is being wanted just now.
    wanting: Option<Label>,
    by_local: BTreeMap<Local, Label>,
    by_key: BTreeMap<(SessionNumber, u32), Label>,
}

impl Labels {
    /// Follows what the device stores.
    pub(crate) fn store(&mut self, change: &Change) {
        match change {
            Change::Wanted(intent) => {
                self.by_local.extend(self.wanting.take().map(|label| (intent.local, label)));
            }
            Change::Keyed { local, session, number } => {
                let label = self.by_local.get(local).copied();
                self.by_key.extend(label.map(|label| ((*session, *number), label)));
            }
            _ => {}
        }
    }
}

impl World {
    pub(crate) fn record(&mut self, device: usize, what: What) {
        self.history.push((self.now - START_MS) * 1_000, device as u32, what);
    }

    pub(crate) fn record_fault(&mut self, what: String) {
        self.history.push((self.now - START_MS) * 1_000, WORLD, What::Fault(what));
    }

    /// The user of a device wants something.
    pub(crate) fn record_wish(&mut self, n: usize, chat: ChatId, act: &Act) {
        let label = Label { device: n as u32, number: self.devices[n].said as u32 };
        self.devices[n].labels.wanting = Some(label);
        let text = |text: &str| Text::of(text).ok();
        let act = match act {
            Act::Say { text: said, .. } => text(said).map(Wish::Say),
            Act::Edit { id, text: said } => text(said).map(|text| Wish::Edit { target: *id, text }),
            Act::Delete { id } => Some(Wish::Delete(*id)),
            Act::React { id, emoji } => Some(Wish::React { target: *id, emoji: emoji.clone() }),
            Act::Unreact { id } => Some(Wish::React { target: *id, emoji: String::new() }),
        };
        let after = self.devices[n].fresh.get(&chat).copied();
        if let Some(act) = act {
            self.record(n, What::Wanted { label, chat, act, after });
        }
    }

    /// A request is handed to the socket.
    pub(crate) fn record_request(&mut self, n: usize, request: &Request<'_>) {
        match request {
            Request::Send(send) => self.record_sent(n, send.head()),
            Request::Edit(change) | Request::Delete(change) | Request::React(change) | Request::Unreact(change) => {
                self.record_sent(n, change.head());
            }
            other => frames::requested(other).into_iter().for_each(|what| self.record(n, what)),
        }
    }

    fn record_sent(&mut self, n: usize, head: SendHead) {
        let (session, retry) = (head.retry_of.unwrap_or(self.devices[n].disk.session), head.retry_of.is_some());
        if let Some(label) = self.devices[n].labels.by_key.get(&(session, head.number)).copied() {
            self.record(n, What::Sent { label, session, number: head.number, retry, shown: head.shown });
        }
    }

    /// A frame is about to be worked in.
    pub(crate) fn record_reply(&mut self, n: usize, reply: &Reply<'_>) {
        let told = frames::told(self.devices[n].disk.session, reply);
        told.into_iter().for_each(|what| self.record(n, what));
    }

    /// What a device shows of a frame.
    pub(crate) fn record_shown(&mut self, n: usize, reply: &Reply<'_>) {
        for what in frames::shown(reply) {
            if let What::Showed { row, .. } = &what {
                self.showed(n, row.chat, row.id);
            }
            self.record(n, what);
        }
    }

    /// This start of the app has shown an id.
    fn showed(&mut self, n: usize, chat: ChatId, id: Id) {
        let newest = self.devices[n].fresh.entry(chat).or_default();
        *newest = id.max(*newest);
    }

    /// An intent came to its end.
    pub(crate) fn record_ended(&mut self, n: usize, ended: &Ended) {
        let id = ended.outcome.as_ref().ok().map(|taken| taken.id);
        if let (Act::Say { .. }, Some(id)) = (&ended.intent.act, id) {
            self.showed(n, ChatId::direct(self.devices[n].user, ended.intent.to), id);
        }
        if let Some(label) = self.devices[n].labels.by_local.get(&ended.intent.local).copied() {
            self.record(n, What::Ended { label, id });
        }
    }

    // ----- at rest -----

    pub(crate) fn record_view(&mut self, n: usize) {
        let view = &self.devices[n].view;
        let rows = view.all().iter().map(|((chat, id), seen)| row(*chat, *id, Source::ZERO, seen)).collect();
        let marks = view.chats().map(|chat| marks_of(view, chat)).collect();
        self.record(n, What::View { rows, marks });
    }
}

/// A message as somebody shows it.
pub(crate) fn row(chat: ChatId, id: Id, source: Source, seen: &view::Seen) -> Row {
    let text = Text::of(&seen.text).ok().filter(|_| !seen.deleted);
    let reaction =
        |(by, (change, emoji)): (&UserId, &(Id, String))| Reaction { by: *by, emoji: emoji.clone(), change: *change };
    let reactions = seen.reactions.iter().map(reaction).collect();
    Row { chat, id, from: seen.from, source, text, reactions }
}

fn marks_of(view: &View, chat: ChatId) -> Marks {
    let view::Marks { read, peer_delivered, peer_read } = view.marks_of(chat);
    Marks { chat, read, peer_delivered, peer_read }
}

/// A line of the chat list.
pub(crate) fn line(line: &ChatView) -> Line {
    let marks = Marks {
        chat: line.chat,
        read: line.read.source,
        peer_delivered: line.peer_delivered.source,
        peer_read: line.peer_read.source,
    };
    Line { unread: line.unread as u32, newest_incoming: line.newest_incoming, marks }
}
