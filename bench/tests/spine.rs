//! The suite from end to end, small: both comparisons with bare programs run, and the file has its shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use volery_testkit::skip::skipped;

const FIGURES: [&str; 2] = ["ack_p99_over_bare", "page_p99_over_bare"];

/// Everything but the server is built with this test; the server stands beside it if anything built it.
fn programs() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_bench")).parent()?;
    folder.join("volery").is_file().then(|| folder.to_owned())
}

#[test]
fn both_comparisons_give_figures_in_their_promised_form() {
    let Some(programs) = programs() else {
        return skipped("the suite from end to end", "volery is not built: cargo build -p volery");
    };
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["spine", "--tiny", "--rounds", "1", "--out"]).arg(out.path()).arg("--programs").arg(programs);
    command.args(FIGURES.iter().flat_map(|name| ["--only", name]));
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
        assert!(number("value") > 0.1 && number("min") <= number("value") && number("value") <= number("max"));
        assert_eq!(row["ok"], number("value") <= number("target"));
        assert!(number("goal") < number("target"));
        assert_eq!((&row["better"], &row["unit"]), (&"lower".into(), &"ratio".into()));
    }
    let missed = rows.iter().any(|row| row["ok"] == false);
    assert_eq!(output.status.code(), Some(i32::from(missed)), "{told}");
}
