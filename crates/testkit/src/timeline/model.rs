//! The timeline as maps: what an engine must be equal to, and what simulations run on.
//!
//! Written from the contract, not from an engine: nothing is cached, nothing is encoded, and
//! registers are merged when they are read. It shares no merge with an engine, or both could be wrong together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{MarkKind, Seen, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{
    Change, ChangeKind, ChatRow, Commit, Entry, Message, MessageRow, Refused, Sent, Span, Stored, Timeline,
    Unavailable, Write,
};

const DAY_MS: u64 = 86_400_000;
const LATE_MOST: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Edit,
    Delete,
    React,
}

/// All values that a view's registers were given; they are merged when the row is read.
#[derive(Default)]
struct View {
    ids: BTreeSet<Id>,
    incoming: BTreeSet<Source>,
    marks: BTreeSet<(Mark, Source, Id)>,
    late: BTreeMap<Source, Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Delivered,
    Read,
    PeerDelivered,
    PeerRead,
}

#[derive(Default)]
struct Index {
    rows: BTreeMap<(Recipient, Offset), Entry>,
    /// First offset by day.
    days: BTreeMap<u64, Offset>,
    first: Option<Offset>,
    cut: Offset,
}

#[derive(Default)]
struct State {
    down: bool,
    far: Duration,
    messages: BTreeMap<(ChatId, Id), Message>,
    changes: BTreeMap<(ChatId, Id), BTreeMap<(UserId, Cell), Change>>,
    sends: BTreeMap<SendKey, Sent>,
    spoilt: BTreeSet<SendKey>,
    views: BTreeMap<(UserId, ChatId), View>,
    indexes: BTreeMap<Partition, Index>,
    commits: BTreeMap<Partition, Commit>,
    set_aside: BTreeMap<(Partition, Offset), (String, Bytes)>,
}

/// See the module. Grows without bound: it is for tests and simulations.
#[derive(Default)]
pub struct ModelTimeline(Mutex<State>);

impl ModelTimeline {
    /// An outage: while it is down, every call answers [`Unavailable`] and changes nothing.
    pub fn set_down(&self, down: bool) {
        self.0.lock().down = down;
    }

    /// How long every call takes from now on, as if the store were elsewhere. Needs a tokio runtime.
    pub fn set_far(&self, far: Duration) {
        self.0.lock().far = far;
    }

    /// A damaged row: this key can neither be read nor written any more, and no apply that has it is done.
    pub fn spoil(&self, key: SendKey) {
        self.0.lock().spoilt.insert(key);
    }

    /// Records that were set aside, with their reasons.
    #[must_use]
    pub fn set_aside(&self) -> BTreeMap<(Partition, Offset), (String, Bytes)> {
        self.0.lock().set_aside.clone()
    }

    async fn ask<T>(&self, ask: impl FnOnce(&mut State) -> T) -> Result<T, Unavailable> {
        let far = self.0.lock().far;
        travel(far).await;
        let mut state = self.0.lock();
        if state.down { Err(Unavailable("an injected outage".to_owned())) } else { Ok(ask(&mut state)) }
    }
}

/// No way needs no runtime.
async fn travel(far: Duration) {
    if !far.is_zero() {
        tokio::time::sleep(far).await;
    }
}

fn unfit() -> Refused {
    Refused::Unfit("an injected damage".to_owned())
}

impl State {
    fn apply(&mut self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) {
        let mut offsets: Vec<Offset> = commit.iter().map(|commit| commit.source.place()).collect();
        for write in writes {
            if let Write::Index { offset, .. } = &write {
                offsets.push(*offset);
            }
            self.write(partition, write);
        }
        let stamp = commit.or(self.commits.get(&partition).copied()).map_or(0, |commit| commit.stamp.0);
        if let Some(first) = offsets.into_iter().min() {
            let index = self.indexes.entry(partition).or_default();
            index.first = Some(index.first.map_or(first, |held| held.min(first)));
            let day = index.days.entry(stamp / DAY_MS).or_insert(first);
            *day = first.min(*day);
        }
        if let Some(commit) = commit {
            self.commit(partition, commit);
        }
    }

