//! A whole cluster in this process under a clock that leaps and steps back, within what the clocks may
//! differ by and far beyond it, while people write to each other; what they saw is judged in the end.
//!
//! The same where the log is Kafka, whose clock is the machine's: as long as the two differ, nothing is sent.
//!
//! Ids stand still for a small step back; a session whose clock has moved far since its `welcome` takes
//! no sends; records that a leap makes late are dropped and retried. None of it may lose, double or
//! reorder anything.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use loadtest::failure::Failure;
use loadtest::fleet::Fleet;
use loadtest::server::{Person, Server};
use loadtest::verdict::Verdict;
use volery_crash::campaign::{rest, target_at};
use volery_crash::crowd::{Crowd, Sizes};
use volery_crash::story;
use volery_kernel::limits;
use volery_kernel::time::{Clock, Timestamp};
use volery_node::clock::SystemClock;
use volery_node::config::load_process;
use volery_node::shutdown::{Shutdown, Stage};
use volery_testkit::engine::Engine;

#[expect(dead_code, reason = "made for the cluster's tests, which use all of it")]
#[path = "cluster/kit/http.rs"]
mod http;

const SIZES: Sizes = Sizes { flooders: 8, window: 4, every_ms: None, people: 8 };
/// Acknowledged under each reading of the clock before the next step.
const TALK: u64 = 100;
/// What must come comes within this, also an answer of the gateway.
const WITHIN: Duration = Duration::from_secs(120);
const NEVER: Duration = WITHIN;
/// What must come after a leap that leaves the reservation of ids behind: it is renewed at once, not within a minute.
const RESERVED_WITHIN: Duration = Duration::from_secs(50);
const LEAP: i64 = limits::RESERVE_AHEAD_MS.value as i64 + 60_000;
const BOUND: i64 = limits::CLOCK_BOUND_MS.value as i64;
const LATE: i64 = limits::LATE_AFTER_MS.value as i64;

/// The machine's clock, so many milliseconds off.
struct Stepped(AtomicI64);

impl Clock for Stepped {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        Timestamp(now.0.saturating_add_signed(self.0.load(Ordering::Relaxed)))
    }
}

impl Stepped {
    fn step(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

/// A cluster on a thread of its own; dropping it stops it in order.
struct Cluster {
    gateway: String,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    fn start(folder: &Path, clock: Arc<Stepped>, more: &[(&str, &str)]) -> Self {
        let flags = [
            ("data.dir", folder.to_str().expect("a name")),
            ("gateway.listen", "127.0.0.1:0"),
            ("messaging.listen", "127.0.0.1:0"),
            ("messaging.sends_per_second", "1000000"),
            ("messaging.sends_burst", "1000000"),
            ("accounts.logins_per_minute", "1000000"),
            ("accounts.logins_per_minute_address", "1000000"),
        ];
        let flags = flags.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let config = load_process(None, flags.collect()).unwrap_or_else(|_| panic!("a configuration")).config;
        let (shutdown, (ready, doors)) = (Shutdown::new(), mpsc::channel());
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let tell = move |doors| ready.send(doors).expect("somebody waits");
            let up = volery::up::up(&config, clock, stop, tell);
            actix_rt::System::new().block_on(up).expect("it comes up, and stops in order");
        });
        let doors = doors.recv_timeout(WITHIN).expect("it is ready");
        Self { gateway: doors.gateway, shutdown, thread: Some(thread) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shutdown.advance(Stage::Draining);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "it stops in order");
    }
}

fn import(folder: &Path, people: &[Person]) {
    let params = Params::new(8, 1, 1, None).expect("what argon2 takes at least");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let line = |person: &Person| {
        let hash = argon2.hash_password_with_salt(person.password.as_bytes(), &[7; 16]).expect("a hash");
        serde_json::json!({"user_name": person.user_name, "password_hash": hash.to_string()}).to_string()
    };
    let file = folder.join("users.jsonl");
    std::fs::write(&file, people.iter().map(line).collect::<Vec<_>>().join("\n")).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_volery"));
    command.args(["admin", "users", "import"]).arg(file).arg("--data").arg(folder);
    assert!(command.status().expect("it runs").success());
}

/// What happens to the clock, in ms, and after which everybody must be able to write again.
fn steps() -> Vec<i64> {
    let small = [BOUND - 50, -(BOUND - 50), -(BOUND - 50), 2 * BOUND, -2 * BOUND];
    // Beyond twice the bound no id may be taken until the clock has caught up by itself.
    let large = [LATE + 2_000, -(2 * BOUND + 1_500), 6 * LATE, -(2 * BOUND + 500), LATE - 500, -BOUND];
    small.into_iter().cycle().take(15).chain(large).chain([LEAP]).chain(small).collect()
}

