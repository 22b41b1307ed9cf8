//! The binary on real engines below: people chat, an engine or a role is killed and comes back meanwhile,
//! and the checker finds every promise kept. What an outage looks like while it lasts is in [`outage`], what a topic
//! looks like that was made anew in [`replaced`]. The engines are started by `engines/engines`.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Parser as _;
use loadtest::cli::{Arguments, run};
use volery_testkit::engine::Engine;

mod apart;
#[expect(dead_code, reason = "made for the cluster's tests, which use all of it")]
#[path = "../cluster/kit/mod.rs"]
mod kit;
mod outage;
mod replaced;
mod role;

use role::Role;

const BINARY: &str = env!("CARGO_BIN_EXE_volery");

/// How long people chat, and when an engine is broken meanwhile.
const SECONDS: u64 = 12;
/// The same where the timeline is broken. What is judged is judged at rest, so archive must have caught up by then:
/// a node of Cassandra takes ten seconds to come back, its clients up to ten more.
const LONGER: u64 = 30;
const BREAK_AFTER: Duration = Duration::from_secs(4);
const GONE_FOR: Duration = Duration::from_secs(2);

/// Engines and load want both cores: one test after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on_kafka(kafka: &Engine) -> Vec<String> {
    vec![
        "log.engine=kafka".to_owned(),
        format!("log.kafka_brokers={}", kafka.address("KAFKA_BROKERS")),
        "log.kafka_copies=1".to_owned(),
    ]
}

fn on_cassandra(cassandra: &Engine) -> Vec<String> {
    vec![
        "timeline.engine=cassandra".to_owned(),
        format!("timeline.cql_nodes={}", cassandra.address("CASSANDRA_NODES")),
        "timeline.cql_copies=1".to_owned(),
    ]
}

fn on_postgres(postgres: &Engine) -> Vec<String> {
    vec![format!("accounts.database={}", postgres.address("POSTGRES_URL"))]
}

fn on_redis(redis: &Engine) -> Vec<String> {
    vec!["bus.engine=redis".to_owned(), format!("bus.redis_url={}", redis.address("REDIS_URL"))]
}

/// The same as flags of a server.
fn flags(settings: &[String]) -> Vec<&str> {
    settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect()
}

/// A few people chat for a while on a server of their own; whether every promise was kept.
fn chat(settings: &[String], seconds: u64) -> bool {
    let settings = settings.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]);
    chat_with(["--server".to_owned(), BINARY.to_owned()].into_iter().chain(settings), seconds)
}

/// The same on a cluster that runs, with users that it has.
fn chat_at(gateway: &str, users: &Path, seconds: u64) -> bool {
    let users = users.display().to_string();
    chat_with(["--target".to_owned(), gateway.to_owned(), "--users".to_owned(), users].into_iter(), seconds)
}

fn chat_with(place: impl Iterator<Item = String>, seconds: u64) -> bool {
    let out = tempfile::tempdir().expect("a folder");
    let words = ["loadtest", "pairs", "--warm-up", "0", "--pairs", "4", "--rate", "60"];
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend(["--seconds".to_owned(), seconds.to_string()]);
    words.extend(["--out".to_owned(), out.path().display().to_string()]);
    words.extend(place);
    run(&Arguments::parse_from(&words), words.join(" ")).expect("a run")
}

/// They chat while something is killed and started again.
fn chat_while(settings: &[String], seconds: u64, kill: impl FnOnce(), restart: impl FnOnce()) -> bool {
    std::thread::scope(|scope| {
        let chat = scope.spawn(|| chat(settings, seconds));
        std::thread::sleep(BREAK_AFTER);
        kill();
        std::thread::sleep(GONE_FOR);
        restart();
        chat.join().expect("no panic")
    })
}

fn chat_while_it_is_killed(settings: &[String], seconds: u64, engine: &Engine) -> bool {
    chat_while(settings, seconds, || engine.kill(), || engine.restart())
}

#[test]
fn promises_hold_while_the_broker_is_killed() {
    let _alone = alone();
    let Some(kafka) = Engine::start("promises_hold_while_the_broker_is_killed", "kafka") else { return };
    assert!(chat_while_it_is_killed(&on_kafka(&kafka), SECONDS, &kafka));
}

#[test]
fn promises_hold_while_the_timeline_is_away() {
    let _alone = alone();
    let Some(cassandra) = Engine::start("promises_hold_while_the_timeline_is_away", "cassandra") else { return };
    assert!(chat_while_it_is_killed(&on_cassandra(&cassandra), LONGER, &cassandra));
}

#[test]
fn promises_hold_while_a_history_of_its_own_is_killed() {
    let _alone = alone();
    let name = "promises_hold_while_a_history_of_its_own_is_killed";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let Some(cassandra) = Engine::start(name, "cassandra") else { return };
    let Some(postgres) = Engine::start(name, "postgres") else { return };
    let engines = [on_kafka(&kafka), on_cassandra(&cassandra), on_postgres(&postgres)].concat();
    let history = Role::start(&["history"], &engines);
    let settings = [engines, vec![format!("history.nodes={}", history.url("history"))]].concat();
    let history = std::cell::RefCell::new(history);
    assert!(chat_while(&settings, LONGER, || history.borrow_mut().kill(), || history.borrow_mut().restart()));
}

#[test]
fn promises_hold_while_the_accounts_are_away() {
    let _alone = alone();
    let Some(postgres) = Engine::start("promises_hold_while_the_accounts_are_away", "postgres") else { return };
    assert!(chat_while_it_is_killed(&on_postgres(&postgres), SECONDS, &postgres));
}
