//! A topic that is deleted and made anew under its name, while a server runs and while it does not: both are
//! noticed, nothing is acknowledged into it, nobody is told `synced`, and a new generation makes all well. And brokers
//! of another cluster, which are refused.

use std::process::{Command, Stdio};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tokio::runtime::Runtime;
use volery_config::{HASH, LEVEL};
use volery_kafka::{KafkaLog, Options};
use volery_kernel::slot::Partitions;
use volery_ports::cluster_store::{ClusterStore as _, Facts, Known};
use volery_sql::PostgresStore;
use volery_testkit::engine::Engine;
use volery_wire::op::ServerOp;

use super::kit::server::{ended, up, volery};
use super::kit::{Device, Server, wait_for};
use super::role::Role;
use super::{alone, flags, on_kafka, on_postgres};

/// As a server makes it by default.
const PARTITIONS: u16 = 16;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// The log as a server makes it by default.
fn options(kafka: &Engine) -> Options {
    Options {
        brokers: kafka.address("KAFKA_BROKERS"),
        name: "volery-inbox".to_owned(),
        generation: 1,
        partitions: Partitions::new(PARTITIONS).expect("partitions"),
        copies: 1,
    }
}

/// Deletes the topic and makes it again, as it was and empty.
fn make_anew(kafka: &Engine) {
    let options = options(kafka);
    runtime().block_on(async {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &options.brokers).create().expect("a client");
        let deleted = admin.delete_topics(&[&options.topic()], &AdminOptions::new()).await.expect("an answer");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        // Until it is gone for all brokers it can be made, but not led.
        let mut made = KafkaLog::open(&options).await;
        for _ in 0..20 {
            if made.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            made = KafkaLog::open(&options).await;
        }
        drop(made.unwrap_or_else(|error| panic!("it is not made anew: {error}")));
    });
}

fn two_who_talked(kafka: &Engine) -> (Server, Device, Device, String) {
    let server = Server::start_with(&["ada", "bob"], &flags(&on_kafka(kafka)));
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    for n in 0..10 {
        ada.say(bob.user, &format!("{n}"));
    }
    bob.until("all of it", |bob| bob.texts(&chat).len() == 10);
    bob.settle();
    ada.pages_of(&chat, 10);
    (server, ada, bob, chat)
}

fn is_noticed(server: &Server, ada: &mut Device, bob: &mut Device, chat: &str) {
    wait_for("the loss is said", || (server.metric("volery_log_replaced_partitions") > 0).then_some(()));
    let parts = server.http("GET", "/healthz", None, None).json()["parts"].clone();
    assert_eq!(parts["log_generation"]["state"], "degraded", "{parts}");
    wait_for("archive's stop", || (server.metric("volery_readers_stopped{reader=\"archive\"}") > 0).then_some(()));
    assert!(server.logged().contains("archive has stopped"));
    wait_for("a welcome", || ada.try_connect().then_some(()));
    let request = ada.send(bob.user, "lost?");
    let answer = ada.answer(request);
    assert_eq!(answer.op, ServerOp::Error, "nothing is acknowledged: {answer:?}");
    wait_for("a welcome", || bob.try_connect().then_some(()));
    bob.settle();
    assert!(!bob.heard.iter().any(|heard| matches!(heard.op, ServerOp::Synced | ServerOp::Reset)), "{bob}");
    assert_eq!(bob.pages_of(chat, 10).len(), 10, "what was archived can be read");
}

fn a_new_generation_begins(kafka: &Engine, server: &mut Server, ada: &mut Device, bob: &mut Device, chat: &str) {
    server.terminate();
    assert!(server.ended().success());
    let settings = on_kafka(kafka);
    let begun =
        volery(&["admin", "log-generation", "--begin", "--data"]).arg(server.data()).args(flags(&settings)).output();
    let begun = begun.expect("it runs");
    assert!(begun.status.success(), "{}", String::from_utf8_lossy(&[begun.stdout, begun.stderr].concat()));
    server.start_again();
    for device in [&mut *bob, &mut *ada] {
        device.connect();
        device.sync();
        assert!(device.heard.iter().any(|heard| heard.op == ServerOp::Reset), "it starts anew: {device}");
    }
    while ada.retry() {
        ada.settle();
    }
    ada.say(bob.user, "and on");
    bob.until("both", |bob| bob.texts(chat).len() == 12);
    assert_eq!(bob.pages_of(chat, 12).len(), 12);
}

