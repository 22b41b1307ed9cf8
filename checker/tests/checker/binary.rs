//! The program: what it prints and how it ends.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use volery_checker::history::History;

use crate::scene::{Wrong as _, scene};

fn file(name: &str, history: &History) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut bytes = Vec::new();
    history.write(&mut bytes).expect("memory");
    fs::write(&path, bytes).expect("a file");
    path
}

fn run(arguments: &[&PathBuf]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_volery-checker")).args(arguments).output().expect("the program");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn the_worst_file_is_the_exit_code() {
    let mut broken = scene();
    let id = broken.id("d0.6");
    broken.timeline().1.retain(|row| row.id != id);
    let (kept, broken) = (file("kept.history", &scene()), file("broken.history", &broken));
    let empty = file("empty.history", &History::new("nothing"));
    let missing = kept.with_file_name("missing.history");

    let (code, told) = run(&[&kept]);
    assert!(code == Some(0) && told.contains("Every promise held."), "{code:?} {told}");
    let (code, told) = run(&[&empty]);
    assert!(code == Some(2) && told.contains("proves nothing"), "{code:?} {told}");
    let (code, told) = run(&[&missing]);
    assert!(code == Some(2) && told.contains("cannot be read"), "{code:?} {told}");
    let (code, told) = run(&[&kept, &broken, &empty]);
    assert!(code == Some(1) && told.contains("G1: d0.6"), "{code:?} {told}");
}
