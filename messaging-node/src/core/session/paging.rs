//! A session's pages: history and chat list, a few at once.

use volery_kernel::chat::ChatId;
use volery_kernel::code::Code;
use volery_kernel::event::Seen;
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_ports::history::{Anchor, ChatsPage, HistoryError, MessageView, Page};
use volery_wire::server::{self, Reply};
use volery_wire::{client, field::Blob};

use super::{Bad, Effect, Session};
use crate::core::entry;

/// Pages, or answers on presence, that one session may wait for at once.
const PAGES_MOST: u32 = 8;

impl Session {
    pub(super) fn history(
        &mut self,
        request: u64,
        history: client::History,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Bad> {
        let anchor = anchor(&history)?;
        let limit = page_limit(history.limit, limits::PAGE_MOST.value)?;
        self.page_may_start()?;
        effects.push(Effect::Page(request, history.chat, anchor, limit));
        Ok(())
    }

    pub(super) fn chat_list(
        &mut self,
        request: u64,
        chats: client::Chats,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Bad> {
        let limit = page_limit(chats.limit, limits::CHATS_MOST.value)?;
        self.page_may_start()?;
        effects.push(Effect::Chats(request, chats.cursor.map(|cursor| cursor.0), limit));
        Ok(())
    }

    pub(super) fn page_may_start(&mut self) -> Result<(), Bad> {
        if self.pages >= PAGES_MOST {
            return Err((Code::Busy, None));
        }
        self.pages += 1;
        Ok(())
    }

    /// The answer to [`Effect::Page`].
    pub fn page(&mut self, request: u64, chat: ChatId, page: Result<Page, HistoryError>, effects: &mut Vec<Effect>) {
        self.pages = self.pages.saturating_sub(1);
        match page {
            Ok(page) => {
                self.saw(page.messages.iter().map(MessageView::largest_id));
                effects.push(Effect::Reply(request, Reply::Page(self.page_body(chat, page))));
            }
            Err(error) => {
                let (code, field) = refusal(&error);
                self.error(request, code, field, None, effects);
            }
        }
    }

    /// An answer stands after its question: what the device was shown raises the floor of its sends.
    pub(super) fn saw(&mut self, ids: impl Iterator<Item = Id>) {
        if let Some(newest) = ids.max() {
            self.sends.raise_floor(newest);
        }
    }

    pub(super) fn page_body(&self, chat: ChatId, page: Page) -> server::Page<'static> {
        let messages = page.messages.into_iter().map(|view| entry::of_view(self.who.user, chat, view)).collect();
        let cursor = |cursor: Option<Vec<u8>>| cursor.map(Blob);
        server::Page { chat, messages, older: cursor(page.older), newer: cursor(page.newer), covers: page.covers }
    }

    /// The answer to [`Effect::Chats`].
    pub fn chats(&mut self, request: u64, page: Result<ChatsPage, HistoryError>, effects: &mut Vec<Effect>) {
        self.pages = self.pages.saturating_sub(1);
        match page {
            Ok(page) => {
                self.saw(page.chats.iter().filter_map(|chat| chat.newest.as_ref()).map(MessageView::largest_id));
                effects.push(Effect::Reply(request, Reply::ChatList(self.chats_body(page))));
            }
            Err(error) => {
                let (code, field) = refusal(&error);
                self.error(request, code, field, None, effects);
            }
        }
    }

    pub(super) fn chats_body(&self, page: ChatsPage) -> server::ChatList<'static> {
        let seen = |seen: Seen| client::Shown { source: seen.source, id: seen.id };
        let chats = page.chats.into_iter().map(|view| server::Chat {
            chat: view.chat,
            newest: view.newest.map(|newest| entry::of_view(self.who.user, view.chat, newest)),
            unread: view.unread as u32,
            read: seen(view.read),
            delivered: (view.delivered.source > Source::ZERO).then(|| seen(view.delivered)),
            peer_delivered: seen(view.peer_delivered),
            peer_read: seen(view.peer_read),
            newest_incoming: view.newest_incoming,
        });
        server::ChatList { chats: chats.collect(), next: page.next.map(Blob) }
    }
}

fn page_limit(limit: Option<u32>, most: usize) -> Result<usize, Bad> {
    let limit = limit.map_or(limits::PAGE_DEFAULT.value, |limit| limit as usize);
    if (1..=most).contains(&limit) { Ok(limit) } else { Err((Code::BadRequest, Some("limit"))) }
}

fn anchor(history: &client::History) -> Result<Anchor, Bad> {
    let anchors = [
        ("before", history.before.map(Anchor::Before)),
        ("after", history.after.map(Anchor::After)),
        ("around", history.around.map(Anchor::Around)),
        ("around_time", history.around_time.map(|at| Anchor::AroundTime(Timestamp(at)))),
        ("cursor", history.cursor.clone().map(|cursor| Anchor::Cursor(cursor.0))),
    ];
    let mut given = anchors.into_iter().filter_map(|(field, anchor)| Some((field, anchor?)));
    let (_, first) = given.next().unwrap_or(("", Anchor::Newest));
    // The field that is one too many.
    given.next().map_or(Ok(first), |(field, _)| Err((Code::BadRequest, Some(field))))
}

/// As the gateway says it.
fn refusal(error: &HistoryError) -> Bad {
    match error {
        HistoryError::Unavailable(_) => (Code::HistoryUnavailable, None),
        HistoryError::UnknownChat => (Code::UnknownChat, Some("chat")),
        HistoryError::InvalidCursor => (Code::InvalidCursor, Some("cursor")),
        HistoryError::TooOld => (Code::InvalidPosition, None),
    }
}
