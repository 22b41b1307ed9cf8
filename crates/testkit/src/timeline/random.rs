//! Seeded sequences: several partitions are applied in any interleaving, with replays from any
//! earlier offset, other batch bounds, reopens and expiry, and every read is compared with the model.

use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::id::{Id, UserId};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChatRow, Entry, MessageRow, Sent, Span, Stored, Timeline, Unavailable, Write};

use super::make::{DAY_MS, change, commit_on, direct, id, key, kind, message, seen, source, stored, user};
use super::{ModelTimeline, Subject};

const STEPS: usize = 300;
const PARTITIONS: u16 = 3;
const USERS: u64 = 3;
const IDS: u64 = 60;
const OFFSETS_A_DAY: u64 = 40;

/// What the records of one partition cause: the same on every replay.
type History = Vec<Vec<Write>>;

struct Run {
    rng: StdRng,
    histories: Vec<History>,
    model: Arc<ModelTimeline>,
}

pub(super) async fn run<S: Subject>(mut subject: S, seed: u64) -> Result<(), Unavailable> {
    let histories = vec![History::new(); usize::from(PARTITIONS)];
    let mut run = Run { rng: StdRng::seed_from_u64(seed), histories, model: Arc::default() };
    for step in 0..STEPS {
        let at = format!("seed {seed}, step {step}");
        match run.rng.random_range(0..100u8) {
            0..50 => run.apply(&*subject.timeline()).await?,
            50..97 => run.compare(&*subject.timeline(), &at).await?,
            97..99 => run.expire(&*subject.timeline()).await?,
            _ => subject.reopen()?,
        }
    }
    Ok(())
}

impl Run {
    fn partition(&mut self) -> Partition {
        Partition(self.rng.random_range(0..PARTITIONS))
    }

    fn chat(&mut self) -> ChatId {
        direct(self.rng.random_range(0..USERS), self.rng.random_range(0..USERS))
    }

    fn user(&mut self) -> UserId {
        user(self.rng.random_range(0..USERS))
    }

    /// The next records, or some that were applied before.
    async fn apply(&mut self, timeline: &dyn Timeline) -> Result<(), Unavailable> {
        let partition = self.partition();
        let length = self.histories[usize::from(partition.0)].len();
        let from = if self.rng.random_bool(0.7) { length } else { self.rng.random_range(0..=length) };
        let to = from + self.rng.random_range(1..20);
        for offset in length..to {
            let record = self.record(offset as u64);
            self.histories[usize::from(partition.0)].push(record);
        }
        let writes: Vec<Write> = self.histories[usize::from(partition.0)][from..to].concat();
        let last = to as u64 - 1;
        let commit = self.rng.random_bool(0.9).then(|| commit_on(last, last / OFFSETS_A_DAY));
        self.model.apply(partition, writes.clone(), commit).await?;
        timeline.apply(partition, writes, commit).await?;
        Ok(())
    }

    fn record(&mut self, offset: u64) -> Vec<Write> {
        let count = self.rng.random_range(0..5);
        let mut writes: Vec<Write> = (0..count).map(|_| self.write(offset)).collect();
        if self.rng.random_bool(0.7) {
            let (recipient, chat) = (Recipient::User(self.user()), self.chat());
            writes.push(Write::Index { recipient, offset, entry: Entry::Message { chat, id: id(offset) } });
        }
        writes
    }

    fn write(&mut self, offset: u64) -> Write {
        let (user, chat, raw) = (self.user(), self.chat(), self.rng.random_range(1..IDS));
        let seen = seen(self.rng.random_range(1..500), raw);
        match self.rng.random_range(0..8u8) {
            // Only what was resolved may stand at several sources.
            0 | 1 if raw % 2 == 0 => stored(chat, message(raw, raw)),
            0 | 1 => Write::Message { chat, message: message(raw, seen.source.offset()), resolved: true },
            2 => Write::Change { chat, target: id(raw), change: change(self.rng.random_range(1..900), user.get()) },
            3 => {
                let source = self.rng.random_bool(0.7).then_some(seen.source);
                let sent = Sent { id: id(raw), source, fingerprint: raw * 31 };
                Write::Sent { key: key(self.rng.random_range(0..20)), sent }
            }
            4 => Write::Newest { user, chat, id: id(raw), incoming: self.rng.random_bool(0.5).then(|| source(offset)) },
            5 => Write::Mark { user, chat, kind: kind(raw), seen },
            6 => Write::PeerMark { user, chat, kind: kind(raw), seen },
            _ if raw == 1 => Write::SetAside { offset, reason: "unknown".to_owned(), bytes: Bytes::from_static(b"x") },
            _ => Write::ResolvedLate { user, chat, seen },
        }
    }