async fn talked(fleet: &Fleet, within: Duration) -> Result<(), Failure> {
    let least = fleet.tally().acked + TALK;
    fleet.until("messages to come", within, || least.saturating_sub(fleet.tally().acked) as usize).await
}

fn refused(fleet: &Fleet, code: &str) -> u64 {
    fleet.tally().errors.get(code).copied().unwrap_or_default()
}

async fn play(gateway: &str, clock: &Stepped) -> Result<(Verdict, u64, usize), Failure> {
    let target = target_at(gateway)?;
    let crowd = Crowd::gather(gateway, &target, 0..SIZES.users(), SIZES, "a stepped clock".to_owned()).await?;
    let breaks = crowd
        .live(async {
            let mut breaks = Vec::new();
            talked(crowd.fleet(), WITHIN).await?;
            for by in steps() {
                breaks.push((crowd.now(), format!("the clock steps by {by} ms")));
                clock.step(by);
                talked(crowd.fleet(), if by == LEAP { RESERVED_WITHIN } else { WITHIN }).await?;
            }
            crowd.back(crowd.open(), WITHIN).await?;
            Ok(breaks)
        })
        .await?;
    let mut history = rest(&crowd).await?;
    let refused = ["stale", "no_ids"].map(|code| refused(crowd.fleet(), code));
    let resolved = story::answered(&history).len();
    story::place(&mut history, breaks);
    Ok((Verdict::of(&history), refused.iter().sum(), resolved))
}

#[test]
fn promises_hold_under_a_clock_that_leaps_and_steps_back() {
    let folder = tempfile::tempdir().expect("a folder");
    import(folder.path(), &Server::people(0..SIZES.users()));
    let clock = Arc::new(Stepped(AtomicI64::new(0)));
    let cluster = Cluster::start(folder.path(), Arc::clone(&clock), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let played = tokio::task::LocalSet::new().block_on(&runtime, play(&cluster.gateway, &clock));
    let (verdict, refused, resolved) = played.expect("it goes on after every step");
    verdict.print();
    assert!(verdict.is_good(), "{}", verdict.sentence());
    assert!(refused > 0, "a clock far from where it was must refuse sends");
    assert!(resolved > 0, "a leap must make sends late, and their retries must be resolved");
    println!("{refused} sends refused, {resolved} retries resolved");
}

fn ask(gateway: &str, path: &str) -> http::Answer {
    http::request(gateway.trim_start_matches("http://"), "GET", path, None, None).expect("the gateway answers")
}

/// Whether the node says that its clock is the log's.
fn clock_is_right(gateway: &str) -> bool {
    ask(gateway, "/healthz").json()["parts"]["clock"]["state"] == "ready"
}

async fn play_beside_a_broker(gateway: &str, clock: &Stepped) -> Result<Verdict, Failure> {
    let target = target_at(gateway)?;
    let crowd = Crowd::gather(gateway, &target, 0..SIZES.users(), SIZES, "a clock of its own".to_owned()).await?;
    crowd
        .live(async {
            let fleet = crowd.fleet();
            talked(fleet, WITHIN).await?;
            for by in [4 * BOUND, -4 * BOUND] {
                clock.step(by);
                fleet.until("the clock to be noticed", WITHIN, || usize::from(clock_is_right(gateway))).await?;
                assert_eq!(ask(gateway, "/readyz").status, 503, "without a clock it is not ready");
                let before = refused(fleet, "no_ids");
                fleet.until("sends to be refused", WITHIN, || usize::from(refused(fleet, "no_ids") == before)).await?;
                clock.step(-by);
                fleet.until("the clock to be right", WITHIN, || usize::from(!clock_is_right(gateway))).await?;
                talked(fleet, WITHIN).await?;
            }
            crowd.back(crowd.open(), WITHIN).await
        })
        .await?;
    Ok(Verdict::of(&rest(&crowd).await?))
}

#[test]
fn a_clock_that_is_not_the_brokers_sends_nothing_until_it_is() {
    let name = "a_clock_that_is_not_the_brokers_sends_nothing_until_it_is";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    import(folder.path(), &Server::people(0..SIZES.users()));
    let clock = Arc::new(Stepped(AtomicI64::new(0)));
    let (brokers, copies) = (kafka.address("KAFKA_BROKERS"), kafka.address("KAFKA_REPLICAS"));
    let engine =
        [("log.engine", "kafka"), ("log.kafka_brokers", brokers.as_str()), ("log.kafka_copies", copies.as_str())];
    let cluster = Cluster::start(folder.path(), Arc::clone(&clock), &engine);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let played = tokio::task::LocalSet::new().block_on(&runtime, play_beside_a_broker(&cluster.gateway, &clock));
    let verdict = played.expect("it goes on once the clock is right");
    verdict.print();
    assert!(verdict.is_good(), "{}", verdict.sentence());
}
