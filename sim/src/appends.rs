//! Appends to the simulated log: well, badly, late, twice; and whom they concern.

use volery_history::archive::Lane;
use volery_kernel::event::{Answer, Event, Outcome};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Appended};

use crate::fault::Trouble;
use crate::mutation::Mutation;
use crate::network::ConnId;
use crate::oracle::Fate;
use crate::session::Answered;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// Whose append it is.
#[derive(Clone, Debug)]
pub(crate) enum Owner {
    Session(ConnId, Partition),
    Marks(ConnId, Vec<Event>),
    Fanout(Partition, u64, Partition),
    Archive(Partition, u64, Lane),
    /// An answer that was set by.
    SetBy(Partition, u64),
}

/// How the log fares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogTrouble {
    /// So many of a thousand appends go wrong.
    pub(crate) per_mille: u64,
    /// Until then.
    pub(crate) until: u64,
    /// The next record is stamped so much too late.
    pub(crate) ahead: Option<u64>,
    /// How far the log's clock is off just now.
    offset: i64,
}

fn unknown() -> Result<Vec<Appended>, AppendError> {
    Err(AppendError::Unknown("injected".to_owned()))
}

/// An answer with the id of an earlier attempt: a retry that has become the send itself is answered with its own.
fn is_found(event: &Event) -> bool {
    matches!(event, Event::Answer(Answer { id, outcome: Outcome::Accepted { id: found, .. }, .. }) if found != id)
}

impl World {
    /// Any moment of the log's clock: within 20 ms, so that stamps step back a little.
    fn stamp(&mut self) -> Timestamp {
        if self.rng.chance(50) {
            self.log_trouble.offset = self.rng.within(0, 20) as i64 - 10;
        }
        let ahead = self.log_trouble.ahead.take().unwrap_or(0);
        Timestamp(self.now.saturating_add_signed(self.log_trouble.offset) + ahead)
    }

    /// Appends, well or badly, and tells the owner how it went.
    pub(crate) fn append(&mut self, partition: Partition, mut events: Vec<Event>, owner: Owner) {
        let session = matches!(owner, Owner::Session(..));
        if session && self.mutated(Mutation::RetryWithoutFlag) {
            for event in &mut events {
                if let Event::Send(send) = event {
                    send.flagged = false;
                }
            }
        }
        if session && self.mutated(Mutation::AckBeforeDurable) {
            return self.append_carelessly(partition, events, owner);
        }
        let in_trouble = self.now < self.log_trouble.until;
        let trouble = self.rng.chance(if in_trouble { self.log_trouble.per_mille } else { 10 });
        if !trouble || self.healed {
            let delay = self.rng.delay(6, 60);
            return self.after(delay, Task::Take(partition, events, Some(owner)));
        }
        if session && self.mutated(Mutation::AppendsInParallel) {
            return self.append_in_parallel(partition, events, owner);
        }
        self.append_badly(partition, events, owner);
    }

    fn append_badly(&mut self, partition: Partition, events: Vec<Event>, owner: Owner) {
        let answered = self.rng.delay(50, 6_000);
        let kept: Vec<Event> = events[..self.rng.within(1, events.len().max(1) as u64) as usize].to_vec();
        match self.plan.troubles.clone().pick(&mut self.rng) {
            Trouble::Refused => {
                self.story.count(What::AppendRefused);
                let full = self.rng.chance(500);
                let error = if full { AppendError::Full } else { AppendError::Unavailable("injected".to_owned()) };
                self.after(answered, Task::Appended(owner, Err(error)));
            }
            Trouble::Lost => {
                self.story.count(What::AppendLost);
                self.after(answered, Task::Appended(owner, unknown()));
            }
            Trouble::Kept => {
                self.story.count(What::AppendKept);
                let taken = self.rng.delay(50, 4_500);
                self.after(taken, Task::Take(partition, kept, None));
                self.after(answered, Task::Appended(owner, unknown()));
            }
            Trouble::KeptLate => {
                self.story.count(What::AppendKeptLate);
                let taken = if self.rng.chance(500) { 14_000 } else { 60_000 };
                let taken = self.rng.within(4_500, taken);
                self.after(taken, Task::Take(partition, kept, None));
                self.after(answered, Task::Appended(owner, unknown()));
            }
            Trouble::Slow => self.append_slowly(partition, events, owner),
            Trouble::Twice => self.append_twice(partition, events, owner),
        }
    }

    fn append_slowly(&mut self, partition: Partition, events: Vec<Event>, owner: Owner) {
        self.story.count(What::AppendSlow);
        let slow = match (self.plan.slow_within_deadline, self.rng.chance(300)) {
            (true, _) => self.rng.within(4_200, 4_700),
            (false, true) => self.rng.within(6_000, 12_000),
            (false, false) => self.rng.within(500, 6_000),
        };
        self.after(slow, Task::Take(partition, events, Some(owner)));
    }

