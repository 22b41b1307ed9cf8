//! Autobahn's own cases against `examples/echo.rs`: somebody else's reading of RFC 6455.
//!
//! The groups of what we offer run by default; `AUTOBAHN=9` runs group 9, large messages, instead. Groups 12 and 13
//! are compression, which the door does not offer. `conformance/run.sh` fetches the cases. Traps avoided: a suite
//! that ran no case has no failure, so the cases are counted; `cargo test --test autobahn` alone builds no example.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use volery_testkit::skip::skipped;

/// A group and how many cases it has.
type Group = (&'static str, usize);

const OFFERED: &[Group] = &[("1", 16), ("2", 11), ("3", 7), ("4", 10), ("5", 20), ("6", 145), ("7", 37), ("10", 1)];
const LARGE: &[Group] = &[("9", 54)];
/// Largest message of group 9, twice.
const LARGE_BYTES: &str = "33554432";
/// `conformance/run.sh` ends so if the suite cannot be had.
const UNAVAILABLE: i32 = 69;
/// What counts as passed. NON-STRICT does not: the door fails at the first wrong byte.
const GOOD: &[&str] = &["OK", "INFORMATIONAL"];

/// How a case ended.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    behavior: String,
    behavior_close: String,
}

/// `examples/echo.rs` as a process.
struct Echo {
    child: Child,
    address: String,
}

impl Echo {
    fn start(flags: &[&str]) -> Self {
        let program = example();
        let started = Command::new(&program).args(flags).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| {
            panic!("{}: {error}: run `cargo build -p volery-door --example echo`", program.display())
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("echo on ").expect("its address").to_owned();
        Self { child, address }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It serves until it is killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo puts examples beside the folder of the tests.
fn example() -> PathBuf {
    let here = std::env::current_exe().expect("this program");
    let built = here.ancestors().nth(2).expect("target/<profile>");
    built.join("examples").join(format!("echo{}", std::env::consts::EXE_SUFFIX))
}

#[test]
fn autobahns_cases_pass() {
    let large = std::env::var("AUTOBAHN").is_ok_and(|group| group == "9");
    let (groups, flags) = if large { (LARGE, &["--most", LARGE_BYTES][..]) } else { (OFFERED, &[][..]) };
    let echo = Echo::start(flags);
    let reports = Path::new(env!("CARGO_TARGET_TMPDIR")).join("autobahn");
    let ran = fuzz(&echo.address, groups, &reports);
    if ran.status.code() == Some(UNAVAILABLE) {
        return skipped("autobahns_cases_pass", String::from_utf8_lossy(&ran.stderr).trim());
    }
    let verdicts = verdicts(&reports);
    for &(group, cases) in groups {
        assert_eq!(verdicts.keys().filter(|case| case.split('.').next() == Some(group)).count(), cases, "{group}.*");
    }
    let failed: Vec<_> = verdicts.iter().filter_map(|(case, verdict)| failure(case, verdict)).collect();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(failed.is_empty() && ran.status.success(), "{failed:#?}, see {}\n{said}", reports.display());
}

fn fuzz(address: &str, groups: &[Group], reports: &Path) -> std::process::Output {
    // What an earlier run reported is not this one's; most often there is nothing.
    let _ = std::fs::remove_dir_all(reports);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/run.sh");
    let mut command = Command::new(script);
    command.arg("kosoku").arg(format!("{address}/v1/ws")).args(["--parallelism", "4", "--outdir"]).arg(reports);
    for (group, _) in groups {
        command.arg("--include").arg(format!("{group}.*"));
    }
    command.output().expect("a shell")
}

fn verdicts(reports: &Path) -> BTreeMap<String, Verdict> {
    let index = std::fs::read_to_string(reports.join("index.json")).unwrap_or_default();
    let mut servers: BTreeMap<String, BTreeMap<String, Verdict>> = serde_json::from_str(&index).unwrap_or_default();
    servers.pop_first().map(|(_, cases)| cases).unwrap_or_default()
}

fn failure(case: &str, verdict: &Verdict) -> Option<String> {
    let good = |word: &str| GOOD.contains(&word);
    let bad = !good(&verdict.behavior) || !good(&verdict.behavior_close);
    bad.then(|| format!("{case}: {}, close {}", verdict.behavior, verdict.behavior_close))
}
