//! Rows: a message as a stream, a page, a view or a timeline shows it. It stands in the name of the
//! device that wanted it, under one id, in its chat, with a text that its sender gave it.

use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_wire::server::Reaction;

use super::{At, Held, Known, Message, Named};
use crate::history::{Act, Row, Step, Via, What};
use crate::text::Text;
use crate::violation::{Findings, Promise};

impl Known<'_> {
    pub(super) fn take_rows(&mut self, at: At, step: &Step, found: &mut Findings) {
        let user = self.user_of(step.device);
        match &step.what {
            What::Showed { via, row } => {
                let theirs = user.is_none_or(|user| self.is_theirs(at, step.device, user, row, found));
                if let (Some(message), Some(user), true) = (self.row(at, row, found), user, theirs) {
                    self.shown(at, message, user, *via);
                }
            }
            What::View { rows, .. } => {
                for row in rows {
                    if user.is_none_or(|user| self.is_theirs(at, step.device, user, row, found)) {
                        self.row(at, row, found);
                    }
                }
            }
            What::Timeline { rows, .. } => rows.iter().for_each(|row| {
                self.row(at, row, found);
            }),
            What::Changed { chat, id, change, by } => {
                self.changed(at, *chat, (*id, *change), *by, found);
                if user == Some(*by) {
                    self.echoed(at, *change, *by);
                }
            }
            _ => {}
        }
    }

    fn is_theirs(&self, at: At, device: u32, user: UserId, row: &Row, found: &mut Findings) -> bool {
        let theirs = row.chat.peer_of(user).is_some() || matches!(row.chat, ChatId::Group(_));
        if !theirs && found.once("not theirs", u64::from(device), row.id.get()) {
            let what = format!("d{device} of user {user} shows id {} of {}, which is not theirs", row.id, row.chat);
            found.add(Promise::G4, what, [at]);
        }
        theirs
    }

    /// The message of a row; `None` if the row cannot be true.
    fn row(&mut self, at: At, row: &Row, found: &mut Findings) -> Option<usize> {
        let good = match row.text {
            Some(text) => self.text(at, row, text, found),
            None => self.deletion(at, row, found),
        };
        let message = good.then(|| self.agree(at, row, found)).flatten()?;
        for Reaction { by, change, .. } in &row.reactions {
            self.changed(at, row.chat, (row.id, *change), *by, found);
        }
        self.messages[message].told(row.source);
        Some(message)
    }

    /// The text is what a label was wanted for, by whom and where the row says.
    fn text(&mut self, at: At, row: &Row, text: Text, found: &mut Findings) -> bool {
        let (label, id) = (text.label, row.id);
        let Some(&n) = self.by_label.get(&label) else {
            if found.once("unknown", u64::from(label.device) << 32 | u64::from(label.number), id.get()) {
                found.add(Promise::G2, format!("{label} (id {id}) is shown and was never wanted"), [at]);
            }
            return false;
        };
        let intent = &self.intents[n];
        let wrong = match intent.act {
            Act::Say(said) | Act::Edit { text: said, .. } if *said != text => Some("with another text".to_owned()),
            Act::Edit { target, .. } if *target != id => Some(format!("at id {id}; it is an edit of {target}")),
            Act::Delete(_) | Act::React { .. } => Some("as a text; it is a change without one".to_owned()),
            _ if intent.user != row.from => Some(format!("in the name of user {}, at id {id}", row.from)),
            _ if intent.chat != row.chat => Some(format!("in {}, at id {id}", row.chat)),
            _ if intent.sent.is_none() => Some(format!("at id {id}, and was never sent")),
            _ => None,
        };
        if let Some(wrong) = wrong {
            if found.once("wrong", n as u64, id.get()) {
                found.add(Promise::G2, format!("{label} is shown {wrong}"), intent.steps().chain([at]));
            }
            return false;
        }
        if intent.is_message() {
            return self.bind(at, n, id, found);
        }
        self.intents[n].shown.get_or_insert(at);
        true
    }

    /// Only a message's sender takes it away.
    fn deletion(&self, at: At, row: &Row, found: &mut Findings) -> bool {
        let asked = self.asked.get(&(row.id, row.from)).is_some_and(|asked| asked.deletion.is_some());
        if !asked && found.once("taken away", row.id.get(), row.from.get()) {
            let message = self.message_of(row.id);
            let name = message.map_or_else(|| format!("the message with id {}", row.id), |message| self.name(message));
            let origin: Vec<At> = message.map(|message| self.origin(message).collect()).unwrap_or_default();
            let what = format!("{name} is shown as deleted, and its sender never asked for it");
            found.add(Promise::G2, what, origin.into_iter().chain([at]));
        }
        asked
    }

    /// All who show an id show the same message of the same chat.
    fn agree(&mut self, at: At, row: &Row, found: &mut Findings) -> Option<usize> {
        if let Some(named) = self.ids.get(&row.id).copied() {
            let known = named.message.map(|message| &self.messages[message]);
            if known.is_some_and(|known| (known.chat, known.from) == (row.chat, row.from)) {
                return named.message;
            }
            if found.once("disagree", row.id.get(), row.from.get()) {
                let name = self.named(row.id);
                let what =
                    format!("id {} is shown as a message of user {} in {}; it is {name}", row.id, row.from, row.chat);
                found.add(Promise::G3, what, [named.first, at]);
            }
            return None;
        }
        let message = self.stands(at, row.id, row.chat, row.from);
        self.ids.insert(row.id, Named { intent: None, message: Some(message), first: at });
        Some(message)
    }

    /// A message stands, in its recipient's stream at once.
    pub(super) fn stands(&mut self, at: At, id: Id, chat: ChatId, from: UserId) -> usize {
        if let Some(known) = self.message_of(id) {
            return known;
        }
        let (intent, sources, reached) = (None, None, None);
        let message = Message { id, chat, from, intent, first: at, sources, reached, echoed: false };
        if let Some(recipient) = message.recipient() {
            self.streams.entry(recipient).or_default().push((at, Held::Message(self.messages.len())));
        }
        self.messages.push(message);
        self.messages.len() - 1
    }

    /// A device of `user` shows it. An own message that came in the stream was in it before.
    fn shown(&mut self, at: At, message: usize, user: UserId, via: Via) {
        let known = &mut self.messages[message];
        let to_oneself = known.recipient() == Some(user);
        if to_oneself {
            known.reached.get_or_insert(at);
        } else if via == Via::Stream && !std::mem::replace(&mut known.echoed, true) {
            self.streams.entry(user).or_default().push((at, Held::Message(message)));
        }
    }

    /// An own change that came in the stream was in it before.
    fn echoed(&mut self, at: At, change: Id, user: UserId) {
        let Some(n) = self.ids.get(&change).and_then(|named| named.intent) else { return };
        let intent = &mut self.intents[n];
        let to_oneself = intent.chat.peer_of(user) == Some(user);
        if intent.user == user && !to_oneself && !std::mem::replace(&mut intent.echoed, true) {
            self.streams.entry(user).or_default().push((at, Held::Change(n)));
        }
    }

    fn changed(&mut self, at: At, chat: ChatId, (id, change): (Id, Id), by: UserId, found: &mut Findings) {
        let asked = self.asked.get(&(id, by)).and_then(|asked| asked.change);
        if asked.is_none() {
            if found.once("change", change.get(), id.get()) {
                let what = format!("change {change} of id {id} in {chat} was never asked for by user {by}");
                found.add(Promise::G2, what, [at]);
            }
            return;
        }
        let named = *self.ids.entry(change).or_insert(Named { intent: None, message: None, first: at });
        let of = named.intent.map(|n| &self.intents[n]);
        let same = of.is_none_or(|of| (of.chat, of.user, of.act.target()) == (chat, by, Some(id)));
        if (named.message.is_some() || !same) && found.once("changed", change.get(), id.get()) {
            let what = format!("id {change} is shown as a change of {id} by user {by}; it is {}", self.named(change));
            found.add(Promise::G2, what, [named.first, at]);
        }
    }
}

impl Message {
    /// A source that somebody was told; 0 is none.
    pub(super) fn told(&mut self, source: Source) {
        if source != Source::ZERO {
            let (least, most) = self.sources.unwrap_or((source, source));
            self.sources = Some((least.min(source), most.max(source)));
        }
    }
}

impl Act {
    /// The message that it changes.
    pub(crate) fn target(&self) -> Option<Id> {
        match self {
            Self::Say(_) => None,
            Self::Edit { target, .. } | Self::Delete(target) | Self::React { target, .. } => Some(*target),
        }
    }
}
