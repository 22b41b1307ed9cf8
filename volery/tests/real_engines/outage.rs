//! The table of `docs/operations.md`, line by line, while the outage lasts: what goes on, what does not and with
//! which code, what health and metrics say, and that all of it is over once the engine is back.

use serde_json::{Value, json};
use volery_testkit::engine::Engine;
use volery_wire::op::ServerOp;

use super::kit::device::text_of;
use super::kit::http::Answer;
use super::kit::server::PASSWORD;
use super::kit::{Device, NEVER, Server, now, wait_for};
use super::lost::{a_stranger_writes, partition_of};
use super::{alone, flags, on_cassandra, on_kafka, on_postgres, on_redis};

/// The code of *reconnect, then retry*.
pub(super) const RETRY: u16 = 4004;

pub(super) fn health(server: &Server) -> (u16, Value) {
    let answer = server.http("GET", "/healthz", None, None);
    (answer.status, answer.json()["parts"].clone())
}

/// Waits until these parts say that something is missing; nobody is sent elsewhere for it.
pub(super) fn until_degraded(server: &Server, parts: &[&str]) {
    wait_for(&format!("{parts:?} are degraded"), || {
        let (status, health) = health(server);
        assert_eq!(status, 200, "the others go on: {health}");
        let reasons = parts.iter().map(|part| health[part]["reason"].as_str().filter(|reason| !reason.is_empty()));
        (parts.iter().all(|part| health[part]["state"] == "degraded") && reasons.flatten().count() == parts.len())
            .then_some(())
    });
}

