//! Answers about the past, over any timeline: pages, the chat list, stretches of a stream.
//!
//! Every answer is for one user and checks that the chat is theirs (G8). All reads are bounded.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{Stream, StreamExt as _, TryFutureExt as _, TryStreamExt as _, stream, try_join};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::Seen;
use volery_kernel::id::{Id, UserId};
use volery_kernel::limits;
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::rules::READ_BACK_MS;
use volery_kernel::slot::{Partition, Partitions};
use volery_ports::history::{Anchor, ChatView, ChatsPage, Happened, History, HistoryError, MessageView, Page, Stretch};
use volery_ports::timeline::{Change, ChangeKind, ChatRow, Entry, MessageRow, Span, Stored, Timeline, Unavailable};

use crate::cursor;
use crate::view::view;
use crate::written::WrittenThrough;

/// Chats of a list, or events of a stretch, that are read at once: a screen of them in two round trips, and one reader
/// takes no store for itself.
const AT_ONCE: usize = 16;

/// History over a timeline.
pub struct Reads {
    timeline: Arc<dyn Timeline>,
    partitions: Partitions,
    generation: u16,
    written: Option<Arc<WrittenThrough>>,
}

impl Reads {
    /// Reads what archive wrote for this many partitions; positions are those of this log generation.
    #[must_use]
    pub fn new(timeline: Arc<dyn Timeline>, partitions: Partitions, generation: u16) -> Self {
        Self { timeline, partitions, generation, written: None }
    }

    /// Archives run in the same process, and say how far they are.
    pub(crate) fn beside(self, written: Arc<WrittenThrough>) -> Self {
        Self { written: Some(written), ..self }
    }

    /// Up to where what was accepted in the user's stream is on pages. Whose archive runs here, it knows; of others it
    /// is a question of its own.
    async fn covers(&self, user: UserId) -> Result<Source, HistoryError> {
        let partition = self.partitions.of(Recipient::User(user));
        let written = self.written.as_ref().and_then(|written| written.of(partition));
        if let Some(through) = written.filter(|through| *through > Source::ZERO) {
            return Ok(through);
        }
        let commit = self.timeline.committed(partition).await.map_err(away)?;
        Ok(commit.map(|commit| commit.source).unwrap_or_default())
    }

    /// At most `limit` messages on one side of `id`, ascending, and what lies around them. The message
    /// at `id` is read along: where it is there, nobody has to look on its side again.
    async fn side(&self, chat: ChatId, side: Side, id: Id, limit: usize) -> Result<Beside, HistoryError> {
        let span = match side {
            Side::Before => Span::Before(id.next()),
            Side::After => Span::After(before(id)),
        };
        let mut rows = self.timeline.messages(chat, span, limit + 2).await.map_err(away)?;
        let at = rows.first().is_some_and(|row| row.message.id == id);
        if at {
            rows.remove(0);
        }
        let keep = within_bytes(&rows).min(limit);
        let more = rows.len() > keep;
        rows.truncate(keep);
        if side == Side::Before {
            rows.reverse();
        }
        Ok(Beside { messages: rows.into_iter().map(view).collect(), more, at })
    }

    async fn any(&self, chat: ChatId, span: Span) -> Result<bool, HistoryError> {
        Ok(!self.timeline.messages(chat, span, 1).await.map_err(away)?.is_empty())
    }

    async fn before(&self, chat: ChatId, id: Id, limit: usize) -> Result<Page, HistoryError> {
        let Beside { messages, more, at } = self.side(chat, Side::Before, id, limit).await?;
        let newest = messages.last().map_or(id, |last| last.id);
        // Nothing is newer than the newest.
        let newer = at || id < Id::MAX && self.any(chat, Span::After(newest)).await?;
        Ok(page(chat, messages, id, more, newer))
    }

    async fn after(&self, chat: ChatId, id: Id, limit: usize) -> Result<Page, HistoryError> {
        let Beside { messages, more, at } = self.side(chat, Side::After, id, limit).await?;
        let oldest = messages.first().map_or(id, |first| first.id);
        let older = at || self.any(chat, Span::Before(oldest)).await?;
        Ok(page(chat, messages, id, older, more))
    }

    /// Half before, half from `id` on; what one side lacks the other fills.
    async fn around(&self, chat: ChatId, id: Id, limit: usize) -> Result<Page, HistoryError> {
        let sides = (self.side(chat, Side::Before, id, limit), self.side(chat, Side::After, before(id), limit));
        let (older, newer) = try_join!(sides.0, sides.1)?;
        let Beside { messages: mut older, more: mut older_more, .. } = older;
        let Beside { messages: mut newer, more: mut newer_more, .. } = newer;
        let half = limit / 2;
        let keep_older = older.len().min(half.max(limit.saturating_sub(newer.len())));
        let keep_newer = newer.len().min(limit - keep_older);
        older_more |= keep_older < older.len();
        newer_more |= keep_newer < newer.len();
        let mut messages = older.split_off(older.len() - keep_older);
        newer.truncate(keep_newer);
        messages.extend(newer);
        Ok(page(chat, messages, id, older_more, newer_more))
    }

