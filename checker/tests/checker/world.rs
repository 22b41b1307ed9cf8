//! An honest service, as small as it can be: an ordered list of events per user, and an order of ids
//! for all. What devices do and see becomes a history.

use std::collections::BTreeMap;

use volery_checker::history::{Act, History, Line, Marks, Row, What};
use volery_checker::text::{Label, Text};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::position::Source;
use volery_wire::server::{MarkKind, Reaction};

use crate::device::{Device, Key};

/// Something in a user's stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Message(Id),
    Change { id: Id, change: Id, by: UserId },
    Mark { chat: ChatId, reader: UserId, kind: MarkKind, source: Source },
}

/// A message as the service stores it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) row: Row,
    pub(crate) key: Option<Key>,
    pub(crate) label: Label,
    edited: Id,
}

/// Read and delivered of one user in one chat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Read {
    pub(crate) read: Source,
    pub(crate) delivered: Source,
}

pub(crate) struct World {
    pub(crate) history: History,
    pub(crate) devices: Vec<Device>,
    pub(crate) streams: BTreeMap<UserId, Vec<Event>>,
    pub(crate) stored: BTreeMap<Id, Stored>,
    pub(crate) marks: BTreeMap<(UserId, ChatId), Read>,
    /// What a key was accepted as.
    pub(crate) accepted: BTreeMap<Key, (Id, Source)>,
    /// Derived events that have not arrived yet.
    derived: Vec<(UserId, Event)>,
    next: u64,
    at: u64,
}

pub(crate) fn user(n: u32) -> UserId {
    UserId::new(u64::from(n) + 7).expect("an id")
}

pub(crate) fn text(label: Label) -> Text {
    Text::of(&format!("{label} says something")).expect("a label")
}

impl World {
    /// As many devices as `users` has entries, each of that user.
    pub(crate) fn new(users: &[u32]) -> Self {
        let mut world = Self {
            history: History::new("an honest world"),
            devices: Vec::new(),
            streams: BTreeMap::new(),
            stored: BTreeMap::new(),
            marks: BTreeMap::new(),
            accepted: BTreeMap::new(),
            derived: Vec::new(),
            next: 1_000,
            at: 0,
        };
        for (n, of) in (0..).zip(users) {
            let device = DeviceId::new(5_000 + u64::from(n)).expect("an id");
            world.devices.push(Device::new(user(*of)));
            world.tell(n, What::Device { user: user(*of), device });
        }
        world
    }

    pub(crate) fn tell(&mut self, device: u32, what: What) {
        self.at += 100;
        self.history.push(self.at, device, what);
    }

    pub(crate) fn take_id(&mut self) -> Id {
        self.next += 1;
        Id::new(self.next).expect("an id")
    }

    pub(crate) fn stream(&self, user: UserId) -> &[Event] {
        self.streams.get(&user).map(Vec::as_slice).unwrap_or_default()
    }

    fn append(&mut self, user: UserId, event: Event) -> Source {
        let stream = self.streams.entry(user).or_default();
        stream.push(event);
        Source::new(1, stream.len() as u64)
    }

    /// A send is accepted, or was already.
    pub(crate) fn accept(&mut self, key: Key, from: UserId, chat: ChatId, act: &Act, label: Label) -> (Id, Source) {
        if let Some(accepted) = self.accepted.get(&key) {
            return *accepted;
        }
        let (id, to) = (self.take_id(), chat.peer_of(from).expect("a chat of the sender"));
        let event = match act.target_of() {
            None => Event::Message(id),
            Some(target) => Event::Change { id: target, change: id, by: from },
        };
        let source = self.append(to, event);
        if to != from {
            self.derived.push((from, event));
        }
        match act {
            Act::Say(text) => {
                let row = Row { chat, id, from, source, text: Some(*text), reactions: Vec::new() };
                self.stored.insert(id, Stored { row, key: Some(key), label, edited: Id::ZERO });
            }
            Act::Edit { target, text } => self.change(*target, from, |stored| {
                if stored.row.text.is_some() && stored.edited < id {
                    (stored.row.text, stored.edited) = (Some(*text), id);
                }
            }),
            Act::Delete(target) => self.change(*target, from, |stored| {
                (stored.row.text, stored.row.reactions) = (None, Vec::new());
            }),
            Act::React { target, emoji } => self.react(*target, from, emoji, id),
        }
        self.accepted.insert(key, (id, source));
        (id, source)
    }