#[test]
fn a_topic_made_anew_under_a_server_is_noticed() {
    let _alone = alone();
    let Some(kafka) = Engine::start("a_topic_made_anew_under_a_server_is_noticed", "kafka") else { return };
    let (mut server, mut ada, mut bob, chat) = two_who_talked(&kafka);
    make_anew(&kafka);
    is_noticed(&server, &mut ada, &mut bob, &chat);
    a_new_generation_begins(&kafka, &mut server, &mut ada, &mut bob, &chat);
}

#[test]
fn a_topic_made_anew_behind_a_server_s_back_is_noticed_at_the_start() {
    let _alone = alone();
    let name = "a_topic_made_anew_behind_a_server_s_back_is_noticed_at_the_start";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let (mut server, mut ada, mut bob, chat) = two_who_talked(&kafka);
    server.terminate();
    assert!(server.ended().success());
    make_anew(&kafka);
    server.start_again();
    is_noticed(&server, &mut ada, &mut bob, &chat);
    a_new_generation_begins(&kafka, &mut server, &mut ada, &mut bob, &chat);
}

#[test]
fn the_brokers_of_another_cluster_are_refused() {
    let _alone = alone();
    let name = "the_brokers_of_another_cluster_are_refused";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let Some(other) = Engine::start(name, "kafka") else { return };
    let (mut server, mut ada, mut bob, chat) = two_who_talked(&kafka);
    server.terminate();
    assert!(server.ended().success());
    let elsewhere: Vec<_> = flags(&on_kafka(&other)).into_iter().map(str::to_owned).collect();
    is_refused(up(&server.data(), &elsewhere), "the cluster uses the log");
    assert_eq!(topic_of(&other), None, "nothing is made there");

    server.start_again();
    for device in [&mut ada, &mut bob] {
        device.connect();
        device.sync();
    }
    ada.say(bob.user, "and on");
    bob.until("all of it", |bob| bob.texts(&chat).len() == 11);
}

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
    runtime().block_on(KafkaLog::newest_generation(&options(kafka))).expect("the brokers answer")
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
fn no_role_uses_the_brokers_of_another_cluster() {
    let _alone = alone();
    let name = "no_role_uses_the_brokers_of_another_cluster";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let Some(other) = Engine::start(name, "kafka") else { return };
    let Some(postgres) = Engine::start(name, "postgres") else { return };
    let store = on_postgres(&postgres);
    let config = Role::start(&["config"], &store);
    let asked = [format!("config.nodes={}", config.url("config"))];
    drop(Server::start_with(&[], &flags(&[on_kafka(&kafka), store.clone()].concat())));
    for (role, knows) in [("history", &asked[..]), ("messaging", &asked[..]), ("account", &store[..])] {
        is_refused(alone_on(role, &[on_kafka(&other).as_slice(), knows].concat()), "the cluster uses the log");
        assert_eq!(topic_of(&other), None, "{role} makes nothing there");
    }
}

#[test]
fn no_role_uses_the_log_of_a_cluster_of_a_later_version() {
    let _alone = alone();
    let name = "no_role_uses_the_log_of_a_cluster_of_a_later_version";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let Some(postgres) = Engine::start(name, "postgres") else { return };
    let url = postgres.address("POSTGRES_URL");
    let later = Facts { partitions: PARTITIONS, hash: HASH.to_owned(), level: LEVEL + 1 };
    let open = || async { PostgresStore::open(&url).await.expect("opens") };
    runtime().block_on(async { open().await.facts(later.clone()).await }).expect("made");
    let settings = [on_kafka(&kafka), on_postgres(&postgres)].concat();
    let words: Vec<_> = flags(&settings).into_iter().map(str::to_owned).collect();
    let folder = tempfile::tempdir().expect("a folder");
    is_refused(up(&folder.path().join("data"), &words), "upgrade this node");
    for role in ["account", "config"] {
        is_refused(alone_on(role, &settings), "upgrade this node");
    }
    assert_eq!(topic_of(&kafka), None, "nothing is made there");
    let known = runtime().block_on(async { open().await.known().await });
    assert_eq!(known, Ok(Known { facts: Some(later), log: None }), "nothing is said");
}
