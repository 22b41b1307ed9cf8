//! What clients have seen, counted on their one thread. Send times travel in the messages' texts.

use std::cell::RefCell;
use std::rc::Rc;

use hdrhistogram::Histogram;

use crate::clock;
use crate::failure::Failure;
use crate::report::Figure;

/// Digits of a time stamp at the front of a text.
const DIGITS: usize = 20;
/// Longest latency told apart: a minute.
const MOST: u64 = 60_000_000;

/// Shared by all clients of a run.
#[derive(Clone, Debug)]
pub struct Tally(Rc<RefCell<Counts>>);

#[derive(Debug)]
struct Counts {
    acked: u64,
    delivered: u64,
    ack: Histogram<u64>,
    delivery: Histogram<u64>,
}

impl Tally {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// Never with the bounds of this module.
    pub fn new() -> Result<Self, Failure> {
        let histogram = || Histogram::new_with_bounds(1, MOST, 3);
        Ok(Self(Rc::new(RefCell::new(Counts { acked: 0, delivered: 0, ack: histogram()?, delivery: histogram()? }))))
    }

    /// An acknowledgement of what was sent, or meant to be, at that moment.
    pub fn acked(&self, sent: u64) {
        let mut counts = self.0.borrow_mut();
        counts.acked += 1;
        counts.ack.saturating_record(clock::since(sent).as_micros() as u64);
    }

    /// A message that says when it was sent.
    pub fn delivered(&self, text: &str) {
        let mut counts = self.0.borrow_mut();
        counts.delivered += 1;
        if let Some(sent) = text.get(..DIGITS).and_then(|digits| digits.parse().ok()) {
            counts.delivery.saturating_record(clock::since(sent).as_micros() as u64);
        }
    }

    /// Acknowledgements so far.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.0.borrow().acked
    }

    /// Deliveries so far.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.0.borrow().delivered
    }

    /// Forgets latencies, not counts: what came before was the way there.
    pub fn begin(&self) {
        let mut counts = self.0.borrow_mut();
        counts.ack.reset();
        counts.delivery.reset();
    }

    /// The latencies of acknowledgements and of deliveries, in µs.
    #[must_use]
    pub fn histograms(&self) -> (Histogram<u64>, Histogram<u64>) {
        let counts = self.0.borrow();
        (counts.ack.clone(), counts.delivery.clone())
    }
}

/// Three quantiles in milliseconds of a histogram of µs.
#[must_use]
pub fn latencies(of: &str, histogram: &Histogram<u64>) -> Vec<Figure> {
    let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999)];
    let value = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    quantiles.map(|(name, quantile)| Figure::plain(format!("{of}_{name}"), value(quantile), "ms")).into()
}

/// A text of at least so many bytes that says when it was sent.
#[must_use]
pub fn text(sent: u64, bytes: usize) -> String {
    format!("{sent:020}{:.<rest$}", "", rest = bytes.saturating_sub(DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_brings_its_time_along_and_has_its_length() {
        let tally = Tally::new().map_err(|failure| failure.0).unwrap();
        let sent = text(clock::nanos(), 256);
        assert_eq!(sent.len(), 256);
        tally.delivered(&sent);
        assert_eq!((tally.deliveries(), tally.0.borrow().delivery.len()), (1, 1));
    }
}
