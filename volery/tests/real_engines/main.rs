//! The binary on real engines below: people chat, an engine or a role is killed or stands still and comes back
//! meanwhile, and the checker finds every promise kept. The engines are started by `engines/engines`.
//!
//! | module | breaks |
//! |---|---|
//! | [`apart`] | engines, and roles in processes of their own, by kills; [`cluster`] makes them |
//! | [`paused`] | the same, by holding them |
//! | [`brokers`] | one of three brokers, one partition, all of them; [`copies`] takes a copy from the partition |
//! | [`nodes`] | one of three Cassandra nodes, all of them |
//! | [`outage`] | what an outage looks like while it lasts |
//! | [`lost`] | a log that went back, was made anew, or lost what nobody had read |
//! | [`restored`] | all engines out of backups |
//! | [`elsewhere`] | brokers and stores of another cluster |

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Parser as _;
use kit::now;
use loadtest::cli::{Arguments, run};
use loadtest::server::Person;
use tokio::runtime::Runtime;
use volery_testkit::engine::Engine;

mod apart;
mod brokers;
mod cluster;
mod copies;
mod elsewhere;
mod ground;
#[expect(dead_code, reason = "made for the cluster's tests, which use all of it")]
#[path = "../cluster/kit/mod.rs"]
mod kit;
mod lost;
mod nodes;
mod outage;
mod patient;
mod paused;
mod probes;
mod restored;
mod role;
mod visitor;

const BINARY: &str = env!("CARGO_BIN_EXE_volery");

/// Messages a second, of all who chat.
const RATE: u64 = 60;
/// The longest that a load lasts which ends with what it is there for.
const LONGEST: u64 = 400;
/// A server makes its tables first, and everybody logs in.
const BEGINS_WITHIN: Duration = Duration::from_secs(120);
/// What is judged is judged at rest: archive must have caught up by then.
const ARCHIVED_WITHIN: Duration = Duration::from_secs(5);
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

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn person(number: usize, password: &str) -> Person {
    Person { user_name: format!("person_{number}"), password: password.to_owned() }
}

/// Those who chat, as the load wants them.
fn users_of_load(folder: &Path, people: impl Iterator<Item = Person>) -> PathBuf {
    let lines: Vec<_> = people.map(|person| serde_json::to_string(&person).expect("plain data")).collect();
    let file = folder.join("users_of_load.jsonl");
    std::fs::write(&file, lines.join("\n")).expect("written");
    file
}

/// A few people chat for a while on a cluster that runs, with users that it has, and every promise is kept.
fn chat_at(gateway: &str, users: &Path, seconds: u64) {
    chat_with(gateway, users, RATE, seconds, &[]);
}

/// They chat while `acts` last, which begin when the first message is acknowledged, and go on until everything is
/// archived. Every promise is kept.
fn chat_at_while(gateway: &str, users: &Path, rate: u64, acts: impl FnOnce()) {
    let folder = tempfile::tempdir().expect("a folder");
    let [begun, over] = ["begun", "over"].map(|name| folder.path().join(name));
    std::thread::scope(|scope| {
        let words = [("--begun", begun.as_path()), ("--until", over.as_path())];
        let chat = scope.spawn(move || chat_with(gateway, users, rate, LONGEST, &words));
        // Whatever becomes of the acts, nobody waits for the load longer than it takes.
        let ends = Ends(&over);
        let deadline = now() + BEGINS_WITHIN;
        while !begun.exists() {
            assert!(!chat.is_finished() && now() < deadline, "no message was acknowledged");
            std::thread::sleep(Duration::from_millis(10));
        }
        acts();
        std::thread::sleep(ARCHIVED_WITHIN);
        assert!(!chat.is_finished(), "the load is to outlast what it is there for");
        drop(ends);
        chat.join().expect("every promise is kept");
    });
}

/// Ends a load when it is dropped.
struct Ends<'a>(&'a Path);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        // A load that is not told ends by itself, later.
        let _ = std::fs::write(self.0, "");
    }
}

fn chat_with(gateway: &str, users: &Path, rate: u64, seconds: u64, files: &[(&str, &Path)]) {
    let out = tempfile::tempdir().expect("a folder");
    let (rate, seconds) = (rate.to_string(), seconds.to_string());
    let mut words = vec!["loadtest", "pairs", "--warm-up", "0", "--pairs", "4", "--rate", &rate, "--seconds", &seconds];
    words.extend(["--gateway", gateway]);
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    for (flag, file) in [("--out", out.path()), ("--users", users)].iter().chain(files) {
        words.extend([(*flag).to_owned(), file.display().to_string()]);
    }
    if !run(&Arguments::parse_from(&words), words.join(" ")).expect("a run") {
        let report = std::fs::read(out.path().join("pairs.json")).expect("a report");
        let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
        panic!("{:#}", report["verdict"]);
    }
}
