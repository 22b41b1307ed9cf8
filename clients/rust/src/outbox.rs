//! Intents until they are confirmed or failed, and which of them may go next.
//!
//! Within a chat everything goes in the order in which it was wanted. What a session has sent and
//! not had acknowledged when it ends must be *retried*: one at a time a chat, and nothing new into
//! that chat until all are answered. Trap avoided: a message of ours that is met in the stream ends
//! its intent only while no retry of it is under way, because its chat stays closed to others until
//! the retry is answered.

use std::collections::{BTreeMap, HashSet};

use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::position::Source;

use crate::intent::{Draft, Intent, Key, Local};
use crate::state::{Kept, State};

/// Intents that wait at most: an offline user gets an answer instead of an endless queue.
pub const INTENTS_MOST: usize = 1_000;
/// Bytes of text that wait at most.
pub const BYTES_MOST: usize = 1 << 20;

/// Where an intent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Never sent.
    Queued,
    /// Sent in this session, not acknowledged.
    Sent,
    /// Sent in an earlier session, outcome unknown.
    Unconfirmed,
    /// Retried in this session, not answered.
    Retried,
    /// It will never be done: the code says why.
    Failed(String),
}

/// An intent on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is wanted.
    pub intent: Intent,
    /// Its key, once it was sent.
    pub key: Option<Key>,
    /// Where it is.
    pub phase: Phase,
    /// It was met in the stream or on a page.
    pub met: Option<Taken>,
    request: u64,
}

/// Where a send was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its id.
    pub id: Id,
    /// Its place, where that is known.
    pub source: Option<Source>,
}

/// An intent that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What was wanted.
    pub intent: Intent,
    /// Its key.
    pub key: Option<Key>,
    /// Where it was taken, or the code that says why it never will be.
    pub outcome: Result<Taken, String>,
}

/// The outbox takes nothing more until something of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much waits to be sent already")]
pub struct Full;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    items: BTreeMap<Local, Item>,
    next_local: Local,
    next_number: u32,
    bytes: usize,
}

impl Outbox {
    /// What was left when the client ended.
    #[must_use]
    pub fn restore(state: &State) -> Self {
        let items: BTreeMap<_, _> = state.outbox.iter().map(|(local, kept)| (*local, restore(kept))).collect();
        let next_local = items.last_key_value().map_or(0, |(local, _)| local + 1);
        let bytes = items.values().map(|item| item.intent.act.bytes()).sum();
        Self { items, next_local, next_number: 1, bytes }
    }

