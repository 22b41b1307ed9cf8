//! What one types: all suites are listed, and what is asked for wrongly or cannot be had is said.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::process::{Command, Output};

fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_list_has_the_figures_of_all_suites() {
    let listed = text(&bench(&["--list"]).stdout);
    for line in
        ["spine    flood_cpu_us_per_message", "engines  kafka_200_delivery_p99_over_bare", "moves    drain_lost"]
    {
        assert!(listed.contains(line), "{line}: {listed}");
    }
}

#[test]
fn a_figure_of_another_suite_is_refused() {
    let refused = bench(&["engines", "--only", "ack_p99_over_bare"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("suite engines has no figure ack_p99_over_bare"));
}

#[test]
fn without_what_starts_engines_nothing_is_measured_and_it_is_said_why() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().display().to_string();
    let only = ["--only", "cql_statements_per_message", "--engines", "no/such/program", "--out", &folder];
    let missed = bench(&[&["engines", "--tiny"][..], &only].concat());
    let told = text(&missed.stderr);
    assert!(told.contains("no/such/program") && told.contains("--engines"), "{told}");
    assert_eq!(missed.status.code(), Some(1), "{told}");
    let file = std::fs::read_to_string(out.path().join("engines.json")).unwrap();
    assert!(file.contains("\"value\": null") && file.contains("\"ok\": false"), "{file}");
}
