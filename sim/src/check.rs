//! What must hold: while things happen (acknowledgements, marks, `synced`) and at rest (the timeline
//! against the log, every device's view against the timeline).

mod rest;

use std::collections::{BTreeMap, BTreeSet};

use futures::executor::block_on;
use volery_client::intent::Act;
use volery_client::outbox::Ended;
use volery_history::view::view;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Event, Outcome, Seen, Send};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_ports::history::History as _;
use volery_ports::timeline::{MessageRow, Span, Timeline as _};

use crate::log::GENERATION;
use crate::network::ConnId;
use crate::story::{What, tell};
use crate::telling::{key_tag, tag_of, text_of};
use crate::user::word;
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
    /// The few steps that show it, if the checker found it.
    pub steps: String,
}

impl World {
    pub(crate) fn violate(&mut self, what: impl Into<String>, about: Vec<String>) {
        let what = what.into();
        tell!(self, ["all"], "VIOLATION {what}");
        let at = self.now - crate::world::START_MS;
        self.violations.push(Violation { at, what, about, steps: String::new() });
    }

    // ----- while things happen -----

    /// An intent of a device came to its end.
    pub(crate) fn ended(&mut self, n: usize, ended: &Ended) {
        let text = match &ended.intent.act {
            Act::Say { text, .. } => word(text),
            _ => String::new(),
        };
        tell!(self, [format!("d{n}"), text], "d{n}: {text} ended: {:?}", ended.outcome);
        self.devices[n].view.ended(ended);
        self.record_ended(n, ended);
    }

    /// `synced` was processed: everything that the stream held at the `hello` must be there.
    pub(crate) fn check_synced(&mut self, n: usize, id: ConnId) {
        self.story.count(What::Synced);
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
            let is_held = match send.content.target() {
                None => device.view.holds(send.chat(), send.id),
                Some(_) => device.view.holds_change(send),
            };
            if !is_held && !unconfirmed {
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
        self.story.count(What::Mark);
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
            self.story.count(What::MarkAhead);
        }
    }
}

/// A row as a device must show it.
fn shown(row: MessageRow) -> view::Seen {
    let view = view(row);
    let text = String::from_utf8_lossy(&view.body.bytes).into_owned();
    view::Seen {
        from: view.sender,
        text,
        deleted: view.deleted.is_some(),
        reactions: view.reactions.into_iter().map(|made| (made.by, (made.change, made.emoji))).collect(),
    }
}
