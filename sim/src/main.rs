//! `sim --seed N` replays a seed and tells its story; `sim --seeds A..B` runs many.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use sim::plan::Mutation;

#[derive(Parser)]
#[command(about = "Runs the real cores in a world where everything breaks, and checks what is promised.")]
struct Arguments {
    /// Replay one seed and tell what happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Run many seeds: FIRST..END.
    #[arg(long, default_value = "0..200", value_parser = range)]
    seeds: std::ops::Range<u64>,
    /// Tell every line, not only what matters to a violation.
    #[arg(long)]
    all: bool,
    /// Do one thing wrong on purpose.
    #[arg(long, value_parser = mutation)]
    mutation: Option<Mutation>,
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("FIRST..END")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    Ok(number(first)?..number(end)?)
}

fn mutation(text: &str) -> Result<Mutation, String> {
    let named = |mutation: &&Mutation| format!("{mutation:?}").eq_ignore_ascii_case(text);
    Mutation::ALL.iter().find(named).copied().ok_or_else(|| format!("one of {:?}", Mutation::ALL))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => tell(seed, &arguments),
        None => many(&arguments),
    }
}

fn tell(seed: u64, arguments: &Arguments) -> ExitCode {
    let world = sim::run(seed, arguments.mutation, true);
    let about: Vec<String> = world.violations.first().map(|first| first.about.clone()).unwrap_or_default();
    let about = if arguments.all { Vec::new() } else { about };
    if arguments.all || !world.violations.is_empty() {
        print!("{}", world.story.tell(&about));
    }
    for (what, count) in world.story.counts() {
        println!("{count:>8}  {what}");
    }
    for violation in &world.violations {
        println!("seed {seed}: {:.3} s: {}", violation.at as f64 / 1_000.0, violation.what);
    }
    if world.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(arguments: &Arguments) -> ExitCode {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut failed = 0;
    for seed in arguments.seeds.clone() {
        let world = sim::run(seed, arguments.mutation, false);
        for (what, count) in world.story.counts() {
            *counts.entry(what).or_default() += count;
        }
        if let Some(first) = world.violations.first() {
            failed += 1;
            println!("seed {seed}: {}", first.what);
        }
    }
    for (what, count) in counts {
        println!("{count:>10}  {what}");
    }
    println!("{} seeds, {failed} with a violation", arguments.seeds.end - arguments.seeds.start);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
