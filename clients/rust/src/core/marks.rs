//! What the user has read and the stream has not shown yet. Marks have no key and no acknowledgement:
//! each is repeated until it is met in the stream, and merged by maximum.

use std::collections::BTreeMap;

use volery_kernel::chat::ChatId;
use volery_kernel::limits;
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

    /// From when on a mark is due.
    #[must_use]
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.pending.values().map(|pending| pending.due).min()
    }

    /// A mark that is due, said under `request`.
    pub(super) fn say(&mut self, now: Timestamp, request: u64) -> Option<(ChatId, Shown)> {
        let (chat, pending) = self.pending.iter_mut().find(|(_, pending)| pending.due <= now)?;
        (pending.due, pending.said, pending.request) = (now.plus(REPEAT_MS), Some(now), request);
        Some((*chat, pending.shown))
    }

    /// The stream shows the mark.
    pub(super) fn met(&mut self, chat: ChatId, shown: Shown) {
        if self.pending.get(&chat).is_some_and(|pending| pending.shown.source <= shown.source) {
            self.pending.remove(&chat);
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