    async fn chat_view(&self, user: UserId, chat: ChatId, row: ChatRow) -> Result<ChatView, HistoryError> {
        let newest = self.stored(chat, row.newest).await?.into_row().map(view);
        let unread = self.unread(user, chat, &row).await?;
        let ChatRow { read, delivered, peer_delivered, peer_read, newest_incoming, .. } = row;
        Ok(ChatView { chat, newest, unread, read, delivered, peer_delivered, peer_read, newest_incoming })
    }

    /// Messages of others above the mark, newest first, down to the oldest id that may lie above it
    /// by source; then those that were resolved long after their id. At most 100.
    async fn unread(&self, user: UserId, chat: ChatId, row: &ChatRow) -> Result<usize, HistoryError> {
        if row.newest_incoming <= row.read.source {
            return Ok(0);
        }
        let most = limits::UNREAD_MOST.value;
        let floor = Id::first_at(row.read.id.time().minus(READ_BACK_MS));
        let mut counted = Vec::new();
        let mut before = Id::MAX;
        while counted.len() < most {
            let rows = self.timeline.messages(chat, Span::Before(before), most).await.map_err(away)?;
            let Some(last) = rows.last() else { break };
            before = last.message.id;
            let ended = rows.len() < most || before <= floor;
            let unread = rows.into_iter().map(|row| row.message);
            let unread = unread
                .filter(|message| message.sender != user && message.source > row.read.source && message.id > floor);
            counted.extend(unread.map(|message| message.id));
            if ended {
                break;
            }
        }
        for seen in row.resolved_late.iter().filter(|seen| seen.source > row.read.source) {
            if counted.len() < most && !counted.contains(&seen.id) && self.is_above(chat, *seen, row.read).await? {
                counted.push(seen.id);
            }
        }
        Ok(counted.len().min(most))
    }

    /// A retry may be resolved twice: its message lies where the first of the two does.
    async fn is_above(&self, chat: ChatId, late: Seen, mark: Seen) -> Result<bool, HistoryError> {
        let row = self.stored(chat, late.id).await?.into_row();
        Ok(row.is_none_or(|row| row.message.source > mark.source))
    }

    async fn happened(&self, entry: Entry) -> Result<Vec<Happened>, HistoryError> {
        Ok(match entry {
            Entry::Message { chat, id } => {
                let row = self.stored(chat, id).await?.into_row();
                row.map(|row| Happened::Message(chat, view(row))).into_iter().collect()
            }
            Entry::Change { chat, target, change } => match self.stored(chat, target).await? {
                Stored::Row(row) => vec![Happened::Changed(chat, view(row))],
                Stored::Bare(changes) => early(chat, target, change, changes),
            },
            Entry::Answer(answer) => vec![Happened::Answer(answer)],
            Entry::Mark { reader, chat, kind, seen } => vec![Happened::Mark { reader, chat, kind, seen }],
        })
    }

    async fn stored(&self, chat: ChatId, id: Id) -> Result<Stored, HistoryError> {
        self.timeline.message(chat, id).await.map_err(away)
    }
}

#[async_trait]
impl History for Reads {
    async fn page(&self, user: UserId, chat: ChatId, anchor: Anchor, limit: usize) -> Result<Page, HistoryError> {
        chat.peer_of(user).ok_or(HistoryError::UnknownChat)?;
        // Before the rows are read: what is archived meanwhile is on the page and not promised.
        let covers = self.covers(user).await?;
        let page = match anchor {
            Anchor::Newest => self.before(chat, Id::MAX, limit).await,
            Anchor::Before(id) => self.before(chat, id, limit).await,
            Anchor::After(id) => self.after(chat, id, limit).await,
            Anchor::Around(id) => self.around(chat, id, limit).await,
            Anchor::AroundTime(at) => self.around(chat, Id::first_at(at), limit).await,
            Anchor::Cursor(cursor) => match cursor::to_span(chat, &cursor)? {
                Span::Before(id) => self.before(chat, id, limit).await,
                Span::After(id) => self.after(chat, id, limit).await,
            },
        }?;
        Ok(Page { covers, ..page })
    }

