//! The changes that made a message what a device shows, without what they say: enough to know a stored message that is
//! older than what is shown. A deletion absorbs the others.

use volery_client::view::Line;
use volery_kernel::id::{Id, UserId};
use volery_wire::server::Message;

/// See the module.
#[derive(Debug)]
pub(super) struct Changes {
    edited: Option<Id>,
    deleted: bool,
    reactions: Vec<(UserId, Id)>,
}

impl Changes {
    /// Those that a line shows, if there are any.
    pub(super) fn of(line: &Line) -> Option<Self> {
        let reactions: Vec<_> = line.newest_reactions().map(|(by, change, _)| (by, change)).collect();
        let is_changed = line.edited.is_some() || line.deleted.is_some() || !reactions.is_empty();
        is_changed.then(|| Self { edited: line.edited, deleted: line.deleted.is_some(), reactions })
    }

    /// Whether the message as it is stored has not got all of them, or later ones.
    pub(super) fn lack_in(&self, stored: &Message<'_>) -> bool {
        let newest =
            |by: UserId| stored.reactions.iter().find(|reaction| reaction.by == by).map(|reaction| reaction.change);
        let is_older = |(by, change): &(UserId, Id)| newest(*by) < Some(*change);
        let lack = self.deleted || stored.edited < self.edited || self.reactions.iter().any(is_older);
        lack && stored.deleted.is_none()
    }
}

#[cfg(test)]
mod tests {
    use volery_kernel::chat::ChatId;
    use volery_kernel::position::Source;
    use volery_wire::server::Reaction;

    use super::*;

    fn id(raw: u64) -> Id {
        Id::new(raw).expect("an id")
    }

    fn message(edited: Option<u64>, deleted: Option<u64>, reaction: Option<u64>) -> Message<'static> {
        let (me, other) = (UserId(id(1)), UserId(id(2)));
        let reaction = reaction.map(|change| Reaction { by: other, emoji: "x".to_owned(), change: id(change) });
        Message {
            chat: ChatId::direct(me, other),
            id: id(5),
            from: me,
            source: Source(5),
            text: "d0.1".into(),
            reply_to: None,
            key: None,
            shown: None,
            edited: edited.map(id),
            deleted: deleted.map(id),
            reactions: reaction.into_iter().collect(),
            position: None,
        }
    }

    #[test]
    fn what_is_stored_lacks_a_change_until_it_has_that_one_or_a_later_one() {
        let shown = |shown: &Message<'_>| Changes::of(&Line::new(shown));
        assert!(shown(&message(None, None, None)).is_none());
        let lack =
            |changes: Message<'_>, stored: Message<'_>| shown(&changes).is_some_and(|changes| changes.lack_in(&stored));
        assert!(lack(message(Some(7), None, None), message(None, None, None)));
        assert!(lack(message(Some(7), None, None), message(Some(6), None, None)));
        assert!(!lack(message(Some(7), None, None), message(Some(8), None, None)));
        assert!(lack(message(None, None, Some(7)), message(Some(9), None, None)));
        assert!(lack(message(None, None, Some(7)), message(None, None, Some(6))));
        assert!(!lack(message(None, None, Some(7)), message(None, None, Some(7))));
        assert!(lack(message(None, Some(7), None), message(Some(8), None, Some(9))));
        assert!(!lack(message(Some(7), None, Some(8)), message(None, Some(9), None)));
    }
}
