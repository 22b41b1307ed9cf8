//! Proof that the simulation can fail: everything done wrong on purpose is noticed, and in the same
//! seeds and mixes nothing is noticed without it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::atomic::{AtomicUsize, Ordering};

use sim::mutation::Mutation;
use sim::plan::Case;
use sim::runner;

const SEEDS: u64 = 200;

/// The first seed in which a mutation is noticed.
fn noticed_at(mutation: Mutation) -> Option<u64> {
    (0..SEEDS).find(|seed| !sim::run(Case::with(*seed, mutation, true), false).violations.is_empty())
}

/// For every mutation, on all cores.
fn all_noticed_at() -> Vec<(Mutation, Option<u64>)> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mutations = std::iter::from_fn(|| Mutation::ALL.get(next.fetch_add(1, Ordering::Relaxed)));
        mutations.map(|mutation| (*mutation, noticed_at(*mutation))).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..runner::threads()).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn everything_done_wrong_is_noticed_and_nothing_else() {
    let noticed = all_noticed_at();
    assert_eq!(noticed.len(), Mutation::ALL.len());
    let unnoticed: Vec<_> = noticed.iter().filter(|(_, seed)| seed.is_none()).collect();
    assert!(unnoticed.is_empty(), "within {SEEDS} seeds these change nothing that is checked: {unnoticed:?}");

    let control = noticed
        .iter()
        .flat_map(|(mutation, seed)| (0..=seed.unwrap_or(0)).map(|seed| Case::with(seed, *mutation, false)));
    let tally = runner::run(&control.collect::<Vec<_>>(), |_| true);
    let wrongly: Vec<_> = tally.broken.iter().map(|broken| (broken.case.command(), &broken.what)).collect();
    assert!(wrongly.is_empty(), "without anything done wrong: {wrongly:#?}");
}
