//! The figures of a campaign: for people a table, for programs JSON.

use loadtest::verdict::Verdict;
use serde::Serialize;

use crate::crowd::Sizes;
use crate::story::{Answered, Outcome};

/// One break of the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Break {
    /// When, in microseconds of its round's history.
    pub at_us: u64,
    /// Sends that a device had handed to its socket and that have no answer: neither when it broke
    /// nor once everything is read that the server had written.
    pub unacknowledged: usize,
    /// Retries that were accepted until the next break or the end of the round.
    pub resolved: usize,
    /// Of these: the first attempt had been accepted.
    pub existed: usize,
    /// Of these: the retry itself was accepted.
    pub new: usize,
    /// From starting the server until it was ready; 0 if it was not started anew.
    pub restart_ms: f64,
    /// From the end of the break until all were synced; none if the next break came first.
    pub synced_ms: Option<f64>,
    /// Whether it counts.
    pub counts: bool,
}

impl Break {
    /// Takes what a history says of the time until `next`, and decides whether it counts.
    pub fn judge(&mut self, answered: &[Answered], next: u64, least: usize) {
        let meant = answered.iter().filter(|answered| (self.at_us..next).contains(&answered.at));
        let outcomes: Vec<Outcome> = meant.map(|answered| answered.outcome).collect();
        let how_many = |outcome| outcomes.iter().filter(|seen| **seen == outcome).count();
        self.existed = how_many(Outcome::Existed);
        self.new = how_many(Outcome::New);
        self.resolved = self.existed + self.new;
        self.counts = self.unacknowledged >= least && self.resolved > 0;
    }
}

/// Smallest, middle and largest of several numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// Half are no larger.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these; `None` if there are none.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self { min, median: sorted[(sorted.len() - 1) / 2], max })
    }
}

/// Of the breaks that count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spreads {
    /// See [`Break::unacknowledged`].
    pub unacknowledged: Option<Spread>,
    /// See [`Break::resolved`].
    pub resolved: Option<Spread>,
    /// See [`Break::restart_ms`].
    pub restart_ms: Option<Spread>,
    /// See [`Break::synced_ms`].
    pub synced_ms: Option<Spread>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was done: `kill`, `stop`, `full disk`.
    pub what: &'static str,
    /// Says at which moments; not what else the machine did then.
    pub seed: u64,
    /// How many people, how busy.
    pub sizes: Sizes,
    /// How long all of it took.
    pub seconds: f64,
    /// Breaks that count.
    pub counted: usize,
    /// Breaks that do not, and were repeated.
    pub repeated: usize,
    /// Of those that count.
    pub spreads: Spreads,
    /// Each, in order.
    pub breaks: Vec<Break>,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// What else went on, a sentence each.
    pub notes: Vec<String>,
    /// The checker's, round by round.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// Nothing yet.
    #[must_use]
    pub fn new(what: &'static str, seed: u64, sizes: Sizes) -> Self {
        let spreads = Spreads { unacknowledged: None, resolved: None, restart_ms: None, synced_ms: None };
        Self {
            what,
            seed,
            sizes,
            seconds: 0.0,
            counted: 0,
            repeated: 0,
            spreads,
            breaks: Vec::new(),
            acknowledged: 0,
            notes: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// A round is over and judged.
    pub fn add(&mut self, breaks: Vec<Break>, acknowledged: u64, verdict: Verdict) {
        self.breaks.extend(breaks);
        self.acknowledged += acknowledged;
        self.verdicts.push(verdict);
        let counted: Vec<&Break> = self.breaks.iter().filter(|one| one.counts).collect();
        self.counted = counted.len();
        self.repeated = self.breaks.len() - counted.len();
        let spread = |of: fn(&Break) -> Option<f64>| Spread::of(counted.iter().filter_map(|one| of(one)));
        self.spreads = Spreads {
            unacknowledged: spread(|one| Some(one.unacknowledged as f64)),
            resolved: spread(|one| Some(one.resolved as f64)),
            restart_ms: spread(|one| Some(one.restart_ms).filter(|ms| *ms > 0.0)),
            synced_ms: spread(|one| one.synced_ms),
        };
    }

    /// Whether every promise held in every round, and something was decided.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.verdicts.is_empty() && self.verdicts.iter().all(Verdict::is_good)
    }

    /// For the terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let sum = |of: fn(&Break) -> usize| self.breaks.iter().map(of).sum::<usize>();
        let Self { what, seed, seconds, counted, repeated, acknowledged, .. } = self;
        let mut lines = vec![
            format!("\n{what}: {counted} counted, {repeated} repeated, {seconds:.0} s, --seed {seed}"),
            format!("{:<34} {:>10} {:>10} {:>10}", "of each", "min", "median", "max"),
        ];
        let rows = [
            ("sends unacknowledged", self.spreads.unacknowledged),
            ("retries resolved", self.spreads.resolved),
            ("ready again after, ms", self.spreads.restart_ms),
            ("all synced again after, ms", self.spreads.synced_ms),
        ];
        let row = |(name, spread): (&str, Option<Spread>)| {
            let Spread { min, median, max } = spread?;
            Some(format!("{name:<34} {min:>10.0} {median:>10.0} {max:>10.0}"))
        };
        lines.extend(rows.into_iter().filter_map(row));
        let (met, resolved, existed, new) =
            (sum(|one| one.unacknowledged), sum(|one| one.resolved), sum(|one| one.existed), sum(|one| one.new));
        lines.push(format!("all in all: {acknowledged} messages acknowledged; {met} sends met a break;"));
        lines.push(format!("{resolved} retries resolved, {existed} to an id that existed, {new} taken anew"));
        lines.extend(self.notes.iter().cloned());
        lines.push(self.verdict());
        lines.join("\n") + "\n"
    }

    fn verdict(&self) -> String {
        let broken: usize = self.verdicts.iter().map(|verdict| verdict.violations).sum();
        match self.is_good() {
            true => format!("checker: every promise held in {} histories", self.verdicts.len()),
            false => format!("checker: {broken} promises were broken, or too little was shown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_counts_by_both_numbers_and_its_own_time() {
        let answered = [
            Answered { at: 5, outcome: Outcome::Existed },
            Answered { at: 10, outcome: Outcome::New },
            Answered { at: 18, outcome: Outcome::Refused },
            Answered { at: 19, outcome: Outcome::Existed },
            Answered { at: 20, outcome: Outcome::Existed },
        ];
        let judged = |unacknowledged, at_us| {
            let mut one = Break { at_us, unacknowledged, ..Break::default() };
            one.judge(&answered, 20, 50);
            (one.resolved, one.existed, one.new, one.counts)
        };
        assert_eq!(judged(50, 10), (2, 1, 1, true));
        assert_eq!(judged(49, 10), (2, 1, 1, false));
        assert_eq!(judged(90, 21), (0, 0, 0, false));
    }

    #[test]
    fn a_spread_is_of_what_is_there() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0, 9.0]), Some(Spread { min: 1.0, median: 2.0, max: 9.0 }));
    }
}
