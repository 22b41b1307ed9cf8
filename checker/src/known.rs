//! The first reading: every send, every id and every message that a history tells of, with the step
//! that told it first. What contradicts that on the way is a violation of G2 or G3.
//!
//! The trap: evidence that contradicts earlier evidence must not become knowledge, or one wrong
//! acknowledgement would accuse every device that shows the message rightly.

mod rows;
mod sends;

use std::collections::{HashMap, HashSet};

use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::position::Source;

use crate::history::{Act, Step, WORLD, What};
use crate::summary::Summary;
use crate::text::Label;
use crate::violation::{Findings, Promise};

/// A step's index.
pub(crate) type At = usize;

/// Something that a user wanted, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Intent<'h> {
    pub(crate) label: Label,
    pub(crate) device: u32,
    pub(crate) user: UserId,
    pub(crate) chat: ChatId,
    pub(crate) act: &'h Act,
    pub(crate) after: Option<Id>,
    pub(crate) wanted: At,
    key: Option<(SessionNumber, u32)>,
    /// First and last time that it was handed to a socket.
    pub(crate) sent: Option<(At, At)>,
    pub(crate) retried: bool,
    /// Its id, and what told it first.
    pub(crate) taken: Option<(Id, At)>,
    pub(crate) acked: Option<At>,
    /// It was refused for good, and not sent again.
    pub(crate) refused: Option<At>,
    /// Its user was told that it stands.
    pub(crate) done: Option<At>,
    /// Its user was told that it never will.
    pub(crate) given_up: Option<At>,
    /// An edit: the first time that its text was shown.
    pub(crate) shown: Option<At>,
    /// A change: it came in the stream of its own user.
    echoed: bool,
}

/// The part of a message that a change writes: of the changes of one part the largest id counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Text,
    /// Absorbs the others.
    Deletion,
    Reaction(UserId),
}

/// Something in a user's stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held {
    Message(usize),
    /// By the intent for it.
    Change(usize),
}

/// A message that stands somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: Id,
    pub(crate) chat: ChatId,
    pub(crate) from: UserId,
    pub(crate) intent: Option<usize>,
    /// What told first that it stands.
    pub(crate) first: At,
    /// Smallest and largest source that was told: a retry may be resolved twice.
    pub(crate) sources: Option<(Source, Source)>,
    /// The first time that a device of its recipient showed it.
    pub(crate) reached: Option<At>,
    echoed: bool,
}

/// What an id names.
#[derive(Clone, Copy, Debug)]
struct Named {
    intent: Option<usize>,
    /// None: it is a change's.
    message: Option<usize>,
    first: At,
}

/// The first time that a user's change of a message was handed to a socket.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    change: Option<At>,
    deletion: Option<At>,
}

/// See the module.
pub(crate) struct Known<'h> {
    pub(crate) steps: &'h [Step],
    /// Users, by device.
    pub(crate) devices: Vec<UserId>,
    /// All who have a device.
    pub(crate) users: HashSet<UserId>,
    /// In the order in which they were wanted.
    pub(crate) intents: Vec<Intent<'h>>,
    /// In the order in which they came to be known.
    pub(crate) messages: Vec<Message>,
    /// What a user's stream held, and the step that shows that it did; ascending.
    pub(crate) streams: HashMap<UserId, Vec<(At, Held)>>,
    /// The first step at rest.
    pub(crate) rest: Option<At>,
    by_label: HashMap<Label, usize>,
    by_key: HashMap<(u32, SessionNumber, u32), usize>,
    ids: HashMap<Id, Named>,
    asked: HashMap<(Id, UserId), Asked>,
}

impl<'h> Known<'h> {
    pub(crate) fn read(steps: &'h [Step], found: &mut Findings) -> Self {
        let mut known = Self {
            steps,
            devices: Vec::new(),
            users: HashSet::new(),
            intents: Vec::new(),
            messages: Vec::new(),
            streams: HashMap::new(),
            rest: None,
            by_label: HashMap::new(),
            by_key: HashMap::new(),
            ids: HashMap::new(),
            asked: HashMap::new(),
        };
        for (at, step) in steps.iter().enumerate() {
            known.take(at, step, found);
        }
        known.check_refusals(found);
        known
    }

