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

#[cfg(test)]
mod tests {
    use super::*;
    use volery_client::view::View;
    use volery_kernel::chat::ChatId;
    use volery_kernel::id::{DeviceId, UserId};
    use volery_kernel::position::Source;
    use volery_wire::field::Blob;
    use volery_wire::server::{Message, Page};

    fn id(raw: u64) -> Id {
        Id::new(raw).unwrap()
    }

    /// Five messages came in; by source they stand 1, 3, 2, 4, 5.
    fn view(older: bool) -> (View, ChatId) {
        let (me, peer) = (UserId(id(1)), UserId(id(2)));
        let chat = ChatId::direct(me, peer);
        let message = |(n, source): (u64, u64)| Message {
            chat,
            id: id(n),
            from: peer,
            source: Source(source),
            text: "x".into(),
            reply_to: None,
            key: None,
            shown: None,
            edited: None,
            deleted: None,
            reactions: Vec::new(),
            position: None,
        };
        let messages = [(1, 1), (2, 3), (3, 2), (4, 4), (5, 5)].map(message).to_vec();
        let mut view = View::new(me, DeviceId(id(9)));
        let older = older.then(Blob::default);
        view.page(&Page { chat, messages, older, newer: None, covers: Source(0) }, None);
        (view, chat)
    }

    #[test]
    fn a_mark_covers_nothing_that_was_not_shown() {
        let (mut view, chat) = view(false);
        let mut seen = Seen::default();
        seen.show([id(1), id(2), id(5)]);
        assert_eq!(seen.mark(view.chat_mut(chat)), Some(Shown { source: Source(1), id: id(1) }));
        seen.show([id(3)]);
        assert_eq!(seen.mark(view.chat_mut(chat)), Some(Shown { source: Source(3), id: id(3) }));
        view.chat_mut(chat).has_read(Shown { source: Source(3), id: id(3) });
        assert_eq!(first(view.chat_mut(chat)), Some(id(4)));
        assert_eq!(seen.mark(view.chat_mut(chat)), None);
    }

    #[test]
    fn nothing_is_marked_while_older_unread_may_be_missing() {
        let (mut view, chat) = view(true);
        let mut seen = Seen::default();
        seen.show([id(1), id(2), id(3), id(4), id(5)]);
        assert!(!reaches_back(view.chat_mut(chat)));
        assert_eq!(seen.mark(view.chat_mut(chat)), None);
    }
}
