//! One chat as its user sees it: lines, marks of both sides, what is unread.

use std::collections::BTreeSet;

use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_wire::client::Shown;
use volery_wire::server::{self, MarkKind, Marked, Message};

use super::line::Line;
use super::timeline::Timeline;

/// How far one's own message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It is durable.
    Sent,
    /// A device of the other side holds it.
    Delivered,
    /// The other side has seen it.
    Read,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    id: ChatId,
    me: UserId,
    /// Its messages.
    pub timeline: Timeline,
    read: Shown,
    peer_delivered: Shown,
    peer_read: Shown,
    newest: Id,
    is_listed: bool,
    /// Unread by the chat list, among what came in up to `counted`.
    listed: u32,
    counted: Source,
    /// Unread since.
    fresh: BTreeSet<Source>,
}

impl Chat {
    /// A chat of which nothing is known.
    #[must_use]
    pub fn new(id: ChatId, me: UserId) -> Self {
        let none = Shown { source: Source::ZERO, id: Id::ZERO };
        Self {
            id,
            me,
            timeline: Timeline::default(),
            read: none,
            peer_delivered: none,
            peer_read: none,
            newest: Id::ZERO,
            is_listed: false,
            listed: 0,
            counted: Source::ZERO,
            fresh: BTreeSet::new(),
        }
    }

    /// Which chat.
    #[must_use]
    pub fn id(&self) -> ChatId {
        self.id
    }

    /// Whose view it is.
    #[must_use]
    pub fn me(&self) -> UserId {
        self.me
    }

    /// The other side; oneself in one's notes.
    #[must_use]
    pub fn peer(&self) -> UserId {
        self.id.peer_of(self.me).unwrap_or(self.me)
    }

    /// Whether the chat list told of it: marks and unread of before are known then.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Its newest message's id; chats are listed by it.
    #[must_use]
    pub fn newest(&self) -> Id {
        self.newest
    }

    /// The newest message that is held.
    #[must_use]
    pub fn newest_line(&self) -> Option<&Line> {
        self.timeline.line(self.newest).or_else(|| self.timeline.lines().next_back())
    }

    /// How far one has read.
    #[must_use]
    pub fn read(&self) -> Shown {
        self.read
    }

    /// Unread messages, exact up to 99; 100 means more.
    #[must_use]
    pub fn unread(&self) -> usize {
        (self.listed as usize + self.fresh.len()).min(limits::UNREAD_MOST.value)
    }

    /// Whether a message came in and is not read.
    #[must_use]
    pub fn is_unread(&self, line: &Line) -> bool {
        line.from != self.me && line.source > self.read.source
    }

    /// How far one's own message has come; `None` for others'.
    #[must_use]
    pub fn status(&self, line: &Line) -> Option<Status> {
        let reached = |mark: Shown| mark.source >= line.source;
        (line.from == self.me).then(|| match () {
            () if self.peer() == self.me || reached(self.peer_read) => Status::Read,
            () if reached(self.peer_delivered) => Status::Delivered,
            () => Status::Sent,
        })
    }

    /// How far these lines cover what came in: what a mark says when they were shown.
    pub fn shown<'a>(&self, lines: impl Iterator<Item = &'a Line>) -> Option<Shown> {
        let incoming = lines.filter(|line| line.from != self.me);
        incoming.fold(None, |shown: Option<Shown>, line| {
            let before = shown.unwrap_or(Shown { source: Source::ZERO, id: Id::ZERO });
            Some(Shown { source: before.source.max(line.source), id: before.id.max(line.id) })
        })
    }

    // ----- what changes it -----

    pub(super) fn message(&mut self, message: &Message<'_>) {
        self.timeline.message(message);
        self.newest = self.newest.max(message.id);
        if message.from != self.me
            && message.source > self.read.source.max(self.counted)
            && self.fresh.len() < limits::UNREAD_MOST.value
        {
            self.fresh.insert(message.source);
        }
        if let Some(shown) = message.shown {
            let kind = MarkKind::Read;
            self.mark(message.from, kind, shown);
        }
    }

    pub(super) fn marked(&mut self, marked: &Marked) {
        self.mark(marked.reader, marked.kind, Shown { source: marked.source, id: marked.id });
    }

    fn mark(&mut self, reader: UserId, kind: MarkKind, shown: Shown) {
        match (reader == self.me, kind) {
            (true, MarkKind::Read) => self.has_read(shown),
            (true, MarkKind::Delivered) => {}
            (false, MarkKind::Read) => {
                raise(&mut self.peer_read, shown);
                raise(&mut self.peer_delivered, shown);
            }
            (false, MarkKind::Delivered) => raise(&mut self.peer_delivered, shown),
        }
    }

    /// One has read this far, on this device or on another.
    pub fn has_read(&mut self, shown: Shown) {
        if shown.source <= self.read.source {
            return;
        }
        raise(&mut self.read, shown);
        self.fresh.retain(|source| *source > shown.source);
        if shown.source >= self.counted {
            self.listed = 0;
        } else if let Some(counted) = self.count_listed() {
            self.listed = self.listed.min(counted);
        }
    }

    /// Counts what the chat list counted, if everything of it is held.
    fn count_listed(&self) -> Option<u32> {
        let mut count = 0;
        let mut met_read = self.timeline.has_all();
        for line in self.timeline.lines().filter(|line| line.from != self.me) {
            met_read |= line.source <= self.read.source;
            count += u32::from(line.source > self.read.source && line.source <= self.counted);
        }
        met_read.then_some(count)
    }

    pub(super) fn listed(&mut self, chat: &server::Chat<'_>) {
        self.is_listed = true;
        if let Some(newest) = &chat.newest {
            self.message(newest);
        }
        raise(&mut self.peer_delivered, chat.peer_delivered);
        raise(&mut self.peer_read, chat.peer_read);
        if chat.newest_incoming >= self.counted {
            self.counted = chat.newest_incoming;
            self.listed = chat.unread;
            let counted = self.counted;
            self.fresh.retain(|source| *source > counted);
        }
        let known = self.read;
        raise(&mut self.read, chat.read);
        if known.source > chat.read.source && known.source >= self.counted {
            self.listed = 0;
        }
    }
}

fn raise(mark: &mut Shown, to: Shown) {
    if to.source > mark.source {
        *mark = to;
    }
}
