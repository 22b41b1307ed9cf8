//! Devices of the honest world: what they want waits in one queue, retries come first, marks only
//! after `synced`. A device keeps what it shows in memory and its position with it.

use std::collections::{BTreeMap, VecDeque};

use volery_checker::history::{Act, Marks, Row, Via, What};
use volery_checker::text::Label;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_wire::client::Shown;
use volery_wire::server::MarkKind;

use crate::sending::Fate;
use crate::world::{Event, World};

/// Device, session of the first attempt, number.
pub(crate) type Key = (u32, SessionNumber, u32);

#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) label: Label,
    pub(crate) chat: ChatId,
    pub(crate) act: Act,
    pub(crate) key: Option<Key>,
}

pub(crate) struct Device {
    pub(crate) user: UserId,
    pub(crate) view: BTreeMap<(ChatId, Id), Row>,
    pub(crate) marks: BTreeMap<ChatId, Marks>,
    pub(crate) queue: VecDeque<Pending>,
    pub(crate) runs: bool,
    pub(crate) is_synced: bool,
    pub(crate) session: Option<(SessionNumber, u32)>,
    position: Option<usize>,
    target: usize,
    pub(crate) wanted: u32,
    unmarked: BTreeMap<ChatId, Source>,
}

impl Device {
    pub(crate) fn new(user: UserId) -> Self {
        Self {
            user,
            view: BTreeMap::new(),
            marks: BTreeMap::new(),
            queue: VecDeque::new(),
            runs: false,
            is_synced: false,
            session: None,
            position: None,
            target: 0,
            wanted: 0,
            unmarked: BTreeMap::new(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    pub(crate) fn own(&self) -> Vec<(ChatId, Id)> {
        self.view.iter().filter(|(_, row)| row.from == self.user).map(|(at, _)| *at).collect()
    }

    pub(crate) fn all(&self) -> Vec<(ChatId, Id)> {
        self.view.keys().copied().collect()
    }

    /// The largest source and id that came in to a chat and are shown.
    pub(crate) fn shown(&self, chat: ChatId) -> Option<Shown> {
        let incoming = self.view.values().filter(|row| row.chat == chat && row.from != self.user);
        let (source, id) = incoming
            .map(|row| (row.source, row.id))
            .fold(<(Source, Id)>::default(), |most, row| (most.0.max(row.0), most.1.max(row.1)));
        (source != Source::ZERO).then_some(Shown { source, id })
    }
}

impl World {
    pub(crate) fn start(&mut self, n: u32) {
        if !std::mem::replace(&mut self.devices[n as usize].runs, true) {
            self.tell(n, What::Started);
        }
    }

    pub(crate) fn stop(&mut self, n: u32) {
        self.close(n);
        if std::mem::take(&mut self.devices[n as usize].runs) {
            self.tell(n, What::Stopped);
        }
    }

    pub(crate) fn close(&mut self, n: u32) {
        let device = &mut self.devices[n as usize];
        device.is_synced = false;
        if device.session.take().is_some() {
            self.tell(n, What::Closed);
        }
    }

    /// The app's disk is back at a state without a view and a position.
    pub(crate) fn restore(&mut self, n: u32) {
        self.stop(n);
        self.tell(n, What::Restored);
        self.forget(n);
    }

    /// The next `hello` is answered with a reset.
    pub(crate) fn expire(&mut self, n: u32) {
        self.close(n);
        self.devices[n as usize].position = None;
    }

    fn forget(&mut self, n: u32) {
        let device = &mut self.devices[n as usize];
        (device.view, device.marks, device.position) = (BTreeMap::new(), BTreeMap::new(), None);
    }

    pub(crate) fn connect(&mut self, n: u32) {
        self.start(n);
        self.close(n);
        let resume = self.devices[n as usize].position;
        self.tell(n, What::Hello { resume: resume.is_some() });
        let session = SessionNumber::new(self.take_id().get()).expect("an id");
        self.tell(n, What::Welcome(session));
        let end = self.stream(self.devices[n as usize].user).len();
        let device = &mut self.devices[n as usize];
        (device.session, device.target) = (Some((session, 0)), end);
        if resume.is_none() {
            self.reset(n, end);
        }
        self.deliver(n, 0);
    }

    fn reset(&mut self, n: u32, end: usize) {
        self.tell(n, What::Reset);
        self.forget(n);
        let user = self.devices[n as usize].user;
        let own: Vec<Row> = self.stored.values().map(|stored| stored.row.clone()).collect();
        for row in own.into_iter().filter(|row| row.chat.peer_of(user).is_some()) {
            let marks = self.marks_of(user, row.chat);
            self.devices[n as usize].marks.insert(row.chat, marks);
            self.show(n, Via::Page, row);
        }
        self.tell(n, What::PagesRead);
        self.devices[n as usize].position = Some(end);
    }

    fn show(&mut self, n: u32, via: Via, row: Row) {
        let device = &mut self.devices[n as usize];
        device.view.insert((row.chat, row.id), row.clone());
        if row.from != device.user {
            let newest = device.unmarked.entry(row.chat).or_default();
            *newest = row.source.max(*newest);
        }
        self.tell(n, What::Showed { via, row });
    }

    /// Some events of the stream come, and `synced` once all are there that the `hello` met.
    pub(crate) fn deliver(&mut self, n: u32, count: usize) {
        let device = &self.devices[n as usize];
        let (Some(position), true) = (device.position, device.is_connected()) else { return };
        let stream = self.stream(device.user);
        let events: Vec<Event> = stream.get(position..).unwrap_or_default().iter().take(count).copied().collect();
        for event in events {
            self.event(n, event);
            self.devices[n as usize].position = self.devices[n as usize].position.map(|position| position + 1);
        }
        let device = &mut self.devices[n as usize];
        if !device.is_synced && device.position >= Some(device.target) {
            device.is_synced = true;
            self.tell(n, What::Synced);
        }
        if self.devices[n as usize].is_synced {
            self.confirm(n);
        }
    }

    fn event(&mut self, n: u32, event: Event) {
        match event {
            Event::Message(id) => {
                let stored = self.stored[&id].clone();
                self.show(n, Via::Stream, stored.row);
                let queue = &mut self.devices[n as usize].queue;
                if let Some(at) = queue.iter().position(|pending| pending.key.is_some() && pending.key == stored.key) {
                    queue.remove(at);
                    self.tell(n, What::Ended { label: stored.label, id: Some(id) });
                }
            }
            Event::Change { id, change, by } => {
                let row = self.stored[&id].row.clone();
                self.tell(n, What::Changed { chat: row.chat, id, change, by });
                self.freshen(n, row);
            }
            Event::Mark { chat, reader, kind, source } => {
                self.tell(n, What::Marked { chat, reader, kind, source });
                self.hear(n, chat, reader, kind, source);
            }
        }
    }

    fn freshen(&mut self, n: u32, row: Row) {
        if let Some(held) = self.devices[n as usize].view.get_mut(&(row.chat, row.id)) {
            *held = row;
        }
    }

    fn hear(&mut self, n: u32, chat: ChatId, reader: UserId, kind: MarkKind, source: Source) {
        let device = &mut self.devices[n as usize];
        let none = Marks { chat, read: Source::ZERO, peer_delivered: Source::ZERO, peer_read: Source::ZERO };
        let marks = device.marks.entry(chat).or_insert(none);
        let own = reader == device.user;
        match kind {
            MarkKind::Read if own => marks.read = marks.read.max(source),
            MarkKind::Read => {
                marks.peer_read = marks.peer_read.max(source);
                marks.peer_delivered = marks.peer_delivered.max(source);
            }
            MarkKind::Delivered if own => {}
            MarkKind::Delivered => marks.peer_delivered = marks.peer_delivered.max(source),
        }
    }

    /// *Delivered* follows from what was confirmed.
    fn confirm(&mut self, n: u32) {
        let user = self.devices[n as usize].user;
        for (chat, source) in std::mem::take(&mut self.devices[n as usize].unmarked) {
            if self.marks.get(&(user, chat)).is_none_or(|marks| marks.delivered < source) {
                self.mark(user, chat, MarkKind::Delivered, source, true);
            }
        }
    }

    /// The window was full: `synced` comes again when the stream is caught up.
    pub(crate) fn gap(&mut self, n: u32) {
        if std::mem::take(&mut self.devices[n as usize].is_synced) {
            self.tell(n, What::Gap);
            self.devices[n as usize].target = self.stream(self.devices[n as usize].user).len();
        }
    }

    pub(crate) fn read(&mut self, n: u32, chat: ChatId) {
        let device = &self.devices[n as usize];
        let (Some(shown), true) = (device.shown(chat), device.is_synced) else { return };
        let (user, kind, source) = (device.user, MarkKind::Read, shown.source);
        self.tell(n, What::SaidMark { chat, kind, source });
        if self.marks.get(&(user, chat)).is_none_or(|marks| marks.read < source) {
            self.mark(user, chat, kind, source, true);
        }
    }

    /// Until nothing is under way any more.
    pub(crate) fn come_to_rest(&mut self) {
        let all = 0..self.devices.len() as u32;
        loop {
            for n in all.clone() {
                if !self.devices[n as usize].is_connected() {
                    self.connect(n);
                }
                while !self.devices[n as usize].queue.is_empty() {
                    self.send(n, Fate::Accepted, false);
                }
                self.deliver(n, usize::MAX);
            }
            self.fan_out(usize::MAX);
            let followed = |device: &Device| device.position == Some(self.stream(device.user).len());
            if self.is_fanned_out() && self.devices.iter().all(followed) {
                return self.tell_rest();
            }
        }
    }
}
