//! Fan-out: which events a record causes in other partitions.
//!
//! Reads the log in order, judges as everybody does, and derives: an *echo* of a send for its
//! sender, a mark for the other side of a direct chat. Derived events of one source partition leave
//! for one target in source order, one batch at a time; the committed offset never passes a record
//! whose derived events are not durable, so a crash only repeats some. It needs no timeline. Trap
//! avoided: a resolved retry is derived from its resolved record, never from the flagged one.
//!
//! A target that takes nothing holds up no other: what no longer fits into its lane is left out and,
//! once the lane has emptied, the log is read again from there for it: a *second reading*, with rules of
//! its own, beside the first and until it has met it.

mod lane;

use std::collections::BTreeMap;

use volery_kernel::event::{Event, Record, Send};
use volery_kernel::id::Id;
use volery_kernel::position::{Offset, Source};
use volery_kernel::rules::{Rules, Verdict};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;

use self::lane::{Lane, Waiting};

/// Derived events that wait in memory for one target, at most; what comes then is read again later.
pub const LANE_MOST: usize = 4_096;
/// Events in one append, at most.
const BATCH_MOST: usize = 256;

/// What fan-out is done with: a record that causes nothing, or an event that is durable where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// When the log took the record, or the one that caused the event.
    pub stamp: Timestamp,
    /// The message's id, if the event is an echo.
    pub echo: Option<Id>,
}

/// One reading of the log.
struct Reading {
    rules: Rules,
    below: Offset,
}

/// One source partition's fan-out.
pub struct Fanout {
    generation: u16,
    partitions: Partitions,
    lane_most: usize,
    first: Reading,
    second: Option<Reading>,
    lanes: BTreeMap<Partition, Lane>,
}

impl Fanout {
    /// Begins at `from`; the records that lie within the read-back before it go to [`Fanout::warm`].
    /// At most `lane_most` events wait for one target, [`LANE_MOST`] where it runs.
    #[must_use]
    pub fn new(generation: u16, partitions: Partitions, lane_most: usize, from: Offset) -> Self {
        let first = Reading { rules: Rules::default(), below: from };
        Self { generation, partitions, lane_most, first, second: None, lanes: BTreeMap::new() }
    }

    /// A record before the start, for the rules only.
    pub fn warm(&mut self, record: &Record) {
        self.first.rules.judge(record);
    }

    /// The next record of the log. Answers what it is done with at once.
    pub fn read(&mut self, record: Record) -> Option<Done> {
        let stamp = record.stamp;
        let Some((target, waiting)) = self.first.derive(record, self.generation, self.partitions) else {
            return Some(Done { stamp, echo: None });
        };
        self.lanes.entry(target).or_default().push(waiting, self.lane_most);
        None
    }

    /// Where the second reading begins: some lane that missed events is empty again. Whoever asks calls
    /// [`Fanout::begin_again`].
    #[must_use]
    pub fn missed(&self) -> Option<Offset> {
        self.lanes.values().filter_map(Lane::missed).min().filter(|_| self.second.is_none())
    }

    /// Begins the second reading at `from`, for all lanes that are empty again; `before` are the records that
    /// lie within the read-back before it.
    pub fn begin_again(&mut self, from: Offset, before: &[Record]) {
        let mut rules = Rules::default();
        for record in before {
            rules.judge(record);
        }
        self.second = Some(Reading { rules, below: from });
        self.lanes.values_mut().for_each(|lane| lane.join(from));
        self.meet();
    }

    /// Where the second reading goes on, while there is one and no lane that it fills is too full.
    #[must_use]
    pub fn again_below(&self) -> Option<Offset> {
        let roomy = self.lanes.values().all(|lane| lane.has_room(self.lane_most));
        self.second.as_ref().map(|second| second.below).filter(|_| roomy)
    }

    /// The next record of the second reading. What the first has not read yet is none of its.
    pub fn read_again(&mut self, record: Record) {
        let Some(second) = self.second.as_mut().filter(|second| second.below == record.offset) else { return };
        if let Some((target, waiting)) = second.derive(record, self.generation, self.partitions)
            && let Some(lane) = self.lanes.get_mut(&target)
        {
            lane.make_up_for(waiting, self.lane_most);
        }
        self.meet();
    }

    /// Ends the second reading where it has met the first.
    fn meet(&mut self) {
        if self.second.as_ref().is_some_and(|second| second.below >= self.first.below) {
            self.second = None;
            self.lanes.values_mut().for_each(Lane::has_all);
            self.lanes.retain(|_, lane| !lane.is_done());
        }
    }

    /// The next batch to append, for a target that has none under way.
    pub fn depart(&mut self) -> Option<(Partition, Vec<Event>)> {
        self.lanes.iter_mut().find_map(|(target, lane)| Some((*target, lane.depart(BATCH_MOST)?)))
    }

    /// The batch under way to `target` is durable, or (`false`) has to be appended again. Answers what is done with.
    pub fn appended(&mut self, target: Partition, durable: bool) -> Vec<Done> {
        let Some(lane) = self.lanes.get_mut(&target) else { return Vec::new() };
        let done = lane.appended(durable);
        if let (false, Some(second)) = (durable, &self.second) {
            // The others that it reads for do not wait for one that refuses again.
            lane.leave(second.below);
        }
        if lane.is_done() {
            self.lanes.remove(&target);
        }
        done
    }

    /// Everything below this offset is done and may be committed.
    #[must_use]
    pub fn done_below(&self) -> Offset {
        let again = self.second.as_ref().map_or(0, |second| second.below);
        self.lanes.values().filter_map(|lane| lane.done_below(again)).min().unwrap_or(self.first.below)
    }

    /// Everything below this offset was read.
    #[must_use]
    pub fn read_below(&self) -> Offset {
        self.first.below
    }
}

impl Reading {
    /// What the next record causes, and where.
    fn derive(&mut self, record: Record, generation: u16, partitions: Partitions) -> Option<(Partition, Waiting)> {
        let (origin, stamp) = (record.offset, record.stamp);
        self.below = origin + 1;
        if self.rules.judge(&record) != Verdict::Accept {
            return None;
        }
        let event = derive(record.event, Source::new(generation, origin))?;
        Some((partitions.of(event.stream()), Waiting { origin, stamp, event }))
    }
}

fn derive(event: Event, origin: Source) -> Option<Event> {
    match event {
        Event::Send(send) | Event::Resolved { send, .. } => echo(send, origin),
        Event::Mark(mark) => {
            let to = mark.chat.peer_of(mark.reader).filter(|peer| *peer != mark.reader)?;
            Some(Event::PeerMark { origin, to, mark })
        }
        _ => None,
    }
}

/// Notes to oneself need none: their stream is the sender's already.
fn echo(send: Send, origin: Source) -> Option<Event> {
    let elsewhere = send.recipient != volery_kernel::chat::Recipient::User(send.sender);
    elsewhere.then(|| Event::Echo { origin, send: Send { flagged: false, ..send } })
}
