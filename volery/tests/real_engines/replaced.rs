//! A topic that is deleted and made anew under its name, while a server runs and while it does not: both are
//! noticed, nothing is acknowledged into it, nobody is told `synced`, and a new generation makes all well. And brokers
//! of another cluster, which are refused.

use std::process::Stdio;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use volery_kafka::{KafkaLog, Options};
use volery_kernel::slot::Partitions;
use volery_testkit::engine::Engine;
use volery_wire::op::ServerOp;

use super::kit::server::{ended, up, volery};
use super::kit::{Device, Server, wait_for};
use super::{alone, flags, on_kafka};

/// As a server makes it by default.
const PARTITIONS: u16 = 16;

/// Deletes the topic and makes it again, as it was and empty.
fn make_anew(kafka: &Engine) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let brokers = kafka.address("KAFKA_BROKERS");
    let options = Options {
        brokers: brokers.clone(),
        name: "volery-inbox".to_owned(),
        generation: 1,
        partitions: Partitions::new(PARTITIONS).expect("partitions"),
        copies: 1,
    };
    runtime.block_on(async {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client");
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
    let mut child = up(&server.data(), &elsewhere).stderr(Stdio::piped()).spawn().expect("it runs");
    let told = child.stderr.take().expect("piped");
    assert!(!ended(child).success());
    let told = std::io::read_to_string(told).expect("readable");
    assert!(told.contains("the cluster uses the log"), "{told}");

    server.start_again();
    for device in [&mut ada, &mut bob] {
        device.connect();
        device.sync();
    }
    ada.say(bob.user, "and on");
    bob.until("all of it", |bob| bob.texts(&chat).len() == 11);
}
