//! The end of a checked run, for one device: it records what it shows, then reads the chats that were given to it,
//! from beginning to end, and the chat list. A state machine over answers.
//!
//! The trap: pages that are read here must not enter the view, or a message that the stream owed
//! would be there after all. Their answers are this module's own.
//!
//! Another: archive may be behind what was delivered, after an outage for seconds. A chat whose pages lack what the
//! device shows, be it a message or a change of one, and a list that lacks how far its own messages came, are read
//! again a few times before they count as what is stored.

use std::collections::BTreeMap;

use volery_checker::frames::row;
use volery_checker::history::{Line, Marks, Row, What};
use volery_client::core::{Core, Turn};
use volery_client::device::Device;
use volery_client::view::{Chat, Line as Shown, Status};
use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;
use volery_kernel::position::Source;
use volery_wire::client::{Chats, History, Request};
use volery_wire::field::Blob;
use volery_wire::server::{ChatList, Message, Page, Reply};

use super::shown::Changes;
use crate::record::row_of_line;

/// Rows of a page, the most there are.
const LIMIT: u32 = 100;
/// How often chats are read again in which something is missing; somebody says when, twice a second.
const AGAIN_MOST: u32 = 60;

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The run goes on.
    #[default]
    Off,
    Chats,
    List,
    Done,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rest {
    stage: Stage,
    asked: Option<u64>,
    cursor: Option<Blob>,
    lines: Vec<Line>,
    /// To be read, the last first, and the rows of that one, newest first.
    chats: Vec<ChatId>,
    rows: Vec<Row>,
    /// What the device shows, ascending.
    shown: BTreeMap<ChatId, Vec<Id>>,
    /// What changed messages of that, by message, and whether a page of the chat being read has one without it.
    changes: BTreeMap<Id, Changes>,
    is_behind: bool,
    /// Up to where the device was told that its own messages were delivered.
    told: BTreeMap<ChatId, Source>,
    /// How often something was missing, and whether it is waited for just now.
    missing: u32,
    waits: bool,
}

impl Rest {
    /// The run is over; these chats are to be read whole. Gives what the device holds: what a newer page
    /// hides, because something between them was never read, came all the same and is there.
    pub(super) fn begin(&mut self, device: &Device, chats: Vec<ChatId>) -> What {
        (self.stage, self.chats) = (Stage::Chats, chats);
        let shown = device.view().chats();
        self.shown = shown.iter().map(|chat| (chat.id(), chat.timeline.held().map(|line| line.id).collect())).collect();
        let held = shown.iter().flat_map(|chat| chat.timeline.held());
        self.changes = held.filter_map(|line| Some((line.id, Changes::of(line)?))).collect();
        self.told = shown.iter().filter_map(|chat| Some((chat.id(), delivered(chat)?))).collect();
        let rows = shown.iter().flat_map(|chat| chat.timeline.held().map(|line| row_of_line(chat.id(), line)));
        What::View { rows: rows.collect(), marks: Vec::new() }
    }

    /// Something is missing: call [`Rest::again`] in a while.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    pub(super) fn again(&mut self) {
        self.waits = false;
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The connection is gone, and answers with it: what was being read is read anew.
    pub(super) fn lost(&mut self) {
        (self.asked, self.cursor, self.is_behind) = (None, None, false);
        self.lines.clear();
        self.rows.clear();
    }

