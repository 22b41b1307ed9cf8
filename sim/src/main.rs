//! `sim --seed N` replays a seed and tells its story; `sim --seeds A..B` runs many on all cores;
//! `sim --mutations` shows after how many seeds everything done wrong is noticed.

mod report;

use std::process::ExitCode;

use clap::Parser;
use sim::mutation::Mutation;
use sim::plan::Case;

#[derive(Parser)]
#[command(about = "Runs the real cores in a world where everything breaks, and checks what is promised.")]
struct Arguments {
    /// Replay one seed and tell what happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Run many seeds: FIRST..END.
    #[arg(long, default_value = "0..1000", value_parser = range)]
    seeds: std::ops::Range<u64>,
    /// Tell every line of a seed that breaks a promise, not only what matters to the violation.
    #[arg(long)]
    all: bool,
    /// Do one thing wrong on purpose, in its own fault mix.
    #[arg(long, value_parser = mutation)]
    mutation: Option<Mutation>,
    /// Use the fault mix of a mutation without doing anything wrong.
    #[arg(long, value_parser = mutation)]
    mix: Option<Mutation>,
    /// Let paused nodes stand still for a minute longer than they do anyway.
    #[arg(long)]
    long_pauses: bool,
    /// Run every mutation from several first seeds, and show how soon each is noticed.
    #[arg(long)]
    mutations: bool,
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

impl Arguments {
    fn case(&self, seed: u64) -> Case {
        let mix = self.mix.or(self.mutation);
        Case { mix, mutation: self.mutation, long_pauses: self.long_pauses, ..Case::of(seed) }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let good = match arguments.seed {
        _ if arguments.mutations => report::mutations(),
        Some(seed) => report::tell(arguments.case(seed), arguments.all),
        None => {
            let cases: Vec<Case> = arguments.seeds.clone().map(|seed| arguments.case(seed)).collect();
            report::many(&cases)
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
