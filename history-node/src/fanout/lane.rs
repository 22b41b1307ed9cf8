//! What waits for one target of fan-out: a bounded queue in source order, and from where on it misses
//! what did not fit.
//!
//! Trap avoided: a lane that misses something takes nothing newer from the first reading. It would leave
//! out of order.

use std::collections::VecDeque;

use volery_kernel::event::{Event, Mark};
use volery_kernel::position::Offset;
use volery_kernel::time::Timestamp;

use super::Done;

/// An event, and the record that caused it: where it stands and when it was stamped.
pub(super) struct Waiting {
    pub(super) origin: Offset,
    pub(super) stamp: Timestamp,
    pub(super) event: Event,
}

impl Waiting {
    fn done(self) -> Done {
        let echo = if let Event::Echo { send, .. } = self.event { Some(send.id) } else { None };
        Done { stamp: self.stamp, echo }
    }
}

/// What waits for one target.
#[derive(Default)]
pub(super) struct Lane {
    in_flight: usize,
    events: VecDeque<Waiting>,
    /// From this origin on events were left out.
    missed: Option<Missed>,
}

#[derive(Clone, Copy)]
struct Missed {
    from: Offset,
    /// Whether the second reading is for this lane too.
    read_again: bool,
}

impl Lane {
    /// Nothing waits in it, and it misses nothing.
    pub(super) fn is_done(&self) -> bool {
        self.events.is_empty() && self.missed.is_none()
    }

    /// From which origin on events are missing, if all before it have left.
    pub(super) fn missed(&self) -> Option<Offset> {
        self.missed.filter(|_| self.events.is_empty()).map(|missed| missed.from)
    }

    /// A second reading begins at `from`: it is for this lane if it brings all that is missing.
    pub(super) fn join(&mut self, from: Offset) {
        if self.missed().is_some_and(|missed| missed >= from) {
            self.missed = self.missed.map(|missed| Missed { read_again: true, ..missed });
        }
    }

    /// The second reading has met the first.
    pub(super) fn has_all(&mut self) {
        self.missed = self.missed.filter(|missed| !missed.read_again);
    }

    /// Whether the second reading may go on, as far as this lane is concerned.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.missed.is_none_or(|missed| !missed.read_again) || self.events.len() <= most / 2
    }

    /// The next batch, if none is under way.
    pub(super) fn depart(&mut self, most: usize) -> Option<Vec<Event>> {
        if self.in_flight > 0 || self.events.is_empty() {
            return None;
        }
        self.in_flight = self.events.len().min(most);
        Some(self.events.iter().take(self.in_flight).map(|waiting| waiting.event.clone()).collect())
    }

    /// The batch under way is durable, or has to be appended again. Answers what is done with.
    pub(super) fn appended(&mut self, durable: bool) -> Vec<Done> {
        let batch = std::mem::take(&mut self.in_flight).min(self.events.len());
        self.events.drain(..if durable { batch } else { 0 }).map(Waiting::done).collect()
    }

    /// Nothing of it is left below this; `again` is where the second reading stands.
    pub(super) fn done_below(&self, again: Offset) -> Option<Offset> {
        let missed = self.missed.map(|missed| if missed.read_again { missed.from.max(again) } else { missed.from });
        self.events.front().map(|waiting| waiting.origin).into_iter().chain(missed).min()
    }

    /// From the first reading.
    pub(super) fn push(&mut self, waiting: Waiting, most: usize) {
        if self.missed.is_none() && self.events.len() < most {
            self.take(waiting);
        } else if self.missed.is_none() {
            self.missed = Some(Missed { from: waiting.origin, read_again: false });
        }
    }

    /// From the second reading.
    pub(super) fn make_up_for(&mut self, waiting: Waiting, most: usize) {
        let Some(missed) = self.missed.filter(|missed| missed.read_again && missed.from <= waiting.origin) else {
            return;
        };
        if self.events.len() < most {
            self.take(waiting);
        } else {
            self.leave(missed.from.max(waiting.origin));
        }
    }

    /// The second reading is for this lane no more: what is from `below` on, it has not got.
    pub(super) fn leave(&mut self, below: Offset) {
        if let Some(missed) = self.missed.filter(|missed| missed.read_again) {
            self.missed = Some(Missed { from: missed.from.max(below), read_again: false });
        }
    }

    /// A mark replaces an earlier one of the same chat that has not left yet: marks only grow.
    fn take(&mut self, waiting: Waiting) {
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