    async fn expire(&mut self, timeline: &dyn Timeline) -> Result<(), Unavailable> {
        let partition = self.partition();
        let days = self.histories[usize::from(partition.0)].len() as u64 / OFFSETS_A_DAY;
        let before = Timestamp(self.rng.random_range(0..(days + 1) * DAY_MS));
        self.model.expire_index(partition, before).await?;
        timeline.expire_index(partition, before).await
    }

    async fn compare(&mut self, timeline: &dyn Timeline, at: &str) -> Result<(), Unavailable> {
        self.compare_messages(timeline, at).await?;
        self.compare_views(timeline, at).await?;
        self.compare_index(timeline, at).await?;
        let key = key(self.rng.random_range(0..20));
        assert_eq!(timeline.sent(key).await?, self.model.sent(key).await?, "{at}: {key:?}");
        Ok(())
    }

    async fn compare_messages(&mut self, timeline: &dyn Timeline, at: &str) -> Result<(), Unavailable> {
        let (chat, edge) = (self.chat(), id(self.rng.random_range(0..IDS + 2)));
        let edge = if self.rng.random_bool(0.1) { Id::MAX } else { edge };
        let span = if self.rng.random_bool(0.5) { Span::Before(edge) } else { Span::After(edge) };
        let limit = self.rng.random_range(0..30);
        let ours = sorted(self.model.messages(chat, span, limit).await?);
        assert_eq!(sorted(timeline.messages(chat, span, limit).await?), ours, "{at}: {chat} {span:?} {limit}");
        let ours = self.model.message(chat, edge).await?;
        let theirs = timeline.message(chat, edge).await?;
        assert_eq!(sorted_alone(theirs), sorted_alone(ours), "{at}: {chat} {edge}");
        Ok(())
    }

    async fn compare_views(&mut self, timeline: &dyn Timeline, at: &str) -> Result<(), Unavailable> {
        let (user, chat) = (self.user(), self.chat());
        let ours = self.model.chat(user, chat).await?;
        assert_eq!(by_source(timeline.chat(user, chat).await?), ours, "{at}: {user} in {chat}");
        let ours = self.model.chats(user).await?;
        let theirs = timeline.chats(user).await?;
        let mut theirs: Vec<_> = theirs.into_iter().map(|(chat, row)| (chat, by_source(row))).collect();
        theirs.sort_by_key(|(chat, _)| *chat);
        assert_eq!(theirs, ours, "{at}: chats of {user}");
        Ok(())
    }

    /// An engine may keep more of its index than it must, but says truly where it begins.
    async fn compare_index(&mut self, timeline: &dyn Timeline, at: &str) -> Result<(), Unavailable> {
        let partition = self.partition();
        assert_eq!(timeline.committed(partition).await?, self.model.committed(partition).await?, "{at}: {partition}");
        let (ours, theirs) = (self.model.index_start(partition).await?, timeline.index_start(partition).await?);
        assert_eq!(theirs.is_some(), ours.is_some(), "{at}: begun");
        assert!(theirs <= ours, "{at}: the index begins at {theirs:?} instead of {ours:?}");
        let end = self.histories[usize::from(partition.0)].len() as u64 + 2;
        let from = self.rng.random_range(0..end).max(ours.unwrap_or_default());
        let to = if self.rng.random_bool(0.2) { u64::MAX } else { self.rng.random_range(0..end) };
        let (recipient, limit) = (Recipient::User(self.user()), self.rng.random_range(0..30));
        let ours = self.model.index(recipient, partition, from, to, limit).await?;
        let theirs = timeline.index(recipient, partition, from, to, limit).await?;
        assert_eq!(theirs, ours, "{at}: index of {recipient:?} in {partition}, {from}..{to}, {limit}");
        Ok(())
    }
}

/// Changes have no particular order.
fn sort(changes: &mut [Change]) {
    changes.sort_by_key(|change| (change.actor, change.id));
}

fn sorted(mut rows: Vec<MessageRow>) -> Vec<MessageRow> {
    rows.iter_mut().for_each(|row| sort(&mut row.changes));
    rows
}

fn sorted_alone(mut stored: Stored) -> Stored {
    let (Stored::Row(MessageRow { changes, .. }) | Stored::Bare(changes)) = &mut stored;
    sort(changes);
    stored
}

fn by_source(mut row: ChatRow) -> ChatRow {
    row.resolved_late.sort_by_key(|seen| seen.source);
    row
}
