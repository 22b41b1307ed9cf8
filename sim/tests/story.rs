//! What the command tells a person.

use std::process::Command;

#[test]
fn a_seed_that_keeps_every_promise_is_told_as_a_story() {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(["--seed", "54"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    let moments =
        told.lines().filter(|line| line.split_once(" s  ").is_some_and(|(at, _)| at.trim().parse::<f64>().is_ok()));
    assert!(moments.count() > 1_000, "{told}");
    assert!(told.contains("  flagged retry sent\n"), "how often what happened: {told}");
}
