//! The suite from end to end, small: every figure is taken, and the file has its shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use volery_testkit::skip::skipped;

const FIGURES: [&str; 9] = [
    "flood_cpu_us_per_message",
    "flood_messages_per_s",
    "rate_1000_cpu_us_per_message",
    "pairs_1000_delivery_p99_ms",
    "ack_p99_over_bare",
    "page_p99_over_bare",
    "resume_us_cpu",
    "stalled_readers_p99_ratio",
    "idle_session_kib",
];

/// Everything but the server is built with this test; the server stands beside it if anything built it.
fn programs() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_bench")).parent()?;
    folder.join("volery").is_file().then(|| folder.to_owned())
}

#[test]
fn every_figure_is_taken_and_written_in_its_promised_form() {
    let Some(programs) = programs() else {
        return skipped("the suite from end to end", "volery is not built: cargo build -p volery");
    };
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["spine", "--tiny", "--rounds", "1", "--out"]).arg(out.path()).arg("--programs").arg(programs);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let file = std::fs::read(out.path().join("spine.json")).unwrap_or_else(|error| panic!("{error}: {told}"));
    let rows: Vec<Value> = serde_json::from_slice(&file).unwrap();
    assert_eq!(rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), FIGURES);
    let promised = ["better", "goal", "max", "min", "name", "ok", "target", "unit", "value"];
    for row in &rows {
        let fields: BTreeSet<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, BTreeSet::from(promised));
        let number = |field: &str| row[field].as_f64().unwrap_or_else(|| panic!("{field} of {row}: {told}"));
        assert!(number("min") <= number("value") && number("value") <= number("max"), "{row}");
        // A slope of memory alone may be nothing, or less, in sizes as small as these.
        assert!(row["name"] == "idle_session_kib" || number("value") > 0.1, "{row}");
        let is_as_good = |one: &str, other: &str| match row["better"].as_str() {
            Some("lower") => number(one) <= number(other),
            Some("higher") => number(one) >= number(other),
            other => panic!("better is {other:?}"),
        };
        assert_eq!(row["ok"], is_as_good("value", "target"), "{row}");
        assert!(!is_as_good("target", "goal"), "a goal asks for more than its target: {row}");
        let is_ratio = ["ratio", "over"].iter().any(|word| row["name"].as_str().unwrap().contains(word));
        assert_eq!(row["unit"] == "ratio", is_ratio, "{row}");
    }
    let missed = rows.iter().any(|row| row["ok"] == false);
    assert_eq!(output.status.code(), Some(i32::from(missed)), "{told}");
}
