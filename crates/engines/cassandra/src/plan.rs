//! The writes of one apply as rows, each of which one statement writes.
//!
//! Pure. What an apply does to one chat row becomes one row here, however often it is touched: its
//! registers are merged as Cassandra would, by maximum. Nothing else is merged; the order of rows
//! does not matter.

use std::collections::{BTreeMap, HashMap, HashSet};

use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{MarkKind, Seen, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Source};
use volery_ports::timeline::{Change, Commit, Entry, Message, Sent, Write};

/// What one statement writes. The apply's partition and day are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Message(ChatId, Message),
    Change(ChatId, Id, Change),
    Sent(SendKey, Sent),
    Index(Recipient, Offset, Entry),
    View(UserId, ChatId, Box<View>),
    Aside(Offset, String, bytes::Bytes),
    /// A window of the chat holds a message.
    Window(ChatId, i32),
    /// All rows of the day's index from this offset on were written.
    Day(Offset),
    Commit(Commit),
}

/// Registers of a chat row; those that are `None` stay as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) newest: Option<Id>,
    pub(crate) incoming: Option<Source>,
    pub(crate) delivered: Mark,
    pub(crate) read: Mark,
    pub(crate) peer_delivered: Mark,
    pub(crate) peer_read: Mark,
    pub(crate) late: BTreeMap<Source, Id>,
}

/// A mark by its source, then its id, as its cell has it.
pub(crate) type Mark = Option<(Source, Id)>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rows: Vec<Row>,
    /// Windows that hold the messages.
    pub(crate) windows: HashSet<(ChatId, i32)>,
    /// The smallest offset that an index row or the commit has.
    pub(crate) lowest: Option<Offset>,
    views: HashMap<(UserId, ChatId), Box<View>>,
}

impl Plan {
    pub(crate) fn new(writes: Vec<Write>, commit: Option<Commit>) -> Self {
        let lowest = commit.map(|commit| commit.source.place());
        let mut plan = Self { rows: Vec::with_capacity(writes.len()), lowest, ..Self::default() };
        writes.into_iter().for_each(|write| plan.add(write));
        let views = plan.views.drain().map(|((user, chat), view)| Row::View(user, chat, view));
        plan.rows.extend(views);
        plan
    }

    fn add(&mut self, write: Write) {
        match write {
            Write::Message { chat, message, resolved: _ } => {
                self.windows.insert((chat, super::layout::window_of(message.id)));
                self.rows.push(Row::Message(chat, message));
            }
            Write::Change { chat, target, change } => self.rows.push(Row::Change(chat, target, change)),
            Write::Sent { key, sent } => self.rows.push(Row::Sent(key, sent)),
            Write::Index { recipient, offset, entry } => {
                self.lowest = Some(self.lowest.map_or(offset, |lowest| lowest.min(offset)));
                self.rows.push(Row::Index(recipient, offset, entry));
            }
            Write::Newest { user, chat, id, incoming } => {
                let view = self.view(user, chat);
                view.newest = view.newest.max(Some(id));
                view.incoming = view.incoming.max(incoming);
            }
            Write::Mark { user, chat, kind, seen } => {
                let view = self.view(user, chat);
                raise(&mut view.delivered, &mut view.read, kind, seen);
            }
            Write::PeerMark { user, chat, kind, seen } => {
                let view = self.view(user, chat);
                raise(&mut view.peer_delivered, &mut view.peer_read, kind, seen);
            }
            Write::ResolvedLate { user, chat, seen } => {
                let held = self.view(user, chat).late.entry(seen.source).or_insert(seen.id);
                *held = seen.id.max(*held);
            }
            Write::SetAside { offset, reason, bytes } => self.rows.push(Row::Aside(offset, reason, bytes)),
        }
    }

    fn view(&mut self, user: UserId, chat: ChatId) -> &mut View {
        self.views.entry((user, chat)).or_default()
    }
}

/// A read mark moves the delivered one as well.
fn raise(delivered: &mut Mark, read: &mut Mark, kind: MarkKind, seen: Seen) {
    let mark = Some((seen.source, seen.id));
    *delivered = mark.max(*delivered);
    if kind == MarkKind::Read {
        *read = mark.max(*read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::time::Timestamp;

    fn user(raw: u64) -> UserId {
        UserId::new(raw).unwrap()
    }

    fn seen(offset: u64, raw: u64) -> Seen {
        Seen { source: Source::new(1, offset), id: Id::new(raw).unwrap() }
    }

    #[test]
    fn a_chat_row_is_one_row_with_the_maxima_of_all_that_touch_it() {
        let (user, chat) = (user(1), ChatId::direct(user(1), user(2)));
        let mark = |kind, seen| Write::Mark { user, chat, kind, seen };
        let newest = |raw, incoming| Write::Newest { user, chat, id: Id::new(raw).unwrap(), incoming };
        let mut writes = vec![
            newest(5, Some(Source::new(1, 9))),
            newest(7, None),
            mark(MarkKind::Read, seen(4, 6)),
            mark(MarkKind::Delivered, seen(8, 2)),
            Write::ResolvedLate { user, chat, seen: seen(3, 1) },
        ];
        let expected = View {
            newest: Id::new(7).ok(),
            incoming: Some(Source::new(1, 9)),
            delivered: Some((seen(8, 2).source, seen(8, 2).id)),
            read: Some((seen(4, 6).source, seen(4, 6).id)),
            late: BTreeMap::from([(seen(3, 1).source, seen(3, 1).id)]),
            ..View::default()
        };
        for _ in 0..writes.len() {
            writes.rotate_left(1);
            let plan = Plan::new(writes.clone(), None);
            assert_eq!(plan.rows, [Row::View(user, chat, Box::new(expected.clone()))]);
            assert_eq!(plan.lowest, None);
        }
    }

    #[test]
    fn an_apply_begins_at_its_smallest_offset_be_it_the_commit_s() {
        let chat = ChatId::direct(user(1), user(2));
        let index = |offset| {
            let entry = Entry::Message { chat, id: Id::ZERO };
            Write::Index { recipient: Recipient::User(user(1)), offset, entry }
        };
        let commit = |offset| Some(Commit { source: Source::new(1, offset), id: Id::ZERO, stamp: Timestamp(0) });
        assert_eq!(Plan::new(vec![index(7), index(5)], commit(9)).lowest, Some(5));
        assert_eq!(Plan::new(Vec::new(), commit(9)).lowest, Some(9));
        assert_eq!(Plan::new(vec![index(7)], None).lowest, Some(7));
    }
}
