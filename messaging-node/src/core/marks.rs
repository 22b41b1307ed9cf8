//! Marks on their way to the log: coalesced by maximum, one append for all chats at most each 500 ms.
//!
//! Nothing leaves before `synced`: a mark would cover what the device has not been sent. What was
//! confirmed before is held back, for a bounded number of chats; beyond it, and after a reset, the
//! chat list knows better, and [`Marks::take_sweep`] says so once.

use volery_kernel::chat::ChatId;
use volery_kernel::event::{MarkKind, Seen};
use volery_kernel::limits;
use volery_kernel::time::Timestamp;

/// A mark that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which chat.
    pub chat: ChatId,
    /// Delivered or read.
    pub kind: MarkKind,
    /// How far.
    pub seen: Seen,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Marks {
    waiting: Vec<Waiting>,
    sweep: bool,
    last: Timestamp,
}

impl Marks {
    /// Merges a mark into what waits.
    pub fn add(&mut self, mark: Waiting) {
        let full = self.waiting.len() >= limits::MARKED_CHATS.value;
        let same = self.waiting.iter_mut().find(|other| other.chat == mark.chat && other.kind == mark.kind);
        match same {
            Some(other) => {
                other.seen.source = other.seen.source.max(mark.seen.source);
                other.seen.id = other.seen.id.max(mark.seen.id);
            }
            None if full => self.sweep = true,
            None => self.waiting.push(mark),
        }
    }

    /// Whether the chat list must be asked what is undelivered; says so once.
    pub fn take_sweep(&mut self) -> bool {
        std::mem::take(&mut self.sweep)
    }

    /// Until when to wait before [`Marks::take`] gives something; `None` if nothing waits.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty()).then(|| self.last.plus(limits::MARK_EVERY_MS.value))
    }

    /// Everything that is due and `may` leave; the rest waits for another turn.
    pub fn take(&mut self, now: Timestamp, may: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.last = now;
        let (leaving, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(may);
        self.waiting = waiting;
        leaving
    }
}