    fn change(&mut self, target: Id, by: UserId, change: impl FnOnce(&mut Stored)) {
        if let Some(stored) = self.stored.get_mut(&target).filter(|stored| stored.row.from == by) {
            change(stored);
        }
    }

    /// Of each user the newest; nothing comes after a deletion.
    fn react(&mut self, target: Id, by: UserId, emoji: &str, change: Id) {
        if let Some(stored) = self.stored.get_mut(&target).filter(|stored| stored.row.text.is_some()) {
            let reactions = &mut stored.row.reactions;
            reactions.retain(|reaction| reaction.by != by);
            reactions.push(Reaction { by, emoji: emoji.to_owned(), change });
            reactions.sort_unstable_by_key(|reaction| reaction.by);
        }
    }

    /// A reader's mark moves.
    pub(crate) fn mark(&mut self, reader: UserId, chat: ChatId, kind: MarkKind, source: Source, is_told: bool) {
        let marks = self.marks.entry((reader, chat)).or_default();
        marks.delivered = marks.delivered.max(source);
        if kind == MarkKind::Read {
            marks.read = marks.read.max(source);
        }
        if is_told {
            let event = Event::Mark { chat, reader, kind, source };
            self.append(reader, event);
            let peer = chat.peer_of(reader).expect("a chat of the reader");
            self.derived.push((peer, event));
        }
    }

    /// Some derived events arrive.
    pub(crate) fn fan_out(&mut self, count: usize) {
        let arrive: Vec<_> = self.derived.drain(..count.min(self.derived.len())).collect();
        for (user, event) in arrive {
            self.append(user, event);
        }
    }

    pub(crate) fn is_fanned_out(&self) -> bool {
        self.derived.is_empty()
    }

    /// What a device tells about everything when nothing is under way any more.
    pub(crate) fn tell_rest(&mut self) {
        let mut chats: BTreeMap<ChatId, Vec<Row>> = BTreeMap::new();
        for stored in self.stored.values() {
            chats.entry(stored.row.chat).or_default().push(stored.row.clone());
        }
        for (chat, rows) in &chats {
            self.tell(0, What::Timeline { chat: *chat, rows: rows.clone() });
        }
        for n in 0..self.devices.len() {
            let user = self.devices[n].user;
            let own = chats.iter().filter(|(chat, _)| chat.peer_of(user).is_some());
            let lines = own.map(|(chat, rows)| self.line(user, *chat, rows)).collect();
            self.tell(n as u32, What::Lines(lines));
            let device = &self.devices[n];
            let rows = device.view.values().cloned().collect();
            let marks = device.marks.values().copied().collect();
            self.tell(n as u32, What::View { rows, marks });
        }
    }

    fn line(&self, user: UserId, chat: ChatId, rows: &[Row]) -> Line {
        let marks = self.marks_of(user, chat);
        let incoming = rows.iter().filter(|row| row.from != user).map(|row| row.source);
        let unread = incoming.clone().filter(|source| *source > marks.read).count().min(100) as u32;
        Line { unread, newest_incoming: incoming.max().unwrap_or_default(), marks }
    }

    pub(crate) fn marks_of(&self, user: UserId, chat: ChatId) -> Marks {
        let of = |user| self.marks.get(&(user, chat)).copied().unwrap_or_default();
        let peer = chat.peer_of(user).filter(|peer| *peer != user).map(of).unwrap_or_default();
        Marks { chat, read: of(user).read, peer_delivered: peer.delivered, peer_read: peer.read }
    }
}

/// What an act changes.
pub(crate) trait Target {
    fn target_of(&self) -> Option<Id>;
}

impl Target for Act {
    fn target_of(&self) -> Option<Id> {
        match self {
            Self::Say(_) => None,
            Self::Edit { target, .. } | Self::Delete(target) | Self::React { target, .. } => Some(*target),
        }
    }
}