    fn take(&mut self, at: At, step: &'h Step, found: &mut Findings) {
        match &step.what {
            What::Device { user, .. } => self.introduced(at, step.device, *user, found),
            What::Timeline { .. } | What::Lines(_) | What::View { .. } => {
                self.rest.get_or_insert(at);
            }
            _ => {}
        }
        match self.user_of(step.device) {
            Some(user) => self.take_send(at, step, user, found),
            None if step.device != WORLD && found.once("nobody", u64::from(step.device), 0) => {
                let what = format!("d{} does something before it is introduced", step.device);
                found.add(Promise::History, what, [at]);
            }
            None => {}
        }
        self.take_rows(at, step, found);
    }

    fn introduced(&mut self, at: At, device: u32, user: UserId, found: &mut Findings) {
        if device as usize != self.devices.len() {
            let what = format!("d{device} is introduced as device number {}", self.devices.len());
            return found.add(Promise::History, what, [at]);
        }
        self.devices.push(user);
        self.users.insert(user);
    }

    /// Whose device it is.
    pub(crate) fn user_of(&self, device: u32) -> Option<UserId> {
        self.devices.get(device as usize).copied()
    }

    /// The message of an id.
    pub(crate) fn message_of(&self, id: Id) -> Option<usize> {
        self.ids.get(&id).and_then(|named| named.message)
    }

    /// The change of an id: which message, which part of it. `None` if it is not known, or may change nothing.
    pub(crate) fn change_of(&self, id: Id) -> Option<(Id, Part)> {
        self.part_of(self.ids.get(&id)?.intent?)
    }

    /// What an id was given to.
    pub(crate) fn intent_under(&self, id: Id) -> Option<&Intent<'h>> {
        self.ids.get(&id)?.intent.map(|n| &self.intents[n])
    }

    /// What an intent changes. Texts and deletions count only if they are the sender's.
    pub(crate) fn part_of(&self, intent: usize) -> Option<(Id, Part)> {
        let Intent { act, user, .. } = self.intents[intent];
        let target = act.target()?;
        let own = || self.message_of(target).is_some_and(|message| self.messages[message].from == user);
        match act {
            Act::Say(_) => None,
            Act::React { .. } => Some((target, Part::Reaction(user))),
            Act::Edit { .. } => own().then_some((target, Part::Text)),
            Act::Delete(_) => own().then_some((target, Part::Deletion)),
        }
    }

    /// What a text's label was wanted for.
    pub(crate) fn intent_of(&self, label: Label) -> Option<&Intent<'h>> {
        self.by_label.get(&label).map(|n| &self.intents[*n])
    }

    /// A message for people: by label, if it is known, and id.
    pub(crate) fn name(&self, message: usize) -> String {
        let Message { id, intent, .. } = &self.messages[message];
        match intent {
            Some(n) => format!("{} (id {id})", self.intents[*n].label),
            None => format!("the message with id {id}"),
        }
    }

    /// The steps that tell of a message's origin: where it was wanted, and what told of it first.
    pub(crate) fn origin(&self, message: usize) -> impl Iterator<Item = At> {
        let Message { intent, first, .. } = self.messages[message];
        let wanted = intent.map(|n| self.intents[n].wanted);
        wanted.into_iter().chain([first])
    }

    pub(crate) fn summary(&self) -> Summary {
        let count = |what: fn(&Intent<'_>) -> bool| self.intents.iter().filter(|intent| what(intent)).count();
        Summary {
            steps: self.steps.len(),
            devices: self.devices.len(),
            users: self.users.len(),
            wanted: self.intents.len(),
            acknowledged: count(|intent| intent.acked.is_some()),
            retried: count(|intent| intent.retried),
            messages: self.messages.len(),
            ..Summary::default()
        }
    }
}

impl Intent<'_> {
    pub(crate) fn is_message(&self) -> bool {
        matches!(self.act, Act::Say(_))
    }

    /// The steps that a reader wants to see of a send.
    pub(crate) fn steps(&self) -> impl Iterator<Item = At> {
        let sent = self.sent.map(|(first, _)| first);
        [Some(self.wanted), sent].into_iter().flatten()
    }

    /// By label, and id if it has one.
    pub(crate) fn name(&self) -> String {
        match self.taken {
            Some((id, _)) => format!("{} (id {id})", self.label),
            None => self.label.to_string(),
        }
    }
}

impl Message {
    /// To whom it goes; `None` in a group.
    pub(crate) fn recipient(&self) -> Option<UserId> {
        self.chat.peer_of(self.from)
    }
}
