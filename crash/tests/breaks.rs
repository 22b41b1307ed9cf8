//! The command from end to end, small: ten kills that count, a pause, a full disk. What each shows is
//! in its report; what the checker says is its exit code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use volery_crash::disk::SmallDisk;
use volery_testkit::skip::skipped;

/// Few, and enough that most breaks meet more than 50 unacknowledged sends: a third of what may be.
const FEW: [&str; 6] = ["--flooders", "12", "--window", "14", "--people", "6"];

/// The server stands beside the command if anything built it.
fn volery() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_BIN_EXE_crash")).with_file_name("volery");
    file.is_file().then_some(file)
}

/// Each of these floods a server on all cores: one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs it, and gives its report: it must say that every promise held.
fn report(arguments: &[&str]) -> Value {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash"));
    let output = command.args(FEW).args(arguments).arg("--json").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    println!("{said}");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn breaks(report: &Value) -> &[Value] {
    report["breaks"].as_array().unwrap()
}

/// Those that count, and met what they say. Others may stand among them: they were repeated.
fn counted(report: &Value) -> Vec<&Value> {
    let counted: Vec<_> = breaks(report).iter().filter(|one| one["counts"] == true).collect();
    for one in &counted {
        assert!(number(&one["unacknowledged"]) >= 50 && number(&one["resolved"]) > 0, "{one}");
    }
    counted
}

fn number(of: &Value) -> u64 {
    of.as_u64().unwrap_or_else(|| panic!("no number: {of}"))
}

#[test]
fn promises_hold_over_ten_kills_that_count() {
    if volery().is_none() {
        return skipped("ten kills", "volery is not built: cargo build -p volery");
    }
    let report = report(&["--kills", "10"]);
    let counted = counted(&report);
    assert_eq!(counted.len(), 10);
    for one in counted {
        assert!(one["restart_ms"].as_f64().unwrap() > 0.0, "{one}");
    }
    let sum = |field: &str| breaks(&report).iter().map(|one| number(&one[field])).sum::<u64>();
    // On which side of the disk a kill meets them is chance; that every one of them has an id in the end is not.
    assert!(sum("existed") + sum("new") >= 50, "what a kill met was resolved: {report}");
    assert!(number(&report["acknowledged"]) > 500, "{report}");
}

#[test]
fn promises_hold_when_the_server_stands_still() {
    if volery().is_none() {
        return skipped("a pause", "volery is not built: cargo build -p volery");
    }
    // Longer than an append may take: its sessions end, and what they had sent is retried.
    let report = report(&["--stop", "7"]);
    assert_eq!(counted(&report).len(), 1, "{report}");
}

#[test]
fn a_full_disk_heals_by_itself_once_there_is_room() {
    if volery().is_none() {
        return skipped("a full disk", "volery is not built: cargo build -p volery");
    }
    if let Err(error) = SmallDisk::mount(1) {
        return skipped("a full disk", &format!("no file system can be mounted: {error}"));
    }
    let report = report(&["--full-disk"]);
    assert!(report["notes"].to_string().contains("log_full"), "{report}");
}
