//! What the user has read, or the device holds, and the stream has not shown yet. Marks have no key and no
//! acknowledgement: each is repeated until it is met in the stream, and merged by maximum.
//!
//! Trap avoided: that something was delivered follows from what is confirmed, and a server that is killed
//! between the two takes it along. So a device that does not meet the mark says it.
//!
//! Another: pages may be ahead of the stream, and lack what archive writes a moment later. So a mark waits until the
//! stream has brought what it covers.

use std::collections::BTreeMap;

use volery_kernel::chat::ChatId;
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_wire::client::Shown;

/// A mark that was not met is said again after this long.
const REPEAT_MS: u64 = 5_000;
/// A mark that was refused (it ran ahead of the stream) is said again after this long.
const REFUSED_MS: u64 = 1_000;
/// A mark that is refused so often is wrong.
const REFUSALS_MOST: u32 = 5;

#[derive(Clone, Copy, Debug)]
struct Pending {
    shown: Shown,
    due: Timestamp,
    said: Option<Timestamp>,
    request: u64,
    refusals: u32,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    pending: BTreeMap<ChatId, Pending>,
}

impl Marks {
    /// Those that an earlier run of the client has left behind: due at once.
    pub(super) fn of(left: impl Iterator<Item = (ChatId, Shown)>) -> Self {
        let mut marks = Self::default();
        left.for_each(|(chat, shown)| marks.want(chat, shown, Timestamp(0)));
        marks
    }

    /// What was not met yet.
    pub(super) fn pending(&self) -> impl Iterator<Item = (ChatId, Shown)> {
        self.pending.iter().map(|(chat, pending)| (*chat, pending.shown))
    }

    /// The user has read a chat up to here. Beyond 1,024 chats a mark is not taken: it is said when
    /// the user comes back to the chat.
    pub(super) fn want(&mut self, chat: ChatId, shown: Shown, now: Timestamp) {
        let full = self.pending.len() >= limits::MARKED_CHATS.value;
        match self.pending.get_mut(&chat) {
            Some(pending) if pending.shown.source < shown.source => {
                let due = pending.said.map_or(now, |said| said.plus(limits::MARK_EVERY_MS.value));
                *pending = Pending { shown, due, refusals: 0, ..*pending };
            }
            None if !full => {
                self.pending.insert(chat, Pending { shown, due: now, said: None, request: 0, refusals: 0 });
            }
            Some(_) | None => {}
        }
    }

    /// The device holds a chat up to here. The server says so itself, soon: here it is only noted.
    pub(super) fn expect(&mut self, chat: ChatId, shown: Shown, now: Timestamp) {
        let full = self.pending.len() >= limits::MARKED_CHATS.value;
        match self.pending.get_mut(&chat) {
            Some(Pending { shown: held, .. }) => {
                (held.source, held.id) = (held.source.max(shown.source), held.id.max(shown.id));
            }
            None if !full => {
                let due = now.plus(REPEAT_MS);
                self.pending.insert(chat, Pending { shown, due, said: None, request: 0, refusals: 0 });
            }
            None => {}
        }
    }

    /// Whether all of them were met.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// From when on a mark is due, of those that lie below what the stream brought.
    pub(super) fn due(&self, brought_below: Source) -> Option<Timestamp> {
        let brought = self.pending.values().filter(|pending| pending.shown.source < brought_below);
        brought.map(|pending| pending.due).min()
    }

    /// A mark that is due and lies below what the stream brought, said under `request`.
    pub(super) fn say(&mut self, now: Timestamp, brought_below: Source, request: u64) -> Option<(ChatId, Shown)> {
        let may = |pending: &Pending| pending.due <= now && pending.shown.source < brought_below;
        let (chat, pending) = self.pending.iter_mut().find(|(_, pending)| may(pending))?;
        (pending.due, pending.said, pending.request) = (now.plus(REPEAT_MS), Some(now), request);
        Some((*chat, pending.shown))
    }

    /// The stream shows the mark. One that falls short of what is wanted shows that more is on its way.
    pub(super) fn met(&mut self, chat: ChatId, shown: Shown, now: Timestamp) {
        match self.pending.get_mut(&chat) {
            Some(pending) if pending.shown.source <= shown.source => drop(self.pending.remove(&chat)),
            Some(pending) => pending.due = pending.due.max(now.plus(REPEAT_MS)),
            None => {}
        }
    }

    /// An `error` answers `request`.
    pub(super) fn refused(&mut self, request: u64, now: Timestamp) {
        for pending in self.pending.values_mut().filter(|pending| pending.request == request) {
            (pending.due, pending.refusals) = (now.plus(REFUSED_MS), pending.refusals + 1);
        }
        self.pending.retain(|_, pending| pending.refusals < REFUSALS_MOST);
    }

    /// The session is over: everything is to be said again.
    pub(super) fn close(&mut self) {
        for pending in self.pending.values_mut() {
            *pending = Pending { due: Timestamp(0), said: None, refusals: 0, ..*pending };
        }
    }
}
