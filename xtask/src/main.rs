//! The gate, and what else developers run. `cargo xtask` alone says what there is.
//!
//! The gate is Rust so that it runs wherever the project builds, with nothing installed beside it.
//! Checks are functions of texts and of `cargo metadata`; only `command`, `programs` and
//! `suites` start processes.

mod bans;
mod command;
mod count;
mod layers;
mod licences;
mod metadata;
mod programs;
mod sources;
mod step;
mod suites;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use count::Count;
use step::{Outcome, Step};

const USAGE: &str = "\
cargo xtask ci                 the gate: everything below, then a line `N passed, N failed, N skipped`
cargo xtask test [-p CRATE]…   all tests, or those of some crates; the last line counts them
cargo xtask STEP…              single checks of the gate: ";

/// The checks, cheapest first; tests follow them.
const STEPS: &[Step] = &[
    Step { name: "fmt", run: command::fmt },
    Step { name: "tidy", run: tidy::run },
    Step { name: "deps", run: layers::run },
    Step { name: "sources", run: sources::run },
    Step { name: "bans", run: bans::run },
    Step { name: "licences", run: licences::run },
    Step { name: "clippy", run: command::clippy },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    match words.as_slice() {
        ["ci"] => {
            let outcomes = step::run_all(&root, STEPS);
            let count = suites::run(&root, &[]);
            step::summary(&outcomes);
            finish(&outcomes, count)
        }
        ["test", packages @ ..] => finish(&[], suites::run(&root, packages)),
        names if !names.is_empty() => match chosen(names) {
            Some(steps) => finish_steps(&steps),
            None => usage(),
        },
        _ => usage(),
    }
}

/// The folder of the workspace: this crate's parent.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

fn chosen(names: &[&str]) -> Option<Vec<Step>> {
    names.iter().map(|name| STEPS.iter().find(|step| step.name == *name).copied()).collect()
}

fn usage() -> ExitCode {
    let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
    eprintln!("{USAGE}{}", names.join(", "));
    ExitCode::from(2)
}

fn finish_steps(steps: &[Step]) -> ExitCode {
    let outcomes = step::run_all(&root(), steps);
    exit(outcomes.iter().all(Outcome::passed))
}

/// The count is the last line, whatever happened before.
fn finish(outcomes: &[Outcome], count: Count) -> ExitCode {
    println!("{count}");
    exit(outcomes.iter().all(Outcome::passed) && count.failed == 0)
}

fn exit(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
