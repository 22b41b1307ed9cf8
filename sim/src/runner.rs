//! Many seeds on all cores: what happened over all of them, and which kept no promise.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Case;
use crate::story::Counts;

/// A case that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub case: Case,
    /// What was noticed first.
    pub what: String,
}

/// What came of many cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many ran.
    pub runs: u64,
    /// What happened over all of them.
    pub counts: Counts,
    /// Those that broke a promise, in the order of the cases.
    pub broken: Vec<Broken>,
}

/// Runs all cases on all cores. `progress` is told how many are done, from any thread; it ends the
/// run early by answering false.
pub fn run(cases: &[Case], progress: impl Fn(u64) -> bool + Sync) -> Tally {
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let worker = || {
        let mut mine = Tally::default();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            mine.take(*case);
            if !progress(next.load(Ordering::Relaxed).min(cases.len() as u64)) {
                next.store(u64::MAX / 2, Ordering::Relaxed);
            }
        }
        if let Ok(mut tally) = tally.lock() {
            tally.add(mine);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(worker);
        }
    });
    let mut tally = tally.into_inner().unwrap_or_default();
    tally.broken.sort_by_key(|broken| broken.case.seed);
    tally
}

/// One a core.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

impl Tally {
    fn take(&mut self, case: Case) {
        let world = crate::run(case, false);
        self.runs += 1;
        self.counts.add(world.story.counts());
        if let Some(first) = world.violations.first() {
            self.broken.push(Broken { case, what: first.what.clone() });
        }
    }

    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.counts.add(&other.counts);
        self.broken.extend(other.broken);
    }
}
