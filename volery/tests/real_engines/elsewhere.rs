//! Brokers and stores of another cluster: whoever is pointed at them says so, ends, and makes nothing there.

use std::process::{Command, Stdio};

use volery_config::{HASH, LEVEL};
use volery_kafka::KafkaLog;
use volery_ports::cluster_store::{ClusterStore as _, Facts, Known};
use volery_sql::PostgresStore;
use volery_testkit::engine::Engine;

use super::kit::Server;
use super::kit::server::{ended, up, volery};
use super::lost::{PARTITIONS, Talk, options};
use super::role::Role;
use super::{alone, flags, on_kafka, on_postgres, runtime};

/// It ends by itself and says why.
fn is_refused(mut command: Command, why: &str) {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let told = child.stderr.take().expect("piped");
    assert!(!ended(child).success());
    let told = std::io::read_to_string(told).expect("readable");
    assert!(told.contains(why), "{told}");
}

/// The generation of our topic at these brokers.
fn topic_of(kafka: &Engine) -> Option<u16> {
    runtime().block_on(KafkaLog::newest_generation(&options(kafka, 1))).expect("the brokers answer")
}

/// A role alone. Others whom it would ask are nowhere: it is refused before it asks them.
fn alone_on(role: &str, settings: &[String]) -> Command {
    let mut command = volery(&[role]);
    let nowhere = ["history.nodes", "accounts.nodes", "idgen.nodes"].map(|key| format!("{key}=http://127.0.0.1:1"));
    let probes = ["history", "accounts", "messaging", "config"].map(|role| format!("{role}.probes=127.0.0.1:0"));
    command.args(flags(&[nowhere.as_slice(), &probes, &["timeline.engine=cassandra".to_owned()], settings].concat()));
    command
}

#[test]
fn nobody_uses_the_brokers_of_another_cluster() {
    let _alone = alone();
    let name = "nobody_uses_the_brokers_of_another_cluster";
    let Some([kafka, postgres]) = Engine::start_all(name, ["kafka", "postgres"]) else { return };
    let Some(other) = Engine::start(name, "kafka") else { return };
    a_server_does_not(&kafka, &other);
    let store = on_postgres(&postgres);
    let config = Role::start(&["config"], &store);
    let asked = [format!("config.nodes={}", config.url("config"))];
    drop(Server::start_with(&[], &flags(&[on_kafka(&kafka), store.clone()].concat())));
    for (role, knows) in [("history", &asked[..]), ("messaging", &asked[..]), ("account", &store[..])] {
        is_refused(alone_on(role, &[on_kafka(&other).as_slice(), knows].concat()), "the cluster uses the log");
        assert_eq!(topic_of(&other), None, "{role} makes nothing there");
    }
}

/// Nor does it take harm: at the right ones it goes on.
fn a_server_does_not(kafka: &Engine, other: &Engine) {
    let mut talk = Talk::begin(kafka);
    talk.server_stops();
    let elsewhere: Vec<_> = flags(&on_kafka(other)).into_iter().map(str::to_owned).collect();
    is_refused(up(&talk.server.data(), &elsewhere), "the cluster uses the log");
    assert_eq!(topic_of(other), None, "nothing is made there");
    talk.server.start_again();
    talk.goes_on();
}

#[test]
fn no_role_uses_the_log_of_a_cluster_that_it_is_not_of() {
    let _alone = alone();
    let name = "no_role_uses_the_log_of_a_cluster_that_it_is_not_of";
    let Some([kafka, postgres]) = Engine::start_all(name, ["kafka", "postgres"]) else { return };
    let own = Facts { partitions: PARTITIONS, hash: HASH.to_owned(), level: LEVEL };
    let url = postgres.address("POSTGRES_URL");
    let server = url.strip_suffix("/volery").expect("the default database");
    // PostgreSQL has two databases more: each is a cluster's.
    for (database, made, why) in [
        ("volery", Facts { level: LEVEL + 1, ..own.clone() }, "upgrade this node"),
        (
            "postgres",
            Facts { hash: "another".to_owned(), ..own.clone() },
            "the cluster finds partitions by \"another\"",
        ),
        ("template1", Facts { partitions: 48, ..own }, "48 partitions"),
    ] {
        is_another_cluster(&kafka, &format!("{server}/{database}"), &made, why);
    }
}

/// Every role is refused by the store of a cluster that was made so, and changes nothing.
fn is_another_cluster(kafka: &Engine, url: &str, made: &Facts, why: &str) {
    let open = || async { PostgresStore::open(url).await.expect("opens") };
    runtime().block_on(async { open().await.facts(made.clone()).await }).expect("made");
    let settings = [on_kafka(kafka), vec![format!("accounts.database={url}")]].concat();
    let words: Vec<_> = flags(&settings).into_iter().map(str::to_owned).collect();
    let folder = tempfile::tempdir().expect("a folder");
    is_refused(up(&folder.path().join("data"), &words), why);
    for role in ["account", "config"] {
        is_refused(alone_on(role, &settings), why);
    }
    assert_eq!(topic_of(kafka), None, "nothing is made there");
    let known = runtime().block_on(async { open().await.known().await });
    assert_eq!(known, Ok(Known { facts: Some(made.clone()), log: None }), "nothing is said");
}