/// Waits, longer than for anything else, until everything is as before.
pub(super) fn until_healed(server: &Server) {
    let deadline = now() + 3 * NEVER;
    loop {
        let (_, health) = health(server);
        if health.as_object().is_some_and(|parts| parts.values().all(|part| part["state"] == "ready")) {
            return;
        }
        assert!(now() < deadline, "it does not heal: {health}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

fn register(server: &Server, name: &str) -> Answer {
    let body = json!({"user_name": name, "password": PASSWORD, "display_name": name});
    server.http("POST", "/v1/register", None, Some(&body))
}

/// Two who talk, once everything is ready: whoever meets an outage at its start is starting still.
fn two(server: &Server) -> (Device, Device) {
    until_healed(server);
    (server.synced("ada"), server.synced("bob"))
}

fn hears(device: &mut Device, text: &str) {
    device.wait(text, |heard| heard.op == ServerOp::Message && text_of(&heard.body) == text);
}

pub(super) fn page(device: &mut Device, chat: &str) -> super::kit::device::Heard {
    device.call("history", json!({"chat": chat, "limit": 10}))
}

/// Connects anew, and retries what is not confirmed.
fn comes_back(device: &mut Device) {
    wait_for("a welcome", || device.try_connect().then_some(()));
    device.sync();
    while device.retry() {
        device.settle();
    }
}

/// The pages hold these and nothing else, in this order.
fn holds(device: &mut Device, chat: &str, texts: &[&str]) {
    let page = device.pages_of(chat, texts.len());
    assert_eq!(page.iter().map(text_of).collect::<Vec<_>>(), texts);
}

#[test]
fn without_kafka_sends_are_unsure_and_the_rest_goes_on() {
    let _alone = alone();
    let Some(kafka) = Engine::start("without_kafka_sends_are_unsure_and_the_rest_goes_on", "kafka") else { return };
    let server = Server::start_with(&["ada", "bob"], &flags(&on_kafka(&kafka)));
    let (mut ada, mut bob) = two(&server);
    let chat = ada.chat_with(bob.user);
    ada.say(bob.user, "before");
    hears(&mut bob, "before");
    holds(&mut bob, &chat, &["before"]);
    kafka.kill();

    let request = ada.send(bob.user, "during");
    assert_eq!(ada.answer(request).code(), "outcome_unknown");
    assert_eq!(ada.closed().0, RETRY);
    until_degraded(&server, &["log"]);
    assert!(server.metric("volery_log_refused_total") > 0);
    assert!(server.metric("volery_engine_errors_total{call=\"append\",engine=\"log\"}") > 0);
    holds(&mut bob, &chat, &["before"]);
    let mut tablet = server.device("bob");
    tablet.connect();
    assert_eq!(tablet.chats().len(), 1, "log-ins and chat lists go on");

    kafka.restart();
    comes_back(&mut ada);
    hears(&mut bob, "during");
    // Whether it takes something again is known by the first that it takes.
    until_healed(&server);
    holds(&mut ada, &chat, &["before", "during"]);

    a_stranger_writes(&kafka, 1, partition_of(&bob));
    ada.say(bob.user, "after what nobody understands");
    hears(&mut bob, "after what nobody understands");
    wait_for("it is set aside", || (server.metric("volery_set_aside_total") == 1).then_some(()));
    until_degraded(&server, &["archive"]);
    holds(&mut ada, &chat, &["before", "during", "after what nobody understands"]);
}

#[test]
fn without_cassandra_people_talk_and_nobody_reads_the_past() {
    let _alone = alone();
    let name = "without_cassandra_people_talk_and_nobody_reads_the_past";
    let Some(cassandra) = Engine::start(name, "cassandra") else { return };
    let server = Server::start_with(&["ada", "bob"], &flags(&on_cassandra(&cassandra)));
    let (mut ada, mut bob) = two(&server);
    let chat = ada.chat_with(bob.user);
    ada.say(bob.user, "before");
    hears(&mut bob, "before");
    holds(&mut bob, &chat, &["before"]);
    let read = || server.metric("volery_timeline_statements_total{kind=\"read\"}");
    wait_for("statements are counted", || (read() > 0).then_some(()));
    bob.settle();
    bob.drop_socket();
    cassandra.kill();

    ada.say(bob.user, "during");
    bob.connect();
    bob.sync();
    hears(&mut bob, "during");
    for (operation, body) in [("history", json!({"chat": chat, "limit": 10})), ("chats", json!({"limit": 10}))] {
        assert_eq!(bob.call(operation, body).code(), "history_unavailable", "{operation}");
    }
    until_degraded(&server, &["timeline", "archive"]);
    wait_for("archive's wait", || (server.metric("volery_reader_waits_seconds{reader=\"archive\"}") > 0).then_some(()));
    let failed = || server.metric("volery_engine_errors_total{call=\"committed\",engine=\"timeline\"}");
    wait_for("calls that failed", || (failed() > 0).then_some(()));
    assert!(server.metric("volery_errors_total{code=\"history_unavailable\"}") > 0);

    cassandra.restart();
    until_healed(&server);
    assert_eq!(server.metric("volery_reader_waits_seconds{reader=\"archive\"}"), 0);
    holds(&mut bob, &chat, &["before", "during"]);
}

#[test]
fn without_postgres_those_who_are_known_go_on() {
    let _alone = alone();
    let Some(postgres) = Engine::start("without_postgres_those_who_are_known_go_on", "postgres") else { return };
    let server = Server::start_with(&[], &flags(&on_postgres(&postgres)));
    for name in ["ada", "bob"] {
        register(&server, name).good();
    }
    let (mut ada, mut bob) = two(&server);
    let chat = ada.chat_with(bob.user);
    ada.say(bob.user, "before");
    hears(&mut bob, "before");
    postgres.kill();

    ada.say(bob.user, "during");
    hears(&mut bob, "during");
    bob.settle();
    bob.connect();
    bob.sync();
    let log_in = json!({"user_name": "ada", "password": PASSWORD, "device_name": "test"});
    for answer in [server.http("POST", "/v1/login", None, Some(&log_in)), register(&server, "carol")] {
        assert_eq!((answer.status, answer.json()["code"].clone()), (503, json!("accounts_unavailable")));
    }
    let stranger = ada.send(1, "to somebody whom nobody has asked for");
    assert_eq!(ada.answer(stranger).code(), "accounts_unavailable");
    until_degraded(&server, &["accounts"]);
    assert!(server.metric("volery_engine_errors_total{call=\"credentials\",engine=\"accounts\"}") > 0);
    assert!(server.metric("volery_reserved_seconds") > 60, "ids last for a while");

    postgres.restart();
    until_healed(&server);
    server.http("POST", "/v1/login", None, Some(&log_in)).good();
    holds(&mut bob, &chat, &["before", "during"]);
}

/// Waits until a device is told of somebody that they are online, or not, in a frame that it was not asked for.
fn is_told(device: &mut Device, user: u64, online: bool) {
    let told = json!([user.to_string(), online]);
    device.until(&format!("told that {user} is online: {online}"), |device| {
        let news = device.heard.iter().filter(|heard| heard.op == ServerOp::Presence && heard.n == 0);
        news.flat_map(|heard| heard.body["users"].as_array().into_iter().flatten())
            .any(|present| json!([present["user"], present["online"]]) == told)
    });
}

/// Types until that is seen: what was said a moment ago is not said again.
fn is_seen_typing(bob: &mut Device, ada: &mut Device) {
    wait_for("typing is seen", || {
        bob.ask("typing", json!({"to": ada.user.to_string()}));
        bob.settle();
        ada.settle();
        ada.heard.iter().any(|heard| heard.op == ServerOp::Typing).then_some(())
    });
}

#[test]
fn without_redis_people_talk_and_nobody_is_seen() {
    let _alone = alone();
    let Some(redis) = Engine::start("without_redis_people_talk_and_nobody_is_seen", "redis") else { return };
    redis.kill();
    let server = Server::start_with(&["ada", "bob"], &flags(&on_redis(&redis)));
    let (mut ada, mut bob) = two(&server);
    until_degraded(&server, &["bus"]);
    let watched = json!({"users": [bob.user.to_string()]});
    assert_eq!(ada.call("presence", watched).body["users"][0]["online"], false, "nobody is seen");
    redis.restart();
    is_told(&mut ada, bob.user, true);
    is_seen_typing(&mut bob, &mut ada);

    ada.heard.clear();
    redis.kill();
    is_told(&mut ada, bob.user, false);
    until_degraded(&server, &["bus"]);
    ada.say(bob.user, "during");
    hears(&mut bob, "during");
    assert!(server.metric("volery_engine_errors_total{call=\"say\",engine=\"bus\"}") > 0);
    bob.ask("typing", json!({"to": ada.user.to_string()}));
    bob.settle();
    wait_for("what is lost is counted", || (server.metric("volery_bus_dropped_total") > 0).then_some(()));

    ada.heard.clear();
    redis.restart();
    is_told(&mut ada, bob.user, true);
    is_seen_typing(&mut bob, &mut ada);
    until_healed(&server);
}