    /// What a synced device asks next.
    pub(super) fn next(&mut self) -> Option<Request<'static>> {
        let cursor = self.cursor.clone();
        match (&self.stage, self.asked) {
            _ if self.waits => None,
            (Stage::Off | Stage::Done, _) | (_, Some(_)) => None,
            (Stage::Chats, None) if let Some(&chat) = self.chats.last() => {
                let (before, after, around, around_time) = (None, None, None, None);
                let limit = Some(LIMIT);
                Some(Request::History(History { chat, before, after, around, around_time, cursor, limit }))
            }
            (Stage::Chats | Stage::List, None) => {
                self.stage = Stage::List;
                Some(Request::Chats(Chats { cursor, limit: Some(LIMIT) }))
            }
        }
    }

    pub(super) fn ask(&mut self, request: Request<'static>, core: &mut Core, turn: &mut Turn) {
        self.asked = core.ask(request, turn);
    }

    /// Whether a reply answers what was asked here.
    pub(super) fn is_own(&self, n: u64, reply: &Reply<'_>) -> bool {
        self.asked == Some(n) && matches!(reply, Reply::Page(_) | Reply::ChatList(_) | Reply::Error(_))
    }

    /// Takes an answer; what was refused is asked for again. Gives what is whole with it.
    pub(super) fn hear(&mut self, reply: &Reply<'_>) -> Option<What> {
        self.asked = None;
        match reply {
            Reply::Page(page) => self.page(page),
            Reply::ChatList(list) => self.list(list),
            _ => None,
        }
    }

    fn page(&mut self, page: &Page<'_>) -> Option<What> {
        self.rows.extend(page.messages.iter().rev().map(row));
        let lacks = |stored: &Message<'_>| self.changes.get(&stored.id).is_some_and(|changes| changes.lack_in(stored));
        let is_behind = page.messages.iter().any(lacks);
        self.is_behind |= is_behind;
        self.cursor = page.older.clone();
        if self.cursor.is_some() {
            return None;
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.reverse();
        let is_behind = std::mem::take(&mut self.is_behind);
        if (is_behind || self.lacks(&rows)) && self.reads_again() {
            return None;
        }
        let chat = self.chats.pop()?;
        // Marks come after the messages that they are of.
        self.waits = self.chats.is_empty() && self.missing > 0;
        Some(What::Timeline { chat, rows })
    }

    /// Something is missing: waits, unless that was often enough.
    fn reads_again(&mut self) -> bool {
        self.waits = self.missing < AGAIN_MOST;
        self.missing += u32::from(self.waits);
        self.waits
    }

    /// Whether the chat that was read lacks what is shown of it.
    fn lacks(&self, rows: &[Row]) -> bool {
        let shown = self.chats.last().and_then(|chat| self.shown.get(chat));
        let stored = |id: &Id| rows.binary_search_by_key(id, |row| row.id).is_ok();
        !shown.into_iter().flatten().all(stored)
    }

    /// Whether the list that was read says less of own messages than the device was told.
    fn lacks_marks(&self) -> bool {
        let marks = |chat: &ChatId| self.lines.iter().map(|line| line.marks).find(|marks| marks.chat == *chat);
        let listed = |chat| marks(chat).is_some_and(|marks| marks.peer_delivered >= self.told[chat]);
        !self.told.keys().all(listed)
    }

    fn list(&mut self, list: &ChatList<'_>) -> Option<What> {
        self.lines.extend(list.chats.iter().map(|chat| Line {
            unread: chat.unread,
            newest_incoming: chat.newest_incoming,
            marks: Marks {
                chat: chat.chat,
                read: chat.read.source,
                peer_delivered: chat.peer_delivered.source,
                peer_read: chat.peer_read.source,
            },
        }));
        self.cursor = list.next.clone();
        if self.cursor.is_some() {
            return None;
        }
        if self.lacks_marks() && self.reads_again() {
            self.lines.clear();
            return None;
        }
        self.stage = Stage::Done;
        Some(What::Lines(std::mem::take(&mut self.lines)))
    }
}

/// Up to where a device was told that its own messages were delivered.
fn delivered(chat: &Chat) -> Option<Source> {
    let came = |line: &&Shown| chat.peer() != chat.me() && chat.status(line) >= Some(Status::Delivered);
    chat.timeline.held().filter(came).map(|line| line.source).max()
}

#[cfg(test)]
mod tests {
    use volery_client::state::State;
    use volery_client::view::View;
    use volery_wire::{client, server};

    use super::*;

