//! The command from end to end, small: six faults, one of each engine, a folder and ports of its own. One of each says nothing of
//! brokers and Cassandra nodes that are spared: `make chaos` has three.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use volery_testkit::skip::skipped;

const NAME: &str = "six faults";
/// Ports of one campaign, and where the first one's begin: no other test has any there.
const PORTS: u16 = 400;
const FIRST: u16 = 10_000;
const CAMPAIGNS: u16 = 12;

/// The first of 400 ports in a row at which nothing listens; other checkouts look from another one on.
fn free_ports() -> u16 {
    let own = (std::process::id() % u32::from(CAMPAIGNS)) as u16;
    let firsts = (0..CAMPAIGNS).map(|next| FIRST + PORTS * ((own + next) % CAMPAIGNS));
    let is_free = |first: &u16| (*first..first + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    firsts.into_iter().find(is_free).unwrap()
}

fn chaos(dir: &Path, port: u16, faults: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args([
        "--replicas",
        "1",
        "--seed",
        "1",
        "--faults",
        faults,
        "--keep-up",
        "--flooders",
        "8",
        "--people",
        "4",
    ]);
    command.args(["--port", &port.to_string(), "--dir"]).arg(dir).output().unwrap()
}

#[test]
fn promises_hold_over_six_faults_in_two_runs() {
    if !Path::new(env!("CARGO_BIN_EXE_chaos")).with_file_name("volery").is_file() {
        return skipped(NAME, "volery is not built: cargo build -p volery");
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), free_ports());
    let output = chaos(folder.path(), port, "6");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if said.contains("cannot be had here") {
        return skipped(NAME, &said);
    }
    println!("{said}");
    assert!(output.status.success(), "{said}");
    let state: Value = serde_json::from_slice(&std::fs::read(folder.path().join("campaign.json")).unwrap()).unwrap();
    println!("{state}");
}
