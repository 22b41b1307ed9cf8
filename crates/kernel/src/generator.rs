//! Taking new ids: above a floor, never twice, never past the time that is reserved.
//!
//! A pure state machine: the caller reads the clock. The reservation (who may use a generator's
//! number until when) is made elsewhere and told to [`Generator::reserve`]; a generator that was
//! told nothing takes nothing. Trap avoided: a clock that steps back must never repeat an id, so
//! the generator counts on from its newest id and lets the clock catch up.

use crate::id::{Id, SEQUENCE_MAX};
use crate::limits;
use crate::time::Timestamp;

/// Why no id can be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The reservation ended (SQL was away for long): retry once it is renewed.
    #[error("the reservation of the generator's number ended at {until}")]
    Reservation {
        /// First moment that is not reserved.
        until: Timestamp,
    },
    /// The clock stepped back by more than twice the clocks' bound: retry when it has caught up.
    #[error("the clock is {behind_ms} ms behind the newest id")]
    ClockBehind {
        /// How far, in milliseconds.
        behind_ms: u64,
    },
    /// The floor is ahead of the clock by more than twice the clocks' bound.
    #[error("the floor is {ahead_ms} ms ahead of the clock")]
    FloorAhead {
        /// How far, in milliseconds.
        ahead_ms: u64,
    },
}

/// Issues ids under one generator number.
#[derive(Clone, Debug)]
pub struct Generator {
    number: u16,
    reserved_until: Timestamp,
    newest: Id,
}

impl Generator {
    /// A generator that may issue ids for times in `from..until`; both as the reservation says.
    #[must_use]
    pub fn new(number: u16, from: Timestamp, until: Timestamp) -> Self {
        Self { number, reserved_until: until, newest: Id::first_at(from) }
    }

    /// Extends the reservation; an earlier end than the one held is ignored.
    pub fn reserve(&mut self, until: Timestamp) {
        self.reserved_until = self.reserved_until.max(until);
    }

    /// First moment for which no id may be issued.
    #[must_use]
    pub fn reserved_until(&self) -> Timestamp {
        self.reserved_until
    }

    /// The number under which ids are issued.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Takes an id above `floor` and above every id taken before.
    ///
    /// # Errors
    /// [`Refused`]; the state is then unchanged and a later call may succeed.
    pub fn take(&mut self, now: Timestamp, floor: Id) -> Result<Id, Refused> {
        let slack = 2 * limits::CLOCK_BOUND_MS.value;
        let ahead_ms = floor.time().since(now);
        if ahead_ms > slack {
            return Err(Refused::FloorAhead { ahead_ms });
        }
        let behind_ms = self.newest.time().since(now);
        if behind_ms > slack {
            return Err(Refused::ClockBehind { behind_ms });
        }
        let id = self.above(now, floor).ok_or(Refused::Reservation { until: self.reserved_until })?;
        self.newest = id;
        Ok(id)
    }

    /// The smallest id of this generator above `floor` and `newest` and not before `now`, if it is reserved.
    fn above(&self, now: Timestamp, floor: Id) -> Option<Id> {
        let bar = floor.max(self.newest);
        let at = now.max(bar.time());
        let first = Id::from_parts(at, self.number, 0)?;
        let id = if first > bar {
            first
        } else if bar.generator() == self.number && bar.sequence() < SEQUENCE_MAX {
            bar.next()
        } else if bar.generator() < self.number {
            first
        } else {
            Id::from_parts(at.plus(1), self.number, 0)?
        };
        (id.time() < self.reserved_until).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EPOCH_MS;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp(EPOCH_MS + 1_000_000);

    fn generator(number: u16) -> Generator {
        Generator::new(number, START, START.plus(600_000))
    }

    #[test]
    fn refuses_past_the_reservation_until_it_is_renewed() {
        let mut generator = generator(7);
        let late = START.plus(600_000);
        assert_eq!(generator.take(late, Id::ZERO), Err(Refused::Reservation { until: late }));
        generator.reserve(late.plus(1));
        assert!(generator.take(late, Id::ZERO).is_ok());
    }

    #[test]
    fn refuses_a_floor_far_ahead_and_a_clock_far_behind() {
        let mut generator = generator(7);
        let far = Id::first_at(START.plus(501));
        assert_eq!(generator.take(START, far), Err(Refused::FloorAhead { ahead_ms: 501 }));
        assert!(generator.take(START.plus(1000), Id::ZERO).is_ok());
        assert_eq!(generator.take(START, Id::ZERO), Err(Refused::ClockBehind { behind_ms: 1000 }));
    }

    proptest! {
        /// Whatever the clock does, ids of one generator rise strictly, lie above their floor and inside the reservation.
        #[test]
        fn rises_above_everything(number in 0u16..2048, steps in prop::collection::vec((0u64..2000, 0u64..2000, 0u64..1 << 22), 1..200)) {
            let mut generator = generator(number);
            let mut last = Id::ZERO;
            for (clock, floor, low_bits) in steps {
                let floor = Id::new(Id::first_at(START.plus(floor)).get() | low_bits).map_err(|e| TestCaseError::fail(e.to_string()))?;
                if let Ok(id) = generator.take(START.plus(clock), floor) {
                    prop_assert!(id > last && id > floor);
                    prop_assert!(id.time() < generator.reserved_until());
                    prop_assert_eq!(id.generator(), number);
                    last = id;
                }
            }
        }

        /// Within one millisecond 2,048 ids come, then the next millisecond's.
        #[test]
        fn a_burst_stays_unique(number in 0u16..2048) {
            let mut generator = generator(number);
            let ids: Vec<_> = (0..5000).map(|_| generator.take(START, Id::ZERO)).collect::<Result<_, _>>().map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(ids.is_sorted_by(|a, b| a < b));
        }
    }
}
