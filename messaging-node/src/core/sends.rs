//! From accepted to acknowledged: a session's sends in order.
//!
//! One batch a partition is under way at once, so that a log which fails one append and keeps a
//! later one (Kafka) cannot turn a device's order round; what is accepted meanwhile makes the next
//! batch. Acknowledgements leave in the order of the sends, whichever partition was quicker. After
//! the first unknown outcome, time-out or late append nothing more is appended or acknowledged: what
//! is unconfirmed is for the device to retry in its next session. Trap avoided: after a refusal that
//! wrote nothing, later sends are refused as well, else a device's order would break.

use std::collections::VecDeque;

use volery_kernel::chat::Recipient;
use volery_kernel::code::Code;
use volery_kernel::event::{Answer, Content, Event, Outcome, Seen, Send, SendKey};
use volery_kernel::generator::{Generator, Refused};
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::rules::is_late;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Appended};

use super::stream::Follower;

/// A send as it was asked for, checked, without an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The request to answer.
    pub request: u64,
    /// To whom.
    pub recipient: Recipient,
    /// Its name.
    pub key: SendKey,
    /// Whether it is a retry.
    pub flagged: bool,
    /// A retry that may not be taken as new.
    pub resolve_only: bool,
    /// How far the device had shown the chat.
    pub shown: Option<Seen>,
    /// What it says.
    pub content: Content,
}

/// What leaves the pipeline.
#[derive(Debug, PartialEq, Eq)]
pub enum Out {
    /// Append these to the partition, in order, as one batch.
    Append(Partition, Vec<Event>),
    /// Durable: tell the device.
    Ack {
        /// The request to answer.
        request: u64,
        /// The send's number.
        number: u32,
        /// Its id.
        id: Id,
        /// Where it was accepted.
        source: Source,
    },
    /// Not done: tell the device.
    Failed {
        /// The request to answer.
        request: u64,
        /// The send's number.
        number: u32,
        /// Why.
        code: Code,
    },
    /// Outcomes are unknown: close with *reconnect, then retry*.
    CloseToRetry,
}

struct Pending {
    request: u64,
    key: SendKey,
    id: Id,
    flagged: bool,
    partition: Partition,
    durable: Option<Source>,
}

/// What is under way to a partition. There are no more of them than unacknowledged sends.
struct Lane {
    partition: Partition,
    in_flight: usize,
    waiting: Vec<Event>,
}

/// See the module.
pub struct Sends {
    who: Follower,
    generation: u16,
    floor: Id,
    newest_number: u32,
    pending: VecDeque<Pending>,
    lanes: Vec<Lane>,
    retrying: Vec<(Recipient, SendKey)>,
    ended: Option<Code>,
}

impl Sends {
    /// `floor`: the largest id that the device has seen, or that this session has taken.
    #[must_use]
    pub fn new(who: Follower, generation: u16, floor: Id) -> Self {
        Self {
            who,
            generation,
            floor,
            newest_number: 0,
            pending: VecDeque::new(),
            lanes: Vec::new(),
            retrying: Vec::new(),
            ended: None,
        }
    }