    async fn chats(&self, user: UserId, cursor: Option<Vec<u8>>, limit: usize) -> Result<ChatsPage, HistoryError> {
        let after = cursor.map(|cursor| cursor::to_chats(&cursor)).transpose()?;
        let mut rows = self.timeline.chats(user).await.map_err(away)?;
        rows.retain(|(_, row)| row.newest > Id::ZERO);
        rows.sort_unstable_by_key(|(chat, row)| std::cmp::Reverse((row.newest, *chat)));
        rows.retain(|(chat, row)| after.is_none_or(|after| (row.newest, *chat) < after));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(chat, row)| cursor::of_chats(row.newest, *chat));
        let views = stream::iter(rows).map(|(chat, row)| self.chat_view(user, chat, row));
        Ok(ChatsPage { chats: views.buffered(AT_ONCE).try_collect().await?, next })
    }

    async fn archived(&self, partition: Partition) -> Result<Option<Position>, HistoryError> {
        let commit = self.timeline.committed(partition).await.map_err(away)?;
        // Of a new generation nothing is archived yet: its devices begin at its beginning.
        let commit = commit.filter(|commit| commit.source.generation() >= self.generation);
        Ok(commit.map(|commit| Position { partition, source: commit.source, id: commit.id }))
    }

    async fn stretch(
        &self,
        user: UserId,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Result<Stretch, HistoryError> {
        let commit = self.timeline.committed(partition).await.map_err(away)?;
        let Some(commit) = commit.filter(|commit| commit.source.generation() == self.generation) else {
            return Ok(Stretch { events: Vec::new(), complete_below: from });
        };
        let place = |offset| Source::new(self.generation, offset).place();
        let start = self.timeline.index_start(partition).await.map_err(away)?;
        if start.is_none_or(|start| place(from) < start) {
            return Err(HistoryError::TooOld);
        }
        let to = commit.source.offset() + 1;
        let recipient = Recipient::User(user);
        let rows = self.timeline.index(recipient, partition, place(from), place(to), limit).await.map_err(away)?;
        let rows: Vec<_> = rows.into_iter().map(|(place, entry)| (Source(place).offset(), entry)).collect();
        let all = rows.len() < limit;
        let to = rows.last().filter(|_| !all).map_or(to, |(offset, _)| offset + 1).max(from);
        let happened = stream::iter(rows).map(|(offset, entry)| self.happened(entry).map_ok(move |all| (offset, all)));
        within_bytes_to(happened.buffered(AT_ONCE), to).await
    }

    async fn undelivered(&self, user: UserId, limit: usize) -> Result<Vec<(ChatId, Seen)>, HistoryError> {
        let rows = self.timeline.chats(user).await.map_err(away)?;
        let undelivered = rows.into_iter().filter(|(_, row)| row.newest_incoming > row.delivered.source);
        Ok(undelivered
            .take(limit)
            .map(|(chat, row)| (chat, Seen { source: row.newest_incoming, id: row.newest }))
            .collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// What lies on one side of an id.
struct Beside {
    /// Ascending.
    messages: Vec<MessageView>,
    /// Whether there are more, further away.
    more: bool,
    /// Whether there is a message at the id itself.
    at: bool,
}

/// A change whose message another partition has not archived yet. A later one may have taken its place, and the index
/// does not say whose it was: that one is among those with larger ids, which may be told early as well.
fn early(chat: ChatId, target: Id, change: Id, changes: Vec<Change>) -> Vec<Happened> {
    let due = changes.into_iter().filter(|held| held.id >= change);
    due.map(|held| Happened::Early(chat, target, held)).collect()
}

fn before(id: Id) -> Id {
    Id::new(id.get().saturating_sub(1)).unwrap_or(id)
}

/// A page with cursors where there is more; those of an empty page begin on either side of `at`.
fn page(chat: ChatId, messages: Vec<MessageView>, at: Id, older: bool, newer: bool) -> Page {
    let first = messages.first().map_or(at.next(), |first| first.id);
    let last = messages.last().map_or(before(at), |last| last.id);
    let older = older.then(|| cursor::of_page(chat, Span::Before(first)));
    let newer = newer.then(|| cursor::of_page(chat, Span::After(last)));
    Page { messages, older, newer, covers: Source::ZERO }
}

/// How many rows a page may hold by their bytes; at least one.
fn within_bytes(rows: &[MessageRow]) -> usize {
    let mut left = limits::PAGE_BYTES.value;
    let fit = rows.iter().take_while(|row| {
        let fits = left > 0;
        left = left.saturating_sub(row.message.body.bytes.len());
        fits
    });
    fit.count()
}

/// What happened up to `to`, or a part of it: no more text than a page holds, but for the last.
async fn within_bytes_to(
    mut happened: impl Stream<Item = Result<(Offset, Vec<Happened>), HistoryError>> + Unpin,
    to: Offset,
) -> Result<Stretch, HistoryError> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some((offset, all)) = happened.try_next().await? {
        bytes += all.iter().map(text_bytes).sum::<usize>();
        events.extend(all.into_iter().map(|happened| (offset, happened)));
        if bytes >= limits::PAGE_BYTES.value {
            return Ok(Stretch { events, complete_below: offset + 1 });
        }
    }
    Ok(Stretch { events, complete_below: to })
}

fn text_bytes(happened: &Happened) -> usize {
    match happened {
        Happened::Message(_, view) | Happened::Changed(_, view) => view.body.bytes.len(),
        Happened::Early(_, _, change) => match &change.what {
            ChangeKind::Edit(body) => body.bytes.len(),
            ChangeKind::Delete | ChangeKind::React(_) => 0,
        },
        Happened::Answer(_) | Happened::Mark { .. } => 0,
    }
}

fn away(error: Unavailable) -> HistoryError {
    HistoryError::Unavailable(error.0)
}
