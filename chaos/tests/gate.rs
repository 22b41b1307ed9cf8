//! The command from end to end, small: six faults on one of each engine, in a folder and at ports of its own.
//!
//! One of each says nothing of brokers and Cassandra nodes that can be spared: that is for `make chaos`, which has three.
//! What goes wrong is left in `target/tmp/chaos`: logs, the state, the picture.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use volery_testkit::skip::skipped;

const NAME: &str = "six faults";
const FAULTS: u64 = 6;
/// What takes seconds to start again is killed by other tests.
const FLAGS: [&str; 12] = [
    "--replicas",
    "1",
    "--seed",
    "1",
    "--only",
    "kill,hold,cut,drain,join,postgres",
    "--flooders",
    "8",
    "--window",
    "5",
    "--people",
    "4",
];
/// Ports of one campaign, and where the first one's begin: below those of other tests.
const PORTS: u16 = 400;
const FIRST: u16 = 10_000;
const CAMPAIGNS: u16 = 12;

/// The first of 400 ports in a row at which nothing listens; each process looks from another one on.
fn free_ports() -> u16 {
    let own = (std::process::id() % u32::from(CAMPAIGNS)) as u16;
    let mut firsts = (0..CAMPAIGNS).map(|next| FIRST + PORTS * ((own + next) % CAMPAIGNS));
    let is_free = |first: &u16| (*first..first + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    firsts.find(is_free).unwrap()
}

/// A campaign's folder; whatever still runs there ends when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Runs the command; whether every promise held, and what it said.
    fn chaos(&self, port: u16, more: &str) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
        command.args(FLAGS).arg("--faults").arg(FAULTS.to_string()).arg("--port").arg(port.to_string()).arg(more);
        let output = command.arg("--dir").arg(&self.0).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for (tool, variable, name) in
            [("cluster/cluster", "CLUSTER_DIR", "cluster"), ("engines/engines", "ENGINES_DIR", "engines")]
        {
            let mut down = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(tool));
            // What is left behind is seen by people; a panic within a panic would hide the first.
            drop(down.arg("down").env(variable, self.0.join(name)).status());
        }
    }
}

#[test]
fn promises_hold_over_six_faults_and_a_campaign_that_is_over_is_told_again() {
    if !Path::new(env!("CARGO_BIN_EXE_chaos")).with_file_name("volery").is_file() {
        return skipped(NAME, "volery is not built: cargo build -p volery");
    }
    let (folder, port) = (Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos")), free_ports());
    let (good, said) = folder.chaos(port, "--anew");
    if said.contains("cannot be had here") {
        return skipped(NAME, &said);
    }
    println!("{said}");
    assert!(good, "{said}");
    let state: Value = serde_json::from_str(&folder.read("campaign.json")).unwrap();
    let rounds = state["rounds"].as_array().unwrap();
    let counted: Vec<&Value> = rounds
        .iter()
        .flat_map(|round| round["struck"].as_array().unwrap())
        .filter(|struck| struck["counts"] == true)
        .collect();
    assert_eq!(counted.len() as u64, FAULTS, "{said}");
    assert!(counted.iter().all(|struck| struck["under_way"].as_u64() >= Some(5)), "{counted:?}");
    assert!(rounds.iter().all(|round| round["verdict"]["violations"] == 0), "{said}");
    assert!(folder.read("report.html").contains("class=\"band "), "the picture has the faults");
    // Nothing is left to do: the same is told again.
    let (good, again) = folder.chaos(port, "--keep-up");
    assert!(good && again.contains("6 of 6 faults were counted before"), "{again}");
    assert_eq!(serde_json::from_str::<Value>(&folder.read("campaign.json")).unwrap(), state);
}
