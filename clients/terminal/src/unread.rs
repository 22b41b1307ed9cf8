//! What counts as read: only what stood on the screen, of a terminal that somebody looks at. A mark
//! covers everything before it, so it moves over the unread in their order, as far as all were shown.

use std::collections::HashSet;

use volery_client::view::Chat;
use volery_kernel::id::Id;
use volery_wire::client::Shown;

/// Messages that are read back at most to find where the unread begin.
const BACK_MOST: usize = 300;

/// What was on the screen of the chat that is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(HashSet<Id>);

impl Seen {
    /// These messages are on the screen, whole.
    pub(crate) fn show(&mut self, ids: impl IntoIterator<Item = Id>) {
        self.0.extend(ids);
    }

    /// How far the user has read, if that is further than before.
    pub(crate) fn mark(&self, chat: &Chat) -> Option<Shown> {
        if !reaches_back(chat) {
            return None;
        }
        let mut unread: Vec<_> = chat.timeline.lines().filter(|line| chat.is_unread(line)).collect();
        unread.sort_by_key(|line| line.source);
        chat.shown(unread.into_iter().take_while(|line| self.0.contains(&line.id)))
    }
}

/// Whether all that is unread is held (or so much that the rest is given up).
pub(crate) fn reaches_back(chat: &Chat) -> bool {
    let timeline = &chat.timeline;
    let held = timeline.lines().take(BACK_MOST).count();
    let met = timeline.lines().any(|line| line.source <= chat.read().source && line.from == chat.peer());
    timeline.complete_from().is_some() && (timeline.has_all() || met || held >= BACK_MOST || chat.unread() == 0)
}

/// The first unread message.
pub(crate) fn first(chat: &Chat) -> Option<Id> {
    chat.timeline.lines().find(|line| chat.is_unread(line)).map(|line| line.id)
}
