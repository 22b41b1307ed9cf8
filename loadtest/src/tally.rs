//! What clients have seen, counted on their one thread. Send times travel in the messages' texts:
//! label, time in ns of the monotonic clock, filling.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::report::Figure;

/// Digits of the time stamp.
const DIGITS: usize = 20;
/// Longest latency told apart, in µs: ten minutes.
const MOST: u64 = 600_000_000;

/// One kind of latency: over all of the measured time, and since the last look.
#[derive(Clone, Debug)]
pub struct Latency {
    /// All of it, in µs.
    pub whole: Histogram<u64>,
    recent: Histogram<u64>,
}

/// A look at the latencies of a moment, in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Moment {
    /// How many.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// One in a hundred took longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl Latency {
    fn new() -> Result<Self, Failure> {
        let histogram = Histogram::new_with_bounds(1, MOST, 3)?;
        Ok(Self { whole: histogram.clone(), recent: histogram })
    }

    /// Something that took from `from` to `to`, in ns.
    pub fn took(&mut self, from: u64, to: u64) {
        let micros = to.saturating_sub(from) / 1_000;
        self.whole.saturating_record(micros);
        self.recent.saturating_record(micros);
    }

    /// What came since the last look.
    pub fn look(&mut self) -> Moment {
        let recent = &mut self.recent;
        let (p50, p99) = (recent.value_at_quantile(0.5), recent.value_at_quantile(0.99));
        let moment = Moment { count: recent.len(), p50, p99, max: recent.max() };
        recent.reset();
        moment
    }

    fn reset(&mut self) {
        self.whole.reset();
        self.recent.reset();
    }
}

/// All counts of a run.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Messages that users wanted sent.
    pub wanted: u64,
    /// Sends that came to a good end.
    pub acked: u64,
    /// Of these, those whose first attempt was not acknowledged.
    pub retried: u64,
    /// Sends that came to a bad end.
    pub failed: u64,
    /// Messages that the stream brought to the one to whom they go.
    pub delivered: u64,
    /// Sockets opened.
    pub connects: u64,
    /// Pages of messages that came.
    pub pages: u64,
    /// Read marks said.
    pub marks: u64,
    /// From sending, or the time at which it was meant, to the acknowledgement.
    pub ack: Latency,
    /// From sending, or the time at which it was meant, to the delivery at an app that was there, however
    /// its connection was.
    pub delivery: Latency,
    /// From losing the connection, or wanting the first one, to `synced`.
    pub synced: Latency,
    /// From asking for a page to its coming.
    pub page: Latency,
    /// What went wrong, by code: of `error` frames, of closes, of connections.
    pub errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// Never with the bounds of this module.
    pub fn new() -> Result<Self, Failure> {
        let latency = Latency::new;
        Ok(Self {
            wanted: 0,
            acked: 0,
            retried: 0,
            failed: 0,
            delivered: 0,
            connects: 0,
            pages: 0,
            marks: 0,
            ack: latency()?,
            delivery: latency()?,
            synced: latency()?,
            page: latency()?,
            errors: BTreeMap::new(),
        })
    }

    /// Forgets latencies, not counts: what came before was the way there.
    pub fn begin(&mut self) {
        let all = [&mut self.ack, &mut self.delivery, &mut self.synced, &mut self.page];
        all.into_iter().for_each(Latency::reset);
    }

    /// Counts since `before`, and the latencies since [`Tally::begin`].
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let errors = self
            .errors
            .iter()
            .map(|(code, count)| (code.clone(), count - before.errors.get(code).copied().unwrap_or_default()));
        Self {
            wanted: self.wanted - before.wanted,
            acked: self.acked - before.acked,
            retried: self.retried - before.retried,
            failed: self.failed - before.failed,
            delivered: self.delivered - before.delivered,
            connects: self.connects - before.connects,
            pages: self.pages - before.pages,
            marks: self.marks - before.marks,
            errors: errors.filter(|(_, count)| *count > 0).collect(),
            ..self.clone()
        }
    }

    /// Something went wrong.
    pub fn error(&mut self, code: &str) {
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(code.to_owned(), 1)),
        }
    }
}

/// Quantiles in milliseconds of a histogram of µs.
#[must_use]
pub fn latencies(of: &str, histogram: &Histogram<u64>) -> Vec<Figure> {
    let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999), ("max", 1.0)];
    let value = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    quantiles.map(|(name, quantile)| Figure::new(format!("{of}_{name}"), value(quantile), "ms")).into()
}

/// A text of at least so many bytes, named by its first word, that says when it was meant to be sent.
#[must_use]
pub fn text(label: &str, meant: u64, bytes: usize) -> String {
    let filling = bytes.saturating_sub(label.len() + DIGITS + 2);
    format!("{label} {meant:0DIGITS$} {:.<filling$}", "")
}

/// When a text was meant to be sent.
#[must_use]
pub fn meant(text: &str) -> Option<u64> {
    text.split(' ').nth(1).filter(|digits| digits.len() == DIGITS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_brings_its_time_along_and_has_its_length() {
        let sent = text("d1.2", 77, 256);
        assert_eq!((sent.len(), meant(&sent)), (256, Some(77)));
        assert_eq!((meant("d1.2 hello"), meant("hello")), (None, None));
    }

    #[test]
    fn a_look_forgets_what_the_whole_keeps() {
        let mut latency = Latency::new().map_err(|failure| failure.0).unwrap();
        latency.took(0, 5_000);
        latency.took(0, 7_000);
        let seen = latency.look();
        assert_eq!((seen.count, seen.p50, seen.max), (2, 5, 7));
        assert_eq!((latency.look().count, latency.whole.len()), (0, 2));
    }
}
