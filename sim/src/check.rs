//! What must hold: while things happen (acknowledgements, marks, `synced`) and at rest (the timeline
//! against the log, every device's view against the timeline).

mod rest;

use std::collections::{BTreeMap, BTreeSet};

use futures::executor::block_on;
use volery_client::intent::Act;
use volery_client::outbox::Ended;
use volery_history::view::view;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Content, Event, Mark, Outcome, Seen, Send, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_ports::history::History as _;
use volery_ports::timeline::{MessageRow, Span, Timeline as _};
use volery_wire::server::Reply;

use crate::device::word;
use crate::log::GENERATION;
use crate::network::ConnId;
use crate::story::tell;
use crate::view;
use crate::world::{World, user_of};

/// Something that must not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, in milliseconds from the start.
    pub at: u64,
    /// What.
    pub what: String,
    /// The messages, devices and partitions that it is about, as stories name them.
    pub about: Vec<String>,
}

/// The word of an event for stories, and a line about it.
pub(crate) fn describe(event: &Event) -> (String, String) {
    match event {
        Event::Send(send) => {
            (tag_of(send), format!("{}{}", if send.flagged { "retry of " } else { "" }, of_send(send)))
        }
        Event::Resolved { send, .. } => (tag_of(send), format!("resolved {}", of_send(send))),
        Event::Echo { origin, send } => (tag_of(send), format!("echo of {}, from {}", of_send(send), origin.offset())),
        Event::Answer(answer) => {
            (key_tag(answer.key), format!("answer to {}: {:?}", key_tag(answer.key), answer.outcome))
        }
        Event::Mark(mark) => (format!("mark{}", mark.reader), of_mark(mark)),
        Event::PeerMark { mark, .. } => (format!("mark{}", mark.reader), format!("derived {}", of_mark(mark))),
        other => (String::new(), format!("{other:?}")),
    }
}

fn of_send(send: &Send) -> String {
    let (id, key) = (send.id, key_tag(send.key));
    format!("{} as {id} ({key}, session {}, to u{})", tag_of(send), send.session, send.recipient.id())
}

fn of_mark(mark: &Mark) -> String {
    format!("{:?} mark of u{} in {} up to {}", mark.kind, mark.reader, mark.chat, mark.seen.source.offset())
}

fn key_tag(key: SendKey) -> String {
    format!("key d{}/{}/{}", key.device.get() - 101, key.session, key.number)
}

fn tag_of(send: &Send) -> String {
    match &send.content {
        Content::Message { body, .. } => word(&String::from_utf8_lossy(&body.bytes)),
        Content::Edit { target, .. } => format!("edit of {target}"),
        Content::Delete { target } => format!("deletion of {target}"),
        Content::React { target, .. } => format!("reaction to {target}"),
    }
}

fn text_of(send: &Send) -> Option<String> {
    match &send.content {
        Content::Message { body, .. } => Some(String::from_utf8_lossy(&body.bytes).into_owned()),
        _ => None,
    }
}

impl World {
    pub(crate) fn violate(&mut self, what: impl Into<String>, about: Vec<String>) {
        let what = what.into();
        tell!(self, ["all"], "VIOLATION {what}");
        self.violations.push(Violation { at: self.now - crate::world::START_MS, what, about });
    }

    // ----- while things happen -----

    /// A device hears that a send is durable.
    fn acknowledged(&mut self, n: usize, number: u32, id: Id) {
        self.story.count("ack");
        let device = &self.devices[n];
        let key = SendKey { device: device.device, session: device.disk.session, number };
        let first = *self.acks.entry(key).or_insert(id);
        if first != id {
            let what = format!("G2: {} is acknowledged as {first} and as {id}", key_tag(key));
            self.violate(what, vec![key_tag(key)]);
        }
    }

    pub(crate) fn tell_reply(&mut self, n: usize, reply: &Reply<'_>) {
        if let Reply::Ack(ack) = reply {
            self.acknowledged(n, ack.number, ack.id);
        }
        if let Reply::Answer(answer) = reply {
            self.story.count(if answer.id.is_some() { "retry answered" } else { "retry refused" });
        }
        if !self.story.is_on() {
            return;
        }
        let (tag, what) = match reply {
            Reply::Message(m) => (
                word(&m.text),
                format!(
                    "message {} {} (source {}, {})",
                    word(&m.text),
                    m.id,
                    m.source.offset(),
                    positioned(m.position.is_some())
                ),
            ),
            Reply::Changed(c) => {
                (format!("edit of {}", c.id), format!("change {} of {} by u{} to {:?}", c.change, c.id, c.by, c.text))
            }
            Reply::Ack(ack) => (String::new(), format!("ack of {} as {}", ack.number, ack.id)),
            Reply::Answer(a) => (
                format!("key d{n}/{}/{}", a.session, a.number),
                format!("answer {}/{} {:?} {:?}", a.session, a.number, a.id, a.error),
            ),
            Reply::Synced(_) => (String::new(), "synced".to_owned()),
            Reply::Reset(_) => (String::new(), "reset".to_owned()),
            Reply::Gap => (String::new(), "gap".to_owned()),
            Reply::Error(error) => (String::new(), format!("error {} ({:?})", error.code, error.number)),
            Reply::Marked(m) => {
                (format!("mark{}", m.reader), format!("{:?} mark of u{} up to {}", m.kind, m.reader, m.source.offset()))
            }
            Reply::Page(page) => (String::new(), format!("page of {} with {}", page.chat, page.messages.len())),
            _ => return,
        };
        tell!(self, [format!("d{n}"), tag], "d{n} is told: {what}");
    }

