//! Fixed seeds, the seeds that found something once, the same seed twice, and things done wrong on
//! purpose that must be noticed.

use std::collections::BTreeMap;

use sim::plan::Mutation;

/// What must have happened at least once over the fixed seeds, else they are a calm sea.
const INTERESTING: [&str; 20] = [
    "ack",
    "append failed and kept",
    "append failed and kept very late",
    "append failed and lost",
    "append twice",
    "archive replay",
    "derived event appended again",
    "fan-out replay",
    "fenced record",
    "flagged retry",
    "gap",
    "index joined to tail",
    "index sync",
    "late send dropped",
    "mark ahead of a smaller id",
    "reset",
    "retry found",
    "retry is new",
    "session ended by a failed append",
    "tail hit",
];

fn story(seed: u64) -> String {
    let world = sim::run(seed, None, true);
    let found: Vec<_> = world.violations.iter().map(|violation| violation.what.as_str()).collect();
    format!(
        "seed {seed}: {found:#?}\n{}",
        world.story.tell(&world.violations.first().map(|v| v.about.clone()).unwrap_or_default())
    )
}

#[test]
fn fixed_seeds_keep_every_promise() {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..400 {
        let world = sim::run(seed, None, false);
        assert!(world.violations.is_empty(), "{}", story(seed));
        for (what, count) in world.story.counts() {
            *counts.entry(what).or_default() += count;
        }
    }
    for what in INTERESTING {
        assert!(counts.contains_key(what), "{what} never happened: {counts:#?}");
    }
}

/// Each found a fault once; what it was stands in docs/research/2026-11-21-simulation.md.
#[test]
fn seeds_that_found_something() {
    for seed in [0, 1, 13, 18, 31, 449, 887, 3016] {
        let world = sim::run(seed, None, false);
        assert!(world.violations.is_empty(), "{}", story(seed));
    }
}

#[test]
fn a_seed_is_the_whole_run() {
    for seed in [3, 254, 300] {
        let tell = || {
            let world = sim::run(seed, None, true);
            (world.story.tell(&[]), world.story.counts().clone())
        };
        let (first, second) = (tell(), tell());
        assert!(!first.0.is_empty());
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Every mutation is noticed within 200 seeds; without one the same seeds pass, as above.
#[test]
fn what_is_done_wrong_is_noticed() {
    let unnoticed: Vec<Mutation> = Mutation::ALL
        .into_iter()
        .filter(|mutation| (0..200).all(|seed| sim::run(seed, Some(*mutation), false).violations.is_empty()))
        .collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} change nothing that is checked");
}
