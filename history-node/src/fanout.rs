//! Fan-out: which events a record causes in other partitions.
//!
//! Reads the log in order, judges as everybody does, and derives: an *echo* of a send for its
//! sender, a mark for the other side of a direct chat. Derived events of one source partition leave
//! for one target in source order, one batch at a time; the committed offset never passes a record
//! whose derived events are not durable, so a crash only repeats some. It needs no timeline. Trap
//! avoided: a resolved retry is derived from its resolved record, never from the flagged one.

use std::collections::{BTreeMap, VecDeque};

use volery_kernel::event::{Event, Mark, Record, Send};
use volery_kernel::position::{Offset, Source};
use volery_kernel::rules::{Rules, Verdict};
use volery_kernel::slot::{Partition, Partitions};

/// Derived events that wait for one target, at most; the reader pauses beyond.
const WAITING_MOST: usize = 4_096;
/// Events in one append, at most.
const BATCH_MOST: usize = 256;

struct Waiting {
    origin: Offset,
    event: Event,
}

#[derive(Default)]
struct Lane {
    in_flight: usize,
    events: VecDeque<Waiting>,
}

/// One source partition's fan-out.
pub struct Fanout {
    generation: u16,
    partitions: Partitions,
    rules: Rules,
    read_below: Offset,
    lanes: BTreeMap<Partition, Lane>,
}

impl Fanout {
    /// Begins at `from`; the records that lie within the read-back before it go to [`Fanout::warm`].
    #[must_use]
    pub fn new(generation: u16, partitions: Partitions, from: Offset) -> Self {
        Self { generation, partitions, rules: Rules::default(), read_below: from, lanes: BTreeMap::new() }
    }

    /// A record before the start, for the rules only.
    pub fn warm(&mut self, record: &Record) {
        self.rules.judge(record);
    }

    /// Whether more should be read: no target is too far behind.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.lanes.values().all(|lane| lane.events.len() < WAITING_MOST)
    }

    /// The next record of the log.
    pub fn read(&mut self, record: Record) {
        let origin = record.offset;
        self.read_below = origin + 1;
        if self.rules.judge(&record) != Verdict::Accept {
            return;
        }
        if let Some(event) = derive(record.event, Source::new(self.generation, origin)) {
            let target = self.partitions.of(event.stream());
            self.lanes.entry(target).or_default().push(Waiting { origin, event });
        }
    }

    /// The next batch to append, for a target that has none under way.
    pub fn depart(&mut self) -> Option<(Partition, Vec<Event>)> {
        let (target, lane) = self.lanes.iter_mut().find(|(_, lane)| lane.in_flight == 0 && !lane.events.is_empty())?;
        lane.in_flight = lane.events.len().min(BATCH_MOST);
        Some((*target, lane.events.iter().take(lane.in_flight).map(|waiting| waiting.event.clone()).collect()))
    }

    /// The batch under way to `target` is durable, or (`false`) has to be appended again.
    pub fn appended(&mut self, target: Partition, durable: bool) {
        let Some(lane) = self.lanes.get_mut(&target) else { return };
        let done = std::mem::take(&mut lane.in_flight);
        if durable {
            lane.events.drain(..done.min(lane.events.len()));
        }
        if lane.events.is_empty() {
            self.lanes.remove(&target);
        }
    }

    /// Everything below this offset is done and may be committed.
    #[must_use]
    pub fn done_below(&self) -> Offset {
        let undone = self.lanes.values().filter_map(|lane| lane.events.front()).map(|waiting| waiting.origin).min();
        undone.unwrap_or(self.read_below)
    }

    /// Everything below this offset was read.
    #[must_use]
    pub fn read_below(&self) -> Offset {
        self.read_below
    }
}

impl Lane {
    /// A mark replaces an earlier one of the same chat that has not left yet: marks only grow.
    fn push(&mut self, waiting: Waiting) {
        if let Event::PeerMark { to, mark, .. } = &waiting.event {
            let same = |other: &Mark| {
                other.chat == mark.chat && other.kind == mark.kind && other.seen.source <= mark.seen.source
            };
            let earlier = self.events.iter().skip(self.in_flight).rposition(|other| {
                matches!(&other.event, Event::PeerMark { to: other_to, mark: other, .. } if other_to == to && same(other))
            });
            if let Some(index) = earlier {
                self.events.remove(self.in_flight + index);
            }
        }
        self.events.push_back(waiting);
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