    fn page(chat: ChatId, older: Option<Blob>) -> Reply<'static> {
        Reply::Page(Page { chat, messages: Vec::new(), older, newer: None, covers: Source::ZERO })
    }

    #[test]
    fn chats_are_read_to_their_beginning_one_after_the_other() {
        let chat = |other| ChatId::direct(id(1), id(other));
        let state = State::default();
        let shown = Device::keeping(device(), View::new(id(1), device()), &state, true);
        let mut rest = Rest::default();
        assert_eq!(rest.next(), None);
        assert!(matches!(rest.begin(&shown, vec![chat(2), chat(3)]), What::View { .. }));
        assert!(matches!(rest.next(), Some(Request::History(ask)) if ask.chat == chat(3) && ask.cursor.is_none()));
        assert_eq!(rest.hear(&page(chat(3), Some(Blob(vec![7])))), None);
        assert!(matches!(rest.next(), Some(Request::History(ask)) if ask.cursor.is_some()));
        rest.lost();
        assert!(matches!(rest.next(), Some(Request::History(ask)) if ask.cursor.is_none()));
        assert_eq!(rest.hear(&page(chat(3), None)), Some(What::Timeline { chat: chat(3), rows: Vec::new() }));
        assert!(rest.hear(&page(chat(2), None)).is_some() && !rest.is_done());
        assert!(matches!(rest.next(), Some(Request::Chats(_))));
        let list = Reply::ChatList(ChatList { chats: Vec::new(), next: None });
        assert_eq!(rest.hear(&list), Some(What::Lines(Vec::new())));
        assert_eq!((rest.next(), rest.is_done()), (None, true));
    }

    #[test]
    fn a_chat_that_lacks_what_is_shown_is_read_again_for_a_while() {
        let chat = ChatId::direct(id(1), id(2));
        let mut rest = Rest { stage: Stage::Chats, chats: vec![chat], ..Rest::default() };
        rest.shown.insert(chat, vec![Id::new(7).expect("an id")]);
        for _ in 0..AGAIN_MOST {
            assert!(matches!(rest.next(), Some(Request::History(_))));
            assert_eq!((rest.hear(&page(chat, None)), rest.waits(), rest.next()), (None, true, None));
            rest.again();
        }
        let stored = Some(What::Timeline { chat, rows: Vec::new() });
        assert_eq!((rest.hear(&page(chat, None)), rest.waits()), (stored, true), "the checker judges what is lost");
        rest.again();
        assert!(matches!(rest.next(), Some(Request::Chats(_))));
    }

    #[test]
    fn a_chat_whose_pages_lack_a_change_that_is_shown_is_read_again() {
        let edited = |edited: Option<u64>| server::Message {
            chat: ChatId::direct(id(1), id(2)),
            id: Id::new(7).expect("an id"),
            from: id(2),
            source: Source(7),
            text: "d0.1".into(),
            reply_to: None,
            key: None,
            shown: None,
            edited: edited.and_then(|change| Id::new(change).ok()),
            deleted: None,
            reactions: Vec::new(),
            position: None,
        };
        let mut view = View::new(id(1), device());
        view.event(&Reply::Message(edited(Some(9))));
        let shows = Device::keeping(device(), view, &State::default(), true);
        let (mut rest, chat) = (Rest::default(), edited(None).chat);
        rest.begin(&shows, vec![chat]);
        // The change is missed on the newest page, and found to be so at the end of the chat.
        let older = Some(Blob(vec![7]));
        let newest = |message, older| {
            Reply::Page(Page { chat, messages: vec![message], older, newer: None, covers: Source::ZERO })
        };
        assert_eq!((rest.hear(&newest(edited(None), older)), rest.waits()), (None, false));
        assert_eq!((rest.hear(&page(chat, None)), rest.waits()), (None, true));
        rest.again();
        let read = rest.hear(&newest(edited(Some(9)), None));
        assert!(matches!(read, Some(What::Timeline { rows, .. }) if rows.len() == 1));
    }

    #[test]
    fn a_list_that_lacks_what_was_told_of_marks_is_read_again() {
        let chat = ChatId::direct(id(1), id(2));
        let mut rest = Rest { stage: Stage::List, ..Rest::default() };
        rest.told.insert(chat, Source(7));
        let list = |source| {
            let none = client::Shown { source: Source::ZERO, id: Id::ZERO };
            let peer_delivered = client::Shown { source: Source(source), ..none };
            let line = server::Chat {
                chat,
                newest: None,
                unread: 0,
                read: none,
                delivered: None,
                peer_delivered,
                peer_read: none,
                newest_incoming: Source::ZERO,
            };
            Reply::ChatList(ChatList { chats: vec![line], next: None })
        };
        assert!(matches!(rest.next(), Some(Request::Chats(_))));
        assert_eq!((rest.hear(&list(6)), rest.waits(), rest.next()), (None, true, None));
        rest.again();
        assert!(matches!(rest.next(), Some(Request::Chats(_))));
        assert!(matches!(rest.hear(&list(7)), Some(What::Lines(lines)) if lines.len() == 1));
        assert!(rest.is_done());
    }

    fn id(raw: u64) -> volery_kernel::id::UserId {
        volery_kernel::id::UserId::new(raw).expect("an id")
    }

    fn device() -> volery_kernel::id::DeviceId {
        volery_kernel::id::DeviceId::new(9).expect("an id")
    }
}