    /// Everything that is not done, in order.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// Whether nothing waits (what failed does not wait).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.items.values().all(|item| matches!(item.phase, Phase::Failed(_)))
    }

    /// Takes an intent.
    ///
    /// # Errors
    /// [`Full`] beyond [`INTENTS_MOST`] or [`BYTES_MOST`].
    pub fn push(&mut self, draft: Draft) -> Result<&Intent, Full> {
        let bytes = draft.act.bytes();
        if self.items.len() >= INTENTS_MOST || self.bytes + bytes > BYTES_MOST {
            return Err(Full);
        }
        self.bytes += bytes;
        let local = self.next_local;
        self.next_local += 1;
        let Draft { to, act, at, shown } = draft;
        let intent = Intent { local, to, act, at, shown };
        let item = Item { intent, key: None, phase: Phase::Queued, met: None, request: 0 };
        Ok(&self.items.entry(local).or_insert(item).intent)
    }

    /// A new session takes sends, numbered from 1.
    pub fn open(&mut self) {
        self.next_number = 1;
    }

    /// The session is over: what it sent is unconfirmed, but for what was met meanwhile.
    pub fn close(&mut self) -> Vec<Ended> {
        for item in self.items.values_mut() {
            if matches!(item.phase, Phase::Sent | Phase::Retried) {
                item.phase = Phase::Unconfirmed;
            }
        }
        let met = self.items.values().filter(|item| item.phase == Phase::Unconfirmed && item.met.is_some());
        let met: Vec<Local> = met.map(|item| item.intent.local).collect();
        met.into_iter().filter_map(|local| self.end_met(local)).collect()
    }

    fn end_met(&mut self, local: Local) -> Option<Ended> {
        let taken = self.items.get(&local)?.met?;
        self.end(local, Ok(taken))
    }

    /// What may go now: retries first, then what is new, each in order. `session` is the present one.
    #[must_use]
    pub fn next(&self) -> Option<&Item> {
        let mut closed: HashSet<UserId> = HashSet::new();
        let (mut retry, mut retries, mut sent) = (None, 0, 0);
        for item in self.items.values() {
            match item.phase {
                Phase::Unconfirmed if closed.insert(item.intent.to) => retry = retry.or(Some(item)),
                Phase::Retried => {
                    retries += 1;
                    closed.insert(item.intent.to);
                }
                Phase::Sent => sent += 1,
                Phase::Unconfirmed | Phase::Queued | Phase::Failed(_) => {}
            }
        }
        let room = |count| count < limits::UNACKNOWLEDGED_SENDS.value;
        let retry = retry.filter(|_| room(retries));
        let mut new =
            self.items.values().filter(|item| item.phase == Phase::Queued && !closed.contains(&item.intent.to));
        retry.or_else(|| new.next().filter(|_| room(sent)))
    }

    /// It goes now, answered under `request`. Gives what is new in its key.
    pub fn sent(&mut self, local: Local, session: SessionNumber, request: u64) -> Option<Key> {
        let item = self.items.get_mut(&local)?;
        item.request = request;
        if item.key.is_some() {
            item.phase = Phase::Retried;
            return None;
        }
        item.phase = Phase::Sent;
        item.key = Some((session, self.next_number));
        self.next_number += 1;
        item.key
    }

    /// `ack`: the send of this session is durable.
    pub fn acknowledged(&mut self, session: SessionNumber, number: u32, taken: Taken) -> Option<Ended> {
        let local = self.find(|item| item.phase == Phase::Sent && item.key == Some((session, number)))?;
        self.end(local, Ok(taken))
    }

    /// `answer`: how a retry ended, of this session or of one before.
    pub fn answered(&mut self, key: Key, outcome: Result<Taken, String>) -> Option<Ended> {
        let local = self.find(|item| item.key == Some(key) && item.phase != Phase::Sent)?;
        let met = self.items.get(&local).and_then(|item| item.met);
        match (outcome, met) {
            (Ok(taken), _) | (Err(_), Some(taken)) => self.end(local, Ok(taken)),
            (Err(code), None) => self.fail(local, code),
        }
    }

    /// `error` that no later attempt can mend.
    pub fn refused(&mut self, request: u64, code: String) -> Option<Ended> {
        let local = self.find(|item| item.is_under(request))?;
        self.fail(local, code)
    }

    /// Whether an acknowledgement is due.
    #[must_use]
    pub fn awaits_ack(&self) -> bool {
        self.items.values().any(|item| item.phase == Phase::Sent)
    }

    /// Whether `request` is one of the sends under way.
    #[must_use]
    pub fn is_under_way(&self, request: u64) -> bool {
        self.items.values().any(|item| item.is_under(request))
    }

    /// A send of this device stands in the timeline.
    pub fn met(&mut self, key: Key, taken: Taken) -> Option<Ended> {
        let local = self.find(|item| item.key == Some(key))?;
        let item = self.items.get_mut(&local)?;
        item.met = Some(taken);
        let over = matches!(item.phase, Phase::Unconfirmed | Phase::Failed(_));
        over.then(|| self.end(local, Ok(taken))).flatten()
    }

    /// The user gives up what was never sent, or puts away what failed.
    pub fn dismiss(&mut self, local: Local) -> Option<Item> {
        let item = self.items.get(&local)?;
        matches!(item.phase, Phase::Queued | Phase::Failed(_)).then(|| self.remove(local)).flatten()
    }

    fn find(&self, wanted: impl Fn(&Item) -> bool) -> Option<Local> {
        self.items.values().find(|item| wanted(item)).map(|item| item.intent.local)
    }

    fn fail(&mut self, local: Local, code: String) -> Option<Ended> {
        let item = self.items.get_mut(&local)?;
        item.phase = Phase::Failed(code.clone());
        Some(Ended { intent: item.intent.clone(), key: item.key, outcome: Err(code) })
    }

    fn end(&mut self, local: Local, outcome: Result<Taken, String>) -> Option<Ended> {
        let item = self.remove(local)?;
        Some(Ended { intent: item.intent, key: item.key, outcome })
    }

    fn remove(&mut self, local: Local) -> Option<Item> {
        let item = self.items.remove(&local)?;
        self.bytes -= item.intent.act.bytes();
        Some(item)
    }
}

impl Item {
    fn is_under(&self, request: u64) -> bool {
        self.request == request && matches!(self.phase, Phase::Sent | Phase::Retried)
    }
}

fn restore(kept: &Kept) -> Item {
    let key = kept.key.map(|key| (key.session, key.number));
    let phase = match (&kept.failed, key) {
        (Some(code), _) => Phase::Failed(code.clone()),
        (None, Some(_)) => Phase::Unconfirmed,
        (None, None) => Phase::Queued,
    };
    Item { intent: kept.intent.clone(), key, phase, met: None, request: 0 }
}
