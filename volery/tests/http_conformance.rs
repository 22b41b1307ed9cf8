//! The HTTP edge of a running service against its own description, by schemathesis: no 5xx, every answer as
//! `/v1/openapi.json` says, and nearly every operation done at least once.
//!
//! The user who asks is logged in, has chats and more devices. Log-ins and registrations are limited by address, and
//! all of these come from one: this server is configured for that; the limits have tests of their own.
//! `SCHEMATHESIS_EXAMPLES` and `SCHEMATHESIS_SEED` make a longer run. Trap avoided: where everything is refused,
//! nothing is answered wrongly, so what was done is counted.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

#[allow(dead_code, reason = "the kit is the cluster's tests', and this one uses a part of it")]
#[path = "cluster/kit/mod.rs"]
mod kit;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kit::server::PASSWORD;
use kit::{Device, Server, wait_for};
use serde_json::Value;
use volery_testkit::skip::skipped;

/// Everything comes from one address.
const RATES: &[&str] = &[
    "--accounts-logins-per-minute=1000000",
    "--accounts-logins-per-minute-address=1000000",
    "--accounts-registrations-per-hour-address=1000000",
    "--accounts-refreshes-per-minute-address=1000000",
];
/// `conformance/run.sh` ends so if the suite cannot be had.
const UNAVAILABLE: i32 = 69;
/// A good while for the gate: some 900 requests in 15 s.
const EXAMPLES: &str = "20";

#[test]
fn the_edge_answers_as_it_is_described() {
    let name = "the_edge_answers_as_it_is_described";
    let (server, dir) = (Server::start_with(&["ada", "bob", "cleo"], RATES), tempfile::tempdir().expect("a folder"));
    prepare(&server, dir.path());
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis.ndjson");
    let Output { status, stdout, stderr } = schemathesis(&server, dir.path(), &report);
    if status.code() == Some(UNAVAILABLE) {
        return skipped(name, String::from_utf8_lossy(&stderr).trim());
    }
    let said = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{said}\n{}", String::from_utf8_lossy(&stderr));
    let answers = answers(&report);
    let failed: Vec<_> = answers.iter().filter(|(_, status)| *status >= 500).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let done: BTreeSet<_> = answers.iter().filter(|(_, status)| status / 100 == 2).map(|(name, _)| name).collect();
    let described = described(&server);
    let never: Vec<_> = described.iter().filter(|operation| !done.contains(operation)).collect();
    assert!(!described.is_empty() && never.len() * 10 <= described.len(), "never done: {never:?}\n{said}");
    println!("{} requests, {} of {} operations done", answers.len(), described.len() - never.len(), described.len());
}

/// Writes what there is to be found, as schemathesis reads it.
fn prepare(server: &Server, dir: &Path) {
    fs::copy(conformance().join("schemathesis.toml"), dir.join("schemathesis.toml")).expect("copied");
    let [mut ada, mut bob, cleo] = ["ada", "bob", "cleo"].map(|name| server.synced(name));
    let messages = talk(&mut ada, &mut bob, &cleo);
    let people = [ada.user, bob.user, cleo.user];
    let spare: Vec<Device> = (0..40).map(|_| server.device("ada")).collect();
    dictionary(dir, "users", people);
    dictionary(dir, "names", ["ada", "bob", "cleo"]);
    dictionary(dir, "passwords", [PASSWORD]);
    dictionary(dir, "chats", people.map(|user| ada.chat_with(user)));
    dictionary(dir, "messages", messages);
    dictionary(dir, "devices", spare[..20].iter().map(|spare| spare.device));
    dictionary(dir, "refreshes", spare[20..].iter().map(|spare| &spare.refresh_token));
}

fn dictionary<T: Display>(dir: &Path, name: &str, entries: impl IntoIterator<Item = T>) {
    let lines: String = entries.into_iter().map(|entry| format!("\"{entry}\"\n")).collect();
    fs::write(dir.join(name).with_extension("dict"), lines).expect("written");
}

/// Ada writes with both and with herself; the ids of it, all on pages.
fn talk(ada: &mut Device, bob: &mut Device, cleo: &Device) -> Vec<u64> {
    let mut ids: Vec<u64> = Vec::new();
    for number in 0..60 {
        ids.push(ada.say(bob.user, &format!("{number}?")).0);
        ids.push(bob.say(ada.user, &format!("{number}!")).0);
    }
    ids.push(ada.say(cleo.user, "to cleo").0);
    ids.push(ada.say(ada.user, "to myself").0);
    wait_for("three chats in the list", || (ada.chats().len() == 3).then_some(()));
    ids
}

fn schemathesis(server: &Server, dir: &Path, report: &Path) -> Output {
    let set = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    Command::new(conformance().join("run.sh"))
        .args(["schemathesis", "--config-file", "schemathesis.toml", "run"])
        .arg(format!("http://{}/v1/openapi.json", server.addresses().gateway))
        .args(["--max-examples", &set("SCHEMATHESIS_EXAMPLES", EXAMPLES), "--seed", &set("SCHEMATHESIS_SEED", "1")])
        // That a machine is slow says nothing of the edge.
        .arg("--suppress-health-check=too_slow")
        .args(["--continue-on-failure", "--generation-database", "none", "--no-color", "--report-ndjson-path"])
        .arg(report)
        .current_dir(dir)
        .output()
        .expect("a shell")
}

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance")
}

/// Every operation that was asked for, with the status of its answer.
fn answers(report: &Path) -> Vec<(String, u64)> {
    let report = fs::read_to_string(report).expect("a report");
    let events = report.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    events.flat_map(|event| answers_of(&event["ScenarioFinished"]["recorder"])).collect()
}

fn answers_of(recorder: &Value) -> Vec<(String, u64)> {
    let Some(interactions) = recorder["interactions"].as_object() else { return Vec::new() };
    let answer = |(id, interaction): (&String, &Value)| {
        let case = &recorder["cases"][id]["value"];
        let name = format!("{} {}", case["method"].as_str()?, case["path"].as_str()?);
        Some((name, interaction["response"]["status_code"].as_u64()?))
    };
    interactions.iter().filter_map(answer).collect()
}

fn described(server: &Server) -> Vec<String> {
    let api = server.http("GET", "/v1/openapi.json", None, None).good();
    let paths = api["paths"].as_object().expect("paths");
    let names = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(names).collect()
}
