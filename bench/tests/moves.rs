//! The suite `moves`, small: partitions are given away and a node is drained on the embedded log, and the map's own
//! figures are taken. Everything is built with this test.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const FIGURES: [&str; 5] = ["planned_move_p99_s", "drain_lost", "drain_doubled", "map_imbalance", "map_excess_moves"];

#[test]
fn what_moves_on_the_embedded_log_is_measured_and_nothing_is_lost() {
    let (out, bench) = (tempfile::tempdir().unwrap(), Path::new(env!("CARGO_BIN_EXE_bench")));
    let mut command = Command::new(bench);
    command.args(["moves", "--tiny", "--rounds", "1", "--out"]).arg(out.path());
    command.args(FIGURES.iter().flat_map(|name| ["--only", name]));
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let file = std::fs::read(out.path().join("moves.json")).unwrap_or_else(|error| panic!("{error}: {told}"));
    let rows: Vec<Value> = serde_json::from_slice(&file).unwrap();
    assert_eq!(rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), FIGURES);
    let value = |at: usize| rows[at]["value"].as_f64().unwrap_or_else(|| panic!("{}: {told}", rows[at]));
    assert!(value(0) > 0.0, "{told}");
    assert_eq!((value(1), value(2)), (0.0, 0.0), "{told}");
    assert!((1.0..=1.1).contains(&value(3)) && (1.0..=1.05).contains(&value(4)), "{told}");
}
