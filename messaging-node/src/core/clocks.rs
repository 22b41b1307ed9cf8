//! Whether the node's clock is the log's, judged by the stamps of the node's own appends.
//!
//! A stamp was made between the moment of asking and the moment of the answer. By as much as it lies outside of
//! them the clocks differ at least; so an append that takes long proves nothing. One of several brokers may be the
//! one whose clock is wrong: only what all of the last few appends say counts.
//!
//! Trap avoided: a clock that was set is another clock. What was read long before, or after, is no reading of it.

use std::collections::VecDeque;

use volery_kernel::limits;
use volery_kernel::time::Timestamp;

/// By how much the node's clock is ahead of the log's at least, in ms; negative if it is behind.
type Ahead = i64;

/// The last few readings.
#[derive(Debug, Default)]
pub struct Clocks {
    /// When, by the node's clock, and what.
    readings: VecDeque<(Timestamp, Ahead)>,
}

impl Clocks {
    /// An append was asked for and answered at these moments of the node's clock; the log stamped it with its own.
    pub fn read(&mut self, asked: Timestamp, answered: Timestamp, stamp: Timestamp) {
        if answered < asked {
            // Of two clocks: it was set back in between.
            return;
        }
        let [ahead, behind] =
            [asked.since(stamp), stamp.since(answered)].map(|ms| i64::try_from(ms).unwrap_or(Ahead::MAX));
        if self.readings.len() >= limits::CLOCK_READINGS.value {
            self.readings.pop_front();
        }
        self.readings.push_back((answered, ahead - behind));
    }

    /// By how much the clocks differ, if that is more than they may.
    #[must_use]
    pub fn apart(&self, now: Timestamp) -> Option<Ahead> {
        let counts = |at: Timestamp| now.0.abs_diff(at.0) <= limits::CLOCK_READ_MS.value;
        let readings = self.readings.iter().filter(|(at, _)| counts(*at)).map(|(_, ahead)| *ahead);
        let least = readings.clone().min_by_key(|ahead| ahead.unsigned_abs())?;
        let enough = readings.count() >= limits::CLOCK_READINGS.value;
        (enough && least.unsigned_abs() > limits::CLOCK_BOUND_MS.value).then_some(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const FEW: usize = limits::CLOCK_READINGS.value;
    const BOUND: i64 = limits::CLOCK_BOUND_MS.value as i64;

    /// After appends that took `took` ms, with a log whose clock is `ahead` ms behind the node's.
    fn read(clocks: &mut Clocks, appends: usize, ahead: i64, took: u64) {
        for _ in 0..appends {
            clocks.read(NOW, NOW.plus(took), Timestamp(NOW.plus(took / 2).0.saturating_add_signed(-ahead)));
        }
    }

    fn apart(ahead: i64, took: u64) -> Option<i64> {
        let mut clocks = Clocks::default();
        read(&mut clocks, FEW, ahead, took);
        clocks.apart(NOW.plus(took))
    }

    #[test]
    fn clocks_within_the_bound_agree() {
        assert_eq!([0, 200, -200, BOUND, -BOUND].map(|ahead| apart(ahead, 0)), [None; 5]);
        assert_eq!([BOUND + 1, -BOUND - 1].map(|ahead| apart(ahead, 0)), [Some(251), Some(-251)]);
    }

    #[test]
    fn an_append_that_takes_long_proves_nothing() {
        assert_eq!([0, 900, -900].map(|ahead| apart(ahead, 2_000)), [None; 3]);
        assert_eq!([2_000, -2_000].map(|ahead| apart(ahead, 2_000)), [Some(1_000), Some(-1_000)]);
    }

    #[test]
    fn all_of_the_last_few_must_say_so() {
        let mut clocks = Clocks::default();
        read(&mut clocks, FEW - 1, 3_000, 0);
        assert_eq!(clocks.apart(NOW), None, "too few");
        read(&mut clocks, 1, 400, 0);
        assert_eq!(clocks.apart(NOW), Some(400), "the least of them");
        read(&mut clocks, 1, 10, 0);
        assert_eq!(clocks.apart(NOW), None, "one that agrees is enough");
        read(&mut clocks, FEW - 1, -3_000, 0);
        assert_eq!(clocks.apart(NOW), None);
        read(&mut clocks, 1, -3_000, 0);
        assert_eq!(clocks.apart(NOW), Some(-3_000), "it is forgotten after as many");
    }

    #[test]
    fn a_clock_that_is_set_back_meanwhile_reads_nothing() {
        let mut clocks = Clocks::default();
        for stamp in [NOW, NOW.minus(3_000)].into_iter().cycle().take(2 * FEW) {
            clocks.read(NOW, NOW.minus(3_000), stamp);
        }
        assert_eq!(clocks.apart(NOW.minus(3_000)), None);
    }

    #[test]
    fn what_another_clock_read_is_forgotten() {
        let mut clocks = Clocks::default();
        read(&mut clocks, FEW, 3_000, 0);
        let kept = limits::CLOCK_READ_MS.value;
        assert_eq!([NOW.plus(kept), NOW.minus(kept)].map(|now| clocks.apart(now)), [Some(3_000); 2]);
        assert_eq!([NOW.plus(kept + 1), NOW.minus(kept + 1)].map(|now| clocks.apart(now)), [None; 2]);
    }
}
