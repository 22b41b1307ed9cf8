//! Fixed seeds and fresh ones, the seeds that found something once, and the same seed twice.

#![expect(clippy::panic, reason = "helpers of tests are tests too")]

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;

use sim::mutation::Mutation;
use sim::plan::Case;
use sim::runner::{self, Tally};
use sim::story::What;

const SEEDS: u64 = 400;

/// Every promise was kept, or the first story in which one was not is told.
fn assert_kept(tally: &Tally) {
    let Some(first) = tally.broken.first() else { return };
    let world = sim::run(first.case, true);
    let about = world.violations.first().map(|violation| violation.about.clone()).unwrap_or_default();
    let found: Vec<_> = world.violations.iter().map(|violation| violation.what.as_str()).collect();
    let steps: String = world.violations.iter().map(|violation| violation.steps.as_str()).collect();
    panic!("{found:#?}\n{}\n{steps}\nreplay it: {}", world.story.tell(&about), first.case.command());
}

#[test]
fn fixed_seeds_keep_every_promise_and_are_no_calm_sea() {
    let cases: Vec<Case> = (0..SEEDS).map(Case::of).collect();
    let tally = runner::run(&cases, |_| true);
    assert_kept(&tally);
    assert_eq!(tally.runs, SEEDS);
    assert_eq!(tally.counts.missing(), Vec::<&str>::new(), "never happened, in:\n{}", tally.counts.table());
}

/// Seeds that nobody has run before. What fails is told with the command that replays it.
#[test]
fn fresh_seeds_keep_every_promise() {
    let base = RandomState::new().build_hasher().finish() >> 24;
    let cases: Vec<Case> = (base..base + SEEDS).map(Case::of).collect();
    assert_kept(&runner::run(&cases, |_| true));
}

/// Nodes stand still for a minute and more, are left, and go on where they were. Seed 62 once doubled
/// a message that was on its way to such a node.
#[test]
fn pauses_longer_than_anybody_remembers_break_nothing() {
    let cases: Vec<Case> = (0..SEEDS).map(|seed| Case { long_pauses: true, ..Case::of(seed) }).collect();
    let tally = runner::run(&cases, |_| true);
    assert_kept(&tally);
    assert!(tally.counts.of(What::Stale) > 50, "nothing was stale, in:\n{}", tally.counts.table());
}

/// Each found a fault once; what it was stands in docs/research/2026-11-21-simulation.md, of 9005 in
/// 2026-11-30-simulation-of-moves.md.
#[test]
fn seeds_that_found_something() {
    let seeds = [
        0,
        1,
        13,
        18,
        21,
        31,
        449,
        887,
        2561,
        3016,
        3051,
        4560,
        5948,
        17_960_502_781_931,
        17_960_502_782_925,
        17_960_502_789_794,
        17_960_622_934_116,
    ]
    .map(Case::of);
    let mixed = [
        (2_003, Mutation::OverflowWithoutGap),
        (8_004, Mutation::PassesOverDerived),
        (1_028, Mutation::NoReadBack),
        (1_004, Mutation::MarksById),
        (9_005, Mutation::ResetStoredEarly),
    ];
    let mixed = mixed.map(|(seed, mutation)| Case::with(seed, mutation, false));
    let cases: Vec<Case> = seeds.into_iter().chain(mixed).collect();
    assert_kept(&runner::run(&cases, |_| true));
}

/// Two runs of a seed agree in every byte: all that is told, recorded, counted and found.
#[test]
fn a_seed_is_the_whole_run() {
    for case in [Case::of(3), Case::of(254), Case::of(300), Case::with(1, Mutation::NoFence, true)] {
        let tell = || {
            let world = sim::run(case, true);
            let mut told = world.story.tell(&[]).into_bytes();
            world.history.write(&mut told).unwrap();
            write!(told, "{}{:?}", world.story.counts().table(), world.violations).unwrap();
            told
        };
        let (first, second) = (tell(), tell());
        assert!(first.len() > 100_000);
        assert!(first == second, "{case:?} is not the same run twice");
    }
}
