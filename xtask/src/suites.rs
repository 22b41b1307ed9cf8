//! Running every test of the workspace, and counting them.
//!
//! Two programs run at a time, because those that use real engines wait more than they compute, and those with a whole
//! cluster one after the other. What one printed is shown when it has ended, so that programs do not mix their words.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::count::{Count, Reader};
use crate::programs::{Program, built};
use crate::step::timed;

/// How many of the slowest programs are named at the end.
const NAMED: usize = 8;
/// How many lines of a program that failed are shown again.
const AGAIN: usize = 80;

/// What a program of tests came to.
struct Ran {
    name: String,
    took: Duration,
    count: Count,
    reasons: Vec<String>,
    /// What people need to see, if something failed.
    said: String,
}

/// Runs the packages that `packages` names in cargo's words (`-p volery-kernel`), all if there are none.
/// Failures do not end the run, so that one run shows everything.
pub(crate) fn run(root: &Path, packages: &[&str]) -> Count {
    println!("== tests");
    let packages = if packages.is_empty() { &["--workspace"] } else { packages };
    let Some(programs) = built(root, packages) else {
        println!("   the tests do not build: see above");
        return Count { failed: 1, ..Count::default() };
    };
    let ran = in_lanes(programs, one);
    summary(&ran);
    ran.into_iter().map(|ran| ran.count).sum()
}

/// Runs each: in one lane those with a cluster, which take longest, in the other what else there is; whichever is done
/// first helps with the rest.
fn in_lanes(programs: Vec<Program>, run: impl Fn(&Program) -> Ran + Sync) -> Vec<Ran> {
    let (clusters, others): (Vec<_>, Vec<_>) = programs.into_iter().partition(Program::has_cluster);
    let (waiting, ran) = (Mutex::new(VecDeque::from(others)), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let lane = |own: Vec<Program>| {
        for program in own.into_iter().chain(std::iter::from_fn(next)) {
            let result = run(&program);
            ran.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| lane(clusters));
        scope.spawn(|| lane(Vec::new()));
    });
    ran.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(program: &Program) -> Ran {
    let ((shown, mut count, reasons, well), took) = timed(|| follow(program.command()));
    if !well && count.failed == 0 {
        count.failed = 1;
    }
    print!("-- {} ({:.1} s)\n{shown}", program.name, took.as_secs_f64());
    let said = if count.failed > 0 { shown } else { String::new() };
    Ran { name: program.name.clone(), took, count, reasons, said }
}

/// What people need to see, what was counted, what the skipped said, and whether the program was content.
fn follow(mut command: Command) -> (String, Count, Vec<String>, bool) {
    let (mut reader, mut shown) = (Reader::default(), String::new());
    let well = match command.stdout(Stdio::piped()).spawn() {
        Ok(mut child) => {
            for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')).flatten() {
                let line = String::from_utf8_lossy(&line);
                if reader.line(&line) {
                    shown.extend([&line, "\n"]);
                }
            }
            child.wait().is_ok_and(|status| status.success())
        }
        Err(error) => {
            shown = format!("   it could not be started: {error}\n");
            false
        }
    };
    let (count, reasons) = reader.end();
    (shown, count, reasons, well)
}

/// Where the time went, what was skipped, and again the end of what failed: a log is read from there.
fn summary(ran: &[Ran]) {
    let mut slowest: Vec<_> = ran.iter().collect();
    slowest.sort_by_key(|ran| std::cmp::Reverse(ran.took));
    for Ran { name, took, .. } in slowest.into_iter().take(NAMED) {
        println!("   {:>7.1} s  {name}", took.as_secs_f64());
    }
    for reason in ran.iter().flat_map(|ran| &ran.reasons) {
        println!("   skipped or lost: {reason}");
    }
    for Ran { name, count, said, .. } in ran.iter().filter(|ran| ran.count.failed > 0) {
        let lines: Vec<_> = said.lines().collect();
        println!("   FAILED: {} of {name}, which ends:", count.failed);
        lines.iter().skip(lines.len().saturating_sub(AGAIN)).for_each(|line| println!("      {line}"));
    }
}