    fn commit(&mut self, partition: Partition, commit: Commit) {
        let held = self.commits.entry(partition).or_insert(commit);
        let stamp = held.stamp.max(commit.stamp);
        if commit.source > held.source {
            *held = commit;
        }
        held.stamp = stamp;
    }

    fn write(&mut self, partition: Partition, write: Write) {
        match write {
            Write::Message { chat, message, .. } => {
                let source = message.source;
                let held = self.messages.entry((chat, message.id)).or_insert(message);
                held.source = held.source.min(source);
            }
            Write::Change { chat, target, change } => {
                let cell = match change.what {
                    ChangeKind::Edit(_) => Cell::Edit,
                    ChangeKind::Delete => Cell::Delete,
                    ChangeKind::React(_) => Cell::React,
                };
                let cells = self.changes.entry((chat, target)).or_default();
                let held = cells.entry((change.actor, cell)).or_insert_with(|| change.clone());
                if change.id > held.id {
                    *held = change;
                }
            }
            Write::Sent { key, sent } => {
                let held = self.sends.entry(key).or_insert(sent);
                let source = [held.source, sent.source].into_iter().flatten().min();
                *held = Sent { source, ..if sent.id < held.id { sent } else { *held } };
            }
            Write::Index { recipient, offset, entry } => {
                self.indexes.entry(partition).or_default().rows.insert((recipient, offset), entry);
            }
            Write::Newest { user, chat, id, incoming } => {
                let view = self.views.entry((user, chat)).or_default();
                view.ids.insert(id);
                view.incoming.extend(incoming);
            }
            Write::Mark { user, chat, kind, seen } => self.mark(user, chat, Mark::Delivered, Mark::Read, kind, seen),
            Write::PeerMark { user, chat, kind, seen } => {
                self.mark(user, chat, Mark::PeerDelivered, Mark::PeerRead, kind, seen);
            }
            Write::ResolvedLate { user, chat, seen } => {
                let late = &mut self.views.entry((user, chat)).or_default().late;
                let held = late.entry(seen.source).or_insert(seen.id);
                *held = seen.id.max(*held);
            }
            Write::SetAside { offset, reason, bytes } => {
                self.set_aside.insert((partition, offset), (reason, bytes));
            }
        }
    }

    fn mark(&mut self, user: UserId, chat: ChatId, delivered: Mark, read: Mark, kind: MarkKind, seen: Seen) {
        let marks = &mut self.views.entry((user, chat)).or_default().marks;
        marks.insert((delivered, seen.source, seen.id));
        if kind == MarkKind::Read {
            marks.insert((read, seen.source, seen.id));
        }
    }

    fn stored(&self, chat: ChatId, id: Id) -> Stored {
        let changes = self.changes.get(&(chat, id));
        let changes = changes.into_iter().flat_map(BTreeMap::values).cloned().collect();
        match self.messages.get(&(chat, id)).cloned() {
            Some(message) => Stored::Row(MessageRow { message, changes }),
            None => Stored::Bare(changes),
        }
    }

    fn messages(&self, chat: ChatId, span: Span, limit: usize) -> Vec<MessageRow> {
        let row = |((_, id), _): (&(ChatId, Id), &Message)| self.stored(chat, *id).into_row();
        let after = |edge| (Bound::Excluded((chat, edge)), Bound::Included((chat, Id::MAX)));
        match span {
            Span::Before(edge) => {
                self.messages.range((chat, Id::ZERO)..(chat, edge)).rev().filter_map(row).take(limit).collect()
            }
            Span::After(edge) => self.messages.range(after(edge)).filter_map(row).take(limit).collect(),
        }
    }