    /// An intent of a device came to its end.
    pub(crate) fn ended(&mut self, n: usize, ended: &Ended) {
        let text = match &ended.intent.act {
            Act::Say { text, .. } => word(text),
            _ => String::new(),
        };
        tell!(self, [format!("d{n}"), text], "d{n}: {text} ended: {:?}", ended.outcome);
        self.devices[n].view.ended(ended);
        let Ok(taken) = &ended.outcome else { return self.story.count("intent failed") };
        if text.is_empty() {
            return;
        }
        let first = *self.devices[n].confirmed.entry(text.clone()).or_insert(taken.id);
        if first != taken.id {
            self.violate(format!("G2: {text} is confirmed as {first} and as {}", taken.id), vec![text]);
        }
    }

    /// `synced` was processed: everything that the stream held at the `hello` must be there.
    pub(crate) fn check_synced(&mut self, n: usize, id: ConnId) {
        self.story.count("synced");
        let Some(conn) = self.conns.get(&id) else { return };
        let device = &self.devices[n];
        let stream = self.oracle.streams.get(&device.user).map(Vec::as_slice).unwrap_or_default();
        let mut missing = None;
        for held in stream.iter().take_while(|held| held.offset < conn.hello_end) {
            let send = &held.send;
            let unconfirmed = send.key.device == device.device
                && device.core.as_ref().is_some_and(|core| {
                    core.outbox().items().any(|item| item.key == Some((send.key.session, send.key.number)))
                });
            if text_of(send).is_some() && !unconfirmed && !device.view.holds(send.chat(), send.id) {
                missing = Some((tag_of(send), held.offset));
                break;
            }
        }
        if let Some((what, offset)) = missing {
            let about = vec![what.clone(), format!("d{n}")];
            self.violate(format!("G4: d{n} is told synced and lacks {what}, at offset {offset} of its stream"), about);
        }
    }

    pub(crate) fn check_marks(&mut self, id: ConnId, events: &[Event]) {
        for event in events {
            if let Event::Mark(mark) = event {
                self.check_mark(id, mark.reader, mark.chat, mark.seen, &format!("{:?} mark", mark.kind));
            }
        }
    }

    pub(crate) fn check_shown(&mut self, id: ConnId, events: &[Event]) {
        for event in events {
            if let Event::Send(Send { sender, shown: Some(seen), .. }) = event
                && let Event::Send(send) = event
            {
                self.check_mark(id, *sender, send.chat(), *seen, "send");
            }
        }
    }

    fn check_mark(&mut self, id: ConnId, reader: UserId, chat: ChatId, seen: Seen, what: &str) {
        self.story.count("mark");
        let Some(conn) = self.conns.get(&id) else { return };
        let n = conn.device;
        let shown = &self.devices[n].view.shown;
        let mut covered = self.oracle.incoming(reader, chat, seen.source);
        let unseen = covered.find(|held| !shown.contains(&held.send.id)).map(|held| tag_of(&held.send));
        drop(covered);
        if let Some(tag) = unseen {
            let to = seen.source.offset();
            let about = vec![tag.clone(), format!("d{n}"), format!("mark{reader}")];
            self.violate(format!("a {what} of d{n} up to {to} covers {tag}, which it had not shown"), about);
        }
        if self.oracle.incoming(reader, chat, seen.source).any(|held| held.send.id > seen.id) {
            self.story.count("mark ahead of a smaller id");
        }
    }
}

fn positioned(positioned: bool) -> &'static str {
    if positioned { "positioned" } else { "loose" }
}

/// A row as a device must show it.
fn shown(row: MessageRow) -> view::Seen {
    let view = view(row);
    let text = String::from_utf8_lossy(&view.body.bytes).into_owned();
    view::Seen {
        from: view.sender,
        text,
        deleted: view.deleted.is_some(),
        reactions: view.reactions.into_iter().collect(),
    }
}
