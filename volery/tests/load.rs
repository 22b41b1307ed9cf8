//! Short forms of the load test's scenarios against the real binary, each with the checker behind it:
//! a few people, a few seconds. That they are measured well is no claim of these; that every promise
//! was kept, that the load was there, and that the report says so, is.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::path::Path;

use clap::Parser as _;
use loadtest::cli::{Arguments, run};
use loadtest::server::{Server, Setup};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_volery");

/// Makes a run that is checked, and reads its report.
fn report(scenario: &str, flags: &[&str]) -> Value {
    report_that_says(scenario, flags, "every promise held")
}

fn report_that_says(scenario: &str, flags: &[&str], says: &str) -> Value {
    let out = tempfile::tempdir().expect("a folder");
    let words = [&["loadtest", scenario, "--server", BINARY, "--warm-up", "0"], flags].concat();
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend(["--out".to_owned(), out.path().display().to_string()]);
    let kept = run(&Arguments::parse_from(&words), words.join(" "));
    assert!(matches!(kept, Ok(true)), "{scenario}: {kept:?}");
    let page = std::fs::read_to_string(out.path().join(format!("{scenario}.html"))).expect("a page");
    assert!(page.contains("<svg") && page.contains(says), "{page}");
    read(&out.path().join(format!("{scenario}.json")))
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).expect("a report")).expect("JSON")
}

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().expect("figures");
    let figure = figures.iter().find(|figure| figure["name"] == name);
    figure.and_then(|figure| figure["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[test]
fn pairs_at_a_steady_rate() {
    let report = report("pairs", &["--pairs", "5", "--rate", "50", "--seconds", "2"]);
    let sent = figure(&report, "messages_acknowledged");
    assert!((80.0..=120.0).contains(&sent), "{sent} at 50 a second in 2 seconds");
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(0), "{report}");
}

#[test]
fn a_flood() {
    let report = report("flood", &["--pairs", "4", "--seconds", "1"]);
    assert!(figure(&report, "messages_acknowledged") > 100.0);
    assert!(report["distributions"].as_array().is_some_and(|of| of.len() >= 2), "{report}");
}

#[test]
fn a_day_on_two_devices_each() {
    let flags = ["--people", "12", "--stay", "1", "--pause", "0.1", "--switch", "0.6", "--seconds", "4"];
    let report = report("day", &flags);
    assert!(figure(&report, "connections") > 12.0, "people came back");
    assert!(figure(&report, "messages_acknowledged") > 20.0);
    assert!(figure(&report, "marks") > 0.0 && figure(&report, "pages") > 0.0);
}

#[test]
fn idle_sessions_are_weighed() {
    let report = report_that_says("idle", &["--sessions", "10", "--seconds", "1"], "This run was not checked");
    let points = report["memory"].as_array().expect("points");
    let sessions: Vec<_> = points.iter().filter_map(|point| point[0].as_u64()).collect();
    assert_eq!(sessions, [2, 4, 6, 8, 10]);
    assert!(points.iter().all(|point| point[1].as_u64().is_some_and(|kib| kib > 1_000)), "{report}");
    assert!(figure(&report, "idle_session_kib").is_finite());
}

#[test]
fn a_storm_beside_bystanders() {
    let flags = ["--pairs", "15", "--rate", "200", "--bystanders", "3", "--rounds", "2", "--calm", "1"];
    let report = report("storm", &flags);
    let rounds = report["storm"]["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert_eq!(round["broken"], 30);
        assert!(round["last"].as_f64().is_some_and(|last| last > 0.0), "{round}");
        assert!(round["meanwhile"]["count"].as_u64().is_some(), "{round}");
        let from = |way: &str| round["syncs"][way].as_u64().expect("a count");
        assert!(from("tail") >= 30 && from("index") + from("reset") == 0, "who missed little reads no index: {round}");
    }
    assert!(figure(&report, "storm_sessions_per_s") > 0.0 && figure(&report, "storm_bystanders_p99_before") > 0.0);
    assert!(figure(&report, "storm_cpu_idle_after") < 2.0);
    let moves = report["moves"].as_array().expect("moves");
    assert_eq!(moves.len(), 1, "{moves:?}");
    assert_eq!((&moves[0]["why"], &moves[0]["back"]["count"]), (&"cut".into(), &60.into()));
}

#[test]
fn a_cluster_that_runs_already_with_users_of_its_own() {
    let setup = Setup { binary: BINARY.into(), ..Setup::new(4) };
    let server = Server::start(&setup).expect("a server");
    let users = tempfile::NamedTempFile::new().expect("a file");
    let people = Server::people(0..4);
    let lines = people.iter().map(|person| serde_json::to_string(person).expect("JSON") + "\n");
    std::fs::write(users.path(), lines.collect::<String>()).expect("written");
    let file = users.path().display().to_string();
    let flags = ["--gateway", server.gateway(), "--users", &file, "--pairs", "2", "--rate", "20", "--seconds", "1"];
    let first = report("pairs", &flags);
    assert!(figure(&first, "messages_acknowledged") > 5.0);
    // They have chats now, and what stands there is unknown to a second history.
    let words = ["loadtest", "pairs"].iter().chain(&flags);
    let refused = run(&Arguments::parse_from(words), String::new());
    assert!(refused.is_err_and(|failure| failure.0.contains("--no-check")));
}

#[test]
fn a_cluster_that_runs_already_gets_users_of_the_run() {
    let settings = vec!["accounts.registrations_per_hour_address=1000000".to_owned()];
    let server = Server::start(&Setup { binary: BINARY.into(), settings, ..Setup::new(0) }).expect("a server");
    // Nobody listens at the first one: devices that have it go to the other.
    let gateways = format!("http://127.0.0.1:9,{}", server.gateway());
    let flags = ["--gateway", &gateways, "--pairs", "2", "--rate", "20", "--seconds", "1"];
    for _ in 0..2 {
        assert!(figure(&report("pairs", &flags), "messages_acknowledged") > 5.0);
    }
}