    fn index(&self, recipient: Recipient, partition: Partition, from: Offset, to: Offset) -> Vec<(Offset, Entry)> {
        let Some(index) = self.indexes.get(&partition) else { return Vec::new() };
        let from = from.max(index.cut);
        let rows = index.rows.range((recipient, from)..(recipient, to.max(from)));
        rows.map(|((_, offset), entry)| (*offset, entry.clone())).collect()
    }

    fn expire(&mut self, partition: Partition, before: Timestamp) {
        let end = self.commits.get(&partition).map(|commit| commit.source.place() + 1);
        let Some(index) = self.indexes.get_mut(&partition) else { return };
        let kept = index.days.iter().filter(|(day, _)| **day >= before.0 / DAY_MS).map(|(_, first)| *first).min();
        index.cut = index.cut.max(kept.or(end).unwrap_or(0));
        index.days.retain(|day, _| *day >= before.0 / DAY_MS);
    }
}

impl View {
    fn row(&self) -> ChatRow {
        let mark = |of: Mark| {
            let all = (of, Source::ZERO, Id::ZERO)..=(of, Source(u64::MAX), Id::MAX);
            self.marks.range(all).next_back().map_or_else(Seen::default, |&(_, source, id)| Seen { source, id })
        };
        let late = self.late.iter().rev().take(LATE_MOST).rev();
        ChatRow {
            newest: self.ids.last().copied().unwrap_or_default(),
            newest_incoming: self.incoming.last().copied().unwrap_or_default(),
            delivered: mark(Mark::Delivered),
            read: mark(Mark::Read),
            peer_delivered: mark(Mark::PeerDelivered),
            peer_read: mark(Mark::PeerRead),
            resolved_late: late.map(|(&source, &id)| Seen { source, id }).collect(),
        }
    }
}

#[async_trait]
impl Timeline for ModelTimeline {
    async fn apply(&self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) -> Result<(), Refused> {
        self.ask(|state| {
            let spoilt = |write: &Write| matches!(write, Write::Sent { key, .. } if state.spoilt.contains(key));
            if writes.iter().any(spoilt) {
                return Err(unfit());
            }
            state.apply(partition, writes, commit);
            Ok(())
        })
        .await?
    }

    async fn committed(&self, partition: Partition) -> Result<Option<Commit>, Unavailable> {
        self.ask(|state| state.commits.get(&partition).copied()).await
    }

    async fn sent(&self, key: SendKey) -> Result<Option<Sent>, Refused> {
        self.ask(|state| if state.spoilt.contains(&key) { Err(unfit()) } else { Ok(state.sends.get(&key).copied()) })
            .await?
    }

    async fn messages(&self, chat: ChatId, span: Span, limit: usize) -> Result<Vec<MessageRow>, Unavailable> {
        self.ask(|state| state.messages(chat, span, limit)).await
    }

    async fn message(&self, chat: ChatId, id: Id) -> Result<Stored, Unavailable> {
        self.ask(|state| state.stored(chat, id)).await
    }

    async fn chat(&self, user: UserId, chat: ChatId) -> Result<ChatRow, Unavailable> {
        self.ask(|state| state.views.get(&(user, chat)).map(View::row).unwrap_or_default()).await
    }

    async fn chats(&self, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Unavailable> {
        self.ask(|state| {
            let views = state.views.iter().filter(|((held, _), _)| *held == user);
            views.map(|((_, chat), view)| (*chat, view.row())).collect()
        })
        .await
    }

    async fn index(
        &self,
        recipient: Recipient,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Entry)>, Unavailable> {
        let mut rows = self.ask(|state| state.index(recipient, partition, from, to)).await?;
        rows.truncate(limit);
        Ok(rows)
    }

    async fn index_start(&self, partition: Partition) -> Result<Option<Offset>, Unavailable> {
        self.ask(|state| {
            let index = state.indexes.get(&partition)?;
            Some(index.first?.max(index.cut))
        })
        .await
    }

    async fn expire_index(&self, partition: Partition, before: Timestamp) -> Result<(), Unavailable> {
        self.ask(|state| state.expire(partition, before)).await
    }
}
