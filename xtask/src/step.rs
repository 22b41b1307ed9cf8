//! Running checks one after the other: all of them, so that one run shows all mistakes.

use std::path::Path;
use std::time::{Duration, Instant};

/// What is wrong and what to do; one finding a line.
pub(crate) type Findings = Vec<String>;

/// A check of the gate.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Looks at the workspace in this folder. Nothing found: it passed.
    pub(crate) run: fn(&Path) -> Result<(), Findings>,
}

/// How a check ended.
pub(crate) struct Outcome {
    name: &'static str,
    took: Duration,
    findings: Findings,
}

impl Outcome {
    pub(crate) fn passed(&self) -> bool {
        self.findings.is_empty()
    }
}

pub(crate) fn run_all(root: &Path, steps: &[Step]) -> Vec<Outcome> {
    steps.iter().map(|step| run_one(root, step)).collect()
}

fn run_one(root: &Path, step: &Step) -> Outcome {
    println!("== {}", step.name);
    let (result, took) = timed(|| (step.run)(root));
    let findings = result.err().unwrap_or_default();
    for finding in &findings {
        println!("   {finding}");
    }
    let outcome = Outcome { name: step.name, took, findings };
    println!("{}", line(&outcome));
    outcome
}

#[expect(clippy::disallowed_methods, reason = "the gate shows how long its steps take")]
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let value = run();
    (value, begun.elapsed())
}

/// All checks again, one a line.
pub(crate) fn summary(outcomes: &[Outcome]) {
    println!("== summary");
    for outcome in outcomes {
        println!("{}", line(outcome));
    }
}

fn line(outcome: &Outcome) -> String {
    let verdict = if outcome.passed() { "ok" } else { "FAILED" };
    format!("   {:<10} {verdict:<6} {:>7.1} s", outcome.name, outcome.took.as_secs_f64())
}