    fn append_twice(&mut self, partition: Partition, events: Vec<Event>, owner: Owner) {
        self.story.count(What::AppendTwice);
        let first = self.rng.within(1, 100);
        let second = first + self.rng.delay(50, 2_000);
        let (one, two) = if self.rng.chance(500) { (Some(owner), None) } else { (None, Some(owner)) };
        self.after(first, Task::Take(partition, events.clone(), one));
        self.after(second, Task::Take(partition, events, two));
    }

    fn append_carelessly(&mut self, partition: Partition, events: Vec<Event>, owner: Owner) {
        let appended = |n| Appended { offset: self.log.end(partition) + n, stamp: Timestamp(self.now) };
        let answer = (0..events.len() as u64).map(appended).collect();
        self.after(1, Task::Appended(owner, Ok(answer)));
        if !self.rng.chance(60) {
            self.after(3, Task::Take(partition, events, None));
        }
    }

    /// As if every send of a batch were an append of its own: any of them may fail, any be kept.
    fn append_in_parallel(&mut self, partition: Partition, events: Vec<Event>, owner: Owner) {
        let answered = self.rng.delay(50, 2_000);
        let kept: Vec<Event> = events.into_iter().filter(|_| self.rng.chance(500)).collect();
        if !kept.is_empty() {
            self.after(3, Task::Take(partition, kept, None));
        }
        self.after(answered, Task::Appended(owner, unknown()));
    }

    pub(crate) fn take(&mut self, partition: Partition, events: Vec<Event>, owner: Option<Owner>) {
        let mut appended = Vec::with_capacity(events.len());
        for event in events {
            let stamp = self.stamp();
            let taken = self.log.take(partition, event, stamp);
            appended.push(taken);
            self.taken(partition, taken);
        }
        if let Some(owner) = owner {
            let delay = self.rng.delay(6, 60);
            self.after(delay, Task::Appended(owner, Ok(appended)));
        }
        self.wake_readers(partition);
    }

    fn taken(&mut self, partition: Partition, taken: Appended) {
        let Some(record) = self.log.read(partition, taken.offset, 1).first().cloned() else { return };
        let fate = self.oracle.read(partition, &record);
        if is_found(&record.event) {
            self.story.count(What::RetryFound);
        }
        match fate {
            Fate::Counts => {}
            Fate::Again => self.story.count(What::DerivedTwice),
            Fate::Flagged => self.story.count(What::Flagged),
            Fate::Fenced => self.story.count(What::Fenced),
            Fate::Late => self.story.count(What::LateDropped),
        }
        if self.story.is_on() {
            let (tag, what) = crate::telling::describe(&record.event);
            let place = format!("p{partition}");
            let fate = if fate == Fate::Counts { String::new() } else { format!("  ({fate:?})") };
            tell!(self, [tag, place], "log p{partition}/{}: {what}{fate}", taken.offset);
        }
    }

    fn wake_readers(&mut self, partition: Partition) {
        let lag = self.lag_until.get(&partition).copied().unwrap_or(0).saturating_sub(self.now);
        for n in 0..self.nodes.len() {
            if let Some(reading) = self.nodes[n].slots.get(&partition).map(|slot| slot.reading) {
                let delay = self.reader_delay(lag);
                self.after(delay, Task::NodeRead(n, reading, partition));
            }
        }
        let delay = self.reader_delay(lag);
        self.wake_fanouts(partition, delay);
        let delay = self.reader_delay(lag);
        self.wake_archives(partition, delay);
    }

    fn reader_delay(&mut self, lag: u64) -> u64 {
        let delay = self.rng.delay(10, 200);
        if lag > 0 && self.rng.chance(500) { delay + lag } else { delay }
    }

    pub(crate) fn appended(&mut self, owner: Owner, result: Result<Vec<Appended>, AppendError>) {
        if let Some(until) = self.historian_of(&owner).and_then(|n| self.stands_still(n)) {
            return self.at(until, Task::Appended(owner, result));
        }
        match owner {
            Owner::Session(conn, partition) => self.answer(conn, Answered::Appended(partition, result)),
            Owner::Marks(conn, events) => {
                if result.is_err() {
                    self.answer(conn, Answered::MarksFailed(events));
                }
            }
            Owner::Fanout(partition, life, target) => self.fanned_out(partition, life, target, result.is_ok()),
            Owner::Archive(partition, life, lane) => {
                let offsets = result.ok().map(|appended| appended.iter().map(|appended| appended.offset).collect());
                self.archive_appended(partition, life, lane, offsets);
            }
            Owner::SetBy(partition, life) => self.set_by_appended(partition, life, result.is_ok()),
        }
    }

    /// The history node that waits for an append.
    fn historian_of(&self, owner: &Owner) -> Option<usize> {
        match owner {
            Owner::Fanout(partition, life, _) => self.fanouts.get(&(*partition, *life)).map(|shell| shell.at),
            Owner::Archive(partition, life, _) | Owner::SetBy(partition, life) => {
                self.archives.get(&(*partition, *life)).map(|shell| shell.at)
            }
            Owner::Session(..) | Owner::Marks(..) => None,
        }
    }
}
