//! Running every test of the workspace, doc tests included, and counting them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::command::linting_cargo;
use crate::count::{Count, Reader};

/// Runs the packages that `packages` names in cargo's words (`-p volery-kernel`), all if there are none.
/// Failures do not end the run, so that one run shows everything.
pub(crate) fn run(root: &Path, packages: &[&str]) -> Count {
    println!("== tests");
    let packages = if packages.is_empty() { &["--workspace"] } else { packages };
    let spawned = linting_cargo(root)
        .args(["test", "--locked", "--no-fail-fast"])
        .args(packages)
        .args(["--", "--show-output"])
        .stdout(Stdio::piped())
        .spawn();
    let (mut count, well) = match spawned {
        Ok(child) => follow(child),
        Err(error) => {
            println!("   cargo could not be started: {error}");
            (Count::default(), false)
        }
    };
    if !well && count.failed == 0 {
        println!("   cargo test failed before or beside the tests: see above");
        count.failed = 1;
    }
    count
}

/// Passes on what people need to see; says what was counted and whether cargo was content.
fn follow(mut child: Child) -> (Count, bool) {
    let mut reader = Reader::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if reader.line(&line) {
                println!("{line}");
            }
        }
    }
    let well = child.wait().is_ok_and(|status| status.success());
    let (count, reasons) = reader.end();
    for reason in reasons {
        println!("   skipped or lost: {reason}");
    }
    (count, well)
}
