//! Two arms of one comparison, round by round: the ratio of their 99th percentiles is the figure, and all
//! four quantiles stand behind it.

use hdrhistogram::Histogram;
use loadtest::failure::Failure;

use crate::bench::{Bench, Rounds, Taken, progress};
use crate::figure::Share;
use crate::stats::{median, p99};

const QUANTILES: [&str; 4] = ["p99", "p99_bare", "p50", "p50_bare"];

/// See the module.
#[derive(Debug)]
pub(crate) struct Versus {
    figure: &'static str,
    ratios: Vec<f64>,
    quantiles: [Vec<f64>; 4],
}

impl Versus {
    /// Nothing measured yet.
    pub(crate) fn new(figure: &'static str) -> Self {
        Self { figure, ratios: Vec::new(), quantiles: Default::default() }
    }

    /// A round of both arms, times in µs.
    ///
    /// # Errors
    /// Too few were measured.
    pub(crate) fn add(&mut self, bench: &Bench, ours: &Histogram<u64>, bare: &Histogram<u64>) -> Result<(), Failure> {
        let middle = |times: &Histogram<u64>| times.value_at_quantile(0.5) as f64;
        let taken @ [a, b, c, d] = [p99(ours)?, p99(bare)?, middle(ours), middle(bare)];
        let seen = format!("p99 {a:.0} µs, bare {b:.0} µs; p50 {c:.0} µs, bare {d:.0} µs");
        progress(self.figure, self.ratios.len(), bench.rounds, &seen);
        self.ratios.push(a / b);
        self.quantiles.iter_mut().zip(taken).for_each(|(rounds, taken)| rounds.push(taken));
        Ok(())
    }

    /// The figure, and its shares under `run/`.
    pub(crate) fn taken(self, run: &str) -> Taken {
        let share = |(name, rounds): (&&str, &Vec<f64>)| {
            Some(Share { name: format!("{run}/{name}"), value: median(rounds)?, unit: "us" })
        };
        let shares = QUANTILES.iter().zip(&self.quantiles).filter_map(share).collect();
        let figure: Rounds = (self.figure, self.ratios);
        Taken { figures: vec![figure], shares }
    }
}
