//! How long something took: histograms of µs, and what a moment of a run says of them.

use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::report::Figure;

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

impl Moment {
    /// Of a histogram of µs.
    #[must_use]
    pub fn of(times: &Histogram<u64>) -> Self {
        let (p50, p99) = (times.value_at_quantile(0.5), times.value_at_quantile(0.99));
        Self { count: times.len(), p50, p99, max: times.max() }
    }
}

impl Latency {
    /// Nothing was measured.
    ///
    /// # Errors
    /// Never with the bounds of this module.
    pub(crate) fn new() -> Result<Self, Failure> {
        let histogram = Histogram::new_with_bounds(1, MOST, 3)?;
        Ok(Self { whole: histogram.clone(), recent: histogram })
    }

    /// Something that took from `from` to `to`, in ns.
    pub fn took(&mut self, from: u64, to: u64) {
        let micros = micros(from, to);
        self.whole.saturating_record(micros);
        self.recent.saturating_record(micros);
    }

    /// What came since the last look.
    pub fn look(&mut self) -> Moment {
        let moment = Moment::of(&self.recent);
        self.recent.reset();
        moment
    }

    pub(crate) fn reset(&mut self) {
        self.whole.reset();
        self.recent.reset();
    }
}

/// For times in µs that are kept by the dozen: exact to a hundredth.
///
/// # Errors
/// Never with the bounds of this module.
pub(crate) fn times() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_bounds(1, MOST, 2)?)
}

/// From one time in ns to another.
pub(crate) fn micros(from: u64, to: u64) -> u64 {
    to.saturating_sub(from) / 1_000
}

/// Quantiles in milliseconds of a histogram of µs.
#[must_use]
pub fn latencies(of: &str, histogram: &Histogram<u64>) -> Vec<Figure> {
    let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999), ("max", 1.0)];
    let value = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    quantiles.map(|(name, quantile)| Figure::new(format!("{of}_{name}"), value(quantile), "ms")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
