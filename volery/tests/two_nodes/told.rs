//! The load test at a cluster: it finds each user's node, follows a drain, and tells nodes and moves apart.

use std::path::Path;

use clap::Parser as _;
use loadtest::cli::{Arguments, run};
use serde_json::Value;
use volery_node::metrics::Stage;

use super::cluster::Cluster;
use super::kit::wait_for;

const PAIRS: u64 = 8;
/// The first of so many messages were acknowledged where they were taken.
const SOME: u64 = 5;

/// People chat; what `acts` does begins when the first message is acknowledged, and they go on until it is over.
fn chat_while(gateway: &str, out: &Path, acts: impl FnOnce()) -> Value {
    let [begun, over] = ["begun", "over"].map(|name| out.join(name));
    let file = |file: &Path| file.display().to_string();
    let words = ["loadtest", "pairs", "--warm-up", "0", "--seconds", "60", "--rate", "100", "--gateway", gateway];
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend(["--pairs", &PAIRS.to_string(), "--out", &file(out)].map(str::to_owned));
    words.extend(["--begun", &file(&begun), "--until", &file(&over)].map(str::to_owned));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| run(&Arguments::parse_from(&words), words.join(" ")));
        wait_for("a message", || (begun.exists() || load.is_finished()).then_some(()));
        acts();
        std::fs::write(&over, "").expect("written");
        assert!(matches!(load.join().expect("no panic"), Ok(true)), "every promise is kept");
    });
    serde_json::from_slice(&std::fs::read(out.join("pairs.json")).expect("a report")).expect("JSON")
}

#[test]
fn a_drain_under_load_is_told_by_node_and_by_move() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path(), 2, 0);
    cluster.give(|partition| Some(partition % 2));
    let report = chat_while(cluster.gateway(), folder.path(), || {
        let taken = |node| cluster.node(node).messages.of(Stage::Appended).get();
        wait_for("messages at both nodes", || (taken(0) >= SOME && taken(1) >= SOME).then_some(()));
        cluster.give(|_| Some(1));
        let sessions = |node| cluster.node(node).sessions.get();
        wait_for("everybody at the other node", || (sessions(0) == 0 && sessions(1) == 2 * PAIRS as i64).then_some(()));
    });
    let rows = |of: &str| report[of].as_array().cloned().unwrap_or_default();
    let (nodes, moves) = (rows("nodes"), rows("moves"));
    let devices: Vec<_> = nodes.iter().map(|node| node["devices"].as_u64().expect("a count")).collect();
    assert_eq!((devices.len(), devices.iter().sum::<u64>()), (2, 2 * PAIRS), "{nodes:?}");
    let left = nodes.iter().find(|node| node["address"] == cluster.addresses()[0]).expect("the node that was drained");
    assert_eq!(left["devices"], 0, "{nodes:?}");
    assert!(nodes.iter().all(|node| node["accepted"].as_u64() > Some(0)), "both took messages: {nodes:?}");
    let away = moves.iter().find(|row| row["from"] == left["address"] && row["why"] == "moved").expect("a move");
    assert_ne!(away["to"], away["from"]);
    let back = &away["back"];
    assert!(back["count"].as_u64() > Some(0) && back["p99"].as_u64() > Some(0), "{back}");
    let page = std::fs::read_to_string(folder.path().join("pairs.html")).expect("a page");
    assert!(page.contains("Back and caught up") && page.contains("Devices by node") && page.contains("class=\"mark\""));
}
