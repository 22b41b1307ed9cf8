//! Sends: what was wanted, under which key it left, and under which id it was taken. One intent has
//! one key and one id; an id names one intent.

use volery_kernel::code::Code;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::position::Source;

use super::{At, Held, Intent, Known, Named};
use crate::history::{Act, Step, What};
use crate::text::Label;
use crate::violation::{Findings, Promise};

impl<'h> Known<'h> {
    pub(super) fn take_send(&mut self, at: At, step: &'h Step, user: UserId, found: &mut Findings) {
        let device = step.device;
        match &step.what {
            What::Wanted { .. } => self.wanted(at, step, user, found),
            What::Sent { label, session, number, retry, .. } => {
                if let Some(n) = self.own(at, device, *label, found) {
                    self.sent(at, n, (*session, *number), *retry, found);
                }
            }
            What::Acked { session, number, id, source } => {
                if let Some(n) = self.keyed(at, device, (*session, *number), found) {
                    self.acked(at, n, *id, *source, found);
                }
            }
            What::Refused { session, number, code } => {
                if let Some(n) = self.keyed(at, device, (*session, *number), found) {
                    self.refused(at, n, code);
                }
            }
            What::Ended { label, id } => {
                if let Some(n) = self.own(at, device, *label, found) {
                    self.ended(at, n, *id, found);
                }
            }
            _ => {}
        }
    }

    fn wanted(&mut self, at: At, step: &'h Step, user: UserId, found: &mut Findings) {
        let What::Wanted { label, chat, act, after } = &step.what else { return };
        if let Some(first) = self.by_label.get(label) {
            let what = format!("{label} is wanted twice");
            return found.add(Promise::History, what, [self.intents[*first].wanted, at]);
        }
        self.by_label.insert(*label, self.intents.len());
        self.intents.push(Intent {
            label: *label,
            device: step.device,
            user,
            chat: *chat,
            act,
            after: *after,
            wanted: at,
            key: None,
            sent: None,
            retried: false,
            taken: None,
            acked: None,
            refused: None,
            done: None,
            given_up: None,
            shown: None,
            echoed: false,
        });
    }

    /// The intent of a label that this device wanted.
    fn own(&self, at: At, device: u32, label: Label, found: &mut Findings) -> Option<usize> {
        let n = self.by_label.get(&label).copied().filter(|n| self.intents[*n].device == device);
        if n.is_none() {
            found.add(Promise::History, format!("d{device} never wanted {label}"), [at]);
        }
        n
    }

    /// The intent of a key that this device used.
    fn keyed(&self, at: At, device: u32, key: (SessionNumber, u32), found: &mut Findings) -> Option<usize> {
        let n = self.by_key.get(&(device, key.0, key.1)).copied();
        if n.is_none() {
            let what = format!("d{device} is told about number {} of session {}, which it never sent", key.1, key.0);
            found.add(Promise::G2, what, [at]);
        }
        n
    }

    fn sent(&mut self, at: At, n: usize, key: (SessionNumber, u32), retry: bool, found: &mut Findings) {
        let device = self.intents[n].device;
        let other = *self.by_key.entry((device, key.0, key.1)).or_insert(n);
        let intent = &mut self.intents[n];
        let label = intent.label;
        intent.retried |= retry;
        intent.refused = None;
        let (first, _) = *intent.sent.get_or_insert((at, at));
        intent.sent = Some((first, at));
        let known = *intent.key.get_or_insert(key);
        self.asks(at, n);
        if known != key {
            let what = format!("{label} left under two keys");
            found.add(Promise::History, what, [first, at]);
        }
        if other != n {
            let first = self.intents[other].sent.map(|(first, _)| first);
            let what = format!("{} and {label} left under one key", self.intents[other].label);
            found.add(Promise::History, what, first.into_iter().chain([at]));
        }
    }

    /// Remembers that a user asked for a change of a message.
    fn asks(&mut self, at: At, n: usize) {
        let Intent { act, user, .. } = self.intents[n];
        let Some(target) = act.target() else { return };
        let asked = self.asked.entry((target, user)).or_default();
        asked.change.get_or_insert(at);
        if matches!(act, Act::Delete(_)) {
            asked.deletion.get_or_insert(at);
        }
    }

    fn acked(&mut self, at: At, n: usize, id: Id, source: Source, found: &mut Findings) {
        if self.bind(at, n, id, found) {
            self.intents[n].acked.get_or_insert(at);
            if let Some(message) = self.message_of(id) {
                self.messages[message].told(source);
            }
        }
    }

    /// What may pass, or is not known, decides nothing.
    fn refused(&mut self, at: At, n: usize, code: &str) {
        let known = Code::ALL.iter().find(|known| known.text() == code);
        if known.is_some_and(|code| !code.retryable()) {
            self.intents[n].refused.get_or_insert(at);
        }
    }

    fn ended(&mut self, at: At, n: usize, id: Option<Id>, found: &mut Findings) {
        match id {
            None => {
                self.intents[n].given_up.get_or_insert(at);
            }
            Some(id) => {
                if self.bind(at, n, id, found) {
                    self.intents[n].done.get_or_insert(at);
                }
            }
        }
    }

    /// An intent stands under an id, says this step. False if that contradicts what was known.
    pub(super) fn bind(&mut self, at: At, n: usize, id: Id, found: &mut Findings) -> bool {
        let intent = &self.intents[n];
        let label = intent.label;
        if let Some((known, first)) = intent.taken
            && known != id
        {
            if found.once("two ids", n as u64, id.get()) {
                let what = format!("{label} has two ids: {known} and {id}");
                found.add(Promise::G2, what, intent.steps().chain([first, at]));
            }
            return false;
        }
        let is_message = intent.is_message();
        if let Some(named) = self.ids.get(&id)
            && (named.intent.is_some_and(|other| other != n) || named.message.is_some() != is_message)
        {
            let (named, other) = (*named, self.named(id));
            if found.once("two names", n as u64, id.get()) {
                let what = format!("id {id} names both {other} and {label}");
                found.add(Promise::G2, what, self.intents[n].steps().chain([named.first, at]));
            }
            return false;
        }
        let (chat, user) = (self.intents[n].chat, self.intents[n].user);
        let is_new = self.intents[n].taken.is_none();
        self.intents[n].taken.get_or_insert((id, at));
        let message = is_message.then(|| self.stands(at, id, chat, user));
        if let Some(recipient) = chat.peer_of(user).filter(|_| is_new && !is_message) {
            self.streams.entry(recipient).or_default().push((at, Held::Change(n)));
        }
        let named = self.ids.entry(id).or_insert(Named { intent: Some(n), message, first: at });
        named.intent = Some(n);
        if let Some(message) = message {
            self.messages[message].intent = Some(n);
        }
        true
    }

    /// What an id is known for.
    pub(super) fn named(&self, id: Id) -> String {
        match self.ids.get(&id).map(|named| (named.intent, named.message)) {
            Some((Some(n), _)) => self.intents[n].label.to_string(),
            Some((None, Some(_))) => "another message".to_owned(),
            _ => "a change".to_owned(),
        }
    }

    /// What was refused for good must not be seen anywhere.
    pub(super) fn check_refusals(&self, found: &mut Findings) {
        for intent in &self.intents {
            let seen = intent.taken.map(|(_, at)| at).or(intent.shown);
            if let (Some(refused), Some(seen)) = (intent.refused, seen) {
                let what = format!("{} was refused for good, and stands", intent.name());
                found.add(Promise::G2, what, intent.steps().chain([refused, seen]));
            }
        }
    }
}
