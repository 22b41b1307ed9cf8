//! What the command line shows.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sim::mutation::Mutation;
use sim::plan::Case;
use sim::runner::{self, Tally};
use sim::story::What;

/// A line of progress this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// Mutations are looked for from so many different first seeds.
const BASES: u64 = 10;
/// Seeds after which a mutation counts as not noticed.
const SEEDS_MOST: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "how fast seeds run is measured on a real clock")]
fn clock() -> Instant {
    Instant::now()
}

/// One case, as a story: of a violation what matters to it, unless `all` is asked for. True if every promise was kept.
pub(crate) fn tell(case: Case, all: bool) -> bool {
    let world = sim::run(case, true);
    let about: Vec<String> = world.violations.first().map(|first| first.about.clone()).unwrap_or_default();
    let about = if all { Vec::new() } else { about };
    print!("{}", world.story.tell(&about));
    for what in What::ALL.iter().filter(|what| world.story.counts().of(**what) > 0) {
        println!("{:>8}  {}", world.story.counts().of(*what), what.text());
    }
    for violation in &world.violations {
        println!("seed {}: {:.3} s: {}", case.seed, violation.at as f64 / 1_000.0, violation.what);
        print!("{}", violation.steps.split_once('\n').map_or("", |(_, steps)| steps));
    }
    world.violations.is_empty()
}

/// Many cases. True if every promise was kept and everything interesting happened.
pub(crate) fn many(cases: &[Case]) -> bool {
    let (began, said) = (clock(), Mutex::new(clock()));
    let tally = runner::run(cases, |done| {
        if let Ok(mut said) = said.lock()
            && said.elapsed() > PROGRESS_EVERY
        {
            *said = clock();
            eprint!("\r{done} of {} seeds, {:.0} a minute   ", cases.len(), per_minute(done, began));
            let _ = std::io::stderr().flush();
        }
        true
    });
    eprintln!("\r{} of {} seeds, {:.0} a minute   ", tally.runs, cases.len(), per_minute(tally.runs, began));
    show(&tally)
}

fn per_minute(runs: u64, since: Instant) -> f64 {
    runs as f64 * 60.0 / since.elapsed().as_secs_f64()
}

fn show(tally: &Tally) -> bool {
    print!("{}", tally.counts.table());
    println!("{} seeds, {} with a violation", tally.runs, tally.broken.len());
    if let Some(first) = tally.broken.first() {
        println!("seed {}: {}\nreplay it: {}", first.case.seed, first.what, first.case.command());
        let others: Vec<u64> = tally.broken.iter().skip(1).take(20).map(|broken| broken.case.seed).collect();
        println!("others: {others:?}");
    }
    let missing = tally.counts.missing();
    for what in &missing {
        println!("never happened: {what}");
    }
    tally.broken.is_empty() && missing.is_empty()
}

/// After how many seeds each mutation is noticed. True if each was, from every first seed, and if
/// the same seeds in the same mix pass without it.
pub(crate) fn mutations() -> bool {
    println!("| mutation | mean seeds | most | what is done wrong |\n|---|---|---|---|");
    let mut good = true;
    for &mutation in Mutation::ALL {
        let tried: Vec<Option<u64>> = (0..BASES).map(|base| noticed_after(mutation, base * 1_000)).collect();
        let found: Vec<u64> = tried.iter().flatten().copied().collect();
        let mean = found.iter().sum::<u64>() as f64 / found.len().max(1) as f64;
        let most = found.iter().max().copied().unwrap_or(0);
        let missed = BASES as usize - found.len();
        let never = if missed > 0 { format!(" ({missed} of {BASES} bases: not noticed)") } else { String::new() };
        println!("| {mutation:?} | {mean:.1}{never} | {most} | {} |", mutation.meaning());
        good &= missed == 0 && control(mutation, most);
    }
    good
}

/// How many seeds it takes from `first` on.
fn noticed_after(mutation: Mutation, first: u64) -> Option<u64> {
    let mut seeds = first..first + SEEDS_MOST;
    let noticed = |seed: &u64| !sim::run(Case::with(*seed, mutation, true), false).violations.is_empty();
    seeds.find(noticed).map(|seed| seed - first + 1)
}

fn control(mutation: Mutation, seeds: u64) -> bool {
    let bases = (0..BASES).map(|base| base * 1_000);
    let cases = bases.flat_map(|first| (first..first + seeds).map(|seed| Case::with(seed, mutation, false)));
    let tally = runner::run(&cases.collect::<Vec<_>>(), |_| true);
    for broken in &tally.broken {
        println!("without it, {}: {}", broken.case.command(), broken.what);
    }
    tally.broken.is_empty()
}