    /// Sends accepted and neither acknowledged nor failed.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.pending.len()
    }

    /// Whether retries of this session wait for their answer.
    #[must_use]
    pub fn awaits_answers(&self) -> bool {
        !self.retrying.is_empty()
    }

    /// Ids at or below this were taken by the session or seen by its device.
    pub fn raise_floor(&mut self, id: Id) {
        self.floor = self.floor.max(id);
    }

    /// Checks what only this session knows of: numbers, retries, whether it still takes sends.
    ///
    /// # Errors
    /// The code to answer with; nothing was taken.
    pub fn check(&mut self, asked: &Asked) -> Result<(), Code> {
        if let Some(code) = self.ended {
            return Err(code);
        }
        if asked.flagged && asked.key.session >= self.who.session {
            return Err(Code::InvalidRetry);
        }
        if !asked.flagged && asked.key.number <= self.newest_number {
            return Err(Code::SeqReused);
        }
        if self.retrying.iter().any(|(recipient, _)| *recipient == asked.recipient) {
            // Its device believes otherwise, and may have sent more behind this one already.
            self.end(Code::RetriesFirst);
            return Err(Code::RetriesFirst);
        }
        if !asked.flagged {
            self.newest_number = asked.key.number;
        }
        Ok(())
    }

    /// Takes a send that passed every check: from here on it is accepted for good.
    ///
    /// # Errors
    /// The code to answer with; nothing was taken.
    pub fn take(
        &mut self,
        asked: Asked,
        partition: Partition,
        ids: &mut Generator,
        now: Timestamp,
        out: &mut Vec<Out>,
    ) -> Result<(), Code> {
        let id = ids.take(now, self.floor).map_err(|refused| match refused {
            Refused::FloorAhead { .. } => Code::ClockAhead,
            Refused::Reservation { .. } | Refused::ClockBehind { .. } => Code::NoIds,
        });
        let id = id.inspect_err(|code| self.end(*code))?;
        self.floor = id;
        let Asked { request, recipient, key, flagged, resolve_only, shown, content } = asked;
        if flagged {
            self.retrying.push((recipient, key));
        }
        self.pending.push_back(Pending { request, key, id, flagged, partition, durable: None });
        let (sender, session) = (self.who.user, self.who.session);
        let send = Send { id, sender, recipient, key, session, flagged, resolve_only, shown, content };
        match self.lane(partition) {
            Some(lane) => lane.waiting.push(Event::Send(send)),
            None => self.lanes.push(Lane { partition, in_flight: 0, waiting: vec![Event::Send(send)] }),
        }
        self.depart(partition, out);
        Ok(())
    }

    fn lane(&mut self, partition: Partition) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.partition == partition)
    }

    fn end_lane(&mut self, partition: Partition) -> Option<Lane> {
        let at = self.lanes.iter().position(|lane| lane.partition == partition)?;
        let ended = self.lanes.swap_remove(at);
        if self.lanes.is_empty() {
            self.lanes = Vec::new();
        }
        Some(ended)
    }

    /// Sends what waits for a partition, unless a batch is under way.
    fn depart(&mut self, partition: Partition, out: &mut Vec<Out>) {
        let ended = self.ended.is_some();
        let Some(lane) = self.lane(partition).filter(|lane| lane.in_flight == 0 && !ended) else { return };
        if lane.waiting.is_empty() {
            self.end_lane(partition);
            return;
        }
        let batch = std::mem::take(&mut lane.waiting);
        lane.in_flight = batch.len();
        out.push(Out::Append(partition, batch));
    }

    /// The log's answer to the batch under way.
    pub fn appended(&mut self, partition: Partition, result: Result<Vec<Appended>, AppendError>, out: &mut Vec<Out>) {
        let Some(lane) = self.lane(partition) else { return };
        let count = std::mem::take(&mut lane.in_flight);
        match result {
            Ok(appended) if appended.len() == count => self.durable(partition, &appended, out),
            Ok(_) | Err(AppendError::Unknown(_)) => self.fail_all(out),
            Err(AppendError::Full) => self.refuse(partition, count, Code::LogFull, out),
            Err(AppendError::Unavailable(_)) => self.refuse(partition, count, Code::LogUnavailable, out),
            Err(AppendError::TooLarge(_)) => self.refuse(partition, count, Code::TooLarge, out),
        }
    }

    fn durable(&mut self, partition: Partition, appended: &[Appended], out: &mut Vec<Out>) {
        let mut late = false;
        let undone =
            self.pending.iter_mut().filter(|pending| pending.partition == partition && pending.durable.is_none());
        for (pending, appended) in undone.zip(appended) {
            late |= is_late(pending.id, appended.stamp);
            if late {
                break;
            }
            pending.durable = Some(Source::new(self.generation, appended.offset));
        }
        self.acknowledge(out);
        if late {
            self.fail_all(out);
        } else {
            self.depart(partition, out);
        }
    }

    /// Acknowledges from the front on as far as everything is durable.
    fn acknowledge(&mut self, out: &mut Vec<Out>) {
        while let Some(Pending { request, key, id, flagged, durable: Some(source), .. }) = self.pending.front() {
            if !flagged {
                out.push(Out::Ack { request: *request, number: key.number, id: *id, source: *source });
            }
            self.pending.pop_front();
        }
        if self.pending.is_empty() {
            // An idle session keeps nothing.
            self.pending = VecDeque::new();
        }
    }

    /// Nothing of the batch was written: it and all that follows is refused.
    fn refuse(&mut self, partition: Partition, count: usize, code: Code, out: &mut Vec<Out>) {
        self.end(code);
        let mut left = count + self.end_lane(partition).map_or(0, |lane| lane.waiting.len());
        self.pending.retain(|pending| {
            let refused = pending.partition == partition && pending.durable.is_none() && left > 0;
            if refused {
                left -= 1;
                out.push(Out::Failed { request: pending.request, number: pending.key.number, code });
            }
            !refused
        });
        self.refuse_waiting(code, out);
        self.acknowledge(out);
    }

    /// What waits for other partitions was not written either.
    fn refuse_waiting(&mut self, code: Code, out: &mut Vec<Out>) {
        let waiting: Vec<Id> =
            self.lanes.iter_mut().flat_map(|lane| std::mem::take(&mut lane.waiting)).map(|event| event.id()).collect();
        self.pending.retain(|pending| {
            let refused = waiting.contains(&pending.id);
            if refused {
                out.push(Out::Failed { request: pending.request, number: pending.key.number, code });
            }
            !refused
        });
    }

    /// Why nothing is taken any more.
    #[must_use]
    pub fn ended(&self) -> Option<Code> {
        self.ended
    }

    /// From here on nothing is taken, else a later send could overtake a refused one; what is under
    /// way may still be acknowledged.
    pub fn end(&mut self, code: Code) {
        self.ended.get_or_insert(code);
    }

    fn fail_all(&mut self, out: &mut Vec<Out>) {
        self.end(Code::OutcomeUnknown);
        self.lanes.clear();
        for pending in self.pending.drain(..) {
            out.push(Out::Failed { request: pending.request, number: pending.key.number, code: Code::OutcomeUnknown });
        }
        out.push(Out::CloseToRetry);
    }

    /// When the oldest send under way is given up; `None` if none is.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.pending.front().map(|pending| pending.id.time().plus(limits::APPEND_DEADLINE_MS.value))
    }

    /// Gives up when the deadline has passed.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Out>) {
        if self.deadline().is_some_and(|deadline| deadline < now) {
            self.fail_all(out);
        }
    }

    /// A retry of this device was answered: its chat is free again, for sends after the one that was found.
    pub fn answered(&mut self, answer: &Answer) {
        self.retrying.retain(|(_, retrying)| *retrying != answer.key);
        if let Outcome::Accepted { id, .. } = answer.outcome {
            self.raise_floor(id);
        }
    }
}
