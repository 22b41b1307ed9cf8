//! The binary on real engines below: people chat, an engine or a role is killed or stands still and comes back
//! meanwhile, and the checker finds every promise kept. The engines are started by `engines/engines`.
//!
//! | module | breaks |
//! |---|---|
//! | this one | one engine |
//! | [`apart`] | roles in processes of their own, by kills |
//! | [`paused`] | the same roles and their engines, by holding them |
//! | [`three`] | some of three brokers and three Cassandra nodes; [`fewer`] takes a copy from a partition for it |
//! | [`outage`] | what an outage looks like while it lasts |
//! | [`unanswered`] | what processes say while a role that they ask is away |
//! | [`replaced`] | what a topic looks like that was made anew |

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Parser as _;
use kit::now;
use loadtest::cli::{Arguments, run};
use volery_testkit::engine::Engine;

mod apart;
mod fewer;
#[expect(dead_code, reason = "made for the cluster's tests, which use all of it")]
#[path = "../cluster/kit/mod.rs"]
mod kit;
mod outage;
mod paused;
mod replaced;
mod role;
mod three;
mod unanswered;

const BINARY: &str = env!("CARGO_BIN_EXE_volery");

/// Messages a second, of all who chat.
const RATE: u64 = 60;
/// How long people chat where nothing is broken.
const SECONDS: u64 = 12;
/// The longest that a load lasts which ends with what it is there for.
const LONGEST: u64 = 400;
/// A server makes its tables first, and everybody logs in.
const BEGINS_WITHIN: Duration = Duration::from_secs(120);
/// What is judged is judged at rest: archive must have caught up by then.
const ARCHIVED_WITHIN: Duration = Duration::from_secs(5);
/// The same where the timeline was killed: its clients take up to ten seconds to come back to it.
const READ_AGAIN_WITHIN: Duration = Duration::from_secs(15);
const GONE_FOR: Duration = Duration::from_secs(2);

/// Limits that one machine meets which stands for many.
const OPEN: [&str; 4] = [
    "messaging.sends_per_second=1000000",
    "messaging.sends_burst=1000000",
    "accounts.logins_per_minute=1000000",
    "accounts.logins_per_minute_address=1000000",
];

/// Engines and load want both cores: one test after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on_kafka(kafka: &Engine) -> Vec<String> {
    vec![
        "log.engine=kafka".to_owned(),
        format!("log.kafka_brokers={}", kafka.address("KAFKA_BROKERS")),
        format!("log.kafka_copies={}", kafka.address("KAFKA_REPLICAS")),
    ]
}

fn on_cassandra(cassandra: &Engine) -> Vec<String> {
    vec![
        "timeline.engine=cassandra".to_owned(),
        format!("timeline.cql_nodes={}", cassandra.address("CASSANDRA_NODES")),
        format!("timeline.cql_copies={}", cassandra.address("CASSANDRA_REPLICAS")),
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

/// A few people chat for a while on a cluster that runs, with users that it has; whether every promise was kept.
fn chat_at(gateway: &str, users: &Path, seconds: u64) -> bool {
    chat_with(at(gateway, users), RATE, seconds)
}

fn at(gateway: &str, users: &Path) -> Vec<String> {
    ["--gateway", gateway, "--users", &users.display().to_string()].map(str::to_owned).to_vec()
}

/// The same on a server of the load's own.
fn on_its_own(settings: &[String]) -> Vec<String> {
    let settings = settings.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]);
    ["--server".to_owned(), BINARY.to_owned()].into_iter().chain(settings).collect()
}

/// The same for as long as `acts` last and everything is archived after them.
fn chat_at_while(gateway: &str, users: &Path, rate: u64, acts: impl FnOnce()) -> bool {
    chat_while(at(gateway, users), rate, ARCHIVED_WITHIN, acts)
}

/// People chat; what `acts` does begins when the first message is acknowledged, and they go on for a while after it.
fn chat_while(place: Vec<String>, rate: u64, after: Duration, acts: impl FnOnce()) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let [begun, over] = ["begun", "over"].map(|name| folder.path().join(name));
    let words = ["--begun", &begun.display().to_string(), "--until", &over.display().to_string()].map(str::to_owned);
    let words = [place, words.to_vec()].concat();
    std::thread::scope(|scope| {
        let chat = scope.spawn(|| chat_with(words, rate, LONGEST));
        // Whatever becomes of the acts, nobody waits for the load longer than it takes.
        let ends = Ends(&over);
        let deadline = now() + BEGINS_WITHIN;
        while !begun.exists() {
            assert!(!chat.is_finished() && now() < deadline, "no message was acknowledged");
            std::thread::sleep(Duration::from_millis(10));
        }
        acts();
        std::thread::sleep(after);
        assert!(!chat.is_finished(), "the load is to outlast what it is there for");
        drop(ends);
        chat.join().expect("no panic")
    })
}

/// Ends a load when it is dropped.
struct Ends<'a>(&'a Path);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        // A load that is not told ends by itself, later.
        let _ = std::fs::write(self.0, "");
    }
}

fn chat_with(place: Vec<String>, rate: u64, seconds: u64) -> bool {
    let out = tempfile::tempdir().expect("a folder");
    let words = ["loadtest", "pairs", "--warm-up", "0", "--pairs", "4"];
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend(["--rate".to_owned(), rate.to_string(), "--seconds".to_owned(), seconds.to_string()]);
    words.extend(["--out".to_owned(), out.path().display().to_string()]);
    words.extend(place);
    run(&Arguments::parse_from(&words), words.join(" ")).expect("a run")
}

/// They chat while an engine is killed and started again.
fn chat_while_it_is_killed(settings: &[String], engine: &Engine, after: Duration) -> bool {
    chat_while(on_its_own(settings), RATE, after, || {
        engine.kill();
        std::thread::sleep(GONE_FOR);
        engine.restart();
    })
}

#[test]
fn promises_hold_while_the_broker_is_killed() {
    let _alone = alone();
    let Some(kafka) = Engine::start("promises_hold_while_the_broker_is_killed", "kafka") else { return };
    assert!(chat_while_it_is_killed(&on_kafka(&kafka), &kafka, ARCHIVED_WITHIN));
}

#[test]
fn promises_hold_while_the_timeline_is_away() {
    let _alone = alone();
    let Some(cassandra) = Engine::start("promises_hold_while_the_timeline_is_away", "cassandra") else { return };
    assert!(chat_while_it_is_killed(&on_cassandra(&cassandra), &cassandra, READ_AGAIN_WITHIN));
}

#[test]
fn promises_hold_while_the_accounts_are_away() {
    let _alone = alone();
    let Some(postgres) = Engine::start("promises_hold_while_the_accounts_are_away", "postgres") else { return };
    assert!(chat_while_it_is_killed(&on_postgres(&postgres), &postgres, ARCHIVED_WITHIN));
}
