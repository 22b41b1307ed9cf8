//! Orders to nodes from the command line, at a config-node in this process: what is shown, what is refused, and that a
//! config-node may be away meanwhile.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use volery_config::follow::{HeldLease, hold_lease};
use volery_config::{ConfigNode, ConfigOptions, ConfigParts};
use volery_kernel::slot::Partitions;
use volery_node::clock::SystemClock;
use volery_node::health::Health;
use volery_node::shutdown::Shutdown;
use volery_rpc::Doors;
use volery_testkit::cluster::{PARTITIONS, hold};
use volery_testkit::cluster_store::ModelClusterStore;

use super::kit::operator::Operator;
use super::kit::server::volery;
use super::kit::wait_for;

/// A config-node with its door open, and two nodes that hold their leases at it. Dropping it takes them along.
struct Config {
    at: SocketAddr,
    _leases: Vec<HeldLease>,
    _runtime: Runtime,
}

impl Config {
    fn start(store: &Arc<ModelClusterStore>, at: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let store = Arc::clone(store);
        let (at, leases) = runtime.block_on(async {
            let partitions = Partitions::new(PARTITIONS).expect("partitions");
            let options = ConfigOptions { look_every: Duration::from_millis(20), ..ConfigOptions::new(partitions) };
            let (clock, shutdown, health) = (Arc::new(SystemClock), Shutdown::new(), Health::new());
            let parts = ConfigParts { store, clock, shutdown: shutdown.clone(), health };
            let node = Arc::new(ConfigNode::start(options, parts).await.expect("a config-node"));
            let leases: Vec<_> = ["a", "b"].map(|name| hold_lease(node.clone(), hold(name, "p"))).into();
            let listener = TcpListener::bind(at).await.expect("a door");
            let at = listener.local_addr().expect("an address");
            tokio::spawn(Doors::new().cluster(node).serve(listener, shutdown));
            (at, leases)
        });
        Self { at, _leases: leases, _runtime: runtime }
    }
}

fn at(address: SocketAddr) -> Operator {
    Operator { reaches: vec!["--config-nodes".to_owned(), format!("http://{address}")] }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// State and number of partitions of each node.
fn states(nodes: &Value) -> Vec<(&str, &str, u64)> {
    nodes["nodes"].as_array().into_iter().flatten().filter_map(state).collect()
}

fn state(node: &Value) -> Option<(&str, &str, u64)> {
    Some((node["name"].as_str()?, node["state"].as_str()?, node["partitions"].as_u64()?))
}

fn is_even(operator: &Operator) {
    let even = [("a", "serving", 4), ("b", "serving", 4)];
    wait_for("both have their share", || (states(&operator.told(&["nodes"])) == even).then_some(()));
}

#[test]
fn a_node_is_drained_and_a_partition_is_moved() {
    let config = Config::start(&Arc::default(), any_port());
    let operator = at(config.at);
    is_even(&operator);
    let drained = operator.told(&["drain", "a"]);
    assert_eq!((&drained["node"], &drained["partitions_left"]), (&json!("a"), &json!(0)), "it was waited for");
    let nodes = operator.told(&["nodes"]);
    assert_eq!(states(&nodes), [("a", "draining", 0), ("b", "serving", 8)]);
    assert_eq!((&nodes["nodes"][0]["drained_by"], &nodes["nodes"][1]["drained_by"]), (&json!("olga"), &Value::Null));
    let version = nodes["maps"][0]["version"].to_string();
    let before = (version.parse::<u64>().expect("a version") - 1).to_string();
    let cases: [(&[&str], &str); 7] = [
        (&["drain", "b"], "\"b\" is the last node that serves: start or undrain another one first"),
        (&["drain", "c"], "no node \"c\" is up"),
        (&["undrain", "c"], "no node \"c\" is up"),
        (&["move", "0", "a"], "the node \"a\" drains"),
        (&["move", "8", "b"], "there is no partition 8: there are 8, from 0 on"),
        (&["undrain", "a", "--seen", &before], "give --seen"),
        (&["drain", "b", "--kind", "history"], "no node \"b\" is up"),
    ];
    for (words, why) in cases {
        let complaint = operator.refused(words);
        assert!(complaint.contains(why), "{words:?}: {complaint}");
    }
    assert_eq!(operator.told(&["nodes"]), nodes, "nothing has changed");
    operator.told(&["undrain", "a", "--seen", &version]);
    is_even(&operator);
    let owners = operator.told(&["partitions"]);
    let of_a = owners["partitions"].as_array().into_iter().flatten().position(|line| line["messaging"] == "a");
    let of_a = of_a.expect("it has some");
    operator.told(&["move", &of_a.to_string(), "b"]);
    assert_eq!(operator.told(&["partitions"])["partitions"][of_a]["messaging"], "b");
    is_even(&operator);
}

#[test]
fn who_has_no_name_orders_under_a_number() {
    let config = Config::start(&Arc::default(), any_port());
    let operator = at(config.at);
    is_even(&operator);
    let mut command = volery(&["admin", "drain", "a"]);
    assert!(command.env_remove("USER").args(&operator.reaches).output().expect("it runs").status.success());
    let nodes = operator.told(&["nodes"]);
    let by = nodes["nodes"][0]["drained_by"].as_str().expect("somebody");
    assert!(by.strip_prefix("uid-").is_some_and(|number| number.parse::<u32>().is_ok()), "{by}");
}

#[test]
fn an_order_outlives_a_config_node_that_is_away() {
    let store = Arc::default();
    let config = Config::start(&store, any_port());
    let operator = at(config.at);
    is_even(&operator);
    let address = config.at;
    drop(config);
    let mut command = volery(&["admin", "drain", "a", "--json"]);
    let command = command.env("USER", "olga").args(&operator.reaches).stdout(Stdio::piped()).stderr(Stdio::piped());
    let draining = command.spawn().expect("it runs");
    // Whether it has asked by now or asks later: nobody is there, or somebody again.
    let refused = operator.refused(&["undrain", "a", "--seen", "1"]);
    assert!(refused.contains("no config-node at"), "{refused}");
    let _config = Config::start(&store, address);
    let output = draining.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(states(&operator.told(&["nodes"])), [("a", "draining", 0), ("b", "serving", 8)]);
}
